"""Two tiny networks as ONNX files: one with a detector's inputs and outputs, one with a recognizer's.

Their weights are noise, so that nothing which is exchanged, shifted, padded or rounded goes unnoticed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ocrdeploy import artifact, spec
from ocrdeploy.onnxgraph import metadata
from ocrdeploy.testing.arithmetic import Floats, convolve, pool, rectify, sigmoid, softmax
from ocrdeploy.testing.networks import Network
from ocrdeploy.vocabulary import Artifact, Height, InputSpec, ModelSpec, Shapes, ShortSide, Task

OPSET, IR_VERSION = 17, 8
"""Old enough for every runtime that is still in use."""

DETECTOR = ModelSpec(
    name="tiny-det",
    family="dbnet",
    task=Task.DETECTION,
    input=InputSpec(
        "picture",
        ShortSide(16),
        mean=(127.5,),
        std=(127.5,),
        pad_to=8,
        shapes=Shapes(min=(1, 3, 16, 24), opt=(2, 3, 32, 48), max=(5, 3, 64, 96)),
    ),
    outputs=("map", "edges"),
)
RECOGNIZER = ModelSpec(
    name="tiny-rec",
    family="ctc",
    task=Task.RECOGNITION,
    input=InputSpec(
        "line",
        Height(32, width_multiple=4),
        mean=(127.5,),
        std=(127.5,),
        shapes=Shapes(min=(1, 3, 32, 16), opt=(2, 3, 32, 64), max=(5, 3, 32, 160)),
    ),
    outputs=("steps",),
    options={"softmax": False},
    charset=tuple(map(chr, range(33, 127))),
)
Node: TypeAlias = tuple[str, Sequence[str], str, Mapping[str, Any]]
"""An operator, its inputs, its output, which is also the node's name, and its attributes."""

Dims: TypeAlias = Sequence[int | str]


def networks(folder: Path) -> Mapping[str, Network]:
    """Write both files into `folder`, and return them by their roles."""
    return {"detector": _detector(folder / "tiny-det.onnx"), "recognizer": _recognizer(folder / "tiny-rec.onnx")}


def _noise(seed: int, **shapes: tuple[int, ...]) -> dict[str, NDArray[np.float32]]:
    """Return weights that keep the spread of the numbers from layer to layer, and small biases."""
    chance = np.random.default_rng(seed)
    scales = {name: np.sqrt(3 / np.prod(shape[1:])) if len(shape) > 1 else 0.3 for name, shape in shapes.items()}
    return {name: chance.normal(0, scales[name], shape).astype(np.float32) for name, shape in shapes.items()}


def _detector(path: Path) -> Network:
    """Write what answers a map, (N, 1, H, W), and a second one, which the graph lists before it."""
    weights = _noise(1, look=(6, 3, 3, 3), look_bias=(6,), mark=(1, 6, 3, 3), mark_bias=(1,), edge=(1, 6, 1, 1), edge_bias=(1,))

    def reference(x: Floats) -> Mapping[str, Floats]:
        seen = pool(rectify(convolve(x, weights["look"], weights["look_bias"], stride=(1, 1), pad=(1, 1))))
        marked = convolve(seen, weights["mark"], weights["mark_bias"], stride=(1, 1), pad=(1, 1))
        edges = convolve(seen, weights["edge"], weights["edge_bias"], stride=(1, 1), pad=(0, 0))
        return {"map": sigmoid(marked), "edges": sigmoid(edges)}

    nodes: list[Node] = [
        ("Conv", ("picture", "look", "look_bias"), "a", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
        ("Relu", ("a",), "b", {}),
        ("MaxPool", ("b",), "c", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
        ("Conv", ("c", "mark", "mark_bias"), "d", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
        ("Conv", ("c", "edge", "edge_bias"), "e", {"kernel_shape": [1, 1]}),
        ("Sigmoid", ("d",), "map", {}),
        ("Sigmoid", ("e",), "edges", {}),
    ]
    outputs: dict[str, Dims] = {"edges": ["N", 1, "H", "W"], "map": ["N", 1, "H", "W"]}
    return Network(_write(path, DETECTOR, nodes=nodes, constants=weights, taken=["N", 3, "H", "W"], given=outputs), reference)


def _recognizer(path: Path) -> Network:
    """Write what answers probabilities of 95 classes for each four columns, (N, W / 4, 95)."""
    classes = len(RECOGNIZER.charset) + 1
    weights = _noise(2, look=(8, 3, 3, 3), look_bias=(8,), read=(classes, 8, 16, 3), read_bias=(classes,))

    def reference(x: Floats) -> Mapping[str, Floats]:
        seen = rectify(convolve(x, weights["look"], weights["look_bias"], stride=(2, 2), pad=(1, 1)))
        steps = convolve(seen, weights["read"], weights["read_bias"], stride=(1, 2), pad=(0, 1))
        return {"steps": softmax(steps[:, :, 0].transpose(0, 2, 1))}

    nodes: list[Node] = [
        (
            "Conv",
            ("line", "look", "look_bias"),
            "a",
            {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
        ),
        ("Relu", ("a",), "b", {}),
        ("Conv", ("b", "read", "read_bias"), "c", {"kernel_shape": [16, 3], "strides": [1, 2], "pads": [0, 1, 0, 1]}),
        ("Squeeze", ("c", "height"), "d", {}),
        ("Transpose", ("d",), "e", {"perm": [0, 2, 1]}),
        ("Softmax", ("e",), "steps", {"axis": -1}),
    ]
    constants: dict[str, NDArray[Any]] = {**weights, "height": np.array([2], np.int64)}
    written = _write(
        path, RECOGNIZER, nodes=nodes, constants=constants, taken=["N", 3, 32, "W"], given={"steps": ["N", "T", classes]}
    )
    return Network(written, reference)


def _write(
    path: Path,
    model: ModelSpec,
    *,
    nodes: Sequence[Node],
    constants: Mapping[str, NDArray[Any]],
    taken: Dims,
    given: Mapping[str, Dims],
) -> Artifact:
    import onnx
    from onnx import helper, numpy_helper

    number = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node(kind, list(inputs), [made], name=made, **options) for kind, inputs, made, options in nodes],
        model.name,
        [helper.make_tensor_value_info(model.input.name, number, list(taken))],
        [helper.make_tensor_value_info(name, number, list(dims)) for name, dims in given.items()],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    metadata.describe(made, {metadata.KEY: spec.to_json(model)})
    onnx.checker.check_model(made, full_check=True)
    onnx.save(made, path)
    return Artifact(path, "onnx", artifact.sha256(path), model)
