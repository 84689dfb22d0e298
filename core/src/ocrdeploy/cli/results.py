"""What `ocrd run` writes to standard output: text for people, a JSON object a line, or tab-separated values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from ocrdeploy.cli import messages
from ocrdeploy.cli.streams import emit, json_text, printable

if TYPE_CHECKING:
    from ocrdeploy.page import Page
    from ocrdeploy.vocabulary import Region

FORMATS = ("text", "json", "tsv")
COLUMNS = ("image", "index", "text", "score", "detection_score", "polygon")
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class Results:
    """Writes pages as they come, each flushed. A page that failed is an object in JSON, else an error on standard error.

    `only` is the name of the one picture that was asked for: its text stands alone, where several have a heading each.
    """

    def __init__(self, out: TextIO, form: str, *, only: str = "") -> None:
        self._out = out
        self._form = form
        self._only = only
        self._written = 0
        if form == "tsv":
            emit(self._out, "\t".join(COLUMNS) + "\n")

    def add(self, page: Page) -> None:
        """Write one page."""
        if self._form == "json":
            emit(self._out, self._encodable(as_json(page)) + "\n")
        elif page.error is not None:
            messages.complain(naming(page.image, page.error.problem), page.error.fix)
        elif self._form == "tsv":
            emit(self._out, as_tsv(page))
        else:
            emit(self._out, self._heading(page) + as_text(page))

    def _heading(self, page: Page) -> str:
        self._written += 1
        if page.image == self._only:
            return ""
        return f"{'' if self._written == 1 else chr(10)}== {one_line(page.image)} ==\n"

    def _encodable(self, line: str) -> str:
        if self._out.encoding.lower().replace("-", "") == "utf8":
            return line
        return json.dumps(json.loads(line))


def as_json(page: Page) -> str:
    """Return the page as one line of JSON."""
    return json_text(page.to_dict())


def as_text(page: Page) -> str:
    """Return the page's text in reading order, each line ended; of regions without text, their corners and score."""
    if any(region.text for region in page.regions):
        return page.text.rstrip("\n") + "\n"
    return "".join(f"{corners(region.polygon)}  {region.score:.3f}\n" for region in page.regions if region.polygon)


def as_tsv(page: Page) -> str:
    """Return one line for each region."""
    return "".join("\t".join(_cells(page, index, region)) + "\n" for index, region in enumerate(page.regions))


def _cells(page: Page, index: int, region: Region) -> tuple[str, ...]:
    detection = "" if region.detection_score is None else f"{region.detection_score:.4f}"
    return (
        one_line(page.image),
        str(index),
        one_line(region.text),
        f"{region.score:.4f}",
        detection,
        corners(region.polygon),
    )


def corners(polygon: Sequence[tuple[float, float]]) -> str:
    """Return the points as `x,y x,y ...`, to a tenth of a pixel."""
    return " ".join(f"{round(x, 1):g},{round(y, 1):g}" for x, y in polygon)


def one_line(text: str) -> str:
    """Return `text` without tabs and line ends: they stand as in C, and so does a backslash."""
    return printable(text.translate(ESCAPES))


def naming(name: str, problem: str) -> str:
    """Return the problem with the picture's name before it, unless it says it already."""
    return problem if name in problem or repr(name)[1:-1] in problem else f"{name}: {problem}"
