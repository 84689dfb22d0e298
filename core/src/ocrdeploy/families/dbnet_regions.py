"""From one probability map to regions in the picture; apart from `dbnet`, so that announcing the family imports no OpenCV."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ocrdeploy import contours, quads
from ocrdeploy.families.placing import in_picture
from ocrdeploy.vocabulary import Placement, Region

if TYPE_CHECKING:
    from ocrdeploy.families.dbnet import DbOptions

FEWEST_CORNERS = 4
"""A polygon with fewer corners is no text."""


def regions(scores: NDArray[np.float32], placement: Placement, options: DbOptions) -> Iterator[Region]:
    """Yield the texts of one map (H, W), in the order in which OpenCV finds their outlines."""
    found = list(_shapes(scores, options))
    polygons = in_picture([shape for shape, _ in found], scores.shape, placement, snap=options.snap)
    for polygon, (_, score) in zip(polygons, found, strict=True):
        corners = polygon
        if options.representation == "quad":
            corners = quads.clockwise(polygon)
            if min(math.dist(corners[0], corner) for corner in (corners[1], corners[3])) < options.min_picture_side:
                continue
        yield Region(tuple(corners), score=score, detection_score=score)


def _shapes(scores: NDArray[np.float32], options: DbOptions) -> Iterator[tuple[NDArray[Any], float]]:
    """Yield corners (K, 2), in pixels of the map, and the score of each text."""
    mask = scores > options.mask_threshold
    for outline in contours.outlines(mask, dilation=options.dilation, limit=options.max_candidates):
        core = _core(outline, options)
        if core is None:
            continue
        score = contours.mean_inside(scores, core)
        if score < options.score_threshold:
            continue
        grown = contours.unclip(core.tolist(), options.unclip_ratio)
        shape = None if grown is None else _shape(grown, options)
        if shape is not None:
            yield shape, score


def _core(outline: NDArray[Any], options: DbOptions) -> NDArray[Any] | None:
    """Return what is scored and unclipped in place of `outline`, or None where it is too small."""
    if options.outline == "rectangle":
        corners, side = quads.enclosing(outline)
        return corners if side >= options.min_outline_side else None
    polygon = contours.simplified(outline, options.epsilon_ratio)
    return polygon if len(polygon) >= FEWEST_CORNERS else None


def _shape(grown: NDArray[Any], options: DbOptions) -> NDArray[Any] | None:
    """Return the shape that is the answer, or None where it is too small."""
    if options.representation == "poly":
        return grown if len(grown) >= FEWEST_CORNERS else None
    corners, side = quads.enclosing(grown)
    kept = side > options.min_side or (side == options.min_side and options.min_side_inclusive)
    return corners if kept else None
