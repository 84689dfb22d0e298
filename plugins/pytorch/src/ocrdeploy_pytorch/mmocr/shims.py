"""What MMOCR 0.6.3 needs so that it can be imported beside today's libraries. Importing this module changes nothing."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from importlib import import_module, util
from types import ModuleType
from typing import Any

from ocrdeploy.errors import Unavailable

_libraries: list[Any] = []
"""Operators that were defined here; PyTorch forgets them with the object that defined them."""


def import_mmocr() -> ModuleType:
    """Return `mmocr.models`, imported with whatever stands in for parts that are missing here and that no network needs.

    Raises what the import raises.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of deprecations, which are not the user's to mend
        _torchvision()
        stand_in("mmcv._ext", "it is one of mmcv's compiled operators", "python -m ocrdeploy_pytorch.install_mmocr")
        stand_in("lanms", "lanms-neo is not installed", "pip install lanms-neo==1.0.2")
        return import_module("mmocr.models")


def _torchvision() -> None:
    """Import torchvision, also one that was built for another kind of PyTorch (CUDA, CPU) than is here.

    The compiled half of such a one does not load, and the other half then misses the operators that it describes. MMOCR
    uses neither.
    """
    try:
        import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        library_of: Any = import_module("torch.library").Library
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = library_of("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _libraries.append(library)
        import_module("torchvision")


def stand_in(name: str, why: str, fix: str) -> None:
    """Where there is no module `name`, put one in its place that has every function, each of which says that it is missing."""
    if name not in sys.modules and util.find_spec(name) is None:
        sys.modules[name] = Missing(name, why, fix)


class Missing(ModuleType):
    """A module whose functions exist, since MMCV looks for them on import, and cannot be called."""

    def __init__(self, name: str, why: str, fix: str) -> None:
        super().__init__(name)
        self._why, self._fix = why, fix

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def missing(*_: object, **__: object) -> Any:
            raise Unavailable(f"{self.__name__}.{name} cannot be called: {self._why}", self._fix)

        return missing
