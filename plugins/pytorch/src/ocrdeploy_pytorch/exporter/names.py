"""Names for what PyTorch's dynamo exporter numbers: the same for every export of a network, and they tell the module.

The exporter counts across the whole process, and notes down the source lines, with their paths, that each node comes from.
"""

from __future__ import annotations

import ast
from collections import Counter
from typing import Any

SCOPES = "pkg.torch.onnx.name_scopes"
"""The node's metadata entry that lists the modules it comes from, the outermost first; the last entry is its own number."""


def rename(proto: Any) -> None:
    """Name nodes "/backbone/cnn/conv1/Conv", as the legacy exporter does, their outputs after them, and constants in order.

    Inputs, outputs and parameters keep their names. Of the metadata, only the modules in `SCOPES` stay.
    """
    graph = proto.graph
    names = {each.name: each.name for each in (*graph.input, *graph.output)}
    parameters = {name for node in graph.node for name in _paths(node)}
    count: Counter[str] = Counter()
    for tensor in graph.initializer:
        own = any(tensor.name.startswith(f"{path}.") for path in parameters if path)
        names[tensor.name] = tensor.name if own else _numbered("constant", count)
        tensor.name = names[tensor.name]
    for node in graph.node:
        path = next(iter(_paths(node)[::-1]), "")
        node.name = _numbered(f"/{path.replace('.', '/')}/{node.op_type}".replace("//", "/"), count)
        for index, name in enumerate(node.output):
            if name:
                names.setdefault(name, f"{node.name}_output_{index}")
    _apply(graph, names)
    _strip(proto)


def _paths(node: Any) -> list[str]:
    """Return the paths of the modules that a node comes from, the outermost first."""
    text = next((entry.value for entry in node.metadata_props if entry.key == SCOPES), "[]")
    return [str(path) for path in ast.literal_eval(text)[:-1] if not str(path).startswith("_empty")]


def _numbered(name: str, count: Counter[str]) -> str:
    count[name] += 1
    return name if count[name] == 1 else f"{name}_{count[name] - 1}"


def _apply(graph: Any, names: dict[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                _apply(inner, names)


def _strip(proto: Any) -> None:
    graph = proto.graph
    for each in (proto, graph, *graph.input, *graph.output, *graph.initializer):
        del each.metadata_props[:]
    del graph.value_info[:]
    for node in graph.node:
        modules = _paths(node)
        del node.metadata_props[:]
        if modules:
            node.metadata_props.add(key=SCOPES, value=repr(modules))
