"""Which TensorRT is installed, its import, and what it says while it works.

TensorRT and TensorRT-RTX have one interface. What builds and what runs is given the module; only `load` imports it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ocrdeploy.errors import Unavailable

_LOG = logging.getLogger(__name__)

SDK, RTX = "tensorrt", "tensorrt-rtx"
DISTRIBUTIONS = {SDK: ("tensorrt", "tensorrt-cu13", "tensorrt-cu12"), RTX: ("tensorrt-rtx",)}
"""The two products, the flavours, and the distributions that bring them."""
MODULES = {SDK: "tensorrt", RTX: "tensorrt_rtx"}
EXTRAS = {SDK: "pip install 'ocrdeploy-tensorrt[sdk]'", RTX: "pip install 'ocrdeploy-tensorrt[rtx]'"}
_LIBRARIES = {12: ("tensorrt-cu12-libs",), 13: ("tensorrt-cu13-libs", "tensorrt-rtx-cu13-libs")}

_PLACE = re.compile(r"^\[[^]]*\] |^\w+::\w+: |In \S+ at \S+:\d+ ?")
"""What only its makers can use: "[runtime.cpp::readHeader::765] ", "In readHeader at /_src/runtime.cpp:765"."""

_LISTENERS: list[list[str]] = []
"""Who is told of TensorRT's errors at the moment. TensorRT has one logger in a process, so this list stands beside it."""


def installed() -> tuple[str, str]:
    """Return the installed flavour and its version, or two empty strings; TensorRT where both are there.

    The import alone proves nothing: a folder named tensorrt on `sys.path` can be imported as a namespace package.
    """
    for flavour_, distributions in DISTRIBUTIONS.items():
        for name in distributions:
            if number := version_of(name):
                return flavour_, number
    return "", ""


def version_of(distribution: str) -> str:
    """Return the version of an installed distribution, or ''."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def cuda_major() -> int:
    """Return the CUDA that the installed TensorRT was made for: 13, unless only packages for 12 are there."""
    found = [major for major, names in _LIBRARIES.items() if any(map(version_of, names))]
    if not found and version_of("tensorrt-cu12") and not version_of("tensorrt-cu13"):
        return 12
    return max(found, default=13)


def load() -> Any:
    """Import the installed TensorRT and return the module. Raises `Unavailable`, with the command that mends it."""
    name, number = installed()
    if not name:
        raise Unavailable("neither tensorrt nor tensorrt-rtx is installed", f"{EXTRAS[SDK]}   (or [rtx])")
    try:
        trt = import_module(MODULES[name])
        _ = trt.Runtime, trt.Builder
    except Exception as error:  # half an installation fails in any way: ImportError, OSError, AttributeError, TypeError
        raise broken(name, number, error) from error
    return trt


def broken(name: str, number: str, error: Exception) -> Unavailable:
    """Return the error for a TensorRT that is installed and cannot be imported: its libraries are not on the package index."""
    why = " ".join(str(error).split()) or type(error).__name__
    problem = f"{name} {number} is installed and cannot be imported: {why}"
    if name == RTX:
        return Unavailable(problem, f"pip install --force-reinstall tensorrt-rtx=={number}")
    libraries = f"tensorrt-cu{cuda_major()}-libs"
    return Unavailable(problem, f"pip install {libraries}=={number} --extra-index-url https://pypi.nvidia.com")


def flavour(trt: Any) -> str:
    """Return the flavour that a module is."""
    return RTX if "rtx" in trt.__name__ else SDK


def label(flavour_: str, number: str) -> str:
    """Return the version as it is shown and kept in manifests: "11.4.0.106", or "RTX 1.7.1.116"."""
    return f"RTX {number}" if flavour_ == RTX else number


def versions(trt: Any) -> str:
    """Return the label of a module."""
    return label(flavour(trt), str(trt.__version__))


@cache
def logger(trt: Any) -> Any:
    """Return the one logger of this process for `trt`, which passes on to `logging`.

    TensorRT keeps the first logger that it is given, and warns of any other. Its errors are told here and nowhere else: its
    functions return None.
    """

    class Logger(trt.ILogger):  # type: ignore[misc] # the base is only known at run time
        def __init__(self) -> None:
            trt.ILogger.__init__(self)  # pybind11 asks for this, and not for super()

        def log(self, severity: Any, message: str) -> None:
            # TensorRT calls this from C++, where an exception would end the process.
            try:
                _log(trt, severity, message)
            except Exception:  # noqa: BLE001 - whatever it was
                _LOG.exception("a message of TensorRT was lost")

    return Logger()


def _log(trt: Any, severity: Any, message: str) -> None:
    levels = trt.ILogger.Severity
    if severity in (levels.INTERNAL_ERROR, levels.ERROR):
        for lines in tuple(_LISTENERS):  # another thread may come or go meanwhile
            lines.append(message)
        # It becomes one sentence, which names it; who wants everything asks for it with --verbose.
        _LOG.info("%s", message)
    elif severity == levels.WARNING:
        _LOG.info("%s", message)
    else:
        _LOG.debug("%s", message)


@contextmanager
def hearing() -> Iterator[list[str]]:
    """Yield a list that TensorRT's errors are added to during the block, in order. Other threads' errors are among them."""
    lines: list[str] = []
    _LISTENERS.append(lines)
    try:
        yield lines
    finally:
        # By identity: two lists that hold the same lines are equal.
        _LISTENERS[:] = [each for each in _LISTENERS if each is not lines]


def cause(lines: list[str], otherwise: str) -> str:
    """Return what TensorRT said, its first error first, without the places in its own source."""
    said = [_without_place(line) for line in lines]
    return "; ".join(dict.fromkeys(line for line in said if line)) or otherwise


def _without_place(line: str) -> str:
    return _PLACE.sub("", " ".join(line.split())).strip()
