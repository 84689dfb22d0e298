"""CRNN's backbone: a VGG that turns a line 32 pixels high into a row of columns."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

CHANNELS = (64, 128, 256, 256, 512, 512, 512)
_NORMED = (2, 4, 6)
_POOLED_AFTER = {0: ((2, 2), (0, 0)), 1: ((2, 2), (0, 0)), 3: ((2, 1), (0, 1)), 5: ((2, 1), (0, 1))}
"""After which convolutions the map is pooled over 2 x 2, with which stride and padding: the last two keep the width."""


class VeryDeepVgg(nn.Module):
    """(N, C, 32, W) in, (N, 512, 1, W / 4 + 1) out; W is 4 at least."""

    def __init__(self, input_channels: int, *, leaky_relu: bool) -> None:
        super().__init__()
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        inputs = input_channels
        for index, outputs in enumerate(CHANNELS):
            last = index == len(CHANNELS) - 1
            parts[f"conv{index}"] = nn.Conv2d(inputs, outputs, 2 if last else 3, padding=0 if last else 1)
            if index in _NORMED:
                parts[f"batchnorm{index}"] = nn.BatchNorm2d(outputs)
            parts[f"relu{index}"] = nn.LeakyReLU(0.2, inplace=True) if leaky_relu else nn.ReLU(inplace=True)
            if index in _POOLED_AFTER:
                stride, padding = _POOLED_AFTER[index]
                parts[f"pooling{index}"] = nn.MaxPool2d(2, stride=stride, padding=padding)
            inputs = outputs
        self.cnn = nn.Sequential(parts)

    def forward(self, x: Tensor) -> Tensor:
        """Return the columns."""
        result: Tensor = self.cnn(x)
        return result
