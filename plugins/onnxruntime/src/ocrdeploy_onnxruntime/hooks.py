"""What the plugin says to the core. The runtime is imported inside the hooks only."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ocrdeploy import hookimpl
from ocrdeploy.vocabulary import Artifact, BackendInfo, InferOptions, Probe, Session
from ocrdeploy_onnxruntime.settings import CONVERSION, OPTIONS, reason

ocrd_contract = 1

DISTRIBUTIONS = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-openvino",
    "onnxruntime-directml",
    "onnxruntime-migraphx",
    "onnxruntime-rocm",
    "onnxruntime-qnn",
    "onnxruntime-windowsml",
)
"""The distributions that install the package `onnxruntime`. Two of them overwrite each other's files."""

INSTALL = "pip install 'ocrdeploy-onnxruntime[cpu]'   (or [gpu])"


@hookimpl
def ocrd_backend() -> BackendInfo:
    """Announce the backend."""
    return BackendInfo(name="onnxruntime", runs=("onnx",), precisions=("fp32", "fp16"), options=(*OPTIONS, *CONVERSION), rank=20)


@hookimpl
def ocrd_probe() -> Probe:
    """Say whether exactly one ONNX Runtime is installed and can be imported, and which providers it was built with."""
    found = installed()
    if not found:
        return Probe(problem="onnxruntime is not installed", fix=INSTALL)
    if len(found) > 1:
        problem = f"{' and '.join(found)} are both installed, and overwrite each other's files"
        return Probe(problem=problem, fix=f"pip uninstall -y {' '.join(found)}, then {INSTALL}")
    ((name, number),) = found.items()
    try:
        import onnxruntime

        available: list[str] = onnxruntime.get_available_providers()
    except Exception as error:  # noqa: BLE001 - a half-installed or foreign package fails in any way, and that is the answer
        problem = f"{name} {number} is installed and cannot be imported: {reason(error)}"
        return Probe(version=number, problem=problem, fix=f"pip install --force-reinstall --no-deps {name}=={number}")
    details = {"distribution": name, "providers": ", ".join(available)}
    return Probe(version=number, device=_device(available), details=details)


@hookimpl
def ocrd_infer(artifact: Artifact, options: InferOptions) -> Session:
    """Open an ONNX file."""
    from ocrdeploy_onnxruntime import session

    return session.open_session(_runtime(), artifact, options)


def installed() -> dict[str, str]:
    """Return the installed distributions of ONNX Runtime with their versions.

    The import alone proves nothing: a folder named onnxruntime on `sys.path` can be imported as a namespace package.
    """
    found = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _device(available: list[str]) -> str:
    """Return what `--device auto` would try first, without starting it."""
    from ocrdeploy.nvidia import driver_found

    return "cuda" if "CUDAExecutionProvider" in available and driver_found() else "cpu"


def _runtime() -> Any:
    import onnxruntime

    return onnxruntime
