"""What the user names (files, folders, standard input, values in memory) becomes small `Input`s, and those become `Picture`s."""

from __future__ import annotations

import os
import re
import stat
import sys
import time
import unicodedata
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ocrdeploy.errors import BadInput, OcrdError
from ocrdeploy.images import DEFAULT_MAX_PIXELS, from_array, from_pil
from ocrdeploy.pages import NumberedPage, read_pages
from ocrdeploy.vocabulary import Pixels

T = TypeVar("T")
Source: TypeAlias = "str | os.PathLike[str] | bytes | Image.Image | NDArray[np.uint8]"

STDIN = "-"
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pdf", ".png", ".tif", ".tiff", ".webp")
"""What a folder is searched for; a file that is named itself is read whatever its suffix."""

_SEVERAL_PAGES = (".pdf", ".tif", ".tiff")
_PAGE_NUMBER = re.compile(r"-p\d{4,}$", re.ASCII)
_DIGITS = re.compile(r"(\d+)", re.ASCII)
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True, eq=False)
class Input:
    """One thing to read, not yet opened: a `path`, or `data` in memory, or an `error`.

    `name` is what people and JSON see; `stem` is the relative path of what is written for it, without a suffix. Both can be
    printed anywhere: bytes of a file name that are not UTF-8, and control characters, stand in them as %E9.
    """

    name: str
    stem: str
    path: Path | None = None
    data: bytes | Image.Image | NDArray[np.uint8] | None = None
    error: OcrdError | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded page, RGB and upright, or why there is none. `decode_ms` includes reading the file."""

    name: str
    stem: str
    pixels: Pixels | None
    error: OcrdError | None
    decode_ms: float


def find(paths: Sequence[str | os.PathLike[str]], *, stdin: BinaryIO | None = None) -> list[Input]:
    """List what there is to read at `paths`, in their order; what cannot be read is an `Input` with an error.

    A folder is searched with all that lies below it, without hidden files, and comes in natural order (2 before 10). "-" is
    one picture from `stdin`, which is read now; nothing else is opened.
    """
    return [found for path in paths for found in _find(os.fspath(path), stdin)]


def as_input(source: Source, index: int) -> Input:
    """Return the `Input` for a file, by its path, or for a picture in memory, which is called by its `index` (from 0)."""
    if isinstance(source, str | os.PathLike):
        path = os.fspath(source)
        return Input(_printable(path), _stem(path), path=Path(path))
    name = f"picture-{index + 1:04}"
    return Input(name, name, data=source)


def check_outputs(inputs: Iterable[Input]) -> None:
    """Raise `BadInput` if two inputs have one stem, or stems that some file systems take for one (case, composition)."""
    seen: dict[str, Input] = {}
    for item in inputs:
        first = seen.setdefault(unicodedata.normalize("NFC", item.stem).casefold(), item)
        if first is not item:
            raise _same_output(first, item)
    for stem, item in seen.items():
        document = seen.get(_PAGE_NUMBER.sub("", stem))
        if document and document is not item and document.name.lower().endswith(_SEVERAL_PAGES):
            raise _same_output(document, item)


def pictures(inputs: Iterable[Input], *, dpi: int = 200, max_pixels: int = DEFAULT_MAX_PIXELS) -> Iterator[Picture]:
    """Decode one input after the other, and each page of a TIFF or PDF for itself; what is bad is a `Picture` with an error.

    `dpi` is for PDF. The pages of a file that has several are called name#1 and stem-p0001, and so on.
    """
    for item in inputs:
        start = time.perf_counter()
        for number, page in _decode(item, dpi, max_pixels):
            elapsed_ms = (time.perf_counter() - start) * 1e3
            name, stem = (f"{item.name}#{number}", f"{item.stem}-p{number:04}") if number else (item.name, item.stem)
            pixels, error = (None, page) if isinstance(page, OcrdError) else (page, None)
            yield Picture(name, stem, pixels, error, elapsed_ms)
            start = time.perf_counter()


def read_ahead(items: Iterator[T], depth: int) -> Iterator[T]:
    """Yield `items`, of which up to `depth` are computed ahead by one thread, which ends with this generator.

    What `items` raises is raised here in its turn. If the consumer stops early, `items` is closed where it is a generator.
    """
    end = object()
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ocrdeploy-decode")
    try:
        ahead: deque[Future[Any]] = deque(pool.submit(next, items, end) for _ in range(max(depth, 1)))
        while (item := ahead.popleft().result()) is not end:
            ahead.append(pool.submit(next, items, end))
            yield item
            del item  # Or the last picture stays in memory while the next one is waited for.
    finally:
        pool.shutdown(cancel_futures=True)
        if isinstance(items, Generator):
            items.close()


def _decode(item: Input, dpi: int, max_pixels: int) -> Iterator[NumberedPage]:
    try:
        if item.error:
            yield 0, item.error
        elif isinstance(item.data, Image.Image):
            yield 0, from_pil(item.data, name=item.name, max_pixels=max_pixels)
        elif item.path or isinstance(item.data, bytes):
            yield from read_pages(_read(item), name=item.name, dpi=dpi, max_pixels=max_pixels)
        else:
            yield 0, from_array(item.data)
    except OcrdError as error:
        yield 0, error


def _read(item: Input) -> bytes:
    if isinstance(item.data, bytes):
        return item.data
    assert item.path
    try:
        return item.path.read_bytes()
    except (OSError, ValueError) as error:  # A path with a null character is a ValueError.
        raise _unreadable(item.name, error) from error


def _find(path: str, stdin: BinaryIO | None) -> list[Input]:
    if path == STDIN:
        return [Input(STDIN, "stdin", data=(stdin or sys.stdin.buffer).read())]
    name = _printable(path)
    try:
        is_folder = stat.S_ISDIR(Path(path).stat().st_mode)
    except (OSError, ValueError) as error:
        return [Input(name, _stem(path), error=_unreadable(name, error))]
    return _search(path) if is_folder else [Input(name, _stem(path), path=Path(path))]


def _search(folder: str) -> list[Input]:
    found: dict[str, OSError | None] = {}
    for parent, folders, files in os.walk(folder, onerror=lambda error: found.update({str(error.filename): error})):
        folders[:] = [name for name in folders if not name.startswith(".")]
        names = (name for name in files if name.lower().endswith(SUFFIXES) and not name.startswith("."))
        found.update({str(Path(parent, name)): None for name in names})
    name = _printable(folder)
    if not found:
        fix = "pass another folder, or name the files: a file that is named is read whatever its suffix"
        found_none = BadInput(f"the folder {name!r} holds no pictures ({', '.join(SUFFIXES)})", fix)
        return [Input(name, _stem(folder), error=found_none)]
    if error := found.get(folder):
        return [Input(name, _stem(folder), error=_unreadable(name, error))]
    relative = {str(Path(path).relative_to(folder)): error for path, error in found.items()}
    return [_found(folder, path, relative[path]) for path in sorted(relative, key=_natural)]


def _found(folder: str, relative: str, error: OSError | None) -> Input:
    # Joined by hand, since a `Path` does not keep a folder as the user wrote it ("./photos").
    name = _printable(folder.rstrip(os.sep) + os.sep + relative)
    stem = _printable(Path(relative).with_suffix("").as_posix())
    if error:
        return Input(name, stem, error=_unreadable(name, error))
    return Input(name, stem, path=Path(folder, relative))


def _natural(path: str) -> tuple[list[list[str | int]], str]:
    """Return a key that sorts paths folder by folder, and names, suffixes apart, by the value of the numbers in them."""
    names = [_DIGITS.split(name) for name in Path(path).with_suffix("").parts]
    return [[int(part) if index % 2 else part.casefold() for index, part in enumerate(parts)] for parts in names], path


def _same_output(first: Input, second: Input) -> BadInput:
    return BadInput(
        f"the results of {first.name!r} and {second.name!r} would have the same name, {second.stem!r}",
        "rename one of them, or read them in two runs with two output folders",
    )


def _unreadable(name: str, error: OSError | ValueError) -> BadInput:
    if isinstance(error, FileNotFoundError):
        return BadInput(
            f"{name!r} does not exist", f"check its spelling; relative paths begin at {_printable(str(Path.cwd()))!r}"
        )
    if isinstance(error, PermissionError):
        return BadInput(f"you may not read {name!r}", "give yourself the permission (chmod u+r), or read it as a user who has it")
    if isinstance(error, IsADirectoryError):
        return BadInput(f"{name!r} is a folder, not a picture", "name the pictures in it (ocrdeploy.sources.find lists them)")
    return BadInput(f"{name!r} cannot be read: {getattr(error, 'strerror', None) or error}", "check the path and the disk")


def _stem(path: str) -> str:
    return _printable(Path(path).stem)


def _printable(path: str) -> str:
    """Return a path with %E9 for bytes that are not UTF-8 and for control characters, so that it can be printed and encoded."""
    return _UNSAFE.sub(lambda match: f"%{ord(match[0]) & 0xFF:02X}", path)
