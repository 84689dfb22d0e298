"""ICDAR 2003's robust reading: `words.xml` or `locations.xml` for photographs, `word.xml` for words that are cut out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.parsers import expat

from ocrdeploy.datasets import label_files, places, shapes, text_files
from ocrdeploy.errors import BadInput
from ocrdeploy.hookspecs import hookimpl
from ocrdeploy.vocabulary import DatasetInfo, Region, Sample

ocrd_contract = 1

KIND = "icdar2003"
NAMES = ("words.xml", "locations.xml", "word.xml")
"""How the label files are called, the preferred first: of words and lines, words are what recognizers are judged by."""

_BEGINNING = re.compile(r"\s*(<\?xml[^>]*>\s*)?(<!--((?!-->).)*-->\s*)*<(tagset|imagelist)\b", re.DOTALL)


def _labels(path: Path) -> Path | None:
    candidates = [path / name for name in NAMES] if path.is_dir() else [path]
    return next((each for each in candidates if _BEGINNING.match(text_files.head(each))), None)


@hookimpl
def ocrd_dataset() -> DatasetInfo:
    """Announce the kind."""
    return DatasetInfo(KIND, lambda path: _labels(path) is not None)


@hookimpl
def ocrd_samples(path: Path) -> Iterator[Sample]:
    """Yield a sample for each image, in the file's order. Raises `BadInput` with file and line."""
    labels = path if path.is_file() else _labels(path)
    if labels is None:
        raise BadInput(f"the folder {path} holds no {', '.join(NAMES)}", "name another path, or another kind")
    read = _Reader(labels)
    read.run()
    if not read.samples:
        raise text_files.empty_file(labels)
    yield from read.samples


class _Reader:
    """Reads a label file element by element, so that errors can name the line. Entities and document types are refused."""

    def __init__(self, labels: Path) -> None:
        self.samples: list[Sample] = []
        self._labels = labels
        self._pictures = places.Roots(labels.parent)
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._begin
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._add
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._text = ""
        self._name = ""
        self._box: shapes.Polygon = ()
        self._tag = ""
        self._regions: list[Region] = []
        self._lines: list[int] = []

    def run(self) -> None:
        """Read the file. Raises `BadInput`."""
        data = text_files.read_bytes(self._labels)
        try:
            self._parser.Parse(data, True)
        except expat.ExpatError as error:
            where, what = f"{self._labels}:{error.lineno}", expat.ErrorString(error.code)
            raise BadInput(
                f"{where}: the XML is broken at column {error.offset}: {what}", "correct it, or copy it again"
            ) from error

    def _where(self) -> str:
        return f"{self._labels}:{self._parser.CurrentLineNumber}"

    def _refuse(self, *_: object) -> None:
        raise BadInput(f"{self._where()}: the file declares a document type, which label files have no use for", "take it out")

    def _begin(self, element: str, attributes: dict[str, str]) -> None:
        self._text = ""
        if element == "image" and "file" in attributes:
            if "tag" not in attributes:
                raise BadInput(f"{self._where()}: the image has no 'tag'", "correct the file")
            image = self._pictures.named(attributes["file"], self._where())
            self.samples.append(Sample(image, (Region(text=attributes["tag"]),), where=self._where()))
        elif element == "image":
            self._name, self._regions, self._lines = "", [], []
        elif element == "taggedRectangle":
            self._box, self._tag = self._corners(attributes), ""
            self._lines.append(self._parser.CurrentLineNumber)

    def _corners(self, attributes: dict[str, str]) -> shapes.Polygon:
        sides = [attributes.get(name, "nothing") for name in ("x", "y", "width", "height")]
        left, top, width, height = shapes.numbers(sides, self._where())
        return shapes.corners(left, top, left + width, top + height)

    def _add(self, text: str) -> None:
        self._text += text

    def _end(self, element: str) -> None:
        if element == "imageName":
            self._name = self._text.strip()
        elif element == "tag":
            self._tag = self._text
        elif element == "taggedRectangle":
            self._regions.append(Region(self._box, self._tag))
        elif element == "image" and (self._name or self._regions):
            lines = label_files.spans(self._lines) or str(self._parser.CurrentLineNumber)
            image = self._pictures.named(self._name, self._where())
            self.samples.append(Sample(image, tuple(self._regions), where=f"{self._labels}:{lines}"))
        self._text = ""
