"""From one probability map to regions in the picture; apart from `dbnet`, so that announcing the family imports no OpenCV."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ocrdeploy import contours, quads
from ocrdeploy.vocabulary import Placement, Region

if TYPE_CHECKING:
    from ocrdeploy.families.dbnet import DbOptions

FEWEST_CORNERS = 4
"""A polygon with fewer corners is no text."""


def regions(scores: NDArray[np.float32], placement: Placement, options: DbOptions) -> Iterator[Region]:
    """Yield the texts of one map (H, W), in the order in which OpenCV finds their outlines."""
    shapes = list(_shapes(scores, options))
    if not shapes:
        return
    # All corners go to the picture at once; one array for each box would cost more than finding the box.
    points = _in_picture(np.concatenate([shape for shape, _ in shapes]), scores, placement)
    if options.snap:
        height, width = placement.size
        points = np.clip(np.round(points), 0, (width - 1, height - 1))
    corners = iter(zip(*points.T.tolist(), strict=True))
    for shape, score in shapes:
        polygon = list(islice(corners, len(shape)))
        if options.representation == "quad":
            polygon = quads.clockwise(polygon)
            if min(math.dist(polygon[0], corner) for corner in (polygon[1], polygon[3])) < options.min_picture_side:
                continue
        yield Region(tuple(polygon), score=score, detection_score=score)


def _in_picture(points: NDArray[Any], scores: NDArray[np.float32], placement: Placement) -> NDArray[Any]:
    """Map pixels of the map to pixels of the picture; the map covers the tensor, the picture the tensor's content."""
    tensor, scale = placement.tensor, placement.scale
    extent = np.array((tensor[1] / scale[0], tensor[0] / scale[1]), np.float32)
    return points / np.array(scores.shape[::-1], np.float32) * extent


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
        grown = contours.unclip(core, options.unclip_ratio)
        shape = None if grown is None else _shape(grown, options)
        if shape is not None:
            yield shape, score


def _core(outline: NDArray[Any], options: DbOptions) -> contours.Corners | None:
    """Return what is scored and unclipped in place of `outline`, or None where it is too small."""
    if options.outline == "rectangle":
        corners, side = quads.enclosing(outline)
        box: contours.Corners = corners.tolist()
        return box if side >= options.min_outline_side else None
    polygon = contours.simplified(outline, options.epsilon_ratio)
    return polygon if len(polygon) >= FEWEST_CORNERS else None


def _shape(grown: NDArray[Any], options: DbOptions) -> NDArray[Any] | None:
    """Return the shape that is the answer, or None where it is too small."""
    if options.representation == "poly":
        return grown if len(grown) >= FEWEST_CORNERS else None
    corners, side = quads.enclosing(grown)
    kept = side > options.min_side or (side == options.min_side and options.min_side_inclusive)
    return corners if kept else None
