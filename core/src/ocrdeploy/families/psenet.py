"""PSENet: a map of the whole texts, and maps of their kernels, from large to small; the smallest kernels tell texts apart.

Of the kernels only the smallest count, as in MMOCR, whose compiled expansion reads the map of the texts at every step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ocrdeploy.families import options, tensors
from ocrdeploy.hookspecs import hookimpl
from ocrdeploy.vocabulary import Batch, FamilyInfo, ModelSpec, Placement, Prediction, Region, Task, Tensors

ocrd_contract = 1


@dataclass(frozen=True, slots=True)
class PseOptions:
    """The steps from maps to outlines; the defaults are MMOCR's. Areas are in pixels of the map."""

    mask_threshold: float = 0.5
    """A pixel whose probability is above this one is text, or of a kernel. (MMOCR: `min_kernel_confidence`.)"""
    min_kernel_area: int = 0
    """A kernel with fewer pixels is none."""
    min_area: int = 16
    """A text with fewer pixels is dropped. (MMOCR: `min_text_area`.)"""
    score_threshold: float = 0.85
    """A text is kept where the mean probability of its pixels is above this. (MMOCR: `min_text_avg_confidence`.)"""
    representation: Literal["quad", "poly"] = "poly"
    """The smallest box around a text's pixels, or their outline. (MMOCR: `text_repr_type`.)"""


@hookimpl
def ocrd_family() -> FamilyInfo:
    """Announce the family."""
    return FamilyInfo("psenet", Task.DETECTION, options.defaults(PseOptions))


@hookimpl
def ocrd_postprocess(model: ModelSpec, outputs: Tensors, batch: Batch) -> list[Prediction]:
    """Read the first output, (N, K, H, W): logits of the texts in plane 0, of the smallest kernels in the last."""
    chosen = options.read(model, PseOptions)
    maps = tensors.scores(model, outputs, batch, dimensions=(4,))
    return [
        Prediction(placement.index, tuple(_regions(planes, placement, chosen)))
        for planes, placement in zip(maps, batch.placements, strict=True)
    ]


def _regions(logits: NDArray[np.float32], placement: Placement, chosen: PseOptions) -> list[Region]:
    """Return the texts of one picture from its maps (K, H, W)."""
    from ocrdeploy.families import flood, instances

    probabilities, smallest = flood.probabilities(logits[[0, -1]])
    text = probabilities > chosen.mask_threshold
    labels = flood.components(text & (smallest > chosen.mask_threshold))
    if chosen.min_kernel_area:
        labels[np.bincount(labels.reshape(-1)).take(labels) < chosen.min_kernel_area] = 0
    flood.grow(labels, text)
    pixels = np.flatnonzero(text)
    names = labels.reshape(-1)[pixels]
    areas = np.bincount(names)
    scores = np.bincount(names, probabilities.reshape(-1)[pixels]) / np.maximum(areas, 1)
    return instances.regions(labels, areas, scores, placement, chosen)
