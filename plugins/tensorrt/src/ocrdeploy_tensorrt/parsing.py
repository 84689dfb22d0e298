"""An ONNX file becomes a TensorRT network; what TensorRT does not have is named, with the PyTorch module it comes from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ocrdeploy.errors import BadInput
from ocrdeploy.onnxgraph import checks, subgraph
from ocrdeploy.vocabulary import Shapes
from ocrdeploy_tensorrt import module

_SAID = 3
"""How many of the parser's complaints are repeated."""


def parse(trt: Any, network: Any, path: Path, graph: Any, shapes: Mapping[str, Shapes]) -> Any:
    """Fill `network` from the ONNX file `path`, and return the parser, which has to live as long as the network.

    `graph` is the file, loaded without weights that lie beside it. Raises `BadInput` where TensorRT cannot take it.
    """
    parser = trt.OnnxParser(network, module.logger(trt))
    data = told_apart(path, graph, shapes)
    with module.hearing() as heard:
        done = parser.parse_from_file(str(path)) if data is None else parser.parse(data, str(path))
    if not done:
        raise _refused(parser, path, graph, heard)
    return parser


def told_apart(path: Path, graph: Any, shapes: Mapping[str, Shapes]) -> bytes | None:
    """Return the file with a name of its own for each open axis of its inputs; None where it may stay as it is.

    TensorRT takes axes of one name to be of one length, whatever the profile says: PP-OCR's classifier calls height and width
    "?", and no engine can be built of it.
    """
    if not _clash(graph, shapes):
        return None
    model = subgraph.load(path, external=False)
    for each in model.graph.input:
        for axis, dim in enumerate(each.type.tensor_type.shape.dim):
            if dim.dim_param:
                dim.dim_param = f"{each.name}_{axis}"
    # They name the same axes, and are inferred anew.
    del model.graph.value_info[:]
    for each in model.graph.output:
        each.type.tensor_type.ClearField("shape")
    data: bytes = model.SerializeToString()
    return data


def _clash(graph: Any, shapes: Mapping[str, Shapes]) -> bool:
    """Whether two axes of one name are to have different lengths."""
    lengths: dict[str, tuple[int, ...]] = {}
    for each in checks.inputs(graph):
        its = shapes[each.name]
        for axis, dim in enumerate(each.dims):
            wanted = (its.min[axis], its.opt[axis], its.max[axis])
            if isinstance(dim, str) and dim and lengths.setdefault(dim, wanted) != wanted:
                return True
    return False


def _refused(parser: Any, path: Path, graph: Any, heard: list[str]) -> BadInput:
    unknown = list(_unknown(parser, graph))
    if unknown:
        return BadInput(
            f"{path} has operators that TensorRT does not have: {'; '.join(unknown)}",
            "run it with another backend (ocrd backends), or name a library of plugins that has them: --custom-ops LIBRARY",
        )
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    named = modules(graph)
    said = [f"{error.desc()}{_place(error, named)}" for error in errors[:_SAID]]
    why = "; ".join(" ".join(each.split()) for each in said) or module.cause(heard, "it gives no reason")
    return BadInput(f"TensorRT cannot take {path}: {why}", "export it again with ocrd export, or run it with another backend")


def _unknown(parser: Any, graph: Any) -> Iterator[str]:
    """Yield each operator that TensorRT does not have, with how many nodes there are of it, and the first of them."""
    counts = Counter(node.op_type for node in checks.nodes(graph))
    first = {node.operator: node for node in reversed(subgraph.nodes(graph))}
    for operator, count in counts.items():
        if operator == "Constant" or parser.supports_operator(operator):
            continue
        node = first.get(operator)
        place = f", the first is {node.name!r}{f' in {node.module}' if node.module else ''}" if node else ""
        yield f"{operator} ({count} node{'s' if count > 1 else ''}{place})"


def _place(error: Any, named: Mapping[str, str]) -> str:
    name = error.node_name()
    where = f" in {named[name]}" if named.get(name) else ""
    return f" (node {name!r}, {error.node_operator()}{where})" if name else ""


def modules(graph: Any) -> Mapping[str, str]:
    """Return the PyTorch modules that nodes come from, by the nodes' names, as far as the exporter noted them down."""
    return {node.name: node.module for node in subgraph.nodes(graph)}
