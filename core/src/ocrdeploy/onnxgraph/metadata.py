"""The `metadata_props` of an ONNX file, read without loading the graph.

An ONNX file is one protobuf message, `ModelProto` (onnx/onnx.proto). Its metadata are field 14, each a message of key (1)
and value (2). Skipping the other fields takes a millisecond where `onnx.load` takes 0.3 s with its import, and that is
paid at every start of `ocrd run`. It also tells a whole file from one that was cut short, except where the cut lies exactly
between two fields behind the graph and the opset: what is left is a whole, shorter message.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ocrdeploy.errors import BadInput
from ocrdeploy.onnxgraph.wire import Buffer, NotProtobufError, byte_fields

KEY = "ocrdeploy"
"""The metadata entry that holds a `ModelSpec` as JSON."""

RECIPE = "ocrdeploy.recipe"
"""The metadata entry that says, as JSON, how the file came about."""

# Field numbers of ModelProto, GraphProto, TensorProto and StringStringEntryProto.
_GRAPH, _OPSET_IMPORT, _METADATA_PROPS = 7, 8, 14
_INITIALIZER = 5
_EXTERNAL_DATA = 13
_ENTRY_KEY, _ENTRY_VALUE = 1, 2


def read(path: Path) -> dict[str, str]:
    """Return the metadata of the ONNX file `path`. Raises `BadInput` for a file that is not ONNX, or is cut short."""
    with opened(path) as data:
        numbers: set[int] = set()
        found: dict[str, str] = {}
        for number, start, end in byte_fields(data, 0, len(data)):
            numbers.add(number)
            if number == _METADATA_PROPS:
                found.update([_entry(data, start, end)])
        if not {_GRAPH, _OPSET_IMPORT} <= numbers:
            raise NotProtobufError
        return found


def describe(model: Any, entries: Mapping[str, str]) -> None:
    """Put `entries` into the metadata of a loaded model (an `onnx.ModelProto`), in the place of those of the same names."""
    kept = {entry.key: entry.value for entry in model.metadata_props}
    del model.metadata_props[:]
    for key, value in {**kept, **entries}.items():
        model.metadata_props.add(key=key, value=value)


def external_files(path: Path) -> list[str]:
    """Return the files, relative to the model's folder, in which the ONNX file `path` keeps weights, sorted.

    Only the main graph's initializers are looked at: exporters move nothing else out. Raises `BadInput` as `read` does.
    """
    with opened(path) as data:
        whole = (0, len(data))
        entries = [
            _entry(data, *span)
            for graph in within(data, whole, _GRAPH)
            for tensor in within(data, graph, _INITIALIZER)
            for span in within(data, tensor, _EXTERNAL_DATA)
        ]
    return sorted({value for key, value in entries if key == "location"})


@contextmanager
def opened(path: Path) -> Iterator[mmap.mmap]:
    """Map the ONNX file `path` into memory for the block. Raises `BadInput`, also where the block finds that it is no message."""
    remedy = "name an ONNX file, or copy it again"
    try:
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                raise BadInput(f"{path} is empty", remedy)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                yield data
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}", "name a file that exists and that you may read") from None
    except (NotProtobufError, UnicodeDecodeError):
        raise BadInput(f"{path} is not an ONNX model, or is cut short", remedy) from None


def within(data: Buffer, span: tuple[int, int], wanted: int) -> Iterator[tuple[int, int]]:
    """Yield where the messages of the field `wanted` lie in the message data[span]."""
    return ((start, end) for number, start, end in byte_fields(data, *span) if number == wanted)


def _entry(data: mmap.mmap, start: int, end: int) -> tuple[str, str]:
    parts = {number: data[first:last] for number, first, last in byte_fields(data, start, end)}
    return parts.get(_ENTRY_KEY, b"").decode(), parts.get(_ENTRY_VALUE, b"").decode()
