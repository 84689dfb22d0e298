"""From an engine file to a session: is it ours, does it fit this machine, and what is it in truth."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ocrdeploy import artifact as artifacts
from ocrdeploy.artifact import Manifest
from ocrdeploy.errors import BadInput, Unavailable
from ocrdeploy.vocabulary import Artifact, InferOptions, Loaded, Threads
from ocrdeploy_tensorrt import choices, custom_ops, devices, facts, module, ports
from ocrdeploy_tensorrt.devices import Gpu, Machine
from ocrdeploy_tensorrt.engine import Engine
from ocrdeploy_tensorrt.ports import Port
from ocrdeploy_tensorrt.proof import Proof, prove
from ocrdeploy_tensorrt.session import TensorRTSession

FORMAT = "trt-engine"
_PARTS = "custom_ops "
_UNSAID = "fp32"
"""The precision of a session that is asked for none. An engine file then keeps its own, which `Loaded` tells."""


def open_session(trt: Any, cuda: Any, machine: Machine, artifact: Artifact, options: InferOptions) -> TensorRTSession:
    """Open an engine with the TensorRT module `trt` and `cuda`, the module `cuda.core`, or raise `OcrdError`.

    What the manifest says is checked before TensorRT sees the file. Nothing stays on the GPU where opening fails.
    """
    settings = choices.chosen(options.extra)
    if options.provider:
        raise BadInput("TensorRT has no execution providers", "leave --provider out")
    index = devices.chosen(options.device)
    gpu = devices.require(machine, index)
    data, manifest = admitted(trt, artifact, options, gpu, trusted=settings.trusted)
    if options.custom_ops:
        custom_ops.load(trt, options.custom_ops)
    device = _current(cuda, index)
    said = manifest.facts if manifest else {}
    engine = Engine(trt, data, artifact.path, host_code=said.get("version_compatible") == "yes")
    try:
        ports.check_spec(artifact.path, artifact.model, engine.inputs, engine.outputs)
    except BaseException:
        engine.close()
        raise
    session = TensorRTSession(engine, artifact.model, cuda, device, settings)
    try:
        asked = (_built_for(manifest) if manifest else "") or options.precision
        found = prove(*engine.layers(), asked, said)
        session.introduce(_loaded(trt, engine.inputs, found, f"cuda:{index}", gpu, auto=options.device == "auto"))
    except BaseException:
        session.close()
        raise
    return session


def _current(cuda: Any, index: int) -> Any:
    try:
        device = cuda.Device(index)
        device.set_current()
    except Exception as error:
        said = " ".join(str(error).split())
        raise Unavailable(f"CUDA does not start on cuda:{index}: {said}", "nvidia-smi says what uses it") from error
    return device


def _loaded(trt: Any, inputs: Mapping[str, Port], found: Proof, device: str, gpu: Gpu, *, auto: bool) -> Loaded:
    details = {
        "flavour": module.flavour(trt),
        "compute_capability": ".".join(map(str, gpu.capability)),
        "profile": ports.listed(inputs),
        "precision": found.remark,
        "layers": found.layers,
        "layers_fp32": found.layers_fp32,
        "cuda_graph": "off",
    }
    return Loaded(
        version=module.versions(trt),
        device=device,
        provider=gpu.name,
        precision=found.precision,
        threads=Threads.ONE,
        chosen=f"device auto: {device} ({gpu.name})" if auto else "",
        details={name: value for name, value in details.items() if value},
    )


def admitted(trt: Any, artifact: Artifact, options: InferOptions, gpu: Gpu, *, trusted: bool) -> tuple[bytes, Manifest | None]:
    """Return the content of an engine file that may be opened here, and its manifest.

    An engine is code that runs with the user's rights, so one without a manifest of ours is opened only where it is `trusted`.
    The manifest tells of accidents: it is no signature. Raises `BadInput`, with the command that makes a fitting one.
    """
    path = artifact.path
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}", "name a file that exists and that you may read") from None
    manifest = artifacts.read_manifest(path)
    if manifest is None or manifest.format != FORMAT:
        if not trusted:
            raise _unknown(path)
        return data, None
    # Of the bytes that TensorRT is given, and not of a file that may have been replaced meanwhile.
    if hashlib.sha256(data).hexdigest() != manifest.sha256:
        problem = f"{path} is cut short, or not the file that {artifacts.manifest_path(path).name} beside it was written for"
        raise BadInput(problem, f"copy the two together; or {_rebuild(path)}")
    _check(trt, manifest, artifact, options, gpu)
    return data, manifest


def _check(trt: Any, manifest: Manifest, artifact: Artifact, options: InferOptions, gpu: Gpu) -> None:
    path = artifact.path
    if why := facts.mismatch(manifest, trt, str(gpu)):
        raise BadInput(f"the engine {path} {why}", _rebuild(path))
    parents = {artifact.parent_sha256, manifest.parent_sha256} - {""}
    if len(parents) > 1:
        was, now = manifest.parent_sha256[:12], artifact.parent_sha256[:12]
        raise BadInput(f"the engine {path} was built from another ONNX file (sha256 {was}, not {now})", _rebuild(path))
    its = _built_for(manifest)
    if its and options.precision not in (its, _UNSAID):
        problem = f"the engine {path} was built for {its}, and {options.precision} is asked for"
        raise BadInput(problem, f"--precision {its}, or {_rebuild(path)} --precision {options.precision}")
    _check_libraries(path, manifest, options)


def _built_for(manifest: Manifest) -> str:
    """Return the precision that an engine was asked to have: by `ocrd build`, or by the chain."""
    return manifest.facts.get("precision", "") or manifest.options.get("precision", "")


def _check_libraries(path: Path, manifest: Manifest, options: InferOptions) -> None:
    """Raise `BadInput` unless the libraries of operators are those that the engine was built with."""
    kept = {**manifest.options, **manifest.facts}
    wanted = {name: digest for name, digest in kept.items() if name.startswith(_PARTS)}
    given = custom_ops.digests(options.custom_ops)
    for name, digest in wanted.items():
        library = name.removeprefix(_PARTS)
        if name not in given:
            raise BadInput(f"the engine {path} needs the operators of {library}", f"name it: --custom-ops {library}")
        if given[name] != digest:
            raise BadInput(f"the engine {path} was built with another {library}", f"use that library, or {_rebuild(path)}")


def _unknown(path: Path) -> BadInput:
    name = artifacts.manifest_path(path).name
    problem = f"{path} has no manifest of ocrdeploy ({name}), and an engine is code: whose it is, nobody can tell"
    trust = "where you trust whoever made it: --backend-option trust_engine=yes"
    return BadInput(problem, f"{_rebuild(path)}; or, {trust}")


def _rebuild(path: Path) -> str:
    return f"build it again, here: ocrd build MODEL.onnx -o {path}"
