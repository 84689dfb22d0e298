"""Whether this machine has an NVIDIA driver, found out without starting CUDA."""

from __future__ import annotations

import ctypes
import sys


def driver_found() -> bool:
    """Say whether the driver's library can be loaded. Takes a millisecond and initialises nothing."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
