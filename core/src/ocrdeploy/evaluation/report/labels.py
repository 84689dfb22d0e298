"""Where the names of points go so that none covers another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ocrdeploy import tables

CHARACTER = 6.8
"""Width of a column of text, in units of the drawing: what a font of 12 has at most, on the average of a name."""

HEIGHT = 14.0

_NEAR, _STEP, _RINGS = 12.0, 14.0, 9


class Box(NamedTuple):
    """A rectangle."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Tell whether the two overlap."""
        return self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom

    def holds(self, other: Box) -> bool:
        """Tell whether `other` lies inside."""
        return self.left <= other.left and other.right <= self.right and self.top <= other.top and other.bottom <= self.bottom

    def common(self, other: Box) -> float:
        """Return the area of the overlap."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(wide, 0.0) * max(high, 0.0)


def shortened(name: str, room: float) -> str:
    """Return a name that is no wider than `room`, with an ellipsis for what had to go."""
    if tables.columns(name) * CHARACTER <= room:
        return name
    while name and (tables.columns(name) + 1) * CHARACTER > room:
        name = name[:-1]
    return f"{name}\u2026"


def place(points: Sequence[tuple[float, float]], names: Sequence[str], obstacles: Sequence[Box], frame: Box) -> list[Box]:
    """Return a place for each point's name, near the point, inside `frame`, and clear of `obstacles` and of each other.

    The first free place wins, from the nearest outwards; where none is free, the one that covers least.
    """
    taken = list(obstacles)
    placed = []
    for point, name in zip(points, names, strict=True):
        inside = [box for box in _places(point, tables.columns(name) * CHARACTER) if frame.holds(box)]
        inside = inside or list(_places(point, tables.columns(name) * CHARACTER))
        best = min(inside, key=lambda box: sum(box.common(other) for other in taken))  # the first of equals
        taken.append(best)
        placed.append(best)
    return placed


def _places(point: tuple[float, float], width: float) -> Iterator[Box]:
    """Yield places around a point: right, left, above, below, and between these, ring by ring."""
    x, y = point
    for ring in range(_RINGS):
        away = _NEAR + ring * _STEP
        middle = y - HEIGHT / 2
        above, below = y - away - HEIGHT, y + away
        right, left, centred = x + _NEAR, x - _NEAR - width, x - width / 2
        corners = [
            *((x + away, middle), (x - away - width, middle), (centred, above), (centred, below)),
            *((right, above), (left, above), (right, below), (left, below)),
        ]
        yield from (Box(start, top, start + width, top + HEIGHT) for start, top in corners)
