"""MMOCR 0.x's recognition sets in LMDB: labels with the pictures' bytes, or labels only, whose pictures are files.

With pictures: "num-samples", and from 1 on "image-000000001" (bytes) and "label-000000001" (text). Labels only: the same without
images, or, older, "total_number", and from 0 on "0", "1", ...; each label is then a line as in the kind `mmocr-text`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ocrdeploy.datasets import mmocr_text, places
from ocrdeploy.errors import BadInput
from ocrdeploy.hookspecs import hookimpl
from ocrdeploy.vocabulary import DatasetInfo, Region, Sample

if TYPE_CHECKING:
    from lmdb import Transaction

ocrd_contract = 1

KIND = "mmocr-lmdb"
INSTALL = "pip install 'ocrdeploy[lmdb]'"

_DATA = "data.mdb"
_MAGIC = b"\xde\xc0\xef\xbe"
_MAGIC_AT = 16
"""Where LMDB's first page holds its magic number, which has the byte order of the machine that wrote it."""


def sniff(path: Path) -> bool:
    """Whether `path` is an LMDB file, or a folder with one that has the usual name."""
    data = path / _DATA if path.is_dir() else path
    try:
        if not data.is_file():
            return False
        with data.open("rb") as file:
            head = file.read(_MAGIC_AT + len(_MAGIC))
    except OSError:
        return False
    return head[_MAGIC_AT:] in {_MAGIC, _MAGIC[::-1]}


@hookimpl
def ocrd_dataset() -> DatasetInfo:
    """Announce the kind."""
    return DatasetInfo(KIND, sniff)


@hookimpl
def ocrd_samples(path: Path) -> Iterator[Sample]:
    """Yield a sample for each label, in their order, with the picture's bytes in `data` where they are in the file.

    Raises `BadInput` where the package lmdb is missing, and for a key that is missing or a label that is no UTF-8.
    """
    with _opened(path) as transaction:
        count, older = _count(path, transaction)
        pictures = places.Roots(path.parent)
        for index in range(count):
            key = str(index) if older else f"label-{index + 1:09}"
            data = None if older else transaction.get(f"image-{index + 1:09}".encode())
            label, where = _label(path, transaction, key)
            if data is None:
                name, text = mmocr_text.parts(label, where)
                yield Sample(pictures.named(name, where), (Region(text=text),), where=where)
            else:
                name = f"image-{index + 1:09}"
                yield Sample(Path(name), (Region(text=label),), where=where, data=bytes(data))


@contextmanager
def _opened(path: Path) -> Iterator[Transaction]:
    """Open the file to read, without the lock that would be written beside it."""
    try:
        import lmdb
    except ImportError as error:
        raise BadInput(f"to read {path}, the package lmdb is needed, which is not installed", INSTALL) from error
    if not sniff(path):
        raise BadInput(f"{path} is no LMDB file, nor a folder with a {_DATA}", "name another path, or another kind")
    try:
        environment = lmdb.open(str(path), subdir=path.is_dir(), readonly=True, create=False, lock=False, readahead=False)
        with environment, environment.begin() as transaction:
            yield transaction
    except lmdb.Error as error:
        raise BadInput(f"{path} cannot be read as LMDB: {error}", "copy it again") from error


def _count(path: Path, transaction: Transaction) -> tuple[int, bool]:
    """Return how many labels there are, and whether they are of the older form."""
    for key, older in (("num-samples", False), ("total_number", True)):
        value = transaction.get(key.encode())
        if value is not None:
            if not bytes(value).isdigit() or int(value) == 0:
                raise BadInput(f"{path}: {key!r} is {bytes(value)!r}, not how many labels there are", "make the file again")
            return int(value), older
    raise BadInput(f"{path} has neither 'num-samples' nor 'total_number'", "name a file that MMOCR's tools made")


def _label(path: Path, transaction: Transaction, key: str) -> tuple[str, str]:
    where = f"{path}: {key}"
    value = transaction.get(key.encode())
    if value is None:
        raise BadInput(f"{where} is missing", "make the file again")
    try:
        return bytes(value).decode("utf-8"), where
    except UnicodeDecodeError as error:
        what = f"byte {error.start} of it is 0x{error.object[error.start]:02X}"
        raise BadInput(f"{where} is not UTF-8: {what}", "make the file again") from error
