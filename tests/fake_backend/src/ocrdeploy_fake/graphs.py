"""The three networks that read stripes, as ONNX graphs of a few operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from ocrdeploy.vocabulary import ModelSpec, Task

STEEP = 1e6
"""How steeply a pixel becomes ink: one that is as dark as -0.25, within a millionth, is no ink yet."""


Dims: TypeAlias = tuple[int | str, ...]

HEIGHT = 48
"""Of the lines that the classifier takes, in pixels."""


class _Graph:
    """Nodes and constants, added one after the other."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[Any] = []

    def add(self, operator: str, source: str, *constants: Any, output: str = "", more: Sequence[str] = (), **options: Any) -> str:
        """Add a node, and return the name of its output."""
        made = output or f"{operator.lower()}{len(self.nodes)}"
        names = [f"{made}.{index}" for index in range(len(constants))]
        self.constants += [numpy_helper.from_array(np.asarray(array), name) for array, name in zip(constants, names, strict=True)]
        self.nodes.append(helper.make_node(operator, [source, *more, *names], [made], **options))
        return made

    def convolve(self, source: str, weights: Any, bias: Any = 0.0, **options: Any) -> str:
        """Add a convolution with these weights (outputs, inputs, height, width)."""
        kernel = np.asarray(weights, np.float32)
        biases = np.broadcast_to(np.float32(bias), kernel.shape[:1]).copy()
        return self.add("Conv", source, kernel, biases, kernel_shape=kernel.shape[2:], **options)


def graph(model: ModelSpec) -> ModelProto:
    """Return the graph for the task, the input and the outputs of `model`."""
    made, spec, last = _Graph(), model.input, model.outputs[0]
    pixels = spec.name
    dims: Dims = ("N", 3, "H", "W")
    if spec.layout == "NHWC":
        pixels, dims = made.add("Transpose", pixels, perm=[0, 3, 1, 2]), ("N", "H", "W", 3)
    dark = made.convolve(pixels, np.full((1, 3, 1, 1), -STEEP / 3), -0.25 * STEEP)
    ink = made.add("Clip", dark, np.float32(0), np.float32(1))
    given = {
        Task.DETECTION: lambda: _detect(made, ink, last),
        Task.RECOGNITION: lambda: _recognize(made, ink, len(model.charset) + 1, last),
        Task.CLASSIFICATION: lambda: _classify(made, ink, last),
    }[model.task]()
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, list(sizes)) for name, sizes in ((spec.name, dims), (last, given))
    ]
    whole = helper.make_graph(made.nodes, model.name, ports[:1], ports[1:], made.constants)
    return helper.make_model(whole, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _detect(made: _Graph, ink: str, output: str) -> Dims:
    beside = made.add("MaxPool", ink, kernel_shape=[1, 21], pads=[0, 10, 0, 10])
    made.add("MaxPool", beside, output=output, kernel_shape=[9, 1], pads=[4, 0, 4, 0])
    return "N", 1, "H", "W"


def _recognize(made: _Graph, ink: str, classes: int, output: str) -> Dims:
    begins = made.add("Relu", made.convolve(ink, [[[[-1], [1]]]], pads=[1, 0, 0, 0]))
    fewer = made.convolve(made.add("ReduceSum", begins, np.array([2])), [[[[-1]]]])
    # The least of 4 columns is the greatest of their negatives; beyond the edge there is no stroke.
    beyond = made.convolve(fewer, [[[[1]]]], pads=[0, 0, 0, 3])
    steps = made.convolve(made.add("MaxPool", beyond, kernel_shape=[1, 4], strides=[1, 4]), [[[[-1]]]])
    # Class k is a hat over the number k, made of ramps that begin at k - 1, k and k + 1; the last has no other side.
    ramps = made.add("Relu", made.convolve(steps, np.ones((classes + 2, 1, 1, 1)), [1.0 - start for start in range(classes + 2)]))
    hats = np.zeros((classes, classes + 2, 1, 1))
    for number in range(classes):
        hats[number, number : number + 3, 0, 0] = (1, -2, 1) if number < classes - 1 else (1, -1, 0)
    scores = made.add("Squeeze", made.convolve(ramps, hats), np.array([2]))
    made.add("Transpose", scores, output=output, perm=[0, 2, 1])
    return "N", "T", classes


def _classify(made: _Graph, ink: str, output: str) -> Dims:
    halves = np.repeat(np.eye(2), HEIGHT // 2, axis=1).reshape(2, 1, HEIGHT, 1)
    counts = made.add("ReduceSum", made.convolve(ink, halves), np.array([2, 3]), keepdims=0)
    counts = made.add("Add", counts, np.float32(1))
    total = made.add("ReduceSum", counts, np.array([1]))
    made.nodes.append(helper.make_node("Div", [counts, total], [output]))
    return "N", 2
