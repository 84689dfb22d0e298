"""The graphs of a model, each inside the one that it stands in, and what is known of their tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, eq=False)
class Scope:
    """One graph. `kinds` has the element type of its tensors (0: no tensor, or not known), `constants` its initializers.

    A name that is not in it belongs to `parent`, as a graph inside another sees the tensors around it. `inner` holds the
    graphs inside its nodes, by the node's name.
    """

    graph: Any
    parent: Scope | None
    kinds: dict[str, int] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)
    inner: dict[str, list[Scope]] = field(default_factory=dict)

    def owner(self, name: str) -> Scope | None:
        """Return the graph, this one or one around it, that the tensor `name` belongs to."""
        scope: Scope | None = self
        while scope is not None and name not in scope.kinds:
            scope = scope.parent
        return scope

    def kind(self, name: str) -> int:
        """Return the element type of a tensor that is seen from here; 0 where it is not known."""
        owner = self.owner(name)
        return owner.kinds[name] if owner else 0

    def every(self) -> Iterator[Scope]:
        """Yield this graph, and all inside it."""
        yield self
        for inside in self.inner.values():
            for each in inside:
                yield from each.every()


def graphs(node: Any) -> Iterator[Any]:
    """Yield the graphs inside a node: the branches of an If, the body of a Loop."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def all_graphs(graph: Any) -> Iterator[Any]:
    """Yield a graph, and all inside its nodes."""
    yield graph
    for node in graph.node:
        for inner in graphs(node):
            yield from all_graphs(inner)


def read(graph: Any, parent: Scope | None = None) -> Scope:
    """Return what is known of a graph whose types were inferred, and whose nodes have each a name of their own."""
    scope = Scope(graph, parent)
    scope.kinds = {name: 0 for node in graph.node for name in node.output if name}
    for value in (*graph.value_info, *graph.input, *graph.output):
        # An output may be a tensor from around the graph; then it is not the graph's own.
        if value.name in scope.kinds or value not in graph.output:
            scope.kinds[value.name] = _kind(value)
    for sparse in graph.sparse_initializer:
        scope.kinds[sparse.values.name] = sparse.values.data_type
    for tensor in graph.initializer:
        scope.kinds[tensor.name] = tensor.data_type
        scope.constants[tensor.name] = tensor
    for node in graph.node:
        scope.inner[node.name] = [read(inner, scope) for inner in graphs(node)]
    return scope


def _kind(value: Any) -> int:
    return int(value.type.tensor_type.elem_type) if value.type.HasField("tensor_type") else 0
