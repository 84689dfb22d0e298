"""Flush denormal weights of an ONNX graph to zero.

A denormal (subnormal) number is smaller than the least normal float32, 1.2e-38. Training with weight decay leaves them in
dead channels. They change no output, and most processors handle them in microcode, up to a hundred times as slow.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ocrdeploy.errors import BadInput
from ocrdeploy.onnxgraph.metadata import KEY


def flush(source: Path, target: Path, specification: str) -> int:
    """Write `source` to `target` with every denormal float32 or float64 weight set to zero; return how many there were.

    `specification`, a `ModelSpec` as JSON, is put into the metadata. `target` is written only when there are any.
    Raises `BadInput` for a file that onnx cannot read.
    """
    model = _load(source)
    count = sum(_flush_tensor(tensor) for tensor in _tensors(model.graph))
    if count:
        _describe(model, specification)
        target.write_bytes(model.SerializeToString())
    return count


def _load(source: Path) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        return onnx.load(source)
    except (DecodeError, OSError, ValueError, onnx.checker.ValidationError) as error:
        raise BadInput(f"{source} is not an ONNX model, or is cut short", "name an ONNX file, or copy it again") from error


def _describe(model: Any, specification: str) -> None:
    for entry in model.metadata_props:
        if entry.key == KEY:
            entry.value = specification
            return
    model.metadata_props.add(key=KEY, value=specification)


def _tensors(graph: Any) -> Iterator[Any]:
    """Yield every constant tensor of a graph and of the graphs inside its nodes."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            if attribute.HasField("g"):
                yield from _tensors(attribute.g)
            yield from attribute.tensors
            for inner in attribute.graphs:
                yield from _tensors(inner)


def _flush_tensor(tensor: Any) -> int:
    from onnx import TensorProto, numpy_helper

    if tensor.data_type not in (TensorProto.FLOAT, TensorProto.DOUBLE):
        return 0
    values = numpy_helper.to_array(tensor)
    denormal = (values != 0) & (np.abs(values) < np.finfo(values.dtype).tiny)
    count = int(np.count_nonzero(denormal))
    if count:
        tensor.CopyFrom(numpy_helper.from_array(np.where(denormal, values.dtype.type(0), values), tensor.name))
    return count
