"""What the plugin says to the core. Nothing here imports PyTorch."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from ocrdeploy import Unavailable, hookimpl
from ocrdeploy.vocabulary import BackendInfo, Probe, Session
from ocrdeploy_pytorch import __version__

ocrd_contract = 1


@hookimpl
def ocrd_backend() -> BackendInfo:
    """Announce the backend."""
    return BackendInfo(name="pytorch", runs=("checkpoint",), precisions=("fp32", "tf32", "fp16", "bf16"), rank=10)


@hookimpl
def ocrd_probe() -> Probe:
    """Say what is missing."""
    try:
        number = version("torch")
    except PackageNotFoundError:
        return Probe(problem="torch is not installed", fix="pip install torch")
    problem = f"this version of ocrdeploy-pytorch ({__version__}) cannot run models yet"
    return Probe(version=number, problem=problem, fix="pip install --upgrade ocrdeploy-pytorch")


@hookimpl
def ocrd_infer() -> Session:
    """Refuse, in the probe's words."""
    answer = ocrd_probe()
    raise Unavailable(answer.problem, answer.fix)
