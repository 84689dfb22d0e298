"""Fonts for any script, from the packages that are installed: this project carries none."""

from __future__ import annotations

import logging
import os
import unicodedata
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from PIL import ImageFont

from ocrdeploy.errors import BadInput

log = logging.getLogger(__name__)

VARIABLE = "OCRDEPLOY_FONTS"
"""Names font files, divided like PATH, that are tried before those of packages."""

_CJK = "noto-cjk-sans-otc"
_CJK_SIMPLIFIED_CHINESE = 2
_FONTPKG_GROUP = "fontpkg.family"
_FONT_SUFFIXES = {".otf", ".ttc", ".ttf"}
_PROBE_SIZE = 16
_NO_CHARACTER = "\U0010ffff"


class FontFile(NamedTuple):
    """A face (a number) in a font file; an empty path stands for Pillow's own font, which is Latin."""

    path: str
    face: int = 0


def font_for(text: str) -> FontFile:
    """Return the first installed font that has every character of `text`, else the one that lacks fewest, and log that once."""
    wanted = {character for character in text if character.isprintable() and not character.isspace()}
    lacking = {font: {character for character in wanted if not _has(font, character)} for font in installed()}
    best = min(lacking, key=lambda font: len(lacking[font]))
    for script in sorted({_script(character) for character in lacking[best]}):
        _warn(script)
    return best


def load(font: FontFile, size: int) -> ImageFont.FreeTypeFont:
    """Open a font at a size in pixels. It is not kept: opening takes half a millisecond, but a CJK font 2 MB."""
    if font.path:
        try:
            return ImageFont.truetype(font.path, size, index=font.face)
        except OSError as error:
            raise BadInput(f"the font {font.path!r} cannot be opened: {error}", f"correct or unset {VARIABLE}") from error
    built_in = ImageFont.load_default(size)
    assert isinstance(built_in, ImageFont.FreeTypeFont), "Pillow is built without FreeType"
    return built_in


@cache
def installed() -> tuple[FontFile, ...]:
    """List the fonts at hand, the preferred first: those that OCRDEPLOY_FONTS names, those of packages, Pillow's own."""
    named = [FontFile(path) for path in os.environ.get(VARIABLE, "").split(os.pathsep) if path]
    return (*named, *_packaged(), FontFile(""))


def _packaged() -> Iterator[FontFile]:
    """Find font files through the metadata of packages, none of which is imported."""
    distributions = [entry.dist for entry in metadata.entry_points(group=_FONTPKG_GROUP) if entry.dist]
    try:
        yield from (FontFile(path, _CJK_SIMPLIFIED_CHINESE) for path in _files(metadata.distribution(_CJK)))
    except metadata.PackageNotFoundError:
        log.debug("%s is not installed", _CJK)
    for distribution in distributions:
        yield from (FontFile(path) for path in _files(distribution))


def _files(distribution: metadata.Distribution) -> list[str]:
    files = (Path(str(file.locate())) for file in distribution.files or ())
    return sorted(str(file) for file in files if file.suffix in _FONT_SUFFIXES and file.is_file())


@cache
def _has(font: FontFile, character: str) -> bool:
    """Tell whether a character looks other than one that no font has."""
    probe, unknown = _probe(font)
    return bytes(probe.getmask(character)) != unknown


@cache
def _probe(font: FontFile) -> tuple[ImageFont.FreeTypeFont, bytes]:
    probe = load(font, _PROBE_SIZE)
    return probe, bytes(probe.getmask(_NO_CHARACTER))


def _script(character: str) -> str:
    """Return the first word of a character's name, which is its script for the letters of all scripts."""
    return unicodedata.name(character, "unnamed").split()[0].capitalize().replace("Cjk", "CJK")


@cache
def _warn(script: str) -> None:
    """Log, once for each script, that it cannot be drawn."""
    log.warning(
        "no installed font has %s characters, so they are drawn as boxes: pip install 'ocrdeploy[fonts]', "
        "or name a font file in %s",
        script,
        VARIABLE,
    )
