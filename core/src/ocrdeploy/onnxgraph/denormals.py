"""Flush denormal weights of an ONNX graph to zero.

A denormal (subnormal) number is smaller than the least normal float32, 1.2e-38. Training with weight decay leaves them in
dead channels. They change no output, and most processors handle them in microcode, up to a hundred times as slow.

Half-precision tensors are left alone: the denormals of float16 begin at 6e-5, where weights still matter, and they become
normal numbers when a processor without half-precision arithmetic widens them. So are the settings of operators that are
plain numbers (an epsilon, a slope): they are no weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ocrdeploy.errors import BadInput
from ocrdeploy.onnxgraph.metadata import KEY
from ocrdeploy.onnxgraph.wire import byte_fields

_FLOAT_DATA, _DOUBLE_DATA = 4, 10  # fields of TensorProto


def flush(source: Path, target: Path, specification: str) -> int:
    """Write `source` to `target` with every denormal float32 or float64 weight set to zero; return how many there were.

    `specification`, a `ModelSpec` as JSON, is put into the metadata. `target` is written only when there are any.
    Raises `BadInput` for a file that onnx cannot read.
    """
    model = _load(source)
    try:
        count = sum(_flush_tensor(tensor) for tensor in _tensors(model))
    except (ValueError, TypeError) as error:
        raise BadInput(f"{source} holds a weight that cannot be read: {error}", "export or copy the model again") from error
    if count:
        _describe(model, specification)
        target.write_bytes(model.SerializeToString())
    return count


def _load(source: Path) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        # Without `format`, onnx goes by the suffix, and a made file may have any.
        return onnx.load(source, format="protobuf")
    except (DecodeError, ValueError) as error:
        raise BadInput(f"{source} is not an ONNX model, or is cut short", "name an ONNX file, or copy it again") from error
    except (OSError, onnx.checker.ValidationError) as error:
        reason = " ".join(str(error).split())
        raise BadInput(f"cannot read {source} or a file that holds its weights: {reason}", "copy all its files here") from error


def _describe(model: Any, specification: str) -> None:
    for entry in model.metadata_props:
        if entry.key == KEY:
            entry.value = specification
            return
    model.metadata_props.add(key=KEY, value=specification)


def _tensors(model: Any) -> Iterator[Any]:
    """Yield every constant tensor of a model."""
    yield from _tensors_of_graph(model.graph)
    for function in model.functions:
        yield from _tensors_of_nodes(function.node)


def _tensors_of_graph(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    yield from (sparse.values for sparse in graph.sparse_initializer)
    yield from _tensors_of_nodes(graph.node)


def _tensors_of_nodes(nodes: Iterable[Any]) -> Iterator[Any]:
    """Yield the tensors in nodes' attributes, and those of the graphs inside them (the branches of an If, say)."""
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            if attribute.HasField("sparse_tensor"):
                yield attribute.sparse_tensor.values
            if attribute.HasField("g"):
                yield from _tensors_of_graph(attribute.g)
            yield from attribute.tensors
            for inner in attribute.graphs:
                yield from _tensors_of_graph(inner)


def _flush_tensor(tensor: Any) -> int:
    from onnx import TensorProto

    layouts = {TensorProto.FLOAT: ("<u4", 23), TensorProto.DOUBLE: ("<u8", 52)}
    if tensor.data_type not in layouts:
        return 0
    unsigned, fraction_width = layouts[tensor.data_type]
    bits = np.frombuffer(_content(tensor), unsigned)
    if len(bits) != math.prod(tensor.dims):
        raise ValueError(f"{tensor.name!r} has {len(bits)} numbers for the shape {list(tensor.dims)}")
    sign = bits & (1 << (bits.itemsize * 8 - 1))
    magnitude = bits ^ sign
    denormal = (magnitude > 0) & (magnitude < (1 << fraction_width))
    count = int(np.count_nonzero(denormal))
    if count:
        # The sign stays, as it does where a processor flushes: 1 / -0.0 is another number than 1 / 0.0.
        tensor.raw_data = np.where(denormal, sign, bits).tobytes()
        tensor.ClearField("float_data")
        tensor.ClearField("double_data")
    return count


def _content(tensor: Any) -> bytes:
    """Return a tensor's numbers as the bytes that they are stored in, little-endian.

    No number is looked at as a float: a library in this process (ONNX Runtime, with `session.set_denormal_as_zero`) may have
    told the processor to take denormals for zero, and then nobody who asks for their values finds one.
    """
    if tensor.HasField("raw_data"):
        return bytes(tensor.raw_data)
    message: bytes = tensor.SerializeToString()
    parts = {number: message[start:end] for number, start, end in byte_fields(message, 0, len(message))}
    return parts.get(_FLOAT_DATA, b"") or parts.get(_DOUBLE_DATA, b"")
