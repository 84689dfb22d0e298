"""A text detector: backbone, neck and head, under the names that MMOCR's state dicts have."""

from __future__ import annotations

from torch import Tensor, nn


class Detector(nn.Module):
    """(N, 3, H, W) in, maps out; any H and W from 1 on."""

    def __init__(self, backbone: nn.Module, neck: nn.Module, bbox_head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.bbox_head = bbox_head

    def forward(self, x: Tensor) -> Tensor:
        """Return the head's raw output."""
        result: Tensor = self.bbox_head(self.neck(self.backbone(x)))
        return result
