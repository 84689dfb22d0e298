"""The `metadata_props` of an ONNX file, read without loading the graph.

An ONNX file is one protobuf message, `ModelProto` (onnx/onnx.proto). Its metadata are field 14, each a message of key (1)
and value (2). Skipping the other fields takes a millisecond where `onnx.load` takes 0.3 s with its import, and that is
paid at every start of `ocrd run`. It also tells a whole file from one that was cut short.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from ocrdeploy.errors import BadInput

KEY = "ocrdeploy"
"""The metadata entry that holds a `ModelSpec` as JSON."""

_METADATA_PROPS = 14
_GRAPH = 7
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10


class _NotProtobufError(Exception):
    pass


def read(path: Path) -> dict[str, str]:
    """Return the metadata of the ONNX file `path`. Raises `BadInput` for a file that is not ONNX, or is cut short."""
    remedy = "name an ONNX file, or copy it again"
    try:
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                raise BadInput(f"{path} is empty", remedy)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _entries(data)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}", "name a file that exists and that you may read") from None
    except (_NotProtobufError, UnicodeDecodeError):
        raise BadInput(f"{path} is not an ONNX model, or is cut short", remedy) from None


def _entries(data: mmap.mmap) -> dict[str, str]:
    found: dict[str, str] = {}
    has_graph = False
    for number, start, end in _fields(data, 0, len(data)):
        has_graph |= number == _GRAPH
        if number == _METADATA_PROPS:
            parts = {inner: bytes(data[a:b]).decode() for inner, a, b in _fields(data, start, end)}
            found[parts.get(1, "")] = parts.get(2, "")
    if not has_graph:
        raise _NotProtobufError
    return found


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield (number, first byte, past the last byte) of each field of the message in data[start:end]."""
    position = start
    while position < end:
        tag, position = _varint(data, position, end)
        number, kind = tag >> 3, tag & 7
        first = position
        if kind == _VARINT:
            _, position = _varint(data, position, end)
        elif kind == _BYTES:
            length, first = _varint(data, position, end)
            position = first + length
        elif kind in (_FIXED64, _FIXED32):
            position += 8 if kind == _FIXED64 else 4
        else:
            raise _NotProtobufError
        if number == 0 or position > end:
            raise _NotProtobufError
        yield number, first, position


def _varint(data: mmap.mmap, position: int, end: int) -> tuple[int, int]:
    value = 0
    for index in range(_LONGEST_VARINT):
        if position >= end:
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:  # noqa: PLR2004 - the highest bit says whether another byte follows
            return value, position
    raise _NotProtobufError
