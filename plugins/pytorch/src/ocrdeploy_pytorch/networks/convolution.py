"""The convolutions that necks are made of, with the names that MMOCR's state dicts give to their parts."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn


def conv_block(inputs: int, outputs: int, kernel: int, *, bias: bool = False, norm: bool = True) -> nn.Sequential:
    """Return `conv` (the size stays) and, with `norm`, `bn` and a ReLU."""
    parts: OrderedDict[str, nn.Module] = OrderedDict(conv=nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias))
    if norm:
        parts |= {"bn": nn.BatchNorm2d(outputs), "relu": nn.ReLU(inplace=True)}
    return nn.Sequential(parts)


def separable_block(channels: int, stride: int) -> nn.Sequential:
    """Return a 3 x 3 convolution of each channel by itself, then a 1 x 1 convolution across them, `bn` and a ReLU."""
    parts = OrderedDict[str, nn.Module](
        depthwise_conv=nn.Conv2d(channels, channels, 3, stride=stride, padding=1, groups=channels),
        pointwise_conv=nn.Conv2d(channels, channels, 1),
        bn=nn.BatchNorm2d(channels),
        relu=nn.ReLU(inplace=True),
    )
    return nn.Sequential(parts)
