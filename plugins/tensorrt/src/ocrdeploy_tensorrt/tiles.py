"""A picture that is larger than an engine takes, in overlapping tiles; and one map from the maps of the tiles.

Sound for networks whose answer at a place depends on its surroundings only, and only as far as the overlap reaches. Nothing
here knows a GPU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrdeploy.errors import BadInput

OVERLAP = 256
"""How far neighbouring tiles overlap, in pixels of the tensor, where the tile has room for it."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One tile along one side: it is fed from `start` to `stop`, and its answer counts from `first` to `last`."""

    start: int
    stop: int
    first: int
    last: int


def cuts(length: int, largest: int, multiple: int) -> list[Cut]:
    """Return the tiles of one side, equally long, whose starts are multiples of `multiple`, as `length` has to be.

    Neighbours meet in the middle of their overlap. Raises `BadInput` where a tile of `largest` leaves no room to overlap.
    """
    if length <= largest:
        return [Cut(0, length, 0, length)]
    tile = largest // multiple * multiple
    overlap = min(OVERLAP, tile // 2) // multiple * multiple
    if overlap < multiple or length % multiple:
        raise BadInput(
            f"a side of {length} cannot be tiled with tiles of {largest}, by multiples of {multiple}",
            "build the engine for a larger --max-shape",
        )
    count = -(-(length - overlap) // (tile - overlap))
    slack = (length - tile) // multiple
    starts = [slack * index // (count - 1) * multiple for index in range(count)]
    borders = [0, *((left + tile + right) // 2 // multiple * multiple for left, right in pairwise(starts)), length]
    return [Cut(start, start + tile, *border) for start, border in zip(starts, pairwise(borders), strict=True)]


def crop(array: NDArray[Any], axes: tuple[int, int], down: Cut, across: Cut) -> NDArray[Any]:
    """Return the part of `array` that a tile is fed."""
    return array[_window(array.ndim, axes, slice(down.start, down.stop), slice(across.start, across.stop))]


def stitch(
    maps: Mapping[tuple[int, int], NDArray[Any]], down: Sequence[Cut], across: Sequence[Cut], axes: tuple[int, int]
) -> NDArray[Any]:
    """Return one map from those of the tiles, by row and column of the tile; each may be smaller than its tile by a factor.

    Raises `BadInput` where a map has not the tile's sides, divided by a whole number.
    """
    sides = (down[0].stop - down[0].start, across[0].stop - across[0].start)
    factors = _factors(next(iter(maps.values())), sides, axes, (down, across))
    rows = [
        np.concatenate([_core(maps[row, column], axes, factors, one, other) for column, other in enumerate(across)], axis=axes[1])
        for row, one in enumerate(down)
    ]
    return np.concatenate(rows, axis=axes[0])


def _core(array: NDArray[Any], axes: tuple[int, int], factors: tuple[int, int], down: Cut, across: Cut) -> NDArray[Any]:
    spans = (
        slice((cut.first - cut.start) // factor, (cut.last - cut.start) // factor)
        for cut, factor in zip((down, across), factors, strict=True)
    )
    return array[_window(array.ndim, axes, *spans)]


def _window(rank: int, axes: tuple[int, int], down: slice, across: slice) -> tuple[slice, ...]:
    window = [slice(None)] * rank
    window[axes[0]], window[axes[1]] = down, across
    return tuple(window)


def _factors(
    array: NDArray[Any], sides: tuple[int, int], axes: tuple[int, int], cut: tuple[Sequence[Cut], Sequence[Cut]]
) -> tuple[int, int]:
    if array.ndim <= max(axes) or any(side % (array.shape[axis] or side + 1) for side, axis in zip(sides, axes, strict=True)):
        raise _no_map(array, sides)
    found = sides[0] // array.shape[axes[0]], sides[1] // array.shape[axes[1]]
    for factor, along in zip(found, cut, strict=True):
        if any(edge % factor for one in along for edge in (one.start, one.first, one.last)):
            raise _no_map(array, sides)
    return found


def _no_map(array: NDArray[Any], sides: tuple[int, int]) -> BadInput:
    problem = f"an output of shape {array.shape} is no map of a tile of {sides[0]} x {sides[1]}: it cannot be put together"
    return BadInput(problem, "leave oversize=tile out, and build the engine for a larger --max-shape")
