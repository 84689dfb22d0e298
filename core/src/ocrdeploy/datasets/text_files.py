"""Label files that are text: UTF-8, with or without a byte order mark, with line ends of any system."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ocrdeploy.errors import BadInput

HEAD_BYTES = 1 << 14
"""How much of a file is looked at to tell its kind."""

_WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read(path: Path) -> str:
    """Return what is in a label file, line ends as newlines. Raises `BadInput` where it cannot be read, is empty, or no UTF-8."""
    data = read_bytes(path)
    if data.startswith(_WIDE_MARKS):
        raise BadInput(f"{path}:1: the file is UTF-16, not UTF-8", f"convert it: iconv -f UTF-16 -t UTF-8 {path.name}")
    try:
        text = data.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        start = error.start + (len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0)
        line = data.count(b"\n", 0, start) + 1
        raise BadInput(
            f"{path}:{line}: the file is not UTF-8: byte {start} of it is 0x{data[start]:02X}",
            f"convert it from what it is, for instance: iconv -f ISO-8859-1 -t UTF-8 {path.name}",
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a label file. Raises `BadInput` where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}", "name a file that exists and that you may read") from error


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number, from 1, and the text of each line that is not blank. Raises what `read` raises."""
    # Not `splitlines`: a text may hold one of the rarer characters that it divides at.
    for number, line in enumerate(read(path).split("\n"), start=1):
        if line.strip():
            yield number, line


def some_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield what `lines` yields. Raises `BadInput` where that is nothing: a list without a line is no list."""
    empty = True
    for number, line in lines(path):
        empty = False
        yield number, line
    if empty:
        raise empty_file(path)


def empty_file(path: Path) -> BadInput:
    """Return the error for a label file in which nothing is labelled."""
    return BadInput(f"the label file {path} is empty", "name another file, or make this one again")


def read_json(path: Path) -> Any:
    """Return what is in a JSON file. Raises `BadInput` with line and column where it is broken, and what `read` raises."""
    text = read(path)
    if not text.strip():
        raise empty_file(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise BadInput(
            f"{path}:{error.lineno}: the JSON is broken at column {error.colno}: {error.msg}",
            "correct it, or copy the file again",
        ) from error
    except (RecursionError, ValueError) as error:  # nested too deep, or a number of thousands of digits
        raise BadInput(f"{path}: the JSON cannot be read: {error}", "copy the file again") from error


def head(path: Path) -> str:
    """Return the beginning of a file as text, '' where there is none to read; never raises. For sniffing."""
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            data = file.read(HEAD_BYTES)
    except (OSError, ValueError):
        return ""
    if b"\0" in data:
        return ""
    return data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace").replace("\r\n", "\n")


def first_line(path: Path) -> str:
    """Return the first line of a file that is not blank, '' where there is none; never raises. For sniffing."""
    return next((line for line in head(path).split("\n") if line.strip()), "")
