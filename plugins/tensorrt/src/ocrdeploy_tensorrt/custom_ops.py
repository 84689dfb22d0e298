"""Libraries of TensorRT plugins: operators that TensorRT does not have by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ocrdeploy import artifact
from ocrdeploy.errors import BadInput
from ocrdeploy_tensorrt import module

_LOADED: set[tuple[str, str]] = set()
"""The name of the module and the path of each library that this process has loaded: TensorRT refuses one a second time."""


def load(trt: Any, libraries: Sequence[Path]) -> None:
    """Load libraries of plugins, and register what is in them. Raises `BadInput` for one that cannot be loaded."""
    registry = trt.get_plugin_registry()
    for library in libraries:
        path = str(library.resolve())
        if not library.is_file():
            raise BadInput(f"there is no library {library}", "name the file that --custom-ops shall load")
        if (trt.__name__, path) in _LOADED:
            continue
        with module.hearing() as heard:
            handle = registry.load_library(path)
        if handle is None:
            why = module.cause(heard, "it registers no plugin, or one that is registered already")
            raise BadInput(f"TensorRT cannot load {library}: {why}", "name a library of plugins for this version of TensorRT")
        _LOADED.add((trt.__name__, path))


def digests(libraries: Sequence[Path]) -> Mapping[str, str]:
    """Return the facts that say which libraries an engine was built with."""
    return {f"custom_ops {library.name}": artifact.sha256(library) for library in libraries}
