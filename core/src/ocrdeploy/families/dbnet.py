"""DB-style detectors: a map of how probably each pixel is inside the shrunken core of a text.

MMOCR's DBNet and PP-OCR's detectors are this one family with other options.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ocrdeploy.families import options, tensors
from ocrdeploy.hookspecs import hookimpl
from ocrdeploy.vocabulary import Batch, FamilyInfo, ModelSpec, Prediction, Task, Tensors

ocrd_contract = 1


@dataclass(frozen=True, slots=True)
class DbOptions:
    """The steps from map to boxes; the defaults are MMOCR's. Lengths are in pixels of the map."""

    mask_threshold: float = 0.3
    """A pixel whose probability is above this one is text."""
    dilation: int = 0
    """Side of the square by which the text's pixels are grown before they are outlined; 0: not at all."""
    max_candidates: int = 3001
    """How many outlines are looked at; 0: all. (MMOCR looks at one more than its option of this name says.)"""
    outline: Literal["polygon", "rectangle"] = "polygon"
    """What stands for an outline when it is scored and unclipped: its approximation, or the smallest box around it."""
    epsilon_ratio: float = 0.01
    """How far the approximation may leave the outline, as a share of its length."""
    min_outline_side: float = 0.0
    """A smallest box around an outline is dropped where its short side is below this."""
    score_threshold: float = 0.3
    """An outline is dropped where the mean probability inside is below this."""
    unclip_ratio: float = 1.5
    """How far an outline is grown: area * ratio / perimeter."""
    representation: Literal["quad", "poly"] = "quad"
    """The smallest box around the grown outline, or the grown outline itself."""
    min_side: float = 5.0
    """A box is dropped where its short side is below this."""
    min_side_inclusive: bool = False
    """Whether a short side of exactly `min_side` is kept."""
    snap: bool = False
    """Whether corners are rounded to pixels of the picture, and those outside it moved to its edge."""
    min_picture_side: float = 0.0
    """A box is dropped where its top or its left edge is below this, in pixels of the picture."""


@hookimpl
def ocrd_family() -> FamilyInfo:
    """Announce the family."""
    return FamilyInfo("dbnet", Task.DETECTION, options.defaults(DbOptions))


@hookimpl
def ocrd_postprocess(model: ModelSpec, outputs: Tensors, batch: Batch) -> list[Prediction]:
    """Read plane 0 of the first output, (N, C, H, W) or (N, H, W): probabilities, of the tensor's size or a part of it."""
    from ocrdeploy.families import dbnet_regions

    chosen = options.read(model, DbOptions)
    maps = tensors.scores(model, outputs, batch, dimensions=(3, 4))
    planes = maps.reshape(len(maps), -1, *maps.shape[-2:])[:, 0]
    return [
        Prediction(placement.index, tuple(dbnet_regions.regions(plane, placement, chosen)))
        for plane, placement in zip(planes, batch.placements, strict=True)
    ]
