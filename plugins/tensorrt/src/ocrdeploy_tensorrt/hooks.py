"""What the plugin says to the core. Nothing here imports TensorRT or CUDA."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from ocrdeploy import Unavailable, hookimpl
from ocrdeploy.vocabulary import Artifact, BackendInfo, BuildOptions, InferOptions, Probe, Session
from ocrdeploy_tensorrt import choices, devices, module, probing, settings

ocrd_contract = 1


@hookimpl
def ocrd_backend() -> BackendInfo:
    """Announce the backend."""
    return BackendInfo(
        name="tensorrt",
        runs=("trt-engine",),
        builds_from=("onnx",),
        precisions=("fp32", "tf32", "fp16", "bf16"),
        options=("keep_fp32", "range_images", *settings.OPTIONS, *choices.OPTIONS),
        rank=30,
        session_options=choices.OPTIONS,
    )


@hookimpl
def ocrd_probe() -> Probe:
    """Say what is missing, beginning with what takes longest to mend."""
    return probing.probe()


@hookimpl
def ocrd_build(source: Artifact, target: Path, options: BuildOptions) -> Artifact:
    """Build an engine of an ONNX file. TensorRT-RTX does it without a GPU, too."""
    from ocrdeploy_tensorrt import builder

    return builder.build(module.load(), source, target, options, devices.look())


@hookimpl
def ocrd_infer(artifact: Artifact, options: InferOptions) -> Session:
    """Open an engine file; where TensorRT cannot run here, refuse in the probe's words."""
    answer = probing.probe()
    if not answer.ok:
        raise Unavailable(answer.problem, answer.fix)
    from ocrdeploy_tensorrt import opening

    return opening.open_session(module.load(), import_module("cuda.core"), devices.look(), artifact, options)


@hookimpl
def ocrd_inspect(path: Path) -> Mapping[str, Any]:
    """Say what an engine's layers compute in, where it can be opened here."""
    from ocrdeploy_tensorrt import description

    return description.describe(path)
