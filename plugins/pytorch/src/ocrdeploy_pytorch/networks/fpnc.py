"""DBNet's neck: a feature pyramid, brought to 1/4 of the picture's size and concatenated."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ocrdeploy_pytorch.networks.convolution import conv_block
from ocrdeploy_pytorch.networks.upsampling import Upsample


class FPNC(nn.Module):
    """Maps of `in_channels` in, the finest first; one map of four times `out_channels` out, as large as the finest."""

    def __init__(
        self,
        in_channels: Sequence[int],
        lateral_channels: int,
        out_channels: int,
        *,
        bias_on_lateral: bool,
        bn_re_on_lateral: bool,
        bias_on_smooth: bool,
        bn_re_on_smooth: bool,
        conv_after_concat: bool,
        upsample: str,
    ) -> None:
        super().__init__()
        self.lateral_convs = nn.ModuleList(
            conv_block(inputs, lateral_channels, 1, bias=bias_on_lateral, norm=bn_re_on_lateral) for inputs in in_channels
        )
        self.smooth_convs = nn.ModuleList(
            conv_block(lateral_channels, out_channels, 3, bias=bias_on_smooth, norm=bn_re_on_smooth) for _ in in_channels
        )
        self.upsample = Upsample(upsample)
        width = out_channels * len(in_channels)
        self.out_conv = conv_block(width, width, 3) if conv_after_concat else None

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return (N, 4 * out_channels, H / 4, W / 4)."""
        laterals = [conv(each) for conv, each in zip(self.lateral_convs, maps, strict=True)]
        for level in range(len(laterals) - 1, 0, -1):
            finer = laterals[level - 1]
            laterals[level - 1] = finer + self.upsample(laterals[level], finer)
        smooth = [conv(each) for conv, each in zip(self.smooth_convs, laterals, strict=True)]
        joined = torch.cat([smooth[0], *(self.upsample(each, smooth[0]) for each in smooth[1:])], dim=1)
        return joined if self.out_conv is None else self.out_conv(joined)
