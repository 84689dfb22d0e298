"""Pictures with text in them, drawn with the font that Pillow carries: the same ones for the same seed, everywhere."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ocrdeploy.vocabulary import Pixels

WORDS = (
    "EXIT", "Station", "42", "Museum", "open", "daily", "8-18", "RIVER", "Street", "Old", "Harbour", "Cafe",
    "Luna", "No", "entry", "Platform", "7", "Tickets", "350", "m", "Fresh", "bread", "Hotel", "Garden",
)  # fmt: skip
SLANTS = (0.0, 0.0, 6.0, -9.0, 0.0, 14.0)
"""Degrees by which lines of a page are turned, anticlockwise."""

PAPER, INK = (190, 250), (10, 90)
"""How light a background and how dark a text may be, of 255."""

NOISE = 4.0
"""Standard deviation of the grain, so that no two places of a picture are quite the same."""

_MARGIN = 0.12
_SMALLEST = 8


def line(size: tuple[int, int], seed: int) -> Pixels:
    """Return a picture of `size` (h, w) that is filled by one line of text."""
    chance = np.random.default_rng(seed)
    picture = _background(size, chance)
    height, width = size
    text = _text(chance, width / height)
    margin = round(_MARGIN * height)
    room = max(width - 2 * margin, 1), max(height - 2 * margin, 1)
    ink = _written(text, room[1], _colour(chance, INK))
    # A line that is too long is set smaller, as it would be on a sign.
    factor = min(1.0, room[0] / ink.width)
    ink = ink.resize((max(1, round(ink.width * factor)), max(1, round(ink.height * factor))))
    picture.paste(ink, (margin, (height - ink.height) // 2), ink)
    return _grained(picture, chance)


def page(size: tuple[int, int], seed: int) -> Pixels:
    """Return a picture of `size` (h, w) with lines of text of several sizes, some of them slanted."""
    chance = np.random.default_rng(seed)
    picture = _background(size, chance)
    height, width = size
    top, number = height // 20, int(chance.integers(len(SLANTS)))
    while top < height * 0.85:
        tall = max(_SMALLEST, round(height * chance.uniform(0.06, 0.11)))
        ink = _written(_text(chance, chance.uniform(0.3, 0.8) * width / tall), tall, _colour(chance, INK))
        ink = ink.rotate(SLANTS[number % len(SLANTS)], resample=Image.Resampling.BICUBIC, expand=True)
        if ink.width < width and top + ink.height < height:
            picture.paste(ink, (int(chance.integers(width - ink.width)), top), ink)
        top += ink.height + tall // 2
        number += 1
    return _grained(picture, chance)


def _text(chance: np.random.Generator, ratio: float) -> str:
    """Return words that are about `ratio` times as wide as high together, one at least."""
    words = [str(chance.choice(WORDS))]
    while len(" ".join(words)) * 0.55 < ratio - 2:
        words.append(str(chance.choice(WORDS)))
    return " ".join(words)


def _written(text: str, height: int, colour: tuple[int, int, int]) -> Image.Image:
    """Return `text` as a transparent picture of this height, cut close."""
    font = ImageFont.load_default(height)
    left, top, right, bottom = (round(edge) for edge in font.getbbox(text))
    ink = Image.new("RGBA", (right - left + 4, bottom - top + 4), (*colour, 0))
    ImageDraw.Draw(ink).text((2 - left, 2 - top), text, fill=(*colour, 255), font=font)
    return ink


def _background(size: tuple[int, int], chance: np.random.Generator) -> Image.Image:
    """Return a picture that goes over from one light colour to another, from left to right."""
    ends = np.array([_colour(chance, PAPER), _colour(chance, PAPER)], np.float64)
    share = np.linspace(0, 1, size[1])[None, :, None]
    row = ends[0] * (1 - share) + ends[1] * share
    return Image.fromarray(np.broadcast_to(row, (*size, 3)).astype(np.uint8))


def _colour(chance: np.random.Generator, bounds: tuple[int, int]) -> tuple[int, int, int]:
    red, green, blue = chance.integers(*bounds, size=3).tolist()
    return red, green, blue


def _grained(picture: Image.Image, chance: np.random.Generator) -> Pixels:
    pixels = np.asarray(picture, np.float32)
    grain = chance.normal(0, NOISE, pixels.shape[:2])[..., None]
    return np.asarray(np.clip(pixels + grain, 0, 255), np.uint8)
