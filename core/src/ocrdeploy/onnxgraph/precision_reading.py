"""In which precision an ONNX file computes: read from the graph, whoever made it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ocrdeploy.onnxgraph import checks, metadata, subgraph
from ocrdeploy.onnxgraph import precision_scopes as scopes
from ocrdeploy.onnxgraph.wire import Buffer, byte_fields, number_fields

NAMES = {1: "fp32", 10: "fp16", 11: "fp64", 16: "bf16"}
"""The floating-point types of TensorProto that are counted, by the names that options have for them."""

HALVES = (10, 16)

# Field numbers of ModelProto, GraphProto, NodeProto, AttributeProto and TensorProto (onnx/onnx.proto).
_GRAPH = 7
_NODE, _INITIALIZER = 1, 5
_ATTRIBUTE = 5
_ATTRIBUTE_I, _ATTRIBUTE_T, _ATTRIBUTE_G, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_NAME = 3, 5, 6, 11, 1
_DATA_TYPE = 2

_MOVES_ONLY = {"Cast", "CastLike", "Constant", "Identity"}
"""Operators in which nothing is computed."""


def holds_half(path: Path) -> bool:
    """Say whether there is any half-precision weight, or any Cast to one, in an ONNX file.

    It is walked through, not loaded: this is asked at every start, and most files are in fp32. Raises `BadInput`.
    """
    with metadata.opened(path) as data:
        return any(_graph_holds_half(data, graph) for graph in metadata.within(data, (0, len(data)), _GRAPH))


def _graph_holds_half(data: Buffer, graph: tuple[int, int]) -> bool:
    for number, start, end in byte_fields(data, *graph):
        if number == _INITIALIZER and _is_half(data, (start, end)):
            return True
        if number == _NODE and any(_attribute_holds_half(data, span) for span in metadata.within(data, (start, end), _ATTRIBUTE)):
            return True
    return False


def _is_half(data: Buffer, tensor: tuple[int, int]) -> bool:
    return any(number == _DATA_TYPE and value in HALVES for number, value in number_fields(data, *tensor))


def _attribute_holds_half(data: Buffer, attribute: tuple[int, int]) -> bool:
    name = b""
    for number, start, end in byte_fields(data, *attribute):
        if number == _ATTRIBUTE_NAME:
            name = data[start:end]
        look = _LOOK.get(number)
        if look is not None and look(data, (start, end)):
            return True
    return name == b"to" and any(number == _ATTRIBUTE_I and value in HALVES for number, value in number_fields(data, *attribute))


_LOOK = {_ATTRIBUTE_T: _is_half, _ATTRIBUTE_G: _graph_holds_half, _ATTRIBUTE_GRAPHS: _graph_holds_half}


def computed(path: Path) -> Mapping[str, int]:
    """Return how many nodes of an ONNX file answer in each floating-point precision, {"fp16": 160, "fp32": 3}, most first.

    Nodes in which nothing is computed are not counted. Raises `InvalidGraphError` where types cannot be inferred.
    """
    return count(subgraph.load(path, external=False))


def count(model: Any) -> Mapping[str, int]:
    """Return the same of a loaded model, whose types are inferred where they are not written down."""
    top = scopes.read(model.graph)
    if any(not top.kind(name) for node in model.graph.node for name in node.output if name):
        top = scopes.read(checks.inferred(model).graph)
    found = Counter(kind for node, scope in _nodes(top) if (kind := _kind(node, scope)))
    return dict(found.most_common())


def _nodes(top: scopes.Scope) -> Iterator[tuple[Any, scopes.Scope]]:
    for scope in top.every():
        yield from ((node, scope) for node in scope.graph.node)


def _kind(node: Any, scope: scopes.Scope) -> str:
    """Return the precision that a node computes in: that of its first floating-point output."""
    if node.op_type in _MOVES_ONLY or any(scopes.graphs(node)):
        return ""
    return next((NAMES[kind] for name in node.output if name and (kind := scope.kind(name)) in NAMES), "")


def lowest(counts: Mapping[str, int]) -> str:
    """Return the least exact precision that nodes compute in, "fp32" where none computes with floating-point numbers."""
    return next((name for name in ("bf16", "fp16", "fp32", "fp64") if counts.get(name)), "fp32")
