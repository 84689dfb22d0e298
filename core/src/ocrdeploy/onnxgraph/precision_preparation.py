"""A graph is made ready for the conversion: nodes named and sorted, constants in one place, types inferred."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ocrdeploy.errors import BadInput
from ocrdeploy.onnxgraph import checks
from ocrdeploy.onnxgraph.precision_forms import Form
from ocrdeploy.onnxgraph.precision_scopes import all_graphs, graphs
from ocrdeploy.onnxgraph.precision_slots import opsets

BF16_OPSET = 22
"""The first opset in which convolutions and recurrent layers take bfloat16."""

_PLAIN_WEIGHTS = 4  # the IR version from which weights need not be listed among the inputs


def load(source: Path) -> Any:
    """Return an ONNX file with the weights that lie beside it. Raises `BadInput` for one that onnx cannot read."""
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


def prepared(model: Any, form: Form) -> Any:
    """Return the model as the conversion wants it; it computes the same. Raises `InvalidGraphError`."""
    if model.functions:
        from onnx import inliner

        model = inliner.inline_local_functions(model)
    model = _in_opset(model, form)
    _free_weights(model)
    for graph in all_graphs(model.graph):
        _sort(graph)
        _hoist_constants(graph)
    _name_nodes(model)
    _skip_identities(model)
    _move_weights(model)
    return checks.inferred(model)


def _in_opset(model: Any, form: Form) -> Any:
    """Return the model in an opset whose operators take bfloat16, where that is wanted."""
    if form.precision != "bf16" or checks.opset(model) >= BF16_OPSET:
        return model
    from onnx import version_converter

    try:
        return version_converter.convert_version(model, BF16_OPSET)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        problem = f"the graph is in opset {opsets(model)['']}, bf16 needs {BF16_OPSET}, and onnx cannot raise it: {reason}"
        raise checks.InvalidGraphError(problem) from error


def _free_weights(model: Any) -> None:
    """Take weights out of the inputs, where old exporters list them: their type there would contradict their new one."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, _PLAIN_WEIGHTS)


def _sort(graph: Any) -> None:
    """Put each node behind those whose tensors it takes; where that leaves a choice, in the order that they had."""
    nodes = list(graph.node)
    maker = {name: place for place, node in enumerate(nodes) for name in node.output if name}
    needs = [{maker[name] for name in taken(node) if name in maker} - {place} for place, node in enumerate(nodes)]
    if all(max(before, default=-1) < place for place, before in enumerate(needs)):
        return
    used_by: dict[int, list[int]] = {}
    for place, before in enumerate(needs):
        for each in before:
            used_by.setdefault(each, []).append(place)
    ready = [place for place, before in enumerate(needs) if not before]
    order: list[int] = []
    while ready:
        order.append(heapq.heappop(ready))
        for each in used_by.get(order[-1], ()):
            needs[each].discard(order[-1])
            if not needs[each]:
                heapq.heappush(ready, each)
    if len(order) < len(nodes):
        raise checks.InvalidGraphError("its nodes take each other's tensors in a circle")
    replace_nodes(graph, [nodes[place] for place in order])


def taken(node: Any) -> Iterable[str]:
    """Yield the names that a node, or a node of a graph inside it, takes."""
    yield from (name for name in node.input if name)
    for graph in graphs(node):
        for inner in graph.node:
            yield from taken(inner)
        yield from (each.name for each in graph.output)


def replace_nodes(graph: Any, nodes: Iterable[Any]) -> None:
    """Let the graph have these nodes, some of which may be its own now."""
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def _is(node: Any, operator: str) -> bool:
    return node.op_type == operator and node.domain in {"", "ai.onnx"}


_CONSTANTS = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}


def _hoist_constants(graph: Any) -> None:
    """Make the tensors of Constant nodes initializers: a weight is then found in one place, and is converted in one way."""
    answers = {each.name for each in graph.output}
    kept = []
    for node in graph.node:
        tensor = _constant(node) if _is(node, "Constant") and node.output[0] not in answers else None
        if tensor is None:
            kept.append(node)
        else:
            graph.initializer.append(tensor)
            graph.initializer[-1].name = node.output[0]
    if len(kept) < len(graph.node):
        replace_nodes(graph, kept)


def _constant(node: Any) -> Any:
    """Return the tensor of a Constant, where it is one of numbers that are all stored."""
    from onnx import helper, numpy_helper

    for attribute in node.attribute:
        if attribute.name == "value":
            return attribute.t
        if attribute.name in _CONSTANTS:
            return numpy_helper.from_array(np.array(helper.get_attribute_value(attribute), _CONSTANTS[attribute.name]))
    return None


def _name_nodes(model: Any) -> None:
    """Give each node a name of its own: a report names nodes, and options do."""
    nodes = list(checks.nodes(model))
    used = {node.name for node in nodes}
    seen: set[str] = set()
    for number, node in enumerate(nodes):
        if not node.name or node.name in seen:
            stem = node.name or node.op_type
            node.name = next(name for name in _numbered(stem, number) if name not in used)
            used.add(node.name)
        seen.add(node.name)


def _numbered(stem: str, number: int) -> Iterable[str]:
    name = f"{stem}_{number}"
    while True:
        yield name
        name += "_"


def _skip_identities(model: Any) -> None:
    """Let who takes a copy of a weight take the weight: exporters share weights by way of Identity."""
    for graph in all_graphs(model.graph):
        weights = {tensor.name for tensor in graph.initializer}
        answers = {each.name for each in graph.output}
        same: dict[str, str] = {}
        kept = []
        for node in graph.node:
            if _is(node, "Identity") and node.output[0] not in answers:
                origin = same.get(node.input[0], node.input[0])
                if origin in weights:
                    same[node.output[0]] = origin
                    continue
            kept.append(node)
        if same:
            replace_nodes(graph, kept)
            rename_taken(graph, same)


MOVES = {"Identity", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten"}
"""Operators that carry the same numbers elsewhere."""


def _move_weights(model: Any) -> None:
    """Reshape and transpose weights now: a weight that is only found by computing would be kept, and cast, as a tensor is."""
    from onnx import helper, numpy_helper
    from onnx.reference import ReferenceEvaluator

    for graph in all_graphs(model.graph):
        weights = {tensor.name: tensor for tensor in graph.initializer}
        answers = {each.name for each in graph.output}
        kept = []
        for node in graph.node:
            names = [name for name in node.input if name]
            if node.op_type not in MOVES or node.output[0] in answers or not all(name in weights for name in names):
                kept.append(node)
                continue
            part = helper.make_graph([node], "part", [], [helper.make_empty_tensor_value_info(node.output[0])])
            part.initializer.extend(weights[name] for name in names)
            whole = helper.make_model(part, opset_imports=model.opset_import, ir_version=model.ir_version)
            (moved,) = ReferenceEvaluator(whole).run(None, {})
            weights[node.output[0]] = numpy_helper.from_array(np.asarray(moved), node.output[0])
            graph.initializer.append(weights[node.output[0]])
        if len(kept) < len(graph.node):
            replace_nodes(graph, kept)


def rename_taken(graph: Any, names: dict[str, str]) -> None:
    """Let every node of a graph, and of those inside it, that takes one of these names take the other instead."""
    for node in graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)
        for inner in graphs(node):
            own = {each.name for each in (*inner.input, *inner.initializer)} | {
                name for each in inner.node for name in each.output
            }
            seen = {name: other for name, other in names.items() if name not in own}
            rename_taken(inner, seen)
            for answer in inner.output:
                answer.name = seen.get(answer.name, answer.name)
