"""What an NVIDIA driver tells of this machine, without CUDA being started."""

from __future__ import annotations

import ctypes
import subprocess
import sys

_SMI = "nvidia-smi"
_SMI_TIMEOUT_S = 10


def driver_found() -> bool:
    """Say whether the driver's library can be loaded. Takes a millisecond and initialises nothing."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def gpus() -> list[str]:
    """Return the names of the GPUs, in the driver's order; none where there is no driver, or it does not answer."""
    return [line.strip() for line in _smi("--query-gpu=name") if line.strip()]


def memory_mib(pid: int) -> float | None:
    """Return how much memory the process `pid` holds on all GPUs, in MiB; None where the driver does not tell.

    Inside a container the driver may know the process by another number, and so tell nothing.
    """
    used = []
    for line in _smi("--query-compute-apps=pid,used_memory"):
        number, _, amount = line.partition(",")
        if number.strip() == str(pid) and amount.strip().isdecimal():
            used.append(float(amount))
    return sum(used) if used else None


def _smi(query: str) -> list[str]:
    command = [_SMI, query, "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SMI_TIMEOUT_S, check=True)  # noqa: S603 - fixed words
    except (OSError, subprocess.SubprocessError):
        return []
    return done.stdout.splitlines()
