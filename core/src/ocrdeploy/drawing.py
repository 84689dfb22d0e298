"""A picture with its boxes and, beside it, their texts in their places, for people to look at."""

from __future__ import annotations

import colorsys
import unicodedata
from collections.abc import Sequence
from math import ceil
from statistics import median
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ocrdeploy import fonts
from ocrdeploy.vocabulary import Pixels, Region

Points: TypeAlias = NDArray[np.float32]
"""(N, 2), x and y."""

_PAPER = (255, 255, 255)
_INK = (24, 24, 27)
_EDGE = (190, 190, 190)
_TINT = 0.15
_GOLDEN_RATIO = 0.618034  # Steps of this size along the circle of hues keep neighbours apart, however many there are.
_SUBPIXEL_BITS = 4
_CORNERS = 4
_TALL = 1.5

_MIN_LONG_SIDE = 640
_MIN_LINE_HEIGHT = 18
_MAX_ZOOM = 4
_MAX_ZOOMED_SIDE = 2400
_MIN_FONT_SIZE = 8
_TRIAL_SIZE = 64
_FILL = 0.9


class _Line(NamedTuple):
    """Where a line of text goes: its centre, its size along and across the text, and its slope (clockwise, in degrees)."""

    x: float
    y: float
    length: float
    height: float
    slope: float
    tall: bool


def annotate(pixels: Pixels, regions: Sequence[Region]) -> Image.Image:
    """Draw the outlines of regions over a picture and, if any has a text, a panel to the right with the texts in their places.

    A small picture is enlarged, up to four times, until its texts can be read. A region without a polygon is the whole picture.
    """
    if pixels.ndim == 2:  # noqa: PLR2004  # A gray picture has two axes.
        pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB), np.uint8)
    zoom = _zoom(pixels, regions)
    picture = np.asarray(cv2.resize(pixels, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC), np.uint8)
    outlines = [_outline(region, picture, zoom) for region in regions]
    left = _with_outlines(picture, outlines)
    if not any(region.text for region in regions):
        return Image.fromarray(left)
    right = Image.fromarray(_with_outlines(np.full_like(left, _PAPER), outlines))
    for region, outline in zip(regions, outlines, strict=True):
        if text := " ".join(region.text.split()):
            _write(right, text, _line(outline))
    edge = np.full((len(left), 1, 3), _EDGE, np.uint8)
    return Image.fromarray(np.hstack([left, edge, np.asarray(right)]))


def _zoom(pixels: Pixels, regions: Sequence[Region]) -> float:
    """Return the factor, at least 1, that makes the picture large enough to look at, and its usual line high enough to read."""
    long_side = max(pixels.shape[:2])
    heights = [_line(np.array(region.polygon, np.float32)).height for region in regions if region.polygon and region.text]
    wish = max(_MIN_LONG_SIDE / long_side, _MIN_LINE_HEIGHT / max(median(heights), 1) if heights else 1)
    return float(max(1, min(wish, _MAX_ZOOM, _MAX_ZOOMED_SIDE / long_side)))


def _outline(region: Region, picture: NDArray[np.uint8], zoom: float) -> Points:
    height, width = picture.shape[:2]
    if not region.polygon:
        return np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    points = np.nan_to_num(np.array(region.polygon, np.float32) * zoom)
    # Far outside the picture nothing is seen, and OpenCV's integers overflow.
    return np.asarray(np.clip(points, (-width, -height), (2 * width, 2 * height)), np.float32)


def _with_outlines(canvas: NDArray[np.uint8], outlines: Sequence[Points]) -> NDArray[np.uint8]:
    """Return a copy of `canvas` with each outline in a colour of its own, tinted inside."""
    stroke = max(1, round(max(canvas.shape[:2]) / 500))
    fixed = [np.round(outline * (1 << _SUBPIXEL_BITS)).astype(np.int32) for outline in outlines]
    tinted = canvas.copy()
    for index, points in enumerate(fixed):
        cv2.fillPoly(tinted, [points], _colour(index), cv2.LINE_AA, _SUBPIXEL_BITS)
    drawn = cv2.addWeighted(tinted, _TINT, canvas, 1 - _TINT, 0)
    cv2.polylines(drawn, fixed, True, _PAPER, 2 * stroke, cv2.LINE_AA, _SUBPIXEL_BITS)
    for index, points in enumerate(fixed):
        cv2.polylines(drawn, [points], True, _colour(index), stroke, cv2.LINE_AA, _SUBPIXEL_BITS)
    return np.asarray(drawn, np.uint8)


def _colour(index: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb((0.58 + index * _GOLDEN_RATIO) % 1, 0.9, 0.82)
    return round(red * 255), round(green * 255), round(blue * 255)


def _line(outline: Points) -> _Line:
    """Find the line of text in a polygon; one with four corners begins at the top left of the text and goes clockwise."""
    corners = outline
    if len(outline) != _CORNERS:
        corners = np.asarray(cv2.boxPoints(cv2.minAreaRect(outline)), np.float32)
        corners = np.roll(corners, -int(corners.sum(axis=1).argmin()), axis=0)
    along = (corners[1] - corners[0] + corners[2] - corners[3]) / 2
    across = (corners[3] - corners[0] + corners[2] - corners[1]) / 2
    tall = bool(np.hypot(*across) >= _TALL * np.hypot(*along))
    if tall:
        along, across = across, along
    length = max(float(np.hypot(*along)), 1)
    # A bent polygon is thinner than the rectangle around it.
    height = min(float(np.hypot(*across)), cv2.contourArea(outline) / length)
    x, y = corners.mean(axis=0)
    return _Line(float(x), float(y), length, max(height, 1), float(np.degrees(np.arctan2(along[1], along[0]))), tall)


def _write(panel: Image.Image, text: str, line: _Line) -> None:
    upright = line.tall and all(unicodedata.east_asian_width(character) in "WF" for character in text)
    if upright:  # Characters of East Asia stand one below the other.
        mask, slope = _mask("\n".join(text), line.height, line.length), line.slope - 90
    else:
        mask, slope = _mask(text, line.length, line.height), line.slope
    if abs(slope) > 1:
        mask = mask.rotate(-slope, Image.Resampling.BICUBIC, expand=True)
    panel.paste(_INK, (round(line.x - mask.width / 2), round(line.y - mask.height / 2)), mask)


def _mask(text: str, width: float, height: float) -> Image.Image:
    """Return the shape of a text in the largest font size with which its ink fits into `width` x `height`."""
    font_file = fonts.font_for(text)
    ink_width, ink_height = _drawn(text, fonts.load(font_file, _TRIAL_SIZE)).size
    scale = min(_FILL * width / ink_width, _FILL * height / ink_height, height / _TRIAL_SIZE if "\n" not in text else np.inf)
    return _drawn(text, fonts.load(font_file, max(_MIN_FONT_SIZE, int(scale * _TRIAL_SIZE))))


def _drawn(text: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    spacing = -font.size // 10  # Between lines; the font's own is for running text.
    left, top, right, bottom = ImageDraw.Draw(Image.new("L", (1, 1))).textbbox(
        (0, 0), text, font, spacing=spacing, align="center"
    )
    mask = Image.new("L", (max(1, ceil(right - left)), max(1, ceil(bottom - top))))
    ImageDraw.Draw(mask).text((-left, -top), text, 255, font, spacing=spacing, align="center")
    return mask
