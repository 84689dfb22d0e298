"""PSENet's neck: a feature pyramid that is smoothed on the way down, then joined and convolved once more."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ocrdeploy_pytorch.networks.convolution import conv_block
from ocrdeploy_pytorch.networks.upsampling import Upsample

FUSIONS = ("concat", "add")


class FPNF(nn.Module):
    """Maps of `in_channels` in, the finest first; one map of `out_channels` out, as large as the finest."""

    def __init__(self, in_channels: Sequence[int], out_channels: int, fusion_type: str, upsample: str) -> None:
        super().__init__()
        self.lateral_convs = nn.ModuleList(conv_block(inputs, out_channels, 1) for inputs in in_channels)
        self.fpn_convs = nn.ModuleList(conv_block(out_channels, out_channels, 3) for _ in in_channels[1:])
        self.concat = fusion_type == "concat"
        self.output_convs = conv_block(out_channels * (len(in_channels) if self.concat else 1), out_channels, 3)
        self.upsample = Upsample(upsample)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return (N, out_channels, H / 4, W / 4)."""
        laterals = [conv(each) for conv, each in zip(self.lateral_convs, maps, strict=True)]
        for level in range(len(laterals) - 1, 0, -1):
            finer = laterals[level - 1]
            # The smoothed map is what goes on down, unlike in the usual pyramid.
            laterals[level - 1] = self.fpn_convs[level - 1](finer + self.upsample(laterals[level], finer))
        levels = [laterals[0], *(self.upsample(each, laterals[0]) for each in laterals[1:])]
        joined = torch.cat(levels, dim=1) if self.concat else sum(levels[1:], start=levels[0])
        result: Tensor = self.output_convs(joined)
        return result
