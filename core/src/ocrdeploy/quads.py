"""Four corners of a piece of text: their order, and the box around any shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Point: TypeAlias = tuple[float, float]
Quad: TypeAlias = list[Point]
"""Top left, top right, bottom right, bottom left of a text; plain numbers, which are quicker than arrays for so few."""

CORNERS = 4


def clockwise(corners: Sequence[Point]) -> Quad:
    """Return four corners as top left, top right, bottom right, bottom left of the text that they hold.

    The two leftmost corners (of corners equally far left, the upper ones) are the left side, and the way round is clockwise
    as people see the picture. So a line that rises or falls by less than 45 degrees begins at its left end.
    """
    x, y = sum(corner[0] for corner in corners) / CORNERS, sum(corner[1] for corner in corners) / CORNERS
    ring = sorted(corners, key=lambda corner: math.atan2(corner[1] - y, corner[0] - x))
    left = sorted(corners)[:2]
    first = next((i for i in range(CORNERS) if ring[i - 1] in left and ring[i] in left), 0)
    return ring[first:] + ring[:first]


def enclosing(points: NDArray[Any]) -> tuple[NDArray[Any], float]:
    """Return the corners, (4, 2) float32, of the smallest box at any angle around `points`, and its short side."""
    box = cv2.minAreaRect(points)
    return cv2.boxPoints(box), min(box[1])


def box(points: NDArray[Any]) -> Quad:
    """Return the smallest box around `points`, to a thousandth of a pixel; less is noise of float32 arithmetic."""
    corners, _ = enclosing(points)
    return clockwise([(x, y) for x, y in corners.astype(np.float64).round(3).tolist()])


def quad(polygon: Sequence[Point]) -> Quad:
    """Return the corners of `polygon` where it is convex and has four; of the smallest box around it where it is not."""
    if len(polygon) == CORNERS:
        corners = clockwise(polygon)
        if cv2.isContourConvex(np.array(corners, np.float32)):
            return corners
    return box(np.array(polygon, np.float32))


def area(quad: Quad) -> float:
    """Return the area of a convex quad: half the cross product of its diagonals."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = quad
    return abs((x2 - x0) * (y3 - y1) - (x3 - x1) * (y2 - y0)) / 2


def edges(quad: Quad) -> tuple[float, float]:
    """Return the width and the height of a quad, each the longer of two edges that face each other."""
    top_left, top_right, bottom_right, bottom_left = quad
    width = max(math.dist(top_left, top_right), math.dist(bottom_left, bottom_right))
    return width, max(math.dist(top_left, bottom_left), math.dist(top_right, bottom_right))
