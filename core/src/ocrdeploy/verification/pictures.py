"""The pictures that two models are compared on: the user's, what is derived from them, and what is drawn here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np

from ocrdeploy import drawn, images, sources
from ocrdeploy.errors import BadInput
from ocrdeploy.vocabulary import InputSpec, Pixels, Task

Size: TypeAlias = tuple[int, int]
"""(height, width) in pixels."""


class Origin(StrEnum):
    """Where a picture comes from."""

    GIVEN = "given"
    DERIVED = "derived"
    DRAWN = "drawn"


@dataclass(frozen=True, slots=True, eq=False)
class Specimen:
    """A picture, and what it is called. `number` counts from 1, in the order in which the pictures come up."""

    number: int
    name: str
    pixels: Pixels
    origin: Origin

    @property
    def size(self) -> Size:
        """(height, width) of the picture."""
        return self.pixels.shape[0], self.pixels.shape[1]


DERIVED = {
    "half the size": (0.5, 0.5),
    "1.5 x the size": (1.5, 1.5),
    "1.5 x the width": (1.0, 1.5),
    "1.5 x the height": (1.5, 1.0),
}
"""What is derived of a picture, as factors of its height and width: other sizes of tensor, and other pictures of one size."""

DERIVED_FROM = 2
"""Of how many of the given pictures others are derived: enough for other shapes, and the user's own take most of the time."""

LEAST_SIDE = 8
"""No picture is made whose height or width is below this, in pixels."""

SCENES: tuple[Size, ...] = ((480, 640), (320, 480), (360, 800), (640, 448))
LINES: tuple[Size, ...] = ((48, 160), (32, 100), (40, 280), (64, 96), (40, 480))
"""What is drawn where no pictures are given: pages for detectors, lines for all others."""

FILLERS = 8
"""About how many pictures are drawn to fill batches."""

_PAGED = (".pdf", ".tif", ".tiff")


class Gallery:
    """Numbers the pictures, and draws more where they are wanted."""

    def __init__(self, task: Task, fixed: Size | None) -> None:
        self._task = task
        self._fixed = fixed
        self.count = 0

    def specimens(self, given: Iterable[tuple[str, Pixels]]) -> Iterator[Specimen]:
        """Yield the given pictures, and others derived from the first of them; where none is given, drawn ones.

        Where a model takes one size only (`fixed`), each of them is also scaled to it, or as many are drawn of that size.
        """
        for index, (name, pixels) in enumerate(given):
            yield self._numbered(name, pixels, Origin.GIVEN)
            if self._fixed:
                yield from self._resized(name, f"as {self._fixed[1]} x {self._fixed[0]}", pixels, self._fixed)
            elif index < DERIVED_FROM:
                for words, (y, x) in DERIVED.items():
                    yield from self._resized(name, words, pixels, (round(pixels.shape[0] * y), round(pixels.shape[1] * x)))
        if not self.count:
            sizes = SCENES if self._task is Task.DETECTION else LINES
            yield from (self.draw(self._fixed or size) for size in sizes)

    def _resized(self, name: str, words: str, pixels: Pixels, size: Size) -> Iterator[Specimen]:
        if min(size) >= LEAST_SIDE and size != pixels.shape[:2]:
            resized = np.asarray(cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)
            yield self._numbered(f"{name}, {words}", resized, Origin.DERIVED)

    def draw(self, size: Size) -> Specimen:
        """Return another drawn picture of this size: a page for a detector, else a line."""
        seed = self.count
        pixels = drawn.page(size, seed) if self._task is Task.DETECTION else drawn.line(size, seed)
        if self._task is Task.CLASSIFICATION and seed % 2:
            pixels = np.ascontiguousarray(pixels[::-1, ::-1])
        return self._numbered(f"drawn, {size[1]} x {size[0]}", pixels, Origin.DRAWN)

    def _numbered(self, name: str, pixels: Pixels, origin: Origin) -> Specimen:
        self.count += 1
        return Specimen(self.count, name, pixels, origin)


def expected(given: int) -> int:
    """Return about how many pictures there will be where so many are given: the derived ones, and some that fill windows."""
    return given + min(given, DERIVED_FROM) * len(DERIVED) + FILLERS if given else max(len(SCENES), len(LINES)) + FILLERS


def read(inputs: Iterable[sources.Input], spec: InputSpec) -> Iterator[tuple[str, Pixels]]:
    """Decode pictures as the spec says, one after the other. Raises the error of one that cannot be read."""
    for item in inputs:
        if item.error is not None:
            raise item.error
        if item.path is None or item.path.suffix.lower() in _PAGED:
            yield from _pages(item)
        else:
            yield item.name, _file(item.path, item.name, spec)


def _pages(item: sources.Input) -> Iterator[tuple[str, Pixels]]:
    for picture in sources.pictures([item]):
        if picture.pixels is None:
            assert picture.error is not None
            raise picture.error
        yield picture.name, picture.pixels


def _file(path: Path, name: str, spec: InputSpec) -> Pixels:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{name!r} cannot be read: {error.strerror}", "check the path and the disk") from error
    return images.decode(data, name=name, colour=spec.colour, orientation=spec.orientation)
