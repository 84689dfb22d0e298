"""Which detections overlap which true regions of their picture, over all pictures of a dataset at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray

from ocrdeploy import matching
from ocrdeploy.quads import Point

Polygons: TypeAlias = Sequence[Sequence[Point]]
"""The polygons of one picture."""

IOU = 0.5
"""A detection finds a region where their intersection over union is more than this."""

COVERED = 0.5
"""A detection is ignored where more than this share of it lies in one don't-care region."""

_NEAR = 1e-6
"""So near to a limit, the order of the operations decides; there they are MMOCR's. Farther off, a cheaper one will do."""

_AT_A_TIME = 200_000
"""How many pairs of boxes are looked at together: about 30 MB."""

_Indices: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Overlaps:
    """What overlaps in N pictures with T true regions and D detections, which are numbered over all pictures, in their order.

    `truths`, (N,): how many regions are to be found. `pictures`, (D,): the picture of each detection; `ignored`, (D,): whether
    it lies in a don't-care region. `pairs`, (K, 2): each region with each detection, not ignored, that finds it; ascending.
    """

    truths: _Indices
    pictures: _Indices
    ignored: NDArray[np.bool_]
    pairs: _Indices


def find(truths: Sequence[Polygons], ignored: Sequence[Polygons], detections: Sequence[Polygons]) -> Overlaps:
    """Compare detections with true and with don't-care regions; each argument has the polygons picture by picture."""
    true, care_not, found = _Layer.of(truths), _Layer.of(ignored), _Layer.of(detections)
    covered = np.zeros(len(found.shapes), np.bool_)
    columns, rows = _pairs(found, care_not)
    covered[columns[_shares(found, care_not, columns, rows) > COVERED]] = True
    rows, columns = _pairs(true, found)
    open_ = ~covered[columns]
    rows, columns = rows[open_], columns[open_]
    finds = _ious(true.shapes[rows], found.shapes[columns]) > IOU
    pairs = np.stack([rows[finds], columns[finds]], axis=1)
    return Overlaps(true.numbers, np.repeat(np.arange(len(found.numbers)), found.numbers), covered, pairs)


@dataclass(frozen=True, slots=True)
class _Layer:
    """The polygons of all pictures: how many each picture has, their shapes, bounds (x0, y0, x1, y1), and areas.

    `drawn` is the area by the shoelace formula: where a polygon crosses itself, not that of its shape, and 0 of a bow tie. MMOCR
    divides by it to say what is ignored.
    """

    numbers: _Indices
    shapes: NDArray[Any]
    bounds: NDArray[np.float64]
    areas: NDArray[np.float64]
    drawn: NDArray[np.float64]

    @classmethod
    def of(cls, pictures: Sequence[Polygons]) -> _Layer:
        polygons = list(chain.from_iterable(pictures))
        drawn = matching.drawn(polygons)
        shapes = matching.mended(drawn)
        numbers = np.array([len(each) for each in pictures], np.intp)
        return cls(numbers, shapes, shapely.bounds(shapes), shapely.area(shapes), shapely.area(drawn))


def _pairs(first: _Layer, second: _Layer) -> tuple[_Indices, _Indices]:
    """Return the pairs of one picture whose bounds share enough area for a limit to be passed, in order."""
    found = [_worth(first, second, *chunk) for chunk in _chunks(first.numbers, second.numbers)]
    rows, columns = zip(*found, strict=True) if found else ((), ())
    none = np.empty(0, np.intp)
    return np.concatenate([none, *rows]), np.concatenate([none, *columns])


def _chunks(first: _Indices, second: _Indices) -> Iterator[tuple[_Indices, _Indices]]:
    """Yield every pair within a picture, some pictures at a time; pictures have `first` and `second` polygons."""
    numbers = first * second
    starts = np.flatnonzero(np.diff(np.cumsum(numbers) // _AT_A_TIME, prepend=-1))
    row_starts, column_starts = np.cumsum(first) - first, np.cumsum(second) - second
    for pictures in np.split(np.arange(len(numbers)), starts[1:]):
        own = numbers[pictures]
        place = np.arange(own.sum()) - np.repeat(np.cumsum(own) - own, own)
        picture = np.repeat(pictures, own)
        yield row_starts[picture] + place // second[picture], column_starts[picture] + place % second[picture]


def _worth(first: _Layer, second: _Layer, rows: _Indices, columns: _Indices) -> tuple[_Indices, _Indices]:
    """Keep the pairs whose bounds share half of the first one's area, as both limits ask of the shapes themselves."""
    a, b = first.bounds[rows], second.bounds[columns]
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    shared = np.clip(sides, 0, None).prod(axis=1)
    least = np.minimum(first.areas, first.drawn)[rows] * min(IOU, COVERED) * (1 - _NEAR)
    worth = (shared > 0) & (shared > least)
    return rows[worth], columns[worth]


def _ious(truths: NDArray[Any], detections: NDArray[Any]) -> NDArray[np.float64]:
    common = _common(detections, truths)
    union = shapely.area(detections) + shapely.area(truths) - common
    found: NDArray[np.float64] = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    near = np.abs(found - IOU) < _NEAR
    exact = shapely.area(shapely.union(detections[near], truths[near]))
    found[near] = np.divide(common[near], exact, out=np.zeros_like(exact), where=exact > 0)
    return found


def _shares(detections: _Layer, ignored: _Layer, rows: _Indices, columns: _Indices) -> NDArray[np.float64]:
    """Return how much of each detection lies in the don't-care region."""
    common = _common(detections.shapes[rows], ignored.shapes[columns])
    whole = detections.drawn[rows]
    return np.divide(common, whole, out=np.zeros_like(common), where=whole > 0)


def _common(detections: NDArray[Any], regions: NDArray[Any]) -> NDArray[np.float64]:
    areas: NDArray[np.float64] = shapely.area(shapely.intersection(detections, regions))
    return areas
