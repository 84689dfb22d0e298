"""A graph in half precision as an fp32 graph that rounds: what a half-precision device stores, on any processor.

ONNX Runtime's CPU provider runs a half-precision graph with rounded weights, but mostly without rounding between the nodes. Here
every tensor that is stored in half precision is rounded explicitly, by a Cast there and one back, so that what overflows or is
lost on a device is so here, too. Inside a node it is computed in fp32, as tensor cores add up.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ocrdeploy.onnxgraph import checks
from ocrdeploy.onnxgraph import precision_scopes as scopes
from ocrdeploy.onnxgraph.precision_forms import FORMS
from ocrdeploy.onnxgraph.precision_preparation import load, replace_nodes
from ocrdeploy.onnxgraph.precision_slots import FLOAT


def emulate(source: Path, target: Path) -> int:
    """Write the half-precision graph `source` to `target` as one in fp32; return how many tensors are rounded.

    Raises `BadInput` for a file that cannot be read, `InvalidGraphError` for one whose types cannot be inferred.
    """
    model = load(source)
    top = scopes.read(checks.inferred(model).graph)
    halves = {form.element for form in FORMS.values()}
    # Types are read from the graph with inferred ones; it has the same nodes, and is the one that is changed.
    count = sum(_widen(scope, halves) for scope in reversed([*top.every()]))
    made = type(model)()
    made.CopyFrom(model)
    made.graph.CopyFrom(top.graph)
    checks.check(made)
    target.write_bytes(made.SerializeToString(deterministic=True))
    return count


def _widen(scope: scopes.Scope, halves: set[int]) -> int:
    from onnx import helper

    nodes: list[Any] = []
    count = 0
    for node in scope.graph.node:
        rounded = [(place, name, scope.kinds[name]) for place, name in enumerate(node.output) if scope.kinds.get(name) in halves]
        _widen_attributes(node, halves)
        nodes.append(node)
        for place, name, kind in rounded:
            exact, half = f"{name}.exact", f"{name}.rounded"
            node.output[place] = exact
            nodes.append(helper.make_node("Cast", [exact], [half], to=kind))
            nodes.append(helper.make_node("Cast", [half], [name], to=FLOAT))
            count += 1
    replace_nodes(scope.graph, nodes)
    for value in (*scope.graph.value_info, *scope.graph.input, *scope.graph.output):
        if value.type.tensor_type.elem_type in halves:
            value.type.tensor_type.elem_type = FLOAT
    for tensor in scope.graph.initializer:
        _widen_tensor(tensor, halves)
    return count


def _widen_attributes(node: Any, halves: set[int]) -> None:
    for attribute in node.attribute:
        if attribute.name == "to" and node.op_type == "Cast" and attribute.i in halves:
            attribute.i = FLOAT
        if attribute.HasField("t"):
            _widen_tensor(attribute.t, halves)


def _widen_tensor(tensor: Any, halves: set[int]) -> None:
    from onnx import numpy_helper

    if tensor.data_type in halves:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype("float32"), tensor.name))
