"""Cutting lines of text out of a picture, and giving very low pictures the room that a detector needs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from ocrdeploy import quads
from ocrdeploy.quads import Quad
from ocrdeploy.vocabulary import Pixels

TURN_RATIO = 1.5
"""A crop at least this many times as high as wide holds a line that stands upright, and is laid down."""

LOW_HEIGHT = 30
LOW_RATIO = 8
"""A picture at most `LOW_HEIGHT` pixels high, or more than `LOW_RATIO` times as wide as high, is padded."""

MAX_PADDED_AREA = 2**25
"""Padding stops at this many pixels in all, so that a strip of extreme length cannot fill the memory."""

REACH = 3
"""How far around a point, in pixels, bicubic interpolation may look."""

NOISE = 0.002
"""What rounding may take from the length of an edge, in pixels."""

SMALLEST_AREA = 0.01
"""A polygon of less than this, in square pixels, has no direction."""


def cut_line(picture: Pixels, polygon: Sequence[quads.Point]) -> Pixels:
    """Return the line of text inside `polygon`, straightened, and turned to the left where it is 1.5 times as high as wide.

    A convex polygon of four corners is taken as it is, in the order of `quads.clockwise`; for any other the smallest box
    around it. What overhangs the picture is cut off. At least 1 x 1 pixel; may be a view. An empty polygon: the picture.
    """
    if not polygon:
        return picture
    quad = _trimmed(quads.quad(polygon), picture)
    if quads.area(quad) < SMALLEST_AREA:
        return _pixel(picture, quad)
    crop = _slice(picture, quad) if _is_upright(quad) else _warped(picture, quad)
    if crop.shape[0] / crop.shape[1] >= TURN_RATIO:
        return cv2.rotate(crop, cv2.ROTATE_90_COUNTERCLOCKWISE).astype(np.uint8, copy=False)
    return crop


def _trimmed(quad: Quad, picture: Pixels) -> Quad:
    """Return `quad`, or, where it overhangs the picture, the part of the box around it that holds what both share.

    Moving the corners to the edge one by one would bend a slanted line. Outside the picture: the point nearest to it.
    """
    height, width = picture.shape[:2]
    if all(0 <= x <= width and 0 <= y <= height for x, y in quad):
        return quad
    corners = np.array(quad, np.float32)
    shared_area, shared = cv2.intersectConvexConvex(corners, np.array(_rectangle(width, height), np.float32))
    if shared_area < SMALLEST_AREA:
        x, y = quad[0]
        return [(min(max(x, 0), width), min(max(y, 0), height))] * quads.CORNERS
    origin, right, _, below = np.array(quads.box(corners))
    axes = np.array([(end - origin) / math.dist(end, origin) for end in (right, below)])
    places = (shared.reshape(-1, 2) - origin) @ axes.T
    low, high = places.min(axis=0), places.max(axis=0)
    part = low + np.array(_rectangle(*(high - low)))
    return [(x, y) for x, y in (origin + part @ axes).round(3).tolist()]


def _rectangle(width: float, height: float) -> Quad:
    return [(0, 0), (width, 0), (width, height), (0, height)]


def _pixel(picture: Pixels, quad: Quad) -> Pixels:
    (x, y), (height, width) = quad[0], picture.shape[:2]
    column, row = min(int(x), width - 1), min(int(y), height - 1)
    return picture[row : row + 1, column : column + 1]


def _is_upright(quad: Quad) -> bool:
    """Tell whether `quad` is a rectangle of whole pixels, for which straightening would change nothing."""
    (left, top), (right, bottom) = quad[0], quad[2]
    upright = quad == [(left, top), (right, top), (right, bottom), (left, bottom)]
    return upright and all(float(side).is_integer() for side in (left, top, right, bottom))


def _slice(picture: Pixels, quad: Quad) -> Pixels:
    (left, top), (right, bottom) = quad[0], quad[2]
    return picture[int(top) : int(bottom), int(left) : int(right)]


def _warped(picture: Pixels, quad: Quad) -> Pixels:
    width, height = (max(1, int(edge + NOISE)) for edge in quads.edges(quad))
    # Only the surroundings of the line are handed over: OpenCV limits the sides of what it warps.
    left = max(0, int(min(x for x, _ in quad)) - REACH)
    top = max(0, int(min(y for _, y in quad)) - REACH)
    right, bottom = (math.ceil(max(sides)) + REACH + 1 for sides in zip(*quad, strict=True))
    source = np.array([(x - left, y - top) for x, y in quad], np.float32)
    matrix = cv2.getPerspectiveTransform(source, np.array(_rectangle(width, height), np.float32))
    crop = cv2.warpPerspective(
        picture[top:bottom, left:right], matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return crop.astype(np.uint8, copy=False)


def pad_strip(picture: Pixels) -> tuple[Pixels, int]:
    """Return `picture` with as many black rows above as below where it is very low or very wide, and the rows above.

    It becomes twice as high as `LOW_HEIGHT` or as its width / `LOW_RATIO`, whichever is more. Else it is returned as it is.
    """
    height, width = picture.shape[:2]
    if height > LOW_HEIGHT and width / height <= LOW_RATIO:
        return picture, 0
    wanted = max(width // LOW_RATIO, LOW_HEIGHT) * 2
    rows = max(0, min(wanted, MAX_PADDED_AREA // width) - height) // 2
    padded = cv2.copyMakeBorder(picture, rows, rows, 0, 0, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    return padded.astype(np.uint8, copy=False), rows
