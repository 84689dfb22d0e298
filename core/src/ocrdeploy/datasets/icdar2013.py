"""ICDAR 2013's focused scene text: `gt_NAME.txt` with an upright box, and the word in quotation marks, on each line."""

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

KIND = "icdar2013"
IGNORED = "###"

_LINE = re.compile(r'\s*([^\s,"]+)[\s,]+([^\s,"]+)[\s,]+([^\s,"]+)[\s,]+([^\s,"]+)[\s,]+"(.*)"\s*')


def marks(path: Path) -> Iterator[Mark]:
    """Read left, top, right, bottom, "text", divided by commas (the test's form), or by spaces (the training's)."""
    for number, line in text_files.lines(path):
        where = f"{path}:{number}"
        match = _LINE.fullmatch(line)
        if match is None:
            raise BadInput(f'{where}: the line is not four coordinates and a text in "quotation marks"', "correct the line")
        left, top, right, bottom = shapes.numbers(match.groups()[:4], where)
        yield Mark(number, Region(shapes.corners(left, top, right, bottom), match[5]), ignored=match[5] == IGNORED)


_LAYOUT = Layout(KIND, name=re.compile(r"gt_(.+)"), first=_LINE, marks=marks)


@hookimpl
def ocrd_dataset() -> DatasetInfo:
    """Announce the kind."""
    return DatasetInfo(KIND, lambda path: label_files.sniff(path, _LAYOUT))


@hookimpl
def ocrd_samples(path: Path) -> Iterator[Sample]:
    """Yield a sample for each label file, in natural order. Raises `BadInput` with file and line."""
    yield from label_files.samples(path, _LAYOUT)
