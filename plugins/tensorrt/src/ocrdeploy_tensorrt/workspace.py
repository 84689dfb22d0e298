"""The limit on what a build's layers may use of the GPU's memory at a time."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any

from ocrdeploy.errors import BadInput

GIB = 2**30


def device_memory(index: int, load: Callable[[str], Any] = ctypes.CDLL) -> int | None:
    """Return the memory of the GPU `index` in bytes; None where there is no driver to ask."""
    try:
        cuda = load("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        total, device = ctypes.c_size_t(), ctypes.c_int()
        done = cuda.cuInit(0) == 0 and cuda.cuDeviceGet(ctypes.byref(device), index) == 0
        done = done and cuda.cuDeviceTotalMem_v2(ctypes.byref(total), device) == 0
    except (OSError, AttributeError):
        return None
    return total.value if done else None


def check(gib: float, memory: int | None) -> None:
    """Raise `BadInput` for a limit that is more than the GPU has, where that is known."""
    if gib and memory is not None and gib * GIB > memory:
        raise BadInput(
            f"--workspace {gib:g} is more than the {memory / GIB:.1f} GiB that the GPU has",
            "give less, or leave --workspace out: then there is no limit but the GPU's memory",
        )


def limit(trt: Any, config: Any, gib: float) -> None:
    """Set the limit; 0 leaves TensorRT its own, the whole GPU."""
    if gib:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, round(gib * GIB))
