"""Photographs with upright boxes around their words, in one JSON file.

[{"file": "photo.jpg", "words": [{"bbox": [left, top, width, height], "text": "EXIT"}]}]
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ocrdeploy.datasets import places, records, shapes, text_files
from ocrdeploy.errors import BadInput
from ocrdeploy.hookspecs import hookimpl
from ocrdeploy.vocabulary import DatasetInfo, Region, Sample

ocrd_contract = 1

KIND = "words-json"

_SUFFIXES = (".json",)
_BEGINNING = re.compile(r'\s*\[\s*\{\s*"(file"\s*:\s*"|words"\s*:\s*\[)')
_BOX = 4


def _is_one(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and bool(_BEGINNING.match(text_files.head(path)))


@hookimpl
def ocrd_dataset() -> DatasetInfo:
    """Announce the kind."""
    return DatasetInfo(KIND, lambda path: any(_is_one(each) for each in places.single_file(path, _SUFFIXES, _is_one)))


@hookimpl
def ocrd_samples(path: Path) -> Iterator[Sample]:
    """Yield a sample for each photograph, in the file's order. Raises `BadInput` with the entry and the word."""
    labels = places.the_file(path, _SUFFIXES, _is_one, KIND)
    pictures = places.Roots(labels.parent)
    for number, entry in enumerate(records.of_kind(text_files.read_json(labels), list, str(labels)), start=1):
        name = records.field(entry, "file", str, f"{labels}: entry {number}")
        where = f"{labels}: entry {number} ({name})"
        words = records.field(entry, "words", list, where)
        regions = tuple(_region(word, f"{where}, word {index}") for index, word in enumerate(words, start=1))
        yield Sample(pictures.named(name, where), regions, where=where)


def _region(word: Any, where: str) -> Region:
    box = shapes.numbers(records.field(word, "bbox", list, where), where)
    if len(box) != _BOX:
        raise BadInput(f"{where}: 'bbox' has {len(box)} numbers, not left, top, width and height", "correct the entry")
    left, top, width, height = box
    return Region(shapes.corners(left, top, left + width, top + height), records.field(word, "text", str, where))
