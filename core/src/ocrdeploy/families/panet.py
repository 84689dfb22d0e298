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
    maps = tensors.scores(model, outputs, batch, dimensions=(4,))
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
    centres = np.stack([_means(labels, plane) for plane in embedding])
    limit = np.float32(chosen.distance_threshold) ** 2

    def close(pixels: NDArray[np.intp], names: NDArray[np.int32]) -> NDArray[np.bool_]:
        apart = embedding.take(pixels, axis=1) - centres.take(names, axis=1)
        return np.square(apart, out=apart).sum(axis=0) < limit

    flood.grow(labels, text, close)
    areas = np.bincount(labels.reshape(-1))
    return instances.regions(labels, areas, _means(labels, probabilities).astype(np.float64), placement, chosen)


def _means(labels: NDArray[np.int32], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of `values` for each label, 0 where it has no pixel; added up one by one in float32, as MMOCR does."""
    pixels = np.flatnonzero(labels)
    names = labels.take(pixels)
    sums, counts = (np.zeros(int(labels.max()) + 1, np.float32) for _ in range(2))
    np.add.at(sums, names, values.take(pixels))
    np.add.at(counts, names, np.float32(1))
    return sums / np.maximum(counts, 1)
