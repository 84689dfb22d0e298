"""The two models of a new model pack: small, of noise, and whole."""

from __future__ import annotations

from typing import Any

import numpy as np

OPSET, IR_VERSION = 17, 8
"""Old enough for every runtime that is still in use."""
CLASSES = 11
"""The digits, and the blank before them."""


def detector() -> bytes:
    """Return a network that answers a map, (N, 1, H, W), of a picture, (N, 3, H, W)."""
    from onnx import helper

    chance = np.random.default_rng(1)
    weights = {"look": chance.normal(0, 0.5, (1, 3, 3, 3)), "bias": np.zeros(1)}
    nodes = [
        helper.make_node("Conv", ["picture", "look", "bias"], ["seen"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Sigmoid", ["seen"], ["map"]),
    ]
    return _model("detector", nodes, weights, ("picture", ["N", 3, "H", "W"]), ("map", ["N", 1, "H", "W"]))


def recognizer() -> bytes:
    """Return a network that answers probabilities of the classes, (N, W / 4, 11), of a line, (N, 3, 32, W)."""
    from onnx import helper

    chance = np.random.default_rng(2)
    weights: dict[str, Any] = {"look": chance.normal(0, 0.2, (CLASSES, 3, 32, 4)), "bias": np.zeros(CLASSES)}
    nodes = [
        helper.make_node("Conv", ["line", "look", "bias"], ["seen"], kernel_shape=[32, 4], strides=[32, 4]),
        helper.make_node("Squeeze", ["seen", "height"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("Softmax", ["turned"], ["steps"], axis=-1),
    ]
    return _model("recognizer", nodes, weights, ("line", ["N", 3, 32, "W"]), ("steps", ["N", "T", CLASSES]))


def _model(
    name: str, nodes: list[Any], weights: dict[str, Any], taken: tuple[str, list[Any]], given: tuple[str, list[Any]]
) -> bytes:
    import onnx
    from onnx import helper, numpy_helper

    number = onnx.TensorProto.FLOAT
    constants = [numpy_helper.from_array(array.astype(np.float32), key) for key, array in weights.items()]
    if any(node.op_type == "Squeeze" for node in nodes):
        constants.append(numpy_helper.from_array(np.array([2], np.int64), "height"))
    first, last = (helper.make_tensor_value_info(port, number, dims) for port, dims in (taken, given))
    graph = helper.make_graph(nodes, name, [first], [last], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(made, full_check=True)
    content: bytes = made.SerializeToString()
    return content
