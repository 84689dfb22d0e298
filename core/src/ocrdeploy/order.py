"""Reading order: which regions stand in one row, and what comes after what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from ocrdeploy import quads
from ocrdeploy.vocabulary import Region

OVERLAP = 0.5
"""Two regions stand in one row where they share at least this much of the lower one's height."""

LIKENESS = 3.0
"""A region that is more than this many times as high as another stands in no row with it."""

FLAT = 2.0
"""Only a region at least this many times as wide as high tells in which direction its line runs."""


@dataclass(frozen=True, slots=True)
class Line:
    """The middle line of a region: from `left` to `right`, at height `y` in between; `slope` is how it falls, y per x."""

    index: int
    left: float
    right: float
    y: float
    height: float
    slope: float

    def at(self, x: float) -> float:
        """Return y at `x`, along the line and beyond it."""
        return self.y + self.slope * (x - (self.left + self.right) / 2)


def rows(regions: Sequence[Region]) -> list[list[int]]:
    """Return the indices of `regions`, row by row from top to bottom, each from left to right.

    Regions are compared where they face each other, along their own slant, so a row may rise or fall. A region that is much
    higher than its neighbours, such as an upright line, is a row of its own. Equal places keep the order of `regions`.
    """
    lines = _lines(regions)
    slope = median([line.slope for line in lines]) if lines else 0.0
    found: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: _top(line, slope)):
        row = next((row for row in reversed(found) if _stands_in(line, row)), None)
        if row is None:
            found.append([line])
        else:
            row.append(line)
    found.sort(key=lambda row: sum(_top(line, slope) for line in row) / len(row))
    return [[line.index for line in sorted(row, key=lambda line: (line.left, line.index))] for row in found]


def _lines(regions: Sequence[Region]) -> list[Line]:
    """Return the middle lines; those too short to have a direction take the usual one of the others."""
    lines = [_line(index, region) for index, region in enumerate(regions)]
    flat = [line.slope for line in lines if _is_flat(line)]
    usual = median(flat) if flat else 0.0
    return [line if _is_flat(line) else replace(line, slope=usual) for line in lines]


def _line(index: int, region: Region) -> Line:
    quad = quads.quad(region.polygon) if region.polygon else [(0.0, 0.0)] * quads.CORNERS
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = quad
    left, right, start, end = (x0 + x3) / 2, (x1 + x2) / 2, (y0 + y3) / 2, (y1 + y2) / 2
    slope = (end - start) / (right - left) if right > left else 0.0
    return Line(index, left, right, (start + end) / 2, quads.edges(quad)[1], slope)


def _is_flat(line: Line) -> bool:
    return line.right - line.left >= FLAT * line.height


def _top(line: Line, slope: float) -> float:
    """Return the top of a line where it, following `slope`, would meet the left edge of the picture."""
    return line.y - slope * (line.left + line.right) / 2 - line.height / 2


def _stands_in(line: Line, row: Sequence[Line]) -> bool:
    """Tell whether `line` is in one row with the nearest member of `row`, seen from the middle between the two."""
    near = min(row, key=lambda member: max(member.left - line.right, line.left - member.right))
    x = (near.right + line.left) / 2 if near.left < line.left else (line.right + near.left) / 2
    low, high = sorted((near.height, line.height))
    shared = (near.height + line.height) / 2 - abs(near.at(x) - line.at(x))
    return shared >= OVERLAP * low and high <= LIKENESS * low
