"""What looks wrong with a sample, though it can be used: pairs of a kind of oddity, and a sentence with file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias

from ocrdeploy.errors import BadInput
from ocrdeploy.vocabulary import Region, Sample

Oddity: TypeAlias = tuple[str, str]
"""The kind, in a word or two, and a sentence with file and line."""

SLACK = 1.0
"""How far, in pixels, a polygon may reach beyond the picture unmentioned: some count the last pixel's far edge, some do not."""

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")

_SHOWN = 40
_LINES = re.compile(r"(.+):(\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*)")
_ORIENTATION_TAG = 0x0112
_LYING = range(5, 9)  # EXIF orientations that exchange width and height.


def place(sample: Sample, index: int) -> str:
    """Return file and line of a region: `index` counts the regions, then the ignored ones.

    Where `Sample.where` ends in as many line numbers as there are regions (FILE:1-3,5), its own; else all that is known.
    """
    match = _LINES.fullmatch(sample.where)
    if match:
        lines = _numbers(match[2], len(sample.regions) + len(sample.ignored))
        if lines:
            return f"{match[1]}:{lines[index]}"
    return sample.where or str(sample.image)


def is_there(sample: Sample) -> bool:
    """Tell whether the picture is there, in memory or as a file; what cannot be a file's name is none."""
    try:
        return bool(sample.data) or sample.image.is_file()
    except OSError:
        return False


def label(sample: Sample) -> str:
    """Return where the picture is labelled: the file, and the line where it is one."""
    match = _LINES.fullmatch(sample.where)
    return match[1] if match and not match[2].isdigit() else sample.where or str(sample.image)


def _numbers(spans: str, wanted: int) -> list[int]:
    """Return the numbers in "1-3,5" where there are `wanted` of them, else none."""
    pairs = [(int(first), int(last or first)) for first, _, last in (span.partition("-") for span in spans.split(","))]
    if sum(last - first + 1 for first, last in pairs) != wanted:
        return []
    return [number for first, last in pairs for number in range(first, last + 1)]


def of_labels(sample: Sample, *, texts: bool) -> Iterator[Oddity]:
    """Yield what is odd about regions and texts. `texts`: whether regions of this dataset have texts, so that one should."""
    regions = (*sample.regions, *sample.ignored)
    if sample.labelled and not regions:
        yield "no regions", f"{label(sample)}: no region is labelled, so the picture counts as one without text"
    seen: set[Region] = set()
    for index, region in enumerate(regions):
        where = place(sample, index)
        if region.polygon:
            yield from _of_polygon(region, where)
            if region in seen:
                yield "duplicate", f"{where}: {named(region)} is there twice"
            seen.add(region)
        if texts and index < len(sample.regions):
            yield from _of_text(region, where)


def named(region: Region) -> str:
    """Return what to call a region: its text, shortened, and its first corner."""
    text = region.text if len(region.text) <= _SHOWN else region.text[:_SHOWN] + "..."
    at = f" at {region.polygon[0][0]:g},{region.polygon[0][1]:g}" if region.polygon else ""
    return f"the region {text!r}{at}" if text else f"the region{at}"


def _of_polygon(region: Region, where: str) -> Iterator[Oddity]:
    import shapely

    points = shapely.MultiPoint(region.polygon)
    if points.convex_hull.area == 0:
        yield "no area", f"{where}: {named(region)} has no area"
    elif not (shape := shapely.Polygon(region.polygon)).is_valid:
        reason, _, at = shapely.is_valid_reason(shape).partition("[")
        touches = "touches" if reason.startswith("Ring") else "crosses"
        x, _, y = at.rstrip("]").partition(" ")
        yield "crossed polygon", f"{where}: the outline of {named(region)} {touches} itself near {float(x):.0f},{float(y):.0f}"


def _of_text(region: Region, where: str) -> Iterator[Oddity]:
    text = region.text
    if not text.strip():
        yield "empty text", f"{where}: {named(region)} has no text"
    elif text != text.strip():
        yield "space around text", f"{where}: the text {text!r} begins or ends with a space"
    if odd := sorted({character for character in text if not character.isprintable()}):
        listed = ", ".join(f"U+{ord(character):04X}" for character in odd)
        yield "unprintable text", f"{where}: the text {text!r} holds {listed}"


def of_picture(sample: Sample, name: str) -> Iterator[Oddity]:
    """Yield what is odd about the picture, called `name`, which is opened, not decoded, and about where regions lie in it."""
    where = label(sample)
    if not is_there(sample):
        yield "missing picture", f"{where}: the picture {name} does not exist"
        return
    try:
        sizes = picture_sizes(sample)
    except BadInput as error:
        yield "unreadable picture", f"{where}: {error.problem}"
        return
    for index, region in enumerate((*sample.regions, *sample.ignored)):
        beyond = min(_beyond(region, size) for size in sizes)
        if beyond > SLACK:
            height, width = sizes[0]
            how = f"reaches {beyond:.4g} pixels out of the picture, which is {width} x {height}"
            yield "outside", f"{place(sample, index)}: {named(region)} {how}"


def picture_sizes(sample: Sample) -> list[tuple[int, int]]:
    """Return the picture's (height, width), from its header; where EXIF turns it on its side, then also those exchanged.

    Raises `BadInput` where it is no picture.
    """
    import io

    from PIL import Image

    from ocrdeploy.headers import pillow
    from ocrdeploy.images import DEFAULT_MAX_PIXELS

    source = io.BytesIO(sample.data) if sample.data else sample.image
    with pillow(str(sample.image), DEFAULT_MAX_PIXELS), Image.open(source, formats=FORMATS) as image:
        lying = image.getexif().get(_ORIENTATION_TAG) in _LYING
        return [(image.height, image.width), *([(image.width, image.height)] if lying else [])]


def _beyond(region: Region, size: tuple[int, int]) -> float:
    """Return how many pixels a polygon reaches out of a picture at most; at most 0 where it does not."""
    height, width = size
    return max((max(-x, -y, x - width, y - height) for x, y in region.polygon), default=0.0)
