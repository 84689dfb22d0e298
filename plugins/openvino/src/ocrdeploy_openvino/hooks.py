"""What ocrdeploy calls. Nothing here imports OpenVINO before a session is opened."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from ocrdeploy import Unavailable, hookimpl
from ocrdeploy.vocabulary import Artifact, BackendInfo, InferOptions, ModelSpec, Probe, Session

ocrd_contract = 1


@hookimpl
def ocrd_backend() -> BackendInfo:
    """Announce the backend: it opens ONNX files itself."""
    return BackendInfo("openvino", runs=("onnx",), precisions=("fp32",), rank=-10)


@hookimpl
def ocrd_probe() -> Probe:
    """Say which OpenVINO is installed, without importing it."""
    try:
        return Probe(version=version("openvino"), device="cpu")
    except PackageNotFoundError:
        return Probe(problem="OpenVINO is not installed", fix="pip install openvino")


@hookimpl
def ocrd_infer(model: ModelSpec, artifact: Artifact, options: InferOptions) -> Session:
    """Compile an ONNX file for the CPU."""
    if options.device not in ("auto", "cpu"):
        raise Unavailable(f"the openvino backend cannot run on {options.device}", "use --device cpu")
    if options.provider or options.custom_ops:
        raise Unavailable(
            "the openvino backend has no providers and no custom operators", "leave --provider and --custom-ops out"
        )
    from ocrdeploy_openvino.session import OpenVinoSession

    return OpenVinoSession(model, artifact.path, options.threads)
