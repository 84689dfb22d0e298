"""CTW1500: `NAME.txt` with a bent line of text on each line, as 14 points or any number of them.

The forms: 28 coordinates and the text; coordinates, then "####" and the text; an upright box and 28 offsets from its top left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ocrdeploy.datasets import label_files, shapes, text_files
from ocrdeploy.datasets.label_files import Layout, Mark
from ocrdeploy.errors import BadInput
from ocrdeploy.hookspecs import hookimpl
from ocrdeploy.vocabulary import DatasetInfo, Region, Sample

ocrd_contract = 1

KIND = "ctw1500"
IGNORED = "###"
NO_TEXT = "CARE"
"""What stands for the text where only places are labelled: in a dataset in which nothing else does, it is no text."""

_COORDINATES = 28
_BOX = 4
_NUMBER = r"\s*-?\d+(\.\d*)?\s*"


def marks(path: Path) -> Iterator[Mark]:
    """Read a label file in any of the three forms, line by line."""
    for number, line in text_files.lines(path):
        where = f"{path}:{number}"
        coordinates, text = _parts(line, where)
        yield Mark(number, Region(shapes.polygon(coordinates, where), text), ignored=text.strip() == IGNORED)


def _parts(line: str, where: str) -> tuple[list[float], str]:
    before, hashes, after = line.partition(",####")
    if hashes:
        return shapes.numbers(before.split(","), where), after
    parts = line.split(",")
    if len(parts) == _BOX + _COORDINATES and re.fullmatch(rf"({_NUMBER},)*{_NUMBER}", line):
        return _from_offsets(shapes.numbers(parts, where), where), ""
    if len(parts) < _COORDINATES:
        raise BadInput(f"{where}: the line is not {_COORDINATES} coordinates and a text, divided by commas", "correct the line")
    return shapes.numbers(parts[:_COORDINATES], where), ",".join(parts[_COORDINATES:])


def _from_offsets(numbers: list[float], where: str) -> list[float]:
    """Return the points of a box (its top left, then its bottom right or its size) and offsets, which must span just that box."""
    left, top, third, fourth, *offsets = numbers
    spans = (max(offsets[::2]), max(offsets[1::2]))
    if min(offsets) < 0 or spans not in {(third - left, fourth - top), (third, fourth)}:
        raise BadInput(f"{where}: 32 numbers that are not a box and offsets inside it", "correct the line")
    return [offset + (left, top)[index % 2] for index, offset in enumerate(offsets)]


_LAYOUT = Layout(
    KIND,
    name=re.compile(r"(\d+)", re.ASCII),
    loose=re.compile(r"(?!gt_|poly_gt_|res_)(.+)"),
    first=re.compile(rf"({_NUMBER},){{27}}{_NUMBER}(,.*)?$|({_NUMBER},)+####"),
    marks=marks,
)


@hookimpl
def ocrd_dataset() -> DatasetInfo:
    """Announce the kind."""
    return DatasetInfo(KIND, lambda path: label_files.sniff(path, _LAYOUT))


@hookimpl
def ocrd_samples(path: Path) -> Iterator[Sample]:
    """Yield a sample for each label file, in natural order. Raises `BadInput` with file and line."""
    read = list(label_files.samples(path, _LAYOUT))
    texts = {region.text.strip() for sample in read for region in sample.regions}
    if texts <= {NO_TEXT}:
        read = [replace(each, regions=tuple(replace(region, text="") for region in each.regions)) for each in read]
    yield from read
