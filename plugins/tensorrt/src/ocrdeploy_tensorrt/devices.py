"""What the NVIDIA driver says of this machine: its version, its GPUs, and why it has none. No CUDA context is made."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ocrdeploy.errors import BadInput, Unavailable, UnknownName, unknown

_WINDOWS = sys.platform == "win32"
_CUDA = "nvcuda.dll" if _WINDOWS else "libcuda.so.1"
_MANAGEMENT = "nvml.dll" if _WINDOWS else "libnvidia-ml.so.1"
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_{MAJOR,MINOR}
_NO_DEVICE = 100
_TEXT = 256

NO_DRIVER = "no NVIDIA driver was found"
DRIVERS = {12: "525", 13: "580"}
"""The first branch of the driver for each CUDA (NVIDIA's CUDA release notes)."""
VISIBLE = "CUDA_VISIBLE_DEVICES"

_FAILURES = {
    34: ("the libcuda that is found is a stub for linking", "take CUDA's folder 'stubs' out of LD_LIBRARY_PATH"),
    802: ("the GPUs' fabric is not up yet", "sudo systemctl start nvidia-fabricmanager"),
    803: ("the driver's library and its kernel module are of different versions", "restart the machine"),
    804: ("the CUDA compatibility package does not support this GPU", "take CUDA's folder 'compat' out of LD_LIBRARY_PATH"),
}
"""What cuInit answers, by number, where the remedy is known."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU, as the driver names it, and its compute capability."""

    name: str
    capability: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.name} (sm_{self.capability[0]}{self.capability[1]})"


@dataclass(frozen=True, slots=True)
class Machine:
    """The driver and its GPUs, in CUDA's order. `cuda` is the newest that the driver supports; `driver` its own version."""

    cuda: tuple[int, int] = (0, 0)
    driver: str = ""
    gpus: tuple[Gpu, ...] = ()
    problem: str = ""
    fix: str = ""


def remedy(cuda: int) -> str:
    """Return what mends a driver that is missing or too old for CUDA `cuda`."""
    number = DRIVERS.get(cuda, DRIVERS[13])
    package = f"on Ubuntu: sudo apt install nvidia-driver-{number}"
    return f"install a driver that supports CUDA {cuda}, {number} or newer ({package})"


def look(load: Callable[[str], Any] = ctypes.CDLL) -> Machine:
    """Ask the driver. Never raises; takes as long as the driver needs to wake its GPUs."""
    try:
        cuda = load(_CUDA)
    except OSError:
        return Machine(problem=NO_DRIVER)
    try:
        return _ask(cuda, _driver_version(load))
    except (AttributeError, OSError, ValueError) as error:
        return Machine(problem=f"{_CUDA} is not a whole NVIDIA driver: {error}", fix="install the driver again")


def _ask(cuda: Any, driver: str) -> Machine:
    number = ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(number))
    supported = (number.value // 1000, number.value % 1000 // 10)
    status = cuda.cuInit(0)
    count = ctypes.c_int()
    if status == 0:
        status = cuda.cuDeviceGetCount(ctypes.byref(count))
    if status not in (0, _NO_DEVICE):
        return Machine(supported, driver, (), *_failure(status))
    gpus = tuple(_gpu(cuda, index) for index in range(count.value))
    return Machine(supported, driver, gpus, *(("", "") if gpus else _no_gpu()))


def _failure(status: int) -> tuple[str, str]:
    known = _FAILURES.get(status)
    return known or (
        f"the driver does not start (cuInit answers {status})",
        "nvidia-smi says more; restarting the machine may help",
    )


def _no_gpu() -> tuple[str, str]:
    hidden = os.environ.get(VISIBLE)
    if hidden is not None:
        return f"the driver sees no GPU, since {VISIBLE} is {hidden!r}", f"unset {VISIBLE}"
    return "the driver sees no GPU", "nvidia-smi lists those that there are; in a container: docker run --gpus all"


def _gpu(cuda: Any, index: int) -> Gpu:
    device, name = ctypes.c_int(), ctypes.create_string_buffer(_TEXT)
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceGetName(name, _TEXT, device)
    major, minor = ctypes.c_int(), ctypes.c_int()
    cuda.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device)
    cuda.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device)
    return Gpu(name.value.decode(errors="replace"), (major.value, minor.value))


def _driver_version(load: Callable[[str], Any]) -> str:
    """Return the driver's own version, "580.159.03"; '' where its management library is missing, as in some containers."""
    try:
        management = load(_MANAGEMENT)
        if management.nvmlInit_v2() != 0:
            return ""
        text = ctypes.create_string_buffer(_TEXT)
        management.nvmlSystemGetDriverVersion(text, _TEXT)
        management.nvmlShutdown()
    except (AttributeError, OSError):
        return ""
    return text.value.decode(errors="replace")


def chosen(device: str) -> int:
    """Return N of "cuda:N"; 0 of "cuda" and "auto". Raises `Unavailable` for the CPU, and `UnknownName` for the rest."""
    fix = "use one of: auto, cuda, cuda:N"
    if device == "cpu":
        raise Unavailable("TensorRT does not run on the CPU", f"{fix}; or --backend onnxruntime")
    kind, colon, number = device.partition(":")
    if device != "auto" and (kind != "cuda" or (colon and not number.isdecimal())):
        if kind.lower() == "gpu":
            raise UnknownName(f"unknown device {device!r} (did you mean 'cuda'?)", fix)
        raise unknown("device", device, ("auto", "cuda", "cuda:0"), fix)
    return int(number or 0)


def require(machine: Machine, index: int) -> Gpu:
    """Return the GPU with this number. Raises `OcrdError` where there is none."""
    if machine.problem:
        raise Unavailable(machine.problem, machine.fix or remedy(13))
    if index >= len(machine.gpus):
        there = ", ".join(f"cuda:{number} is {gpu}" for number, gpu in enumerate(machine.gpus))
        raise BadInput(f"there is no device cuda:{index}", f"use one that is there: {there}")
    return machine.gpus[index]
