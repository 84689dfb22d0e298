"""Where the files of a dataset lie: label files in folders, and the pictures that labels name."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ocrdeploy.errors import BadInput

PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

_DIGITS = re.compile(r"(\d+)", re.ASCII)
_IMAGE_FOLDER = re.compile(r"im(age|g)s?($|[^a-z])|(^|[^a-z])im(age|g)s?$", re.IGNORECASE)
_SPLIT = re.compile(r"train|test|val", re.IGNORECASE)
_DEPTH = 4


def natural(path: Path) -> tuple[list[list[str | int]], str]:
    """Return a key that sorts paths folder by folder and 2 before 10, as `sources.find` does."""
    parts = [_DIGITS.split(name) for name in path.with_suffix("").parts]
    return [[int(each) if index % 2 else each.casefold() for index, each in enumerate(part)] for part in parts], str(path)


def files(folder: Path, suffixes: Iterable[str], depth: int = _DEPTH) -> Iterator[Path]:
    """Yield the files below `folder` that have one of the suffixes, the higher folders first, without hidden ones.

    Each folder's come in natural order. What cannot be listed is left out.
    """
    wanted = tuple(suffixes)
    waiting = [(folder, depth)]
    while waiting:
        current, left = waiting.pop(0)
        inside = _visible(current)
        # Sorted after they were chosen: beside a few label files there may be a million pictures.
        found = [current / each.name for each in inside if each.name.lower().endswith(wanted) and _is(each.is_file)]
        yield from sorted(found, key=natural)
        if left > 1:
            waiting += [(below, left - 1) for below in _folders(current, inside)]


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as inside:
            return [each for each in inside if not each.name.startswith((".", "__MACOSX"))]
    except (OSError, ValueError):
        return []


def _is(asked: Callable[[], bool]) -> bool:
    """Ask an entry what it is; one that nobody may look at is nothing."""
    try:
        return asked()
    except OSError:
        return False


def _folders(folder: Path, inside: Iterable[os.DirEntry[str]]) -> list[Path]:
    return sorted((folder / each.name for each in inside if _is(each.is_dir)), key=natural)


def single_file(path: Path, suffixes: Iterable[str], is_one: Callable[[Path], bool]) -> list[Path]:
    """Return the label files that a path to one of them, or to the folder that holds them, means: `is_one` tells them.

    In a folder, the files right in it come before those in the folders below it, of which one level is searched.
    """
    if not path.is_dir():
        return [path]
    wanted = tuple(suffixes)
    right_here = [each for each in files(path, wanted, depth=1) if is_one(each)]
    return right_here or [each for each in files(path, wanted, depth=2) if is_one(each)]


def the_file(path: Path, suffixes: Iterable[str], is_one: Callable[[Path], bool], kind: str) -> Path:
    """Return the label file that `path` means. Raises `BadInput` where a folder holds none, or several."""
    found = single_file(path, suffixes, is_one)
    if len(found) == 1:
        return found[0]
    if not found:
        raise BadInput(f"the folder {path} holds no label file of kind {kind!r}", "name the file itself, or another kind")
    names = ", ".join(str(each.relative_to(path)) for each in found[:5])
    raise BadInput(f"the folder {path} holds several label files of kind {kind!r}: {names}", f"name one: {kind}:{found[0]}")


class Roots:
    """The folders in which the pictures of the labels in one folder may be; looked up once.

    They are tried in tiers, the likeliest first: the folder itself, folders of pictures in it, beside it, and so on.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tiers = _tiers(folder)
        self._stems: dict[Path, dict[str, list[Path]]] = {}

    def named(self, name: str, where: str) -> Path:
        """Return the picture that a label calls `name`; where it is nowhere, the path beside the labels.

        Raises `BadInput`, which says `where`, for a name that is none, and where several folders have the picture.
        """
        if not name.strip() or "\0" in name:
            raise BadInput(f"{where}: the picture has no name", "correct the line, or take it out")
        plain = name.strip() if os.path.lexists(self._folder / name.strip()) else name.strip().replace("\\", "/")
        for tier in self._tiers:
            found = [folder / plain for folder in tier if os.path.lexists(folder / plain)]
            if found:
                return the_only(found, where)
        return self._folder / plain

    def with_stem(self, stem: str, where: str) -> Path | None:
        """Return the picture whose name is `stem` and a suffix of a picture, None where there is none.

        Raises `BadInput`, which says `where`, where there are several, and one is as likely as the other.
        """
        for tier in self._tiers:
            found = [path for folder in tier for path in self._in(folder).get(stem, [])]
            if found:
                return the_only(found, where)
        return None

    def _in(self, folder: Path) -> dict[str, list[Path]]:
        if folder not in self._stems:
            stems: dict[str, list[Path]] = {}
            for each in (folder / entry.name for entry in _visible(folder)):
                if each.suffix.lower() in PICTURES:
                    stems.setdefault(each.stem, []).append(each)
            self._stems[folder] = stems
        return self._stems[folder]


def the_only(found: list[Path], where: str) -> Path:
    """Return the only member. Raises `BadInput`, which says `where`, rather than guess which of several pictures is meant."""
    if len(found) > 1:
        either = " or ".join(map(str, found[:3]))
        raise BadInput(f"{where}: it is not clear which picture is labelled: {either}", "put the labels beside their pictures")
    return found[0]


def _tiers(folder: Path) -> list[list[Path]]:
    above = _above(folder)
    higher = _above(above)
    split = _splits(folder)
    # "ch4_test_images" stands beside "ch4_test_gt"; "imgs/test" beside "annotations/test", one level higher.
    beside = [each for each in _image_folders(above) if not _splits(each) or _splits(each) == split]
    deeper = [each / folder.name for each in (*beside, *_image_folders(higher))]
    return [[folder], _image_folders(folder), deeper, beside, [above], [higher]]


def _above(folder: Path) -> Path:
    """Return the folder that holds `folder`, also where that is "." or ends in ".."."""
    return folder.parent if folder.name not in {"", ".."} else folder.resolve().parent


def _splits(folder: Path) -> set[str]:
    return set(map(str.lower, _SPLIT.findall(folder.name)))


def _image_folders(folder: Path) -> list[Path]:
    return [each for each in _folders(folder, _visible(folder)) if _IMAGE_FOLDER.search(each.name)]
