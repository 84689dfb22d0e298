"""From labelled pixels to outlines: what PSENet and PANet do once each pixel of a text knows its text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ocrdeploy import contours, quads
from ocrdeploy.families.regions import polygons
from ocrdeploy.vocabulary import Placement, Region

if TYPE_CHECKING:
    from ocrdeploy.families.panet import PanOptions
    from ocrdeploy.families.psenet import PseOptions

FEWEST_CORNERS = 4
"""An outline with fewer corners is no text."""


def regions(
    labels: NDArray[np.int32],
    areas: NDArray[np.intp],
    scores: NDArray[np.float64],
    placement: Placement,
    options: PseOptions | PanOptions,
) -> list[Region]:
    """Return the texts of one picture: the pixels' labels (framed; 0: none), and the area and the score of each label."""
    kept = (areas >= options.min_area) & (scores > options.score_threshold)
    kept[:1] = False
    found = list(_shapes(labels, kept, options.representation)) if kept.any() else []
    height, width = labels.shape
    outlines = polygons([shape for _, shape in found], (height - 1, width - 1), placement)
    result = []
    for polygon, score in zip(outlines, scores[[name for name, _ in found]].tolist(), strict=True):
        corners = quads.clockwise(polygon) if options.representation == "quad" else polygon
        result.append(Region(tuple(corners), score=score, detection_score=score))
    return result


def _shapes(
    labels: NDArray[np.int32], kept: NDArray[np.bool_], representation: Literal["quad", "poly"]
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield each label that is `kept` (which says so for every label) and the corners (K, 2) of its pixels in `labels` (framed).

    A text is looked at as runs, the pieces of its rows, rather than as pixels: their ends have the same smallest box.
    """
    pixels = np.flatnonzero(kept.take(labels))
    names = labels.reshape(-1).take(pixels)
    breaks = np.flatnonzero((np.diff(pixels) != 1) | (np.diff(names) != 0)) + 1
    firsts, lasts = np.concatenate(([0], breaks)), np.concatenate((breaks, [len(pixels)])) - 1
    order = np.argsort(names.take(firsts), kind="stable")
    names, firsts, lasts = names.take(firsts).take(order), pixels.take(firsts.take(order)), pixels.take(lasts.take(order))
    rows, lefts = np.divmod(firsts, labels.shape[1])
    ends = np.stack((lefts, rows, lefts + lasts - firsts, rows), axis=1).astype(np.int32)
    bounds = np.flatnonzero(np.diff(names, prepend=0, append=0)).tolist()
    for start, stop in zip(bounds[:-1], bounds[1:], strict=True):
        name, runs = int(names[start]), ends[start:stop]
        if representation == "quad":
            yield name, quads.enclosing(runs.reshape(-1, 2))[0]
            continue
        outline = _outline(labels, name, runs)
        if len(outline) >= FEWEST_CORNERS:
            yield name, outline


def _outline(labels: NDArray[np.int32], name: int, runs: NDArray[np.int32]) -> NDArray[Any]:
    """Return the outline (K, 2) of the pixels of one label, which `runs` (left, row, right, row) hold from top to bottom."""
    (left, top), (right, bottom) = runs.min(axis=0)[:2].tolist(), runs.max(axis=0)[2:].tolist()
    return contours.outer(labels[top : bottom + 1, left : right + 1] == name, (left, top))
