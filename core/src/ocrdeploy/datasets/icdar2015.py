"""ICDAR 2015's incidental scene text: `gt_img_N.txt` with the four corners of a word, and the word, on each line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ocrdeploy.datasets import label_files, shapes, text_files
from ocrdeploy.datasets.label_files import Layout, Mark
from ocrdeploy.errors import BadInput
from ocrdeploy.hookspecs import hookimpl
from ocrdeploy.vocabulary import DatasetInfo, Region, Sample

ocrd_contract = 1

KIND = "icdar2015"
IGNORED = "###"
_COORDINATES = 8


def marks(path: Path) -> Iterator[Mark]:
    """Read x1,y1,x2,y2,x3,y3,x4,y4,text. The text may hold commas, and is left out where words are not read."""
    for number, line in text_files.lines(path):
        where = f"{path}:{number}"
        parts = line.split(",", _COORDINATES)
        if len(parts) < _COORDINATES:
            raise BadInput(f"{where}: the line is not eight coordinates and a text, divided by commas", "correct the line")
        polygon = shapes.polygon(shapes.numbers(parts[:_COORDINATES], where), where)
        text = parts[_COORDINATES] if len(parts) > _COORDINATES else ""
        yield Mark(number, Region(polygon, text), ignored=text.strip() == IGNORED)


_LAYOUT = Layout(
    KIND,
    name=re.compile(r"gt_(.+)"),
    loose=re.compile(r"(?!gt_|poly_gt_|res_)(.+)"),
    first=re.compile(r"(\s*-?\d+(\.\d*)?\s*,){7}\s*-?\d+(\.\d*)?\s*(,(?!####)(?!(\s*-?\d+(\.\d*)?\s*,){7}).*)?$"),
    marks=marks,
)


@hookimpl
def ocrd_dataset() -> DatasetInfo:
    """Announce the kind."""
    return DatasetInfo(KIND, lambda path: label_files.sniff(path, _LAYOUT))


@hookimpl
def ocrd_samples(path: Path) -> Iterator[Sample]:
    """Yield a sample for each label file, in natural order. Raises `BadInput` with file and line."""
    yield from label_files.samples(path, _LAYOUT)
