"""Just enough of protobuf's wire format to walk through a message without parsing it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, overload

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10


class NotProtobufError(Exception):
    """Bytes that are no message, or only the beginning of one."""


class Buffer(Protocol):
    """Bytes, or a file that is mapped into memory."""

    @overload
    def __getitem__(self, index: int, /) -> int: ...
    @overload
    def __getitem__(self, index: slice, /) -> bytes: ...
    def __len__(self) -> int:
        """Return the number of bytes."""
        ...


def byte_fields(data: Buffer, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield (number, first byte, past the last byte) of the fields of data[start:end] that hold bytes, text or messages.

    Raises `NotProtobufError`.
    """
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
            raise NotProtobufError
        if number == 0 or position > end:
            raise NotProtobufError
        if kind == _BYTES:
            yield number, first, position


def number_fields(data: Buffer, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield (number, value) of the fields of data[start:end] that hold an integer. Raises `NotProtobufError`."""
    position = start
    while position < end:
        tag, position = _varint(data, position, end)
        if tag & 7 == _VARINT:
            value, position = _varint(data, position, end)
            yield tag >> 3, value
        else:
            position = _past(data, tag & 7, position, end)


def _past(data: Buffer, kind: int, position: int, end: int) -> int:
    """Return where the field ends whose value begins at `position`, and is no integer."""
    if kind == _BYTES:
        length, first = _varint(data, position, end)
        return first + length
    if kind in (_FIXED64, _FIXED32):
        return position + (8 if kind == _FIXED64 else 4)
    raise NotProtobufError


def _varint(data: Buffer, position: int, end: int) -> tuple[int, int]:
    value = 0
    for index in range(_LONGEST_VARINT):
        if position >= end:
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:  # noqa: PLR2004 - the highest bit says whether another byte follows
            return value, position
    raise NotProtobufError
