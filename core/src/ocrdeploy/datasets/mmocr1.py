"""MMOCR 1.x: one JSON file with `metainfo` and `data_list`, for detection, recognition or both."""

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

KIND = "mmocr1"

_SUFFIXES = (".json",)
_BEGINNING = re.compile(r'\s*\{\s*"(metainfo|data_list)"')
_BOX = 4


def _is_one(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and bool(_BEGINNING.match(text_files.head(path)))


@hookimpl
def ocrd_dataset() -> DatasetInfo:
    """Announce the kind."""
    return DatasetInfo(KIND, lambda path: any(_is_one(each) for each in places.single_file(path, _SUFFIXES, _is_one)))


@hookimpl
def ocrd_samples(path: Path) -> Iterator[Sample]:
    """Yield a sample for each member of `data_list`, in the file's order. Raises `BadInput` with the entry and the instance."""
    labels = places.the_file(path, _SUFFIXES, _is_one, KIND)
    entries = records.field(text_files.read_json(labels), "data_list", list, str(labels))
    if not entries:
        raise text_files.empty_file(labels)
    pictures = places.Roots(labels.parent)
    for number, entry in enumerate(entries):
        name = records.field(entry, "img_path", str, f"{labels}: data_list[{number}]")
        where = f"{labels}: data_list[{number}] ({name})"
        counted: list[Region] = []
        ignored: list[Region] = []
        for index, instance in enumerate(records.field(entry, "instances", list, where)):
            region = _region(instance, f"{where}: instances[{index}]")
            (ignored if _is_ignored(instance, where) else counted).append(region)
        yield Sample(pictures.named(name, where), tuple(counted), tuple(ignored), where)


def _is_ignored(instance: Any, where: str) -> bool:
    if isinstance(instance.get("ignore"), int):  # 0 and 1 are written, too
        return bool(instance["ignore"])
    return "ignore" in instance and records.field(instance, "ignore", bool, where)


def _region(instance: Any, where: str) -> Region:
    """Return a region with the polygon, else the box (left, top, right, bottom), and the text, as far as they are there."""
    members = records.of_kind(instance, dict, where)
    text = records.field(members, "text", str, where) if "text" in members else ""
    if "polygon" in members:
        return Region(shapes.polygon(shapes.numbers(records.field(members, "polygon", list, where), where), where), text)
    if "bbox" in members:
        box = shapes.numbers(records.field(members, "bbox", list, where), where)
        if len(box) != _BOX:
            raise BadInput(f"{where}: 'bbox' has {len(box)} numbers, not left, top, right and bottom", "correct the entry")
        return Region(shapes.corners(box[0], box[1], box[2], box[3]), text)
    if "text" not in members:
        raise BadInput(f"{where}: there is no 'polygon', 'bbox' or 'text'", "correct the entry")
    return Region(text=text)
