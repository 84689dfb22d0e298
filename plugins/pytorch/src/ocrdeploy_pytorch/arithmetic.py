"""In which precision a network computes: what was asked for, set up for each run, and proved."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ocrdeploy.errors import OcrdError, Unavailable

DTYPES: Mapping[str, torch.dtype] = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
}
"""The precisions, and what weights and activations are stored as. TF32 rounds float32 where it multiplies."""

_AMPERE = (8, 0)
_BACKENDS: Any = torch.backends  # whose modules are made at run time
_SWITCHES = (
    _BACKENDS.cuda.matmul,
    _BACKENDS.cudnn.conv,
    _BACKENDS.cudnn.rnn,
    _BACKENDS.mkldnn.matmul,
    _BACKENDS.mkldnn.conv,
    _BACKENDS.mkldnn.rnn,
)
"""Where PyTorch keeps how float32 is multiplied. cuDNN's convolutions take TF32 if nobody says otherwise, which is not fp32."""

_SETTINGS = threading.RLock()


def require(precision: str, device: torch.device) -> None:
    """Raise `Unavailable` where the device has no such arithmetic."""
    if precision == "tf32" and (device.type != "cuda" or torch.cuda.get_device_capability(device) < _AMPERE):
        raise Unavailable(f"there is no tf32 on {device}: only NVIDIA GPUs from Ampere on have it", "use --precision fp32")


def cast(network: nn.Module, precision: str) -> None:
    """Store the weights in `precision`, but for batch normalisation, which stays in float32 as under PyTorch's autocast.

    The variances that it divides by exceed float16 in trained networks: in that of a DBNet's head, whose answer would be 0.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    kept = [norm.state_dict() for norm in norms]
    network.to(DTYPES[precision])
    for norm, weights in zip(norms, kept, strict=True):
        norm.float().load_state_dict(weights)


@contextmanager
def computing(precision: str, threads: int) -> Iterator[None]:
    """Set up PyTorch for one run, and put back what was there.

    These are settings of the whole process, so one run at a time has them, and others wait.
    """
    with _SETTINGS, torch.inference_mode():
        before, threads_before = [switch.fp32_precision for switch in _SWITCHES], torch.get_num_threads()
        try:
            torch.set_num_threads(threads)
            for switch in _SWITCHES:
                switch.fp32_precision = _mode(precision)
            yield
        finally:
            for switch, was in zip(_SWITCHES, before, strict=True):
                switch.fp32_precision = was
            torch.set_num_threads(threads_before)


def proved(precision: str, network: nn.Module, output: Tensor) -> str:
    """Return the precision that the weights and an output of the network have.

    Raises `OcrdError` where they are not as `precision` asks. To be called inside `computing`.
    """
    layers = [module for module in network.modules() if not isinstance(module, _BatchNorm)]
    found = {weights.dtype for layer in layers for weights in layer.parameters(recurse=False)} | {output.dtype}
    modes = {switch.fp32_precision for switch in _SWITCHES}
    if found != {DTYPES[precision]} or modes != {_mode(precision)}:
        said = ", ".join(sorted(str(each) for each in (*found, *modes)))
        raise OcrdError(f"the network does not compute in {precision}: {said}", "use --precision fp32")
    return precision


def _mode(precision: str) -> str:
    return "tf32" if precision == "tf32" else "ieee"
