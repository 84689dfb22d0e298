"""How much memory this process takes, and whether it goes on growing."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

_KIB_PER_MIB = 1024
_STATUS = Path("/proc/self/status")
_STATM = Path("/proc/self/statm")
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096

QUARTERS = 4
LEAST_PICTURES = 40
"""Over fewer pictures than this nothing is said of growth: allocators and caches fill up at the beginning."""


def peak_mib() -> float:
    """Return the most memory that this process has had resident, in MiB.

    On Linux this is VmHWM. `getrusage` would not do: there a child begins with the peak of the process that started it.
    """
    try:
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        lines = []
    if found := next((line for line in lines if line.startswith("VmHWM:")), ""):
        return int(found.split()[1]) / _KIB_PER_MIB
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / _KIB_PER_MIB ** (2 if sys.platform == "darwin" else 1)


def resident_mib() -> float:
    """Return the memory that this process has resident now, in MiB; 0 where the system does not tell. Takes microseconds."""
    try:
        with _STATM.open("rb", buffering=0) as file:
            pages = int(file.read().split()[1])
    except OSError:
        return 0.0
    return pages * _PAGE / _KIB_PER_MIB**2


def growth_mib_per_picture(resident: Sequence[float]) -> float | None:
    """Return by how much memory grew with each picture, in MiB, steadily: in each of the four quarters of the run.

    `resident` holds the memory after each picture, in order. The least growth of the quarters is returned, and 0 where one of
    them did not grow: caches and arenas that fill up once, early or with one large picture, are no leak. None where it cannot
    be told: for fewer than `LEAST_PICTURES`, or where the system does not say.
    """
    if len(resident) < LEAST_PICTURES or not all(resident):
        return None
    edges = [round(index * (len(resident) - 1) / QUARTERS) for index in range(QUARTERS + 1)]
    slopes = [(resident[end] - resident[start]) / (end - start) for start, end in pairwise(edges)]
    return max(0.0, min(slopes))
