"""The machine as far as it matters: memory that may be used, GPU, driver, and the libraries of CUDA."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from ocrdeploy.doctor.findings import Finding, warning
from ocrdeploy.doctor.packages import Packages

_GIB = 2**30
_SMI_LIMIT_S = 10
_UNLIMITED = 2**60
"""Version 1 of cgroups writes a number near 2**63 where there is no limit."""

CUDA_LIBRARIES = ("libcudart", "libcublas", "libcudnn", "libnvinfer", "libnvinfer_rtx")
FOLDERS = ("usr/local/cuda/lib64", "usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib64")


def facts(packages: Packages) -> dict[str, Any]:
    """Return what is known of the machine, in the words of `ocrd eval`'s reports where those have it, too."""
    from ocrdeploy.evaluation import environment

    known = environment.machine()
    known.pop("packages")
    return {
        **known,
        "executable": sys.executable,
        "memory_limit_gib": memory_limit_gib(),
        "driver": driver(),
        "driver_cuda": driver_cuda(),
        "cuda_libraries": libraries(),
        "cuda_distributions": distributions(packages),
    }


def memory_limit_gib(root: Path = Path("/")) -> float | None:
    """Return the smallest memory limit of this process's cgroup and the groups around it; None without one."""
    limits = [limit for folder in _groups(root) for limit in _limits(folder)]
    return round(min(limits) / _GIB, 2) if limits else None


def _groups(root: Path) -> Iterator[Path]:
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, inside = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / ("memory" if controllers else "")
        group = PurePosixPath(inside.lstrip("/"))
        yield from (mount / folder for folder in (group, *group.parents))


def _limits(folder: Path) -> Iterator[int]:
    for name in ("memory.max", "memory.limit_in_bytes"):
        for line in _lines(folder / name):
            if line.isdecimal() and int(line) < _UNLIMITED:
                yield int(line)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def driver() -> str:
    """Return the version of the NVIDIA driver; '' where there is none, or it does not answer."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SMI_LIMIT_S, check=True)  # noqa: S603 - fixed words
    except (OSError, subprocess.SubprocessError):
        return ""
    return next((line.strip() for line in done.stdout.splitlines() if line.strip()), "")


def driver_cuda() -> str:
    """Return the newest version of CUDA that the driver supports, as "13.0"; '' without a driver. CUDA is not started."""
    try:
        library = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return ""
    number = ctypes.c_int()
    if library.cuDriverGetVersion(ctypes.byref(number)):
        return ""
    return f"{number.value // 1000}.{number.value % 1000 // 10}"


def libraries(root: Path = Path("/")) -> list[str]:
    """Return the files of CUDA, cuDNN and TensorRT in the folders where the system keeps them, and in LD_LIBRARY_PATH."""
    named = [Path(each) for each in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if each]
    homes = [Path(os.environ[name]) / "lib64" for name in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(name)]
    found: dict[Path, str] = {}
    for folder in chain(named, homes, (root / each for each in FOLDERS)):
        for name in CUDA_LIBRARIES:
            for file in sorted(folder.glob(f"{name}.so.*")):
                found.setdefault(file.resolve(), str(file))
    return list(found.values())


def distributions(packages: Packages) -> dict[str, str]:
    """Return the distributions that carry libraries of CUDA, with their versions."""
    found = sorted(name for name in packages.found if name.startswith(("nvidia-", "cuda-")))
    return {name: packages.version(name) for name in found}


def too_new_for_the_driver(known: Mapping[str, Any]) -> Iterator[Finding]:
    """Find libraries of a CUDA that is newer than the driver supports: they end in an error when they are first used."""
    supported = str(known.get("driver_cuda") or "").partition(".")[0]
    if not supported.isdecimal():
        return
    for name in known.get("cuda_distributions") or {}:
        major = name.rpartition("-cu")[2]
        if major.isdecimal() and int(major) > int(supported):
            problem = f"{name} is made for CUDA {major}, and the driver supports CUDA {known['driver_cuda']}"
            yield warning(name, problem, f"upgrade the NVIDIA driver, or install what is made for CUDA {supported}")
