"""ResNet, as MMDetection builds it: four maps, at 1/4, 1/8, 1/16 and 1/32 of the picture's size."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

STYLES = ("pytorch", "caffe")
"""Where a bottleneck's stride sits: in its 3 x 3 convolution, or in the 1 x 1 before it. Basic blocks have no such choice."""


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside an identity."""

    expansion = 1

    def __init__(self, inputs: int, planes: int, stride: int, style: str) -> None:  # noqa: ARG002 - as Bottleneck takes it
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _projection(inputs, planes * self.expansion, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, planes, h, w)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += x if self.downsample is None else self.downsample(x)
        result: Tensor = self.relu(y)
        return result


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions beside an identity."""

    expansion = 4

    def __init__(self, inputs: int, planes: int, stride: int, style: str) -> None:
        super().__init__()
        first, second = (stride, 1) if style == "caffe" else (1, stride)
        self.conv1 = nn.Conv2d(inputs, planes, 1, stride=first, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride=second, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, planes * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _projection(inputs, planes * self.expansion, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, 4 * planes, h, w)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y += x if self.downsample is None else self.downsample(x)
        result: Tensor = self.relu(y)
        return result


DEPTHS: Mapping[int, tuple[type[BasicBlock | Bottleneck], tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}
"""The kind of block, and how many of them each of the four stages has."""

_PLANES = (64, 128, 256, 512)


def _projection(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    """Return what stands in for the identity where the size or the number of channels changes."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs))


def channels(depth: int) -> list[int]:
    """Return how many channels each of the four maps has."""
    block, _ = DEPTHS[depth]
    return [planes * block.expansion for planes in _PLANES]


class ResNet(nn.Module):
    """(N, 3, H, W) in, four maps out, the finest first."""

    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential

    def __init__(self, depth: int, style: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        block, counts = DEPTHS[depth]
        inputs = 64
        for stage, (planes, count) in enumerate(zip(_PLANES, counts, strict=True), start=1):
            blocks = [block(inputs, planes, 1 if stage == 1 else 2, style)]
            inputs = planes * block.expansion
            blocks += [block(inputs, planes, 1, style) for _ in range(count - 1)]
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the maps of the four stages."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        maps = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            maps.append(x)
        return maps
