"""Polygons from the numbers of a label: checked, with file and line in what is said of bad ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from ocrdeploy.errors import BadInput

Polygon: TypeAlias = tuple[tuple[float, float], ...]
"""Points (x, y) in pixels."""

LEAST_POINTS = 3


def numbers(parts: Iterable[object], where: str) -> list[float]:
    """Return `parts`, text or numbers, as finite numbers. Raises `BadInput`, which says `where`."""
    return [_number(part, where) for part in parts]


def _number(part: object, where: str) -> float:
    try:
        number = float(part) if isinstance(part, int | float | str) and not isinstance(part, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise BadInput(f"{where}: {part!r} stands where a coordinate should", "correct the line, or name another kind")
    return number


def polygon(coordinates: Sequence[float], where: str, least: int = LEAST_POINTS) -> Polygon:
    """Return x, y, x, y, ... as points. Raises `BadInput` for an odd number of them, or fewer than `least` points."""
    if len(coordinates) % 2:
        raise BadInput(f"{where}: {len(coordinates)} coordinates, an odd number, make no polygon", "correct the line")
    if len(coordinates) < 2 * least:
        raise BadInput(f"{where}: {len(coordinates)} coordinates make no polygon; {2 * least} are the least", "correct the line")
    return tuple(zip(coordinates[::2], coordinates[1::2], strict=True))


def corners(left: float, top: float, right: float, bottom: float) -> Polygon:
    """Return an upright box as four points, from the top left clockwise."""
    return ((left, top), (right, top), (right, bottom), (left, bottom))
