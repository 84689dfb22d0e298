"""PANet: a map of the whole texts, one of their kernels, and an embedding in which a text's pixels lie close together."""

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
class PanOptions:
    """The steps from maps to outlines; the defaults are MMOCR's. Areas are in pixels of the map."""

    mask_threshold: float = 0.5
    """A pixel whose probability is above this one is text. (MMOCR: `min_text_confidence`.)"""
    kernel_threshold: float = 0.5
    """A pixel of a text whose probability is above this one is of a kernel. (MMOCR: `min_kernel_confidence`.)"""
    distance_threshold: float = 0.85
    """A pixel joins a kernel that reaches it where their embeddings are closer than this; a kernel's is the mean of its
    pixels'. (MMOCR takes its `min_text_avg_confidence` for this too.)"""
    min_area: int = 16
    """A text with fewer pixels is dropped. (MMOCR: `min_text_area`.)"""
    score_threshold: float = 0.85
    """A text is kept where the mean probability of its pixels is above this. (MMOCR: `min_text_avg_confidence`.)"""
    representation: Literal["quad", "poly"] = "poly"
    """The smallest box around a text's pixels, or their outline. (MMOCR: `text_repr_type`.)"""


@hookimpl
def ocrd_family() -> FamilyInfo:
    """Announce the family."""
    return FamilyInfo("panet", Task.DETECTION, options.defaults(PanOptions))


@hookimpl
def ocrd_postprocess(model: ModelSpec, outputs: Tensors, batch: Batch) -> list[Prediction]:
    """Read the first output, (N, 2 + D, H, W): logits of the texts, logits of their kernels, an embedding of D numbers."""
    chosen = options.read(model, PanOptions)
    maps = tensors.scores(model, outputs, batch, dimensions=(4,), planes=3)
    return [
        Prediction(placement.index, tuple(_regions(planes, placement, chosen)))
        for planes, placement in zip(maps, batch.placements, strict=True)
    ]


def _regions(planes: NDArray[np.float32], placement: Placement, chosen: PanOptions) -> list[Region]:
    """Return the texts of one picture from its maps (2 + D, H, W)."""
    from ocrdeploy.families import flood, instances

    probabilities, kernels = flood.probabilities(planes[:2])
    text = probabilities > chosen.mask_threshold
    labels = flood.components(text & (kernels > chosen.kernel_threshold))
    embedding = flood.framed(planes[2:]).reshape(len(planes) - 2, -1)
    _, centres = _means(labels, labels != 0, embedding)
    limit = np.float32(chosen.distance_threshold) ** 2

    def close(pixels: NDArray[np.intp], names: NDArray[np.int32]) -> NDArray[np.bool_]:
        apart = embedding.take(pixels, axis=1) - centres.take(names, axis=1)
        near: NDArray[np.bool_] = np.square(apart, out=apart).sum(axis=0) < limit
        return near

    flood.grow(labels, text, close)
    areas, scores = _means(labels, text, probabilities.reshape(1, -1))
    return instances.regions(labels, areas, scores[0].astype(np.float64), placement, chosen)


def _means(
    labels: NDArray[np.int32], mask: NDArray[np.bool_], values: NDArray[np.float32]
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return for each label the number of its pixels in `mask`, (L,), and the mean of each row of `values` (D, pixels), (D, L).

    The values are added up one by one in float32, as MMOCR does; over a large text that makes a difference.
    """
    pixels = np.flatnonzero(mask)
    names = labels.reshape(-1)[pixels].astype(np.intp)
    areas = np.bincount(names, minlength=1)
    means = np.zeros((len(values), len(areas)), np.float32)
    for row, mean in zip(values, means, strict=True):
        np.add.at(mean, names, row[pixels])
    means /= np.maximum(areas, 1)
    return areas, means
