"""Batch normalization that follows a convolution becomes part of the convolution's weights.

With scale s = gamma / sqrt(variance + epsilon): weight * s, (bias - mean) * s + beta, for each output channel. In half
precision this is what makes detectors fit: the variances themselves, 1.4e7 in a trained DBNet, do not, and their quotients do.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrdeploy.onnxgraph.precision_preparation import taken

_EPSILON = 1e-5  # ONNX's default


def fold(model: Any) -> int:
    """Fold the batch normalizations of the main graph into the convolutions before them, where only they take its answer.

    Returns how many there were.
    """
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    uses = Counter(name for node in graph.node for name in taken(node))
    uses.update(each.name for each in graph.output)
    gone = []
    for place, node in enumerate(graph.node):
        if node.op_type == "BatchNormalization" and node.domain in {"", "ai.onnx"}:
            before = makers.get(node.input[0])
            if before is not None and uses[node.input[0]] == 1 and _joined(graph, before, node, weights, uses):
                gone.append(place)
    for place in reversed(gone):
        del graph.node[place]
    _drop_unused(graph)
    return len(gone)


def _joined(graph: Any, before: Any, norm: Any, weights: dict[str, Any], uses: Counter[str]) -> bool:
    """Give the convolution `before` the weights with which it answers as `norm` does; False where that cannot be."""
    from onnx import TensorProto, numpy_helper

    if before.op_type not in {"Conv", "ConvTranspose"} or any(norm.output[1:]) or _attribute(norm, "training_mode", 0):
        return False
    names = [*before.input[1:], *norm.input[1:]]
    if any(name not in weights or weights[name].data_type != TensorProto.FLOAT for name in names):
        return False
    group = _attribute(before, "group", 1)
    if before.op_type == "ConvTranspose" and group != 1:
        return False  # Its weights have the channels of a group only, in their second axis.
    weight = _array(weights[before.input[1]])
    gamma, beta, mean, variance = (_array(weights[name]) for name in norm.input[1:])
    bias = _array(weights[before.input[2]]) if len(before.input) > 2 else np.zeros_like(mean)  # noqa: PLR2004 - the third is the bias
    scale = gamma / np.sqrt(variance + _attribute(norm, "epsilon", _EPSILON))
    axis = 0 if before.op_type == "Conv" else 1
    if weight.shape[axis] != len(scale):
        return False
    shape = [-1 if place == axis else 1 for place in range(weight.ndim)]
    made = {
        f"{norm.name}.weight": weight * scale.reshape(shape),
        f"{norm.name}.bias": (bias - mean) * scale + beta,
    }
    if not all(np.isfinite(each).all() for each in made.values()) or made.keys() & {*uses, *weights}:
        return False
    for name, values in made.items():
        graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), name))
    del before.input[1:]
    before.input.extend(made)
    before.output[0] = norm.output[0]
    return True


def _attribute(node: Any, name: str, default: float) -> Any:
    from onnx import helper

    return next((helper.get_attribute_value(each) for each in node.attribute if each.name == name), default)


def _array(tensor: Any) -> NDArray[np.float64]:
    from onnx import numpy_helper

    return np.asarray(numpy_helper.to_array(tensor), np.float64)


def _drop_unused(graph: Any) -> None:
    used = {name for node in graph.node for name in taken(node)} | {each.name for each in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    if len(kept) < len(graph.initializer):
        copies = [type(tensor).FromString(tensor.SerializeToString()) for tensor in kept]
        del graph.initializer[:]
        graph.initializer.extend(copies)
