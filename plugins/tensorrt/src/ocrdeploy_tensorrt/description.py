"""What is to be known of an engine file: what its manifest says, and, where it can be opened here, what its layers are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from ocrdeploy import artifact
from ocrdeploy.errors import OcrdError
from ocrdeploy.vocabulary import InferOptions
from ocrdeploy_tensorrt import devices, module, opening, proof
from ocrdeploy_tensorrt.devices import Machine
from ocrdeploy_tensorrt.engine import Engine


def describe(
    path: Path,
    look: Callable[[], Machine] = devices.look,
    load: Callable[[], Any] = module.load,
    cuda: Callable[[], Any] = lambda: import_module("cuda.core"),
) -> dict[str, Any] | None:
    """Return what is to be known of the engine `path`, all of it fit for JSON; None for a file without a manifest of an engine.

    "precision", "remark" and "layers" (name, kind, precision, formats) are TensorRT's own words where the engine can be opened
    here; else "not_opened" says why it cannot, and "facts" have what was noted down when it was built. Nothing else is opened:
    an engine is code.
    """
    manifest = artifact.read_manifest(path)
    if manifest is None or manifest.format != opening.FORMAT:
        return None
    found: dict[str, Any] = {"asked": manifest.options.get("precision", ""), "facts": dict(manifest.facts)}
    try:
        return {**found, **_opened(artifact.made(path, manifest), look(), load, cuda)}
    except OcrdError as error:
        return {**found, "not_opened": error.problem}


def _opened(made: artifact.Artifact, machine: Machine, load: Callable[[], Any], cuda: Callable[[], Any]) -> dict[str, Any]:
    gpu = devices.require(machine, 0)
    trt = load()
    data, manifest = opening.admitted(trt, made, InferOptions(), gpu, trusted=False)
    assert manifest is not None, "it was read before"
    try:
        cuda().Device(0).set_current()
    except Exception as error:
        raise OcrdError(f"CUDA does not start: {' '.join(str(error).split())}") from error
    engine = Engine(trt, data, made.path, host_code=manifest.facts.get("version_compatible") == "yes")
    try:
        # With open axes, the inspector tells formats for a context that has its shapes only.
        engine.context.shape(engine.largest())
        layers, silence = engine.layers()
    except RuntimeError as error:
        raise OcrdError(str(error)) from error
    finally:
        engine.close()
    proved = proof.prove(layers, silence, manifest.options.get("precision", ""), manifest.facts)
    return {"precision": proved.precision, "remark": proved.remark, "layers": [asdict(layer) for layer in layers]}
