"""Where the files of a dataset lie: label files in folders, and the pictures that labels name."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
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
        inside = sorted(_visible(current), key=natural)
        yield from (each for each in inside if each.suffix.lower() in wanted and each.is_file())
        if left > 1:
            waiting += [(each, left - 1) for each in inside if each.is_dir()]


def _visible(folder: Path) -> list[Path]:
    try:
        return [folder / name for name in os.listdir(folder) if not name.startswith((".", "__MACOSX"))]  # noqa: PTH208 - names
    except OSError:
        return []


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


def named_picture(labels: Path, name: str, where: str) -> Path:
    """Return the picture that the label file `labels` calls `name`: beside the file, or in one of the usual places.

    Where it is in none of them, the path beside the file. Raises `BadInput` for a name that is empty or leads elsewhere.
    """
    if not name.strip() or "\0" in name:
        raise BadInput(f"{where}: the picture has no name", "correct the line, or take it out")
    relative = Path(name.replace("\\", "/")) if not Path(labels.parent, name).exists() else Path(name)
    for root in _roots(labels.parent):
        if os.path.lexists(root / relative):
            return root / relative
    return labels.parent / relative


@cache
def _roots(folder: Path) -> tuple[Path, ...]:
    """Return where the pictures of labels in `folder` may be, the likeliest first."""
    split = set(map(str.lower, _SPLIT.findall(folder.name)))
    above = folder.parent if folder.name else folder.resolve().parent
    beside = [each for each in sorted(_visible(above), key=natural) if _IMAGE_FOLDER.search(each.name) and each.is_dir()]
    # "ch4_test_images" is beside "ch4_test_gt"; "imgs/test" is beside "annotations/test" and one level higher.
    fitting = [each for each in beside if not (other := set(map(str.lower, _SPLIT.findall(each.name)))) or other == split]
    inside = [each for each in sorted(_visible(folder), key=natural) if _IMAGE_FOLDER.search(each.name) and each.is_dir()]
    higher = [above.parent / name / folder.name for name in ("imgs", "images")]
    return (folder, *inside, above, *fitting, *(each / folder.name for each in fitting), *higher)
