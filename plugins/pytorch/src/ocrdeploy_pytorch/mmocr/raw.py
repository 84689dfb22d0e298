"""One of MMOCR's models as a module whose forward gives what the network gives, before any post-processing."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ocrdeploy.errors import BadInput
from ocrdeploy_pytorch.mmocr.models import FIX


class _Raw(nn.Module):
    """The parts of `model`, under their own names."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        for name, part in model.named_children():
            self.add_module(name, part)
        self._model = [model]  # in a list, so that its parts are not registered twice

    def features(self, x: Tensor) -> Any:
        """Return what the model's head reads."""
        return self._model[0].extract_feat(x)


class RawDetector(_Raw):
    """(N, 3, H, W) in, the maps of the model's head out."""

    bbox_head: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps."""
        maps: Tensor = self.bbox_head(self.features(x))
        return maps


class RawRecognizer(_Raw):
    """(N, C, H, W) in, the logits (N, T, num_classes) of the model's decoder out."""

    decoder: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.decoder(self.features(x), None, None, None, train_mode=False)
        return logits


def raw(model: Any) -> nn.Module:
    """Return `model` with a forward of ours. Raises `BadInput` for one that is no text detector and no recognizer."""
    from mmocr.models.textdet.detectors import SingleStageTextDetector
    from mmocr.models.textrecog.recognizer import EncodeDecodeRecognizer

    if isinstance(model, SingleStageTextDetector):
        return RawDetector(model)
    if isinstance(model, EncodeDecodeRecognizer):
        return RawRecognizer(model)
    raise BadInput(f"model.type of the config is {type(model).__name__}, which is no text detector and no recognizer", FIX)
