"""MMOCR 0.x's labels for recognition: lines `picture text`, or lines of JSON with "filename" and "text"."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from ocrdeploy.datasets import places, records, text_files
from ocrdeploy.errors import BadInput
from ocrdeploy.hookspecs import hookimpl
from ocrdeploy.vocabulary import DatasetInfo, Region, Sample

ocrd_contract = 1

KIND = "mmocr-text"

_SUFFIXES = (".json", ".jsonl", ".txt")
_LINE = re.compile(r'[^\s{]\S*\.(bmp|gif|jpe?g|png|tiff?|webp) [^\t]*$|\s*\{.*"filename"\s*:', re.IGNORECASE)


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
        name, text = parts(line, where)
        yield Sample(pictures.named(name, where), (Region(text=text),), where=where)


def parts(line: str, where: str) -> tuple[str, str]:
    """Return the picture and the text of a line in either form: a text in JSON may begin or end with spaces, another not."""
    if line.lstrip().startswith("{"):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{where}: the JSON is broken: {error}", "correct the line") from error
        return records.field(record, "filename", str, where), records.field(record, "text", str, where)
    name, space, text = line.strip().partition(" ")
    if not space:
        raise BadInput(f"{where}: there is no space between the picture and its text", "correct the line")
    return name, text
