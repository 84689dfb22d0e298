"""From labelled pixels to outlines: what PSENet and PANet do once each pixel of a text knows its text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ocrdeploy import contours, quads
from ocrdeploy.families.placing import in_picture
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
    outlines = in_picture([shape for _, shape in found], (height - 1, width - 1), placement)
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
    pixels = labels.reshape(-1)
    bounds = np.concatenate(([0], np.flatnonzero(pixels[1:] != pixels[:-1]) + 1))
    names = pixels[bounds]
    runs = np.flatnonzero(kept[names])
    runs = runs[np.argsort(names[runs], kind="stable")]
    names = names[runs]
    rows, lefts = np.divmod(bounds[runs], labels.shape[1])
    rights = lefts + bounds[runs + 1] - bounds[runs] - 1
    breaks = np.flatnonzero(np.diff(names, prepend=0, append=0))
    starts = breaks[:-1]
    if representation == "quad":
        ends = np.stack((lefts, rows, rights, rows), axis=1).astype(np.int32).reshape(-1, 2)
        for name, start, stop in zip(names[starts].tolist(), (2 * starts).tolist(), (2 * breaks[1:]).tolist(), strict=True):
            yield name, quads.enclosing(ends[start:stop])[0]
        return
    boxes = rows[starts], rows[breaks[1:] - 1] + 1, np.minimum.reduceat(lefts, starts), np.maximum.reduceat(rights, starts) + 1
    for name, top, bottom, left, right in zip(names[starts].tolist(), *(side.tolist() for side in boxes), strict=True):
        outline = contours.outer(labels[top:bottom, left:right] == name, (left, top))
        if len(outline) >= FEWEST_CORNERS:
            yield name, outline
