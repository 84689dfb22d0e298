"""Some pictures of a dataset on one page, with what is labelled in them, so that people see whether the labels fit."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import cv2
import numpy as np
from PIL import Image, ImageDraw

from ocrdeploy import fonts, images
from ocrdeploy.errors import BadInput
from ocrdeploy.samples import Dataset
from ocrdeploy.vocabulary import Orientation, Pixels, Region, Sample

MOST = 24
"""How many pictures a sheet shows."""

COUNTED, IGNORED = (0, 130, 60), (230, 110, 0)
_PAPER, _INK, _FAINT, _FRAME = (255, 255, 255), (24, 24, 27), (110, 110, 118), (226, 226, 230)

_OVER = 2
"""A sheet is drawn this many times as large and scaled down, so that slanted lines are smooth."""

_ACROSS = 1240 * _OVER
_COLUMNS = {"words": 4, "scenes": 3}
"""Photographs are shown larger than words that are cut out."""

_NARROWEST = 640 * _OVER
_HEIGHTS = (60 * _OVER, 400 * _OVER)
_GAP = 12 * _OVER
_FONT = 12 * _OVER
_LINE = 17 * _OVER
_STROKE = 3
_DASH = 12
_MOST_ZOOM = 4 * _OVER
_MOST_CHARACTERS = 60
_MOST_SIDE = 1 << 15


@dataclass(frozen=True, slots=True)
class _Cell:
    """A picture as it is shown, its name, and what is said below it."""

    shown: Image.Image
    name: str
    said: str


def choose(count: int, most: int = MOST, seed: int = 0) -> list[int]:
    """Return up to `most` indices below `count`, in order: all, or the same random ones for the same seed."""
    return list(range(count)) if count <= most else sorted(random.Random(seed).sample(range(count), most))  # noqa: S311 - no secret


def draw(dataset: Dataset, indices: Sequence[int]) -> Image.Image:
    """Return a page, RGB, with these samples: regions that count are outlined, ignored ones dashed, texts beside or below.

    A picture that is missing or cannot be decoded is an empty field that says so. Polygons are drawn over the picture as it
    lies in its file, without its EXIF orientation, as MMOCR's detectors see it.
    """
    columns = _COLUMNS["scenes" if dataset.polygons else "words"]
    width = _ACROSS // columns
    cells = [_cell(dataset.samples[index], dataset.names[index], width) for index in indices]
    columns = max(1, min(columns, len(cells)))
    shapes = [cell.shown.height * width / cell.shown.width for cell in cells] or [_HEIGHTS[0]]
    height = round(min(max(median(shapes), _HEIGHTS[0]), _HEIGHTS[1]))
    step = (width + _GAP, height + 2 * _LINE + _GAP)
    top = _LINE + 2 * _GAP
    page = Image.new("RGB", (max(_NARROWEST, columns * step[0] + _GAP), math.ceil(len(cells) / columns) * step[1] + top), _PAPER)
    _title(page, dataset, len(cells))
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        _lay(page, cell, (_GAP + column * step[0], top + row * step[1]), (width, height))
    return page.resize((page.width // _OVER, page.height // _OVER), Image.Resampling.LANCZOS)


def _title(page: Image.Image, dataset: Dataset, shown: int) -> None:
    legend = 190 * _OVER if dataset.polygons else 0
    title = f"{dataset.kind}: {dataset.path.name}, {shown} of {len(dataset.samples)} pictures"
    _write(page, (_GAP, _GAP), title, _INK, page.width - 2 * _GAP - legend)
    if legend:
        pen = ImageDraw.Draw(page)
        x, y, dash = page.width - _GAP - legend, _GAP + _LINE // 2, 24 * _OVER
        pen.line([(x, y), (x + dash, y)], COUNTED, _STROKE)
        _write(page, (x + dash + _DASH, _GAP), "counted", COUNTED, legend)
        x += legend // 2
        _dashed(pen, [(x, y), (x + dash, y)], IGNORED)
        _write(page, (x + dash + _DASH, _GAP), "ignored", IGNORED, legend)


def _cell(sample: Sample, name: str, width: int) -> _Cell:
    try:
        pixels = _pixels(sample, name)
    except BadInput as error:
        return _Cell(Image.new("RGB", (width, _HEIGHTS[0]), _FRAME), name, error.problem)
    zoom = min(width / pixels.shape[1], _HEIGHTS[1] / pixels.shape[0], _MOST_ZOOM)
    size = max(1, round(pixels.shape[1] * zoom)), max(1, round(pixels.shape[0] * zoom))
    way = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    shown = Image.fromarray(np.asarray(cv2.resize(pixels, size, interpolation=way), np.uint8))
    _outline(shown, sample.ignored, zoom, IGNORED, dashed=True)
    _outline(shown, sample.regions, zoom, COUNTED, dashed=False)
    return _Cell(shown, name, _said(sample))


def _pixels(sample: Sample, name: str) -> Pixels:
    try:
        data = sample.data or sample.image.read_bytes()
    except OSError as error:
        raise BadInput(f"the picture is missing: {error.strerror}", "") from error
    polygons = any(region.polygon for region in (*sample.regions, *sample.ignored))
    return images.decode(data, name=name, orientation=Orientation.IGNORE if polygons else Orientation.EXIF)


def _said(sample: Sample) -> str:
    if not sample.labelled:
        return "not labelled"
    if any(region.polygon for region in (*sample.regions, *sample.ignored)):
        ignored = f", {len(sample.ignored)} ignored" if sample.ignored else ""
        return f"{len(sample.regions)} counted{ignored}"
    return " | ".join(region.text for region in sample.regions) or "(no text)"


def _outline(shown: Image.Image, regions: Sequence[Region], zoom: float, colour: tuple[int, int, int], *, dashed: bool) -> None:
    """Draw outlines on a white rim, which stands out where the picture has their colour; then the texts, above all of them."""
    pen = ImageDraw.Draw(shown)
    rings = [[(_shown(x, zoom), _shown(y, zoom)) for x, y in region.polygon] for region in regions]
    for ring in filter(None, rings):
        closed = [*ring, ring[0]]
        pen.line(closed, _PAPER, _STROKE + 2 * _OVER)
        if dashed:
            _dashed(pen, closed, colour)
        else:
            pen.line(closed, colour, _STROKE)
    for region, ring in zip(regions, rings, strict=True):
        if ring and region.text and not dashed:
            _label(shown, _short(region.text), ring, colour)


def _shown(coordinate: float, zoom: float) -> float:
    """Return where a coordinate is on the sheet; one far outside is brought nearer, where it is as invisible."""
    return min(max(coordinate * zoom, -_MOST_SIDE), _MOST_SIDE)


def _dashed(pen: ImageDraw.ImageDraw, points: Sequence[tuple[float, float]], colour: tuple[int, int, int]) -> None:
    for (x, y), (to_x, to_y) in pairwise(points):
        dashes = max(1, min(round(math.dist((x, y), (to_x, to_y)) / _DASH), _MOST_SIDE // _DASH))
        for dash in range(0, dashes, 2):
            (a, b) = dash / dashes, min(dash + 1, dashes) / dashes
            ends = [(x + (to_x - x) * part, y + (to_y - y) * part) for part in (a, b)]
            pen.line(ends, colour, _STROKE)


def _label(shown: Image.Image, text: str, ring: Sequence[tuple[float, float]], colour: tuple[int, int, int]) -> None:
    """Write a region's text just above it, or just below where there is no room above, and not beyond the picture's edges."""
    font = fonts.load(fonts.font_for(text), _FONT)
    pen = ImageDraw.Draw(shown)
    left, top, bottom = min(x for x, _ in ring), min(y for _, y in ring), max(y for _, y in ring)
    x = max(0.0, min(left, shown.width - pen.textlength(text, font)))
    y = top - _LINE if top >= _LINE else min(bottom, shown.height - _LINE)
    box = pen.textbbox((x, y), text, font)
    pen.rectangle((box[0] - _OVER, box[1] - _OVER, box[2] + _OVER, box[3] + _OVER), _PAPER)
    pen.text((x, y), text, colour, font)


def _short(text: str) -> str:
    plain = _plain(text)
    return plain if len(plain) <= _MOST_CHARACTERS else plain[: _MOST_CHARACTERS - 3] + "..."


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _lay(page: Image.Image, cell: _Cell, corner: tuple[int, int], room: tuple[int, int]) -> None:
    """Lay a cell on the page: the picture in the middle of its room (width, height), and two lines below."""
    (left, top), (width, height), shown = corner, room, cell.shown
    scale = min(1.0, height / shown.height, width / shown.width)
    if scale < 1:
        shown = shown.resize((max(1, round(shown.width * scale)), max(1, round(shown.height * scale))), Image.Resampling.LANCZOS)
    ImageDraw.Draw(page).rectangle((left, top, left + width, top + height), _FRAME)
    page.paste(shown, (left + (width - shown.width) // 2, top + (height - shown.height) // 2))
    _write(page, (left, top + height + _OVER), cell.said, _INK, width)
    _write(page, (left, top + height + _LINE), cell.name, _FAINT, width, keep_end=True)


def _write(
    page: Image.Image, corner: tuple[int, int], text: str, colour: tuple[int, int, int], room: int, *, keep_end: bool = False
) -> None:
    """Write a line that takes at most `room` pixels: a longer one loses its end, or its beginning."""
    font = fonts.load(fonts.font_for(text), _FONT)
    pen = ImageDraw.Draw(page)
    plain = _plain(text)
    if pen.textlength(plain, font) > room:
        while plain and pen.textlength(f"...{plain}", font) > room:
            plain = plain[1:] if keep_end else plain[:-1]
        plain = f"...{plain}" if keep_end else f"{plain}..."
    pen.text(corner, plain, colour, font)
