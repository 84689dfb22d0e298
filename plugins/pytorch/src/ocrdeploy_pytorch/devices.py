"""Which device was asked for, and why it cannot be had where it cannot."""

from __future__ import annotations

import re
import warnings

import torch

from ocrdeploy.errors import Unavailable, unknown
from ocrdeploy.nvidia import driver_found

_INSTALL = "install a CUDA build of torch (https://pytorch.org/get-started) and a driver for it, or use --device cpu"


def choose(device: str) -> tuple[torch.device, str]:
    """Return the device, and a sentence where "auto" chose it. Raises `UnknownName`, or `Unavailable` where it is not here."""
    if device == "auto":
        why = why_no_cuda()
        return (torch.device("cpu"), f"device auto: cpu ({why})") if why else (torch.device("cuda", 0), "device auto: cuda:0")
    if device == "cpu":
        return torch.device("cpu"), ""
    match = re.fullmatch(r"cuda(?::(\d{1,3}))?", device)
    if not match:
        raise unknown("device", device, ("auto", "cpu", "cuda", "cuda:0"), "use one of: auto, cpu, cuda, cuda:N")
    if why := why_no_cuda():
        raise Unavailable(f"device {device!r} cannot be used: {why}", _INSTALL)
    index, count = int(match[1] or 0), torch.cuda.device_count()
    if index >= count:
        raise Unavailable(f"there is no cuda:{index}: torch sees {count} CUDA device{'s' * (count != 1)}", "use cuda:0")
    return torch.device("cuda", index), ""


def why_no_cuda() -> str:
    """Say why this PyTorch has no CUDA device here; '' where it has one."""
    if torch.version.cuda is None and torch.version.hip is None:
        return f"torch {torch.__version__} was built without CUDA"
    with warnings.catch_warnings(record=True) as caught:  # It says why as a warning.
        warnings.simplefilter("always")
        if torch.cuda.is_available():
            return ""
    if torch.version.hip is None and not driver_found():
        return "no NVIDIA driver was found"
    said = next((str(warning.message).split(" (")[0] for warning in caught), "")
    return said or f"torch {torch.__version__} sees no CUDA device"


def name(device: torch.device) -> str:
    """Return the name of a GPU; '' for the CPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else ""
