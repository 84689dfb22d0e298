"""PaddleOCR's labels for detection: on each line a picture, a tab, and its regions as JSON.

(Its labels for recognition are lists of pictures and texts: the kind `list`.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ocrdeploy.datasets import places, records, shapes, text_files
from ocrdeploy.errors import BadInput
from ocrdeploy.hookspecs import hookimpl
from ocrdeploy.vocabulary import DatasetInfo, Region, Sample

ocrd_contract = 1

KIND = "paddleocr"
IGNORED = frozenset({"###", "*"})

_SUFFIXES = (".lst", ".tsv", ".txt")
_LINE = re.compile(r"[^\t]+\t\s*\[\s*[{\]]")


def _is_one(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and bool(_LINE.match(text_files.first_line(path)))


@hookimpl
def ocrd_dataset() -> DatasetInfo:
    """Announce the kind."""
    return DatasetInfo(KIND, lambda path: any(_is_one(each) for each in places.single_file(path, _SUFFIXES, _is_one)))


@hookimpl
def ocrd_samples(path: Path) -> Iterator[Sample]:
    """Yield a sample for each line, in the file's order. Raises `BadInput` with file and line."""
    labels = places.the_file(path, _SUFFIXES, _is_one, KIND)
    pictures = places.Roots(labels.parent)
    for number, line in text_files.some_lines(labels):
        where = f"{labels}:{number}"
        name, tab, regions = line.partition("\t")
        if not tab:
            raise BadInput(f"{where}: there is no tab between the picture and its regions", "correct the line")
        read = [_region(each, f"{where}: region {index}") for index, each in enumerate(_list(regions, where), start=1)]
        counted, ignored = ([each for each in read if (each.text in IGNORED) is is_ignored] for is_ignored in (False, True))
        yield Sample(pictures.named(name, where), tuple(counted), tuple(ignored), where)


def _list(text: str, where: str) -> list[Any]:
    try:
        return records.of_kind(json.loads(text), list, f"{where}: what follows the tab")
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where}: the JSON after the tab is broken: {error}", "correct the line") from error


def _region(entry: Any, where: str) -> Region:
    points = records.field(entry, "points", list, where)
    flat = [number for point in points for number in _point(point, where)]
    return Region(shapes.polygon(flat, where), records.field(entry, "transcription", str, where))


def _point(point: Any, where: str) -> list[float]:
    pair = shapes.numbers(records.of_kind(point, list, f"{where}: a point"), where)
    if len(pair) != 2:  # noqa: PLR2004 - x and y
        raise BadInput(f"{where}: a point has {len(pair)} numbers, not x and y", "correct the line")
    return pair
