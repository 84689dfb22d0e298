"""On what machine, under what load and at what clock the figures came about."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import mean
from typing import Any

from ocrdeploy import nvidia
from ocrdeploy.cores import usable_cores

PACKAGES = ("ocrdeploy", "numpy", "opencv-python-headless", "opencv-python", "pillow", "shapely", "pyclipper", "onnx")
"""What the core computes with; each row names its runtime."""

_CPUINFO = Path("/proc/cpuinfo")
_MEMINFO = Path("/proc/meminfo")


def machine() -> dict[str, Any]:
    """Return what does not change while rows run."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": usable_cores(),
        "memory_gib": _memory_gib(),
        "gpu": ", ".join(nvidia.gpus()) or None,
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def state() -> dict[str, float | None]:
    """Return what may change: how many processes wanted a core in the last minute, and the mean clock of the cores, in MHz."""
    clocks = [float(found) for found in re.findall(r"^cpu MHz\s*: ([\d.]+)", _text(_CPUINFO), re.MULTILINE)]
    return {
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "clock_mhz": round(mean(clocks)) if clocks else None,
    }


def _cpu() -> str:
    found = re.search(r"^model name\s*: (.+)$", _text(_CPUINFO), re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    found = re.search(r"^MemTotal:\s*(\d+) kB", _text(_MEMINFO), re.MULTILINE)
    return round(int(found[1]) / 2**20, 1) if found else None


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
