"""The runtime: networks of a few operators, made from ONNX, in a format of their own, and executed with numpy.

A file is what `numpy.savez` writes: the weights by their names, and as "graph" the rest, as JSON.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ocrdeploy import BadInput

Array: TypeAlias = NDArray[Any]


def _windows(x: Array, kernel: Sequence[int], options: Mapping[str, Any], fill: float) -> Array:
    """Return what a kernel sees, (N, C, H, W, height, width)."""
    top, left, bottom, right = options.get("pads", (0, 0, 0, 0))
    down, across = options.get("strides", (1, 1))
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    seen: Array = sliding_window_view(x, tuple(kernel), axis=(2, 3))[:, :, ::down, ::across]
    return seen


def _convolve(options: Mapping[str, Any], x: Array, weights: Array, bias: Array) -> Array:
    seen = _windows(x, weights.shape[2:], options, 0)
    return np.moveaxis(np.tensordot(seen, weights, axes=((1, 4, 5), (1, 2, 3))), 3, 1) + bias[:, None, None]


def _softmax(options: Mapping[str, Any], x: Array) -> Array:
    powers = np.exp(x - x.max(axis=options["axis"], keepdims=True))
    return np.asarray(powers / powers.sum(axis=options["axis"], keepdims=True))


OPERATORS: Mapping[str, Callable[..., Array]] = {
    "Add": lambda _, a, b: a + b,
    "Clip": lambda _, x, least, most: np.clip(x, least, most),
    "Conv": _convolve,
    "Div": lambda _, a, b: a / b,
    "MaxPool": lambda options, x: _windows(x, options["kernel_shape"], options, -np.inf).max(axis=(4, 5)),
    "ReduceSum": lambda options, x, axes: x.sum(axis=tuple(axes), keepdims=bool(options.get("keepdims", 1))),
    "Relu": lambda _, x: np.maximum(x, np.float32(0)),
    "Sigmoid": lambda _, x: np.exp(-np.logaddexp(np.float32(0), -x)),
    "Softmax": _softmax,
    "Squeeze": lambda _, x, axes: np.squeeze(x, tuple(axes)),
    "Transpose": lambda options, x: x.transpose(options["perm"]),
}
OPTIONS = {"axis", "keepdims", "kernel_shape", "pads", "perm", "strides"}


def converted(path: Path) -> bytes:
    """Return an ONNX file in this runtime's format. Raises `BadInput` for a file or an operator that it cannot take."""
    import onnx

    try:
        graph = onnx.load(path).graph
    except Exception as error:  # protobuf and onnx raise anything for bytes that they were not meant for
        raise BadInput(f"{path} is not an ONNX model, or is cut short", "name an ONNX file, or copy it again") from error
    if not graph.output:
        raise BadInput(f"{path} is empty, or no ONNX model", "name an ONNX file, or copy it again")
    steps = []
    for node in graph.node:
        options = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
        if node.op_type not in OPERATORS or not options.keys() <= OPTIONS:
            raise BadInput(f"{path}: the fake runtime has no {node.op_type} with {', '.join(options)}", "use another backend")
        steps.append((node.op_type, list(node.input), node.output[0], options))
    inputs = {port.name: [dim.dim_value for dim in port.type.tensor_type.shape.dim] for port in graph.input}
    described = json.dumps({"inputs": inputs, "outputs": [port.name for port in graph.output], "steps": steps})
    weights = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, graph=np.array(described), **weights)
    return file.getvalue()


class Network:
    """A file of this format, read: `inputs` by name with their dims, 0 for any, and the names of the `outputs`."""

    def __init__(self, path: Path) -> None:
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
                weights = dict(file)
            graph = json.loads(str(weights.pop("graph")))
        except (OSError, ValueError, KeyError, AttributeError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            problem = f"{path} is not a fake network, or is cut short"
            raise BadInput(problem, "let ocrdeploy build it again from the ONNX file") from error
        self.inputs: dict[str, list[int]] = graph["inputs"]
        self.outputs: list[str] = graph["outputs"]
        self._steps, self._weights = graph["steps"], weights

    def compute(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return all outputs, by name. Nothing changes in the network, so that any number of threads may compute."""
        known = {**self._weights, **inputs}
        for operator, names, output, options in self._steps:
            known[output] = OPERATORS[operator](options, *(known[name] for name in names))
        return {name: known[name] for name in self.outputs}
