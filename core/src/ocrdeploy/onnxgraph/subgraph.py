"""Parts of an ONNX graph: its nodes in order, and files that answer with tensors from the middle of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCOPES = "pkg.torch.onnx.name_scopes"
"""The metadata entry in which PyTorch's dynamo exporter lists a node's modules, the outermost first, and its own name last."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operator of the main graph, at its `index`; `inputs` has the tensors that its inner graphs take from outside, too.

    `module`: the PyTorch module that it comes from, where the exporter noted it down, else ''.
    """

    index: int
    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    module: str


def load(path: Path, *, external: bool = True) -> Any:
    """Return an ONNX file, which a backend has opened before, as an `onnx.ModelProto`; `external`: with the weights beside it."""
    import onnx

    # Without `format`, onnx goes by the suffix, and a made file may have any.
    return onnx.load(path, format="protobuf", load_external_data=external)


def nodes(model: Any) -> list[Node]:
    """Return the nodes of the main graph, each after those whose tensors it takes."""
    return [
        Node(
            index,
            node.name,
            node.op_type,
            tuple(dict.fromkeys(_taken(node))),
            tuple(name for name in node.output if name),
            module_of(node.name, {entry.key: entry.value for entry in node.metadata_props}),
        )
        for index, node in enumerate(model.graph.node)
    ]


def _taken(node: Any) -> Iterator[str]:
    """Yield the tensors that a node takes from its graph."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
            own = {each.name for each in (*graph.input, *graph.initializer)} | {
                name for inner in graph.node for name in inner.output
            }
            outside = (name for inner in graph.node for name in _taken(inner))
            # A branch may also answer with a tensor from outside, without any node.
            yield from (name for name in (*outside, *(each.name for each in graph.output)) if name not in own)


def module_of(name: str, metadata: Mapping[str, str]) -> str:
    """Return the path of the PyTorch module in which a node was made, such as `backbone.layer1.0.conv1`; '' if that is not known.

    The legacy exporter names nodes "/backbone/layer1/layer1.0/conv1/Conv"; dynamo says it in the metadata.
    """
    if name.startswith("/"):
        path: list[str] = []
        for part in name.split("/")[1:-1]:
            # A member of a list of modules is called by the list's name, again, and its number.
            if path and part.startswith(f"{path[-1]}."):
                path.pop()
            path.append(part)
        return ".".join(path)
    try:
        scopes = ast.literal_eval(metadata.get(SCOPES, "[]"))[:-1]
    except (ValueError, SyntaxError):
        return ""
    return str(scopes[-1]) if scopes else ""


def tensor_names(model: Any) -> list[str]:
    """Return what nodes of the main graph answer, in their order, without constants and what is no tensor."""
    kinds = {each.name: each.type.WhichOneof("value") for each in (*model.graph.value_info, *model.graph.output)}
    return [
        name
        for node in model.graph.node
        if node.op_type != "Constant" and not node.op_type.startswith(("Sequence", "Optional", "SplitToSequence"))
        for name in node.output
        if name and kinds.get(name, "tensor_type") in {"tensor_type", None}
    ]


def cut(model: Any, outputs: Sequence[str]) -> Any:
    """Return a model that takes what `model` takes and answers with these of its tensors, by their names.

    It has the nodes and weights that they need, and no others. Their types are left for the runtime to infer.
    """
    import onnx

    known = {each.name: each for each in (*model.graph.value_info, *model.graph.output)}
    kept = _needed(model, outputs)
    taken = {name for node in kept for name in _taken(node)} | set(outputs)
    weights = {each.name for each in model.graph.initializer}
    made = onnx.ModelProto(ir_version=model.ir_version, producer_name=model.producer_name)
    made.opset_import.extend(model.opset_import)
    made.functions.extend(model.functions)
    made.metadata_props.extend(model.metadata_props)
    graph = made.graph
    graph.name = model.graph.name
    graph.node.extend(kept)
    # Old exporters list weights among the inputs, and one without its value would have to be fed.
    graph.input.extend(each for each in model.graph.input if each.name in taken or each.name not in weights)
    graph.output.extend(known.get(name, onnx.ValueInfoProto(name=name)) for name in outputs)
    graph.initializer.extend(each for each in model.graph.initializer if each.name in taken)
    graph.sparse_initializer.extend(each for each in model.graph.sparse_initializer if each.values.name in taken)
    return made


def _needed(model: Any, outputs: Sequence[str]) -> list[Any]:
    """Return the nodes that lead to `outputs`, in order."""
    wanted, kept = set(outputs), []
    for node in reversed(model.graph.node):
        if wanted & set(node.output):
            kept.append(node)
            wanted.update(_taken(node))
    return kept[::-1]
