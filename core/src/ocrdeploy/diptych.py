"""One picture with the answers of two models to it, side by side, for people to look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from ocrdeploy import drawing, fonts
from ocrdeploy.pipeline import Pipeline
from ocrdeploy.plugins import Plugins
from ocrdeploy.vocabulary import Artifact, InferOptions, Pixels, Region

_PAPER, _INK, _EDGE = (255, 255, 255), (24, 24, 27), (190, 190, 190)
_TITLE_SIZE, _MARGIN, _GAP = 16, 8, 12


@dataclass(frozen=True, slots=True)
class Panel:
    """A title, and a picture with what was found in it."""

    title: str
    image: Image.Image
    regions: tuple[Region, ...]


def answer(plugins: Plugins, source: Artifact, backend: str, picture: Pixels, options: InferOptions) -> Panel:
    """Return what the model `source` on this backend says of `picture`, RGB or gray, decoded as the model's spec says."""
    with Pipeline(plugins, source, backend, options) as pipeline:
        regions = pipeline.predict([picture])[0].regions
        loaded = pipeline.loaded()
        title = f"{source.path.name} on {pipeline.backend} {loaded.version}"
    colour = picture if picture.ndim > 2 else np.dstack([picture] * 3)  # noqa: PLR2004 - gray has two axes
    return Panel(f"{title}: {_said(regions)}", drawing.annotate(colour, regions), regions)


def _said(regions: tuple[Region, ...]) -> str:
    """Return what was found, as far as it fits into a title."""
    if len(regions) == 1 and not regions[0].polygon:
        return repr(regions[0].text or regions[0].label)
    return f"{len(regions)} regions"


def draw(left: Panel, right: Panel) -> Image.Image:
    """Return the two panels side by side, each under its title."""
    strips = [_titled(panel) for panel in (left, right)]
    height = max(strip.height for strip in strips)
    canvas = Image.new("RGB", (sum(strip.width for strip in strips) + _GAP, height), _EDGE)
    canvas.paste(strips[0], (0, 0))
    canvas.paste(strips[1], (strips[0].width + _GAP, 0))
    return canvas


def _titled(panel: Panel) -> Image.Image:
    font = fonts.load(fonts.font_for(panel.title), _TITLE_SIZE)
    bar = sum(font.getmetrics()) + 2 * _MARGIN
    width = max(panel.image.width, round(font.getlength(panel.title)) + 2 * _MARGIN)
    strip = Image.new("RGB", (width, panel.image.height + bar), _PAPER)
    ImageDraw.Draw(strip).text((_MARGIN, _MARGIN), panel.title, _INK, font)
    strip.paste(panel.image, (0, bar))
    return strip
