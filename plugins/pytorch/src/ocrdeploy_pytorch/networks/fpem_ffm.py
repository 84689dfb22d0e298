"""PANet's neck: feature pyramid enhancement modules (FPEM), then feature fusion (FFM)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ocrdeploy_pytorch.networks.convolution import separable_block
from ocrdeploy_pytorch.networks.upsampling import Upsample


class FPEM(nn.Module):
    """Four maps of `channels` in and out: coarse to fine, then fine to coarse."""

    up_add1: nn.Sequential
    up_add2: nn.Sequential
    up_add3: nn.Sequential
    down_add1: nn.Sequential
    down_add2: nn.Sequential
    down_add3: nn.Sequential

    def __init__(self, channels: int, upsample: str) -> None:
        super().__init__()
        for step in (1, 2, 3):
            self.add_module(f"up_add{step}", separable_block(channels, stride=1))
        for step in (1, 2, 3):
            self.add_module(f"down_add{step}", separable_block(channels, stride=2))
        self.upsample = Upsample(upsample)

    def forward(self, c2: Tensor, c3: Tensor, c4: Tensor, c5: Tensor) -> list[Tensor]:
        """Return the four maps, each of its own size."""
        c4 = self.up_add1(self.upsample(c5, c4) + c4)
        c3 = self.up_add2(self.upsample(c4, c3) + c3)
        c2 = self.up_add3(self.upsample(c3, c2) + c2)
        # On the way back the coarser map is brought to the finer one's size, and the stride halves their sum.
        c3 = self.down_add1(self.upsample(c3, c2) + c2)
        c4 = self.down_add2(self.upsample(c4, c3) + c3)
        c5 = self.down_add3(self.upsample(c5, c4) + c4)
        return [c2, c3, c4, c5]


class FPEM_FFM(nn.Module):  # noqa: N801 - the name that the configs know
    """Maps of `in_channels` in, the finest first; one map of four times `conv_out` out, as large as the finest."""

    reduce_conv_c2: nn.Sequential
    reduce_conv_c3: nn.Sequential
    reduce_conv_c4: nn.Sequential
    reduce_conv_c5: nn.Sequential

    def __init__(
        self, in_channels: Sequence[int], conv_out: int, fpem_repeat: int, *, align_corners: bool, upsample: str
    ) -> None:
        super().__init__()
        for level, inputs in enumerate(in_channels, start=2):
            reduce = nn.Sequential(nn.Conv2d(inputs, conv_out, 1), nn.BatchNorm2d(conv_out), nn.ReLU(inplace=True))
            self.add_module(f"reduce_conv_c{level}", reduce)
        self.fpems = nn.ModuleList(FPEM(conv_out, upsample) for _ in range(fpem_repeat))
        self.fuse = Upsample("bilinear", align_corners=align_corners)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return (N, 4 * conv_out, H / 4, W / 4)."""
        reduces = (self.reduce_conv_c2, self.reduce_conv_c3, self.reduce_conv_c4, self.reduce_conv_c5)
        levels: list[Tensor] = [reduce(each) for reduce, each in zip(reduces, maps, strict=True)]
        sums: list[Tensor] = []
        for fpem in self.fpems:
            levels = fpem(*levels)
            sums = [before + now for before, now in zip(sums, levels, strict=True)] if sums else levels
        return torch.cat([sums[0], *(self.fuse(each, sums[0]) for each in sums[1:])], dim=1)
