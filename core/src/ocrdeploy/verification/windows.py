"""Pictures that become tensors of one shape, a few at a time: what batches are made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from ocrdeploy.verification.pictures import Size, Specimen

FILLED = 2
"""Of how many shapes there is at least one full window, if need be with drawn pictures: the smallest, as the quickest to run."""

WAITING_BYTES = 2**28
"""How much memory the pictures may take that wait for others of their shape; beyond it they wait no longer."""


def windows(
    specimens: Iterable[Specimen], place: Callable[[Specimen], Size | None], draw: Callable[[Size], Specimen], size: int
) -> Iterator[list[Specimen]]:
    """Yield up to `size` pictures of one tensor shape at a time, every picture once, as soon as they are together.

    `place` says the shape of a picture's tensor, or None for one to be left out; `draw` makes another picture of a given size.
    """
    waiting: dict[Size, list[Specimen]] = {}
    full: set[Size] = set()
    held = 0
    for specimen in specimens:
        shape = place(specimen)
        if shape is None:
            continue
        group = waiting.setdefault(shape, [])
        group.append(specimen)
        held += specimen.pixels.nbytes
        if len(group) == size:
            full.add(shape)
        elif held > WAITING_BYTES:
            shape = max(waiting, key=lambda each: _bytes(waiting[each]))
        else:
            continue
        held -= _bytes(waiting[shape])
        yield waiting.pop(shape)
    wanting = sorted(waiting, key=math.prod)[: max(FILLED - len(full), 0)]
    for shape, group in waiting.items():
        if shape in wanting:
            group += [draw(group[0].size) for _ in range(size - len(group))]
        yield group


def _bytes(group: Iterable[Specimen]) -> int:
    return sum(specimen.pixels.nbytes for specimen in group)


def batches(window: Sequence[Specimen], rows: int) -> Iterator[list[Specimen]]:
    """Yield batches of `rows` pictures: each of them alone for 1, else one batch in a shuffled order, if there are enough."""
    if rows == 1:
        yield from ([specimen] for specimen in window)
    elif rows <= len(window):
        order = np.random.default_rng(window[0].number + rows).permutation(len(window))
        yield [window[index] for index in order[:rows]]


def filled(window: Sequence[Specimen], rows: int) -> Iterator[list[Specimen]]:
    """Yield batches of exactly `rows` pictures, every picture at least once; the last one is filled up with the first ones."""
    for start in range(0, len(window), rows):
        chunk = list(window[start : start + rows])
        while len(chunk) < rows:
            chunk += window[: rows - len(chunk)]
        yield chunk
