"""Total-Text: `poly_gt_NAME.txt` with bent words, as the arrays that its authors printed, or as plain coordinates and text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from ocrdeploy.datasets import label_files, shapes, text_files
from ocrdeploy.datasets.label_files import Layout, Mark
from ocrdeploy.errors import BadInput
from ocrdeploy.hookspecs import hookimpl
from ocrdeploy.vocabulary import DatasetInfo, Region, Sample

ocrd_contract = 1

KIND = "totaltext"
IGNORED = frozenset({"#", "###"})

_ARRAYS = re.compile(
    r"\s*x:\s*\[\[(?P<x>[^\]]*)\]\],\s*y:\s*\[\[(?P<y>[^\]]*)\]\],\s*ornt:\s*\[.*?\],\s*"
    r"transcriptions:\s*\[(?P<text>.*)\]\s*",
    re.DOTALL,
)
_NUMBER = re.compile(r"\s*-?\d+(\.\d*)?\s*")


def marks(path: Path) -> Iterator[Mark]:
    """Read a label file in one of the two forms, which its first line tells."""
    numbered = list(text_files.lines(path))
    arrays = bool(numbered) and numbered[0][1].lstrip().startswith("x:")
    for number, entry in _joined(numbered) if arrays else numbered:
        where = f"{path}:{number}"
        polygon, text = _from_arrays(entry, where) if arrays else _from_list(entry, where)
        yield Mark(number, Region(polygon, text), ignored=text in IGNORED)


def _joined(numbered: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Yield entries, each with the number of its first line: long arrays were printed on several lines."""
    first, parts = numbered[0][0], [numbered[0][1]]
    for number, line in numbered[1:]:
        if line.lstrip().startswith("x:"):
            yield first, " ".join(parts)
            first, parts = number, [line]
        else:
            parts.append(line)
    yield first, " ".join(parts)


def _from_arrays(entry: str, where: str) -> tuple[shapes.Polygon, str]:
    match = _ARRAYS.fullmatch(entry)
    if match is None:
        raise BadInput(f"{where}: the entry is not x: [[..]], y: [[..]], ornt: [..], transcriptions: [..]", "correct it")
    x, y = (shapes.numbers(match[axis].replace(",", " ").split(), where) for axis in "xy")
    if len(x) != len(y):
        raise BadInput(f"{where}: the polygon has {len(x)} x and {len(y)} y", "correct the entry")
    return shapes.polygon([each for point in zip(x, y, strict=True) for each in point], where), _text(match["text"], where)


def _text(quoted: str, where: str) -> str:
    """Return the text that stands there as Python prints it, which is read as data. An array of no text is none."""
    try:
        found = ast.literal_eval(quoted.strip() or "''")
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        found = None
    if not isinstance(found, str):
        raise BadInput(f"{where}: the transcription {quoted!r} is not a text in quotation marks", "correct the entry")
    return found


def _from_list(line: str, where: str) -> tuple[shapes.Polygon, str]:
    """Read x1,y1,...,xn,yn,text. The coordinates are an even number: one number more is the text."""
    parts = line.split(",")
    count = next((index for index, part in enumerate(parts) if not _NUMBER.fullmatch(part)), len(parts)) // 2 * 2
    return shapes.polygon(shapes.numbers(parts[:count], where), where), ",".join(parts[count:]).removeprefix("####")


_LAYOUT = Layout(
    KIND,
    name=re.compile(r"(?:poly_)?gt_(.+)"),
    first=re.compile(r"\s*x:\s*\[\["),
    marks=marks,
)
_PLAIN = Layout(KIND, name=re.compile(r"poly_gt_(.+)"), first=re.compile(rf"({_NUMBER.pattern},){{6}}"), marks=marks)


def sniff(path: Path) -> bool:
    """Whether there are files with arrays, or plain ones by the name that only this dataset has."""
    return any(label_files.sniff(path, layout) for layout in (_LAYOUT, _PLAIN) if path.is_dir() or layout.picture(path.stem))


@hookimpl
def ocrd_dataset() -> DatasetInfo:
    """Announce the kind."""
    return DatasetInfo(KIND, sniff)


@hookimpl
def ocrd_samples(path: Path) -> Iterator[Sample]:
    """Yield a sample for each label file, in natural order. Raises `BadInput` with file and line."""
    yield from label_files.samples(path, _LAYOUT)
