"""A list for recognizers: on each line a picture, a tab and its text. PaddleOCR's recognition labels are such lists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ocrdeploy.datasets import places, text_files
from ocrdeploy.errors import BadInput
from ocrdeploy.hookspecs import hookimpl
from ocrdeploy.vocabulary import DatasetInfo, Region, Sample

ocrd_contract = 1

KIND = "list"
IIIT5K = "test_labels.tsv"
"""The list of a kind of its own, which this kind therefore leaves alone."""

_SUFFIXES = (".lst", ".tsv", ".txt")
_LINE = re.compile(r"[^\t]+\.\w{3,4}\t(?!\s*\[\s*[{\]])", re.ASCII)
"""A picture and a tab, and no list in JSON after it, as PaddleOCR's labels for detection have."""


def sniff(path: Path) -> bool:
    """Whether `path` is a list, or a folder with one."""
    return any(_is_list(each) for each in places.single_file(path, _SUFFIXES, _is_list))


def _is_list(path: Path) -> bool:
    return path.name != IIIT5K and path.suffix.lower() in _SUFFIXES and bool(_LINE.match(text_files.first_line(path)))


@hookimpl
def ocrd_dataset() -> DatasetInfo:
    """Announce the kind."""
    return DatasetInfo(KIND, sniff)


@hookimpl
def ocrd_samples(path: Path) -> Iterator[Sample]:
    """Yield one sample for each line, in the file's order."""
    yield from samples(places.the_file(path, _SUFFIXES, _is_list, KIND))


def samples(labels: Path) -> Iterator[Sample]:
    """Yield one sample for each line `picture<TAB>text`. Raises `BadInput` for a line that has not one tab."""
    pictures = places.Roots(labels.parent)
    for number, line in text_files.some_lines(labels):
        where = f"{labels}:{number}"
        name, *texts = line.split("\t")
        if len(texts) != 1:
            raise BadInput(f"{where}: the line has {len(texts)} tabs, not one between picture and text", "correct the line")
        yield Sample(pictures.named(name, where), (Region(text=texts[0]),), where=where)
