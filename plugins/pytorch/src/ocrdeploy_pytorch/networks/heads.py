"""The detectors' heads: from the neck's map to raw outputs, as they are before any post-processing."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_STEEPNESS = 50.0
"""How sharply DBNet's third map steps where probability and threshold cross."""


class DBHead(nn.Module):
    """DBNet's head: probability and threshold, sigmoid done, and the step between them, at four times the neck's size."""

    def __init__(self, in_channels: int, *, with_bias: bool) -> None:
        super().__init__()
        self.binarize = _branch(in_channels, bias=with_bias)
        self.threshold = _branch(in_channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, 3, 4 h, 4 w), all of it from 0 to 1."""
        probability, threshold = self.binarize(x), self.threshold(x)
        binary = torch.reciprocal(1.0 + torch.exp(-_STEEPNESS * (probability - threshold)))
        return torch.cat((probability, threshold, binary), dim=1)


def _branch(channels: int, *, bias: bool) -> nn.Sequential:
    inner = channels // 4
    return nn.Sequential(
        nn.Conv2d(channels, inner, 3, padding=1, bias=bias),
        nn.BatchNorm2d(inner),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(inner, inner, 2, stride=2),
        nn.BatchNorm2d(inner),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(inner, 1, 2, stride=2),
        nn.Sigmoid(),
    )


class PixelHead(nn.Module):
    """PSENet's and PANet's head: `out_channels` raw numbers for each pixel of the neck's map."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.out_conv = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, out_channels, h, w), no sigmoid done."""
        result: Tensor = self.out_conv(x)
        return result
