"""Datasets with a label file for each picture: which file labels which picture, and what becomes of its lines."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ocrdeploy import zips
from ocrdeploy.datasets import places, text_files
from ocrdeploy.errors import BadInput
from ocrdeploy.vocabulary import Region, Sample

LOOKED_AT = 5
"""How many label files are opened to tell a dataset's kind."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One labelled region: the number of its line, and whether it is don't-care."""

    line: int
    region: Region
    ignored: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """How the label files of a kind are called and read.

    `name` matches the name of a label file without its suffix, in full; its first group is the name of the picture. Where a
    name fits only `loose`, the file is a label file if there is such a picture. `first` matches the first line.
    """

    kind: str
    name: re.Pattern[str]
    first: re.Pattern[str]
    marks: Callable[[Path], Iterable[Mark]]
    loose: re.Pattern[str] = re.compile(r"(?!)()")
    suffix: str = ".txt"

    def picture(self, stem: str) -> str:
        """Return the name of the picture, without suffix, that a file of this name labels for sure; '' where none."""
        match = self.name.fullmatch(stem)
        return match[1] if match else ""

    def perhaps(self, stem: str) -> str:
        """Return the name of the picture, without suffix, that a file of this name may label; '' where none."""
        match = self.loose.fullmatch(stem)
        return match[1] if match else ""


@dataclass(frozen=True, slots=True)
class _Labels:
    """A label file, what to call it, and the folder that it counts as lying in.

    One in a zip is called as if the zip were a folder, and counts as lying in a folder of the zip's name.
    """

    path: Path
    called: Path
    place: Path


def sniff(path: Path, layout: Layout) -> bool:
    """Whether `path` is a label file of this kind, or a folder or a folder's zip with some. Never raises."""
    named = [path] if path.is_file() else [each for each in places.files(path, [layout.suffix]) if _may_be(each.stem, layout)]
    if any(layout.first.match(text_files.first_line(each)) for each in named[:LOOKED_AT]):
        return True
    return not named and any(_sniff_zip(each, layout) for each in places.files(path, [".zip"], depth=2))


def _may_be(stem: str, layout: Layout) -> bool:
    return bool(layout.picture(stem) or layout.perhaps(stem))


def _sniff_zip(path: Path, layout: Layout) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            inside = [each for each in archive.namelist() if PurePosixPath(each).suffix.lower() == layout.suffix]
            named = [each for each in inside if layout.picture(PurePosixPath(each).stem)]
            return any(layout.first.match(_first_line(archive, each)) for each in named[:LOOKED_AT])
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, ValueError):
        return False


def _first_line(archive: zipfile.ZipFile, name: str) -> str:
    with archive.open(name) as file:
        return file.read(text_files.HEAD_BYTES).decode("utf-8-sig", "replace").partition("\n")[0].rstrip("\r")


def samples(path: Path, layout: Layout) -> Iterator[Sample]:
    """Yield a sample for each label file, in natural order of the pictures' folders and names.

    Raises `BadInput` where there are none, where all of them are empty, and what the reading of a line raises.
    """
    roots: dict[Path, places.Roots] = {}
    anywhere = _Anywhere(path if path.is_dir() else path.parent)
    found = 0
    marked = False
    for labels in _label_files(path, layout):
        if labels.place not in roots:
            roots[labels.place] = places.Roots(labels.place)
        beside = roots[labels.place]
        image = _image(labels, layout, beside, anywhere, named=path.is_file())
        if image is None:
            continue
        found += 1
        with zips.called(labels.path, labels.called):
            marks = list(layout.marks(labels.path))
        marked = marked or bool(marks)
        yield _sample(image, labels.called, marks)
    if not found:
        raise BadInput(f"{path} holds no label files of kind {layout.kind!r}", "name another path, or another kind")
    if not marked:
        raise BadInput(f"the label files in {path} are empty, all {found} of them", "name another path, or make them again")


def _label_files(path: Path, layout: Layout) -> list[_Labels]:
    if path.is_file():
        return [_Labels(path, path, path.parent)]
    found = [_Labels(each, each, each.parent) for each in places.files(path, [layout.suffix]) if _may_be(each.stem, layout)]
    if any(layout.picture(each.path.stem) for each in found):
        return found
    return [*found, *_in_zips(path, layout)]


def _in_zips(path: Path, layout: Layout) -> Iterator[_Labels]:
    for packed in places.files(path, [".zip"], depth=2):
        if _sniff_zip(packed, layout):
            folder = zips.folder_of(packed)
            for each in places.files(folder, [layout.suffix]):
                if layout.picture(each.stem):
                    yield _Labels(each, packed / each.relative_to(folder), packed.with_suffix(""))


class _Anywhere:
    """The pictures below a folder by their names without suffix, looked for when the first is wanted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._found: dict[str, list[Path]] | None = None

    def with_stem(self, stem: str, where: str) -> Path | None:
        """Return the picture of this name, None where there is none. Raises `BadInput` where there are several."""
        if self._found is None:
            self._found = {}
            for each in places.files(self._folder, places.PICTURES):
                self._found.setdefault(each.stem, []).append(each)
        same = self._found.get(stem, [])
        return places.the_only(same, where) if same else None


def _image(labels: _Labels, layout: Layout, beside: places.Roots, anywhere: _Anywhere, *, named: bool) -> Path | None:
    """Return the picture that a file labels, which may be missing; None where the file may well be no label file."""
    sure = layout.picture(labels.path.stem)
    stem = sure or layout.perhaps(labels.path.stem) or labels.path.stem
    where = str(labels.called)
    image = beside.with_stem(stem, where) or anywhere.with_stem(stem, where)
    return image or (labels.place / f"{stem}.jpg" if sure or named else None)


def _sample(image: Path, labels: Path, marks: list[Mark]) -> Sample:
    counted = [mark for mark in marks if not mark.ignored]
    ignored = [mark for mark in marks if mark.ignored]
    lines = spans([mark.line for mark in (*counted, *ignored)])
    regions, rest = (tuple(mark.region for mark in some) for some in (counted, ignored))
    return Sample(image, regions, rest, where=f"{labels}:{lines}" if lines else str(labels))


def spans(lines: list[int]) -> str:
    """Return the numbers of lines, in this order, as "1-3,5,4"."""
    runs: list[list[int]] = []
    for line in lines:
        if runs and line == runs[-1][-1] + 1:
            runs[-1].append(line)
        else:
            runs.append([line])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
