"""From maps of scores to outlines of text: the geometry that detector families share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any, TypeAlias

import cv2
import numpy as np
import pyclipper
from numpy.typing import NDArray

Corners: TypeAlias = Sequence[Sequence[float]]
"""(x, y) of each corner; plain numbers, which are quicker than arrays for so few."""


def outlines(mask: NDArray[np.bool_], *, dilation: int = 0, limit: int = 0) -> Sequence[NDArray[Any]]:
    """Return the outlines of the set areas of `mask` (H, W) and of the holes in them, each (K, 1, 2) int32.

    Areas are first grown by a square of `dilation` pixels (0: not; an even one to the right and down by half a pixel more).
    At most `limit` outlines (0: all).
    """
    pixels: NDArray[Any] = mask.view(np.uint8)
    if dilation:
        pixels = cv2.dilate(pixels, np.ones((dilation, dilation), np.uint8))
    found, _ = cv2.findContours(pixels, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    return found[:limit] if limit else found


def outer(mask: NDArray[np.bool_], offset: tuple[int, int]) -> NDArray[Any]:
    """Return the outline (K, 2) of the uppermost set area of `mask` (H, W), without its holes, moved by `offset` (x, y)."""
    found, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=offset)
    outline: NDArray[Any] = found[0].reshape(-1, 2)
    return outline


def simplified(outline: NDArray[Any], ratio: float) -> NDArray[np.int32]:
    """Return a polygon (K, 2) that leaves `outline` by at most `ratio` of its length (Douglas-Peucker)."""
    polygon: NDArray[Any] = cv2.approxPolyDP(outline, ratio * cv2.arcLength(outline, closed=True), closed=True)
    return polygon.reshape(-1, 2)


def mean_inside(scores: NDArray[np.float32], polygon: NDArray[Any]) -> float:
    """Return the mean of `scores` (H, W), of which none is negative, over the pixels inside `polygon` (K, 2) and on its edge."""
    height, width = scores.shape
    x, y, columns, rows = cv2.boundingRect(polygon)
    left, right = _clamp(x, width), _clamp(x + columns - 1, width)
    top, bottom = _clamp(y, height), _clamp(y + rows - 1, height)
    mask = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    cv2.fillPoly(mask, [polygon.astype(np.int32)], 1, offset=(-left, -top))
    # The sum of absolute values is the one masked sum that OpenCV has vectorised; `cv2.mean` takes four times as long.
    total = cv2.norm(scores[top : bottom + 1, left : right + 1], cv2.NORM_L1, mask)
    return float(total) / (np.count_nonzero(mask) or 1)


def _clamp(position: int, length: int) -> int:
    return min(max(position, 0), length - 1)


def unclip(polygon: Corners, ratio: float) -> NDArray[np.int32] | None:
    """Return `polygon` grown by area * ratio / perimeter on all sides, with round corners, (K, 2); corners are truncated first.

    None where nothing is left, or where it falls into parts of unequal length; parts of equal length follow each other.
    """
    offset = pyclipper.PyclipperOffset()
    offset.AddPath([(int(x), int(y)) for x, y in polygon], pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    parts = offset.Execute(_distance(polygon, ratio))
    if not parts or any(len(part) != len(parts[0]) for part in parts):
        return None
    return np.fromiter(chain.from_iterable(chain.from_iterable(parts)), np.int32).reshape(-1, 2)


def _distance(polygon: Corners, ratio: float) -> float:
    """Return area * ratio / perimeter, 0 for a single point."""
    twice_area = perimeter = 0.0
    x0, y0 = polygon[-1]
    for x1, y1 in polygon:
        twice_area += x0 * y1 - x1 * y0
        perimeter += math.hypot(x1 - x0, y1 - y0)
        x0, y0 = x1, y1
    return abs(twice_area) / 2 * ratio / perimeter if perimeter else 0.0
