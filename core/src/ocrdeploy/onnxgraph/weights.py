"""The constant tensors of an ONNX graph, as the bits that they are stored in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ocrdeploy.onnxgraph.wire import byte_fields

_FLOAT_DATA, _DOUBLE_DATA = 4, 10  # fields of TensorProto


class Layout(NamedTuple):
    """How a floating-point type is stored: as an unsigned integer of this type, the lowest bits of which are the fraction."""

    unsigned: str
    fraction_width: int


SINGLE, DOUBLE = Layout("<u4", 23), Layout("<u8", 52)


def tensors(model: Any) -> Iterator[Any]:
    """Yield every constant tensor of a model (an `onnx.ModelProto`)."""
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


def layout(tensor: Any) -> Layout | None:
    """Return how the numbers of a float32 or float64 tensor are stored; None for any other type."""
    from onnx import TensorProto

    return {TensorProto.FLOAT: SINGLE, TensorProto.DOUBLE: DOUBLE}.get(tensor.data_type)


def bits(tensor: Any, stored: Layout) -> NDArray[Any]:
    """Return a tensor's numbers as unsigned integers, one-dimensional, little-endian, read-only.

    No number is looked at as a float: a library in this process (ONNX Runtime, with `session.set_denormal_as_zero`) may have
    told the processor to take denormals for zero, and then nobody who asks for their values finds one. Raises `ValueError`
    where there are more or fewer numbers than the shape says.
    """
    found = np.frombuffer(_content(tensor), stored.unsigned)
    if len(found) != math.prod(tensor.dims):
        raise ValueError(f"{tensor.name!r} has {len(found)} numbers for the shape {list(tensor.dims)}")
    return found


def nan_count(model: Any) -> int:
    """Return how many of the float32 and float64 weights of a model are not a number. Raises `ValueError` as `bits` does."""
    return sum(_nans(bits(tensor, stored), stored) for tensor in tensors(model) if (stored := layout(tensor)))


def _nans(found: NDArray[Any], stored: Layout) -> int:
    width = found.itemsize * 8
    infinity = (1 << (width - 1)) - (1 << stored.fraction_width)
    return int(np.count_nonzero((found & ((1 << (width - 1)) - 1)) > infinity))


def _content(tensor: Any) -> bytes:
    if tensor.HasField("raw_data"):
        return bytes(tensor.raw_data)
    message: bytes = tensor.SerializeToString()
    parts = {number: message[start:end] for number, start, end in byte_fields(message, 0, len(message))}
    return parts.get(_FLOAT_DATA, b"") or parts.get(_DOUBLE_DATA, b"")
