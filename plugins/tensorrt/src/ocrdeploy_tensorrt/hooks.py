"""What the plugin says to the core. Nothing here imports TensorRT or CUDA."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from ocrdeploy import Unavailable, hookimpl
from ocrdeploy.nvidia import driver_found
from ocrdeploy.vocabulary import BackendInfo, Probe, Session
from ocrdeploy_tensorrt import __version__

ocrd_contract = 1

FLAVOURS = {"tensorrt": ("tensorrt", "tensorrt-cu13", "tensorrt-cu12"), "tensorrt-rtx": ("tensorrt-rtx",)}
"""The two products with one interface, and the distributions that bring them."""


@hookimpl
def ocrd_backend() -> BackendInfo:
    """Announce the backend."""
    return BackendInfo(
        name="tensorrt",
        runs=("trt-engine",),
        builds_from=("onnx",),
        precisions=("fp32", "tf32", "fp16", "bf16"),
        rank=30,
    )


@hookimpl
def ocrd_probe() -> Probe:
    """Say what is missing, beginning with what takes longest to mend."""
    flavour, number = installed()
    details = {"flavour": flavour} if flavour else {}
    if not driver_found():
        fix = "install a driver that supports CUDA 13"
        return Probe(version=number, problem="no NVIDIA driver was found", fix=fix, details=details)
    if not flavour:
        fix = "pip install 'ocrdeploy-tensorrt[sdk]'   (or [rtx])"
        return Probe(problem="neither tensorrt nor tensorrt-rtx is installed", fix=fix)
    problem = f"this version of ocrdeploy-tensorrt ({__version__}) cannot open engines yet"
    return Probe(version=number, problem=problem, fix="pip install --upgrade ocrdeploy-tensorrt", details=details)


@hookimpl
def ocrd_infer() -> Session:
    """Refuse, in the probe's words."""
    answer = ocrd_probe()
    raise Unavailable(answer.problem, answer.fix)


def installed() -> tuple[str, str]:
    """Return the installed flavour and its version, or two empty strings.

    The import alone proves nothing: a folder named tensorrt on `sys.path` can be imported as a namespace package.
    """
    for flavour, distributions in FLAVOURS.items():
        for name in distributions:
            try:
                return flavour, version(name)
            except PackageNotFoundError:
                continue
    return "", ""
