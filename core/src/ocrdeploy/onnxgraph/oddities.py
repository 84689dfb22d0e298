"""What is odd in the weights of an ONNX graph, and in which node and module it stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrdeploy.onnxgraph import weights
from ocrdeploy.onnxgraph.precision_forms import FORMS
from ocrdeploy.onnxgraph.precision_scopes import all_graphs
from ocrdeploy.onnxgraph.subgraph import module_of


@dataclass(frozen=True, slots=True)
class Oddity:
    """`count` of `of` numbers, or of output channels, of one weight, and the node that takes it.

    `kind`: "NaN", "infinite", "denormal", "too large for fp16" (numbers); "dead channels" (all zero), "constant channels" (all
    the same number, not zero). `node` is '' where no node takes the weight; `module` is PyTorch's, where the exporter says it.
    """

    kind: str
    count: int
    of: int
    weight: str
    node: str = ""
    operator: str = ""
    module: str = ""


CHANNEL_AXIS = {"Conv": 0, "ConvTranspose": 1, "MatMul": -1}
"""Which axis of an operator's weight has a place for each channel that it answers with."""

_WEIGHT_INPUT = 1  # the place of the weight among the inputs of all of these
_MATRIX = 2


def oddities(model: Any) -> list[Oddity]:
    """Return what is odd in the weights of a model (an `onnx.ModelProto`), in the order of its graph."""
    found: list[Oddity] = []
    for graph in all_graphs(model.graph):
        takers = _takers(graph)
        for name, tensor in _tensors(graph):
            node, place = takers.get(name, (None, 0))
            for kind, count, of in (*_numbers(tensor), *_channels(tensor, node, place)):
                found.append(Oddity(kind, count, of, name, *_where(node)))
    return found


def _tensors(graph: Any) -> Iterator[tuple[str, Any]]:
    """Yield the weights of a graph by their names, also those that stand in Constant nodes."""
    yield from ((tensor.name, tensor) for tensor in graph.initializer)
    for node in graph.node:
        if node.op_type == "Constant":
            yield from ((node.output[0], attribute.t) for attribute in node.attribute if attribute.HasField("t"))


def _takers(graph: Any) -> Mapping[str, tuple[Any, int]]:
    """Return for each tensor the first node that takes it, and as which input; who takes a copy counts for the original."""
    origin: dict[str, str] = {}
    found: dict[str, tuple[Any, int]] = {}
    for node in graph.node:
        if node.op_type == "Identity":
            origin[node.output[0]] = origin.get(node.input[0], node.input[0])
            continue
        for place, name in enumerate(node.input):
            found.setdefault(origin.get(name, name), (node, place))
    return found


def _where(node: Any) -> tuple[str, str, str]:
    if node is None:
        return "", "", ""
    return node.name, node.op_type, module_of(node.name, {entry.key: entry.value for entry in node.metadata_props})


def _numbers(tensor: Any) -> Iterator[tuple[str, int, int]]:
    """Yield kind, count and total of odd numbers. They are looked at as bits: a library may take denormals for zero."""
    stored = weights.layout(tensor)
    if stored is None:
        yield from _of_halves(tensor)
        return
    bits = weights.bits(tensor, stored)
    width = bits.itemsize * 8
    magnitude = bits & ((1 << (width - 1)) - 1)
    infinity = (1 << (width - 1)) - (1 << stored.fraction_width)
    found = {
        "NaN": magnitude > infinity,
        "infinite": magnitude == infinity,
        "denormal": (magnitude > 0) & (magnitude < (1 << stored.fraction_width)),
        "too large for fp16": (magnitude < infinity) & (_floats(bits, magnitude) > FORMS["fp16"].largest),
    }
    for kind, odd in found.items():
        if count := int(np.count_nonzero(odd)):
            yield kind, count, bits.size


def _of_halves(tensor: Any) -> Iterator[tuple[str, int, int]]:
    """Yield the same for a half-precision weight, whose denormals are not odd: they become normal where it is widened."""
    from onnx import numpy_helper

    if tensor.data_type in {form.element for form in FORMS.values()}:
        values = numpy_helper.to_array(tensor).astype(np.float32)
        for kind, odd in (("NaN", np.isnan(values)), ("infinite", np.isinf(values))):
            if count := int(np.count_nonzero(odd)):
                yield kind, count, values.size


def _floats(bits: NDArray[Any], magnitude: NDArray[Any]) -> NDArray[Any]:
    return magnitude.view("<f4" if bits.itemsize == 4 else "<f8")  # noqa: PLR2004 - bytes of a float32


def _channels(tensor: Any, node: Any, place: int) -> Iterator[tuple[str, int, int]]:
    """Yield kind, count and total of the output channels of a weight whose numbers are all the same."""
    stored = weights.layout(tensor)
    if stored is None or node is None or node.op_type not in CHANNEL_AXIS or place != _WEIGHT_INPUT or len(tensor.dims) < _MATRIX:
        return
    bits = weights.bits(tensor, stored).reshape(tensor.dims)
    rows = np.moveaxis(bits, CHANNEL_AXIS[node.op_type], 0).reshape(bits.shape[CHANNEL_AXIS[node.op_type]], -1)
    if rows.size == 0:
        return
    dead = ((rows << 1) == 0).all(axis=1)  # the sign does not matter
    constant = (rows == rows[:, :1]).all(axis=1) & ~dead
    if count := int(np.count_nonzero(dead)):
        yield "dead channels", count, len(rows)
    if rows.shape[1] > 1 and (count := int(np.count_nonzero(constant))):
        yield "constant channels", count, len(rows)
