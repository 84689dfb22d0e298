"""Whether TensorRT can run here; if not, why, beginning with what takes longest to mend."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from ocrdeploy.errors import OcrdError
from ocrdeploy.vocabulary import Probe
from ocrdeploy_tensorrt import devices, module
from ocrdeploy_tensorrt.devices import Gpu, Machine
from ocrdeploy_tensorrt.module import EXTRAS, RTX, SDK

OLDEST = (7, 5)
"""Turing: neither product of today runs on less."""
ANY_GPU = "OCRDEPLOY_RTX_ON_ANY_GPU"
"""Environment variable: try TensorRT-RTX on a GPU that NVIDIA does not list for it."""

_CUDA_CORE = (1, 0)
_RTX_LISTED = ((7, 5), (8, 6), (8, 9))
_RTX_FROM = 12
"""NVIDIA's support matrix of TensorRT-RTX: 7.5, 8.6, 8.9 and 12.x; another of its pages also names 8.0 to 12.0."""


def probe(look: Callable[[], Machine] = devices.look, load: Callable[[], Any] = module.load) -> Probe:
    """Return what is there and the first thing that is missing. Never raises.

    What is cheap comes first: TensorRT is imported only where there is a driver with a GPU that it could run on.
    """
    flavour, number = module.installed()
    machine = look()
    gpu = machine.gpus[0] if machine.gpus else None
    problem, fix = _lack(flavour, machine, gpu, load)
    return Probe(
        version=module.label(flavour, number) if flavour else "",
        device=str(gpu or ""),
        problem=problem,
        fix=fix,
        details=_details(flavour, machine, gpu),
    )


def _details(flavour: str, machine: Machine, gpu: Gpu | None) -> dict[str, str]:
    facts = {
        "flavour": flavour,
        "cuda": str(module.cuda_major()) if flavour else "",
        "cuda_core": module.version_of("cuda-core"),
        "driver": machine.driver,
        "driver_cuda": ".".join(map(str, machine.cuda)) if any(machine.cuda) else "",
        "gpu": gpu.name if gpu else "",
        "compute_capability": ".".join(map(str, gpu.capability)) if gpu else "",
    }
    return {name: fact for name, fact in facts.items() if fact}


def _lack(flavour: str, machine: Machine, gpu: Gpu | None, load: Callable[[], Any]) -> tuple[str, str]:
    """Return the problem and the fix, or two empty strings."""
    needed = module.cuda_major()
    if machine.problem == devices.NO_DRIVER:
        return machine.problem, devices.remedy(needed)
    if any(machine.cuda) and machine.cuda[0] < needed:
        name = f"driver {machine.driver}" if machine.driver else "driver"
        supported = ".".join(map(str, machine.cuda))
        return f"the {name} supports CUDA {supported}, and TensorRT needs CUDA {needed}", devices.remedy(needed)
    if gpu is None:
        return machine.problem or "the driver sees no GPU", machine.fix
    if gpu.capability < OLDEST:
        return f"TensorRT does not run on {gpu}", "use a GPU with compute capability 7.5 (Turing) or newer"
    if not flavour:
        return "neither tensorrt nor tensorrt-rtx is installed", f"{EXTRAS[RTX if _listed(gpu) else SDK]}"
    return _lack_of_package(flavour, gpu, load)


def _lack_of_package(flavour: str, gpu: Gpu, load: Callable[[], Any]) -> tuple[str, str]:
    if flavour == RTX and not _listed(gpu) and not os.environ.get(ANY_GPU):
        problem = f"TensorRT-RTX is not made for {gpu}"
        return problem, f"{EXTRAS[SDK]}, or set {ANY_GPU}=1 to try"
    core = module.version_of("cuda-core")
    if not core:
        return "cuda-core is not installed", EXTRAS[flavour]
    if _numbers(core) < _CUDA_CORE:
        return f"cuda-core {core} is too old", "pip install --upgrade 'cuda-core>=1.0'"
    try:
        load()
    except OcrdError as error:
        return error.problem, error.fix
    return "", ""


def _listed(gpu: Gpu) -> bool:
    return gpu.capability in _RTX_LISTED or gpu.capability[0] >= _RTX_FROM


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
