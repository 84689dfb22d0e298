"""What an engine takes and gives: names, types, and the shapes of its optimization profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrdeploy.errors import BadInput
from ocrdeploy.vocabulary import ModelSpec, Tensors

Shape = tuple[int, ...]
PROFILE = 0
"""The optimization profile that is used: ours have one."""


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of an engine: its name, numpy dtype, and its smallest and largest shape.

    For an output, both are its dims, with -1 for those that depend on the inputs.
    """

    name: str
    dtype: np.dtype[Any]
    low: Shape
    high: Shape

    def __str__(self) -> str:
        pairs = zip(self.low, self.high, strict=True)
        dims = ", ".join(f"{low}" if low == high else f"{low}..{high}" for low, high in pairs).replace("-1", "?")
        return f"{self.name!r}: {self.dtype} ({dims})"

    @property
    def nbytes(self) -> int:
        """The size of an array of the largest shape, in bytes."""
        return nbytes(self.high, self.dtype)


def nbytes(shape: Shape, dtype: np.dtype[Any]) -> int:
    """Return the size of an array, in bytes."""
    return int(np.prod(shape, dtype=np.int64)) * dtype.itemsize


def read(trt: Any, engine: Any, path: Path) -> tuple[dict[str, Port], dict[str, Port]]:
    """Return the inputs and the outputs of an engine, by name. Raises `BadInput` for kinds of tensors that cannot be fed."""
    inputs: dict[str, Port] = {}
    outputs: dict[str, Port] = {}
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        taken = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
        if engine.get_tensor_location(name) != trt.TensorLocation.DEVICE:
            raise BadInput(f"{path} reads the values of {name!r} as a shape", "export the model without inputs that are shapes")
        low, high = _range(engine, name) if taken else (_dims(engine.get_tensor_shape(name)),) * 2
        (inputs if taken else outputs)[name] = Port(name, _dtype(trt, engine, name, path), low, high)
    return inputs, outputs


def _range(engine: Any, name: str) -> tuple[Shape, Shape]:
    fixed = _dims(engine.get_tensor_shape(name))
    if all(size >= 0 for size in fixed):
        return fixed, fixed
    low, _, high = engine.get_tensor_profile_shape(name, PROFILE)
    return _dims(low), _dims(high)


def _dims(shape: Any) -> Shape:
    return tuple(int(size) for size in shape)


def _dtype(trt: Any, engine: Any, name: str, path: Path) -> np.dtype[Any]:
    kind = engine.get_tensor_dtype(name)
    try:
        found: np.dtype[Any] = np.dtype(trt.nptype(kind))
    except TypeError:
        problem = f"{path} has a tensor {name!r} of type {getattr(kind, 'name', kind)}, which numpy does not have"
        raise BadInput(problem, "export the model with float32 inputs and outputs: conversions keep them") from None
    return found


def check_spec(path: Path, model: ModelSpec, inputs: Mapping[str, Port], outputs: Mapping[str, Port]) -> None:
    """Raise `BadInput`, naming both sides, where an engine is not the one that the specification describes."""
    wanted = {model.input.name: "float32"} | {side.name: side.dtype for side in model.input.side_inputs}
    fix = f"use the specification that belongs to this engine, or the engine of model {model.name!r}"
    if {port.name: str(port.dtype) for port in inputs.values()} != wanted:
        named = ", ".join(f"{name!r}: {dtype}" for name, dtype in wanted.items())
        raise BadInput(f"{path} has other inputs than its specification says: {listed(inputs)}; expected {named}", fix)
    if any(name not in outputs for name in model.outputs):
        named = ", ".join(map(repr, model.outputs))
        raise BadInput(f"{path} has other outputs than its specification says: {listed(outputs)}; expected {named}", fix)
    port, axis = inputs[model.input.name], model.input.layout.index("C")
    if len(port.high) != len(model.input.layout) or not port.low[axis] <= model.input.channels <= port.high[axis]:
        expected = f"{model.input.layout} with {model.input.channels} channels"
        raise BadInput(f"{path} takes pictures as {port}; its specification says {expected}", fix)


def check_kinds(name: str, ports: Mapping[str, Port], inputs: Tensors) -> None:
    """Raise `BadInput` where names, types or ranks are not those that the model `name` takes."""
    if inputs.keys() != ports.keys() or not all(_is_kind(port, inputs[port.name]) for port in ports.values()):
        given = ", ".join(f"{key!r}: {array.dtype} {array.shape}" for key, array in inputs.items()) or "nothing"
        raise BadInput(
            f"model {name!r} takes {listed(ports)}, and was given {given}",
            "let ocrdeploy.batching make the batch from the model's own specification",
        )


def _is_kind(port: Port, array: NDArray[Any]) -> bool:
    return array.dtype == port.dtype and array.ndim == len(port.high) and array.size > 0


def listed(ports: Mapping[str, Port]) -> str:
    """Return the ports as a sentence has them."""
    return ", ".join(map(str, ports.values())) or "nothing"
