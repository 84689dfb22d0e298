"""How necks bring a coarse map to a finer one's size: the one place that a model's `upsample` option changes."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

MODES = ("nearest", "bilinear")
"""What `upsample` may be. MMOCR trains with "nearest"; its document advised "bilinear" for TensorRT 7."""


class Upsample(nn.Module):
    """Brings a map to the size of another one. The size is read from that map, so that an exported graph keeps it open."""

    def __init__(self, mode: str, *, align_corners: bool = False) -> None:
        super().__init__()
        self.mode = mode
        self.align_corners = align_corners if mode == "bilinear" else None

    def forward(self, coarse: Tensor, like: Tensor) -> Tensor:
        """Return (N, C, h, w) as (N, C, H, W), `like` being (N, any, H, W)."""
        return functional.interpolate(coarse, size=like.shape[2:], mode=self.mode, align_corners=self.align_corners)

    def extra_repr(self) -> str:
        """Say the mode, where the module is printed."""
        return self.mode
