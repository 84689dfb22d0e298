"""The networks of the real MMOCR 0.x, behind the interface of our own: raw outputs, and the state dict's own keys."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from ocrdeploy.errors import BadInput, OcrdError, Unavailable
from ocrdeploy_pytorch.mmocr import models as mmocr_models
from ocrdeploy_pytorch.mmocr import shims as mmocr_shims

if TYPE_CHECKING:
    from torch import nn

INSTALL = "python -m ocrdeploy_pytorch.install_mmocr"
"""The command that installs what is needed."""

NEEDED: Mapping[str, tuple[str, ...]] = {"mmocr": ("mmocr",), "mmdet": ("mmdet",), "mmcv": ("mmcv-full", "mmcv")}
"""The libraries, and the distributions that bring each."""

MAJORS = {"mmocr": "0", "mmdet": "2", "mmcv": "1"}


def installed() -> dict[str, str]:
    """Return the versions of the libraries, without importing any. Raises `Unavailable` for one that is missing or too new."""
    found = {}
    for library, distributions in NEEDED.items():
        numbers = [number for name in distributions if (number := _version(name))]
        if not numbers:
            raise Unavailable(f"networks=mmocr needs {library}, which is not installed", INSTALL)
        if numbers[0].partition(".")[0] != MAJORS[library]:
            wanted = f"networks=mmocr needs {library} {MAJORS[library]}.x, and {numbers[0]} is installed"
            raise Unavailable(wanted, f"in another environment: {INSTALL}")
        found[library] = numbers[0]
    return found


def build(network: Mapping[str, Any]) -> nn.Module:
    """Return the untrained network that `network` (`ModelSpec.network`) describes, made by MMOCR's own classes.

    Raises `Unavailable` where MMOCR cannot be imported, `BadInput` where it cannot build this.
    """
    versions = installed()
    section = mmocr_models.section_of(network)
    try:
        mmocr_shims.import_mmocr()
    except Exception as error:
        listed = ", ".join(f"{name} {number}" for name, number in versions.items())
        raise Unavailable(f"MMOCR is installed ({listed}) and cannot be imported: {_reason(error)}", INSTALL) from error
    from mmcv import ConfigDict
    from mmocr.models.builder import DETECTORS

    from ocrdeploy_pytorch.mmocr.raw import raw

    mmocr_models.check_classes(section, DETECTORS)
    try:
        return raw(DETECTORS.build(ConfigDict(section)))
    except OcrdError:
        raise
    except Exception as error:
        raise BadInput(f"MMOCR cannot build the config's model: {_reason(error)}", mmocr_models.FIX) from error


def require_onnx(network: nn.Module) -> None:
    """Raise `BadInput` where a network has operators of MMCV's own: ONNX has no such ones."""
    own = sorted({type(part).__name__ for part in network.modules() if type(part).__module__.startswith("mmcv.ops.")})
    if own:
        problem = f"the network has parts for which PyTorch's exporters know no ONNX operator: {', '.join(own)}"
        raise BadInput(problem, "run the checkpoint itself: --backend pytorch")


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def _reason(error: Exception) -> str:
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said[:300]}" if said else type(error).__name__
