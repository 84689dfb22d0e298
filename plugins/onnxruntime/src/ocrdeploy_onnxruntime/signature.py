"""What an ONNX file takes and gives, and whether a specification and a batch agree with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ocrdeploy.errors import BadInput
from ocrdeploy.vocabulary import ModelSpec, Tensors

_DTYPES = {"float": "float32", "double": "float64"}
"""ONNX Runtime's element types whose names are not numpy's."""


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of a file: its name, numpy dtype and dims, where 0 is any size; no dims means any rank."""

    name: str
    dtype: str
    dims: tuple[int, ...]

    def __str__(self) -> str:
        dims = ", ".join(str(size or "?") for size in self.dims)
        return f"{self.name!r}: {self.dtype} ({dims})" if dims else f"{self.name!r}: {self.dtype}"

    def takes(self, array: NDArray[Any]) -> bool:
        """Say whether the array has this dtype, rank and fixed sizes."""
        if array.dtype != self.dtype:
            return False
        return not self.dims or (
            len(self.dims) == array.ndim and all(wanted in (0, size) for wanted, size in zip(self.dims, array.shape, strict=True))
        )


def ports(arguments: Sequence[Any]) -> dict[str, Port]:
    """Read `InferenceSession.get_inputs()` or `get_outputs()`."""
    return {each.name: Port(each.name, _dtype(each.type), _dims(each.shape)) for each in arguments}


def _dtype(kind: str) -> str:
    element = kind.removeprefix("tensor(").removesuffix(")")
    return _DTYPES.get(element, element)


def _dims(shape: Sequence[int | str | None]) -> tuple[int, ...]:
    return tuple(size if isinstance(size, int) and size > 0 else 0 for size in shape)


def check_spec(path: Path, model: ModelSpec, inputs: Mapping[str, Port], outputs: Mapping[str, Port]) -> None:
    """Raise `BadInput`, naming both sides, where a file is not the one that the specification describes."""
    wanted = {model.input.name: "float32"} | {side.name: side.dtype for side in model.input.side_inputs}
    fix = f"use the specification that belongs to this file, or the file of model {model.name!r}"
    if {port.name: port.dtype for port in inputs.values()} != wanted:
        named = ", ".join(f"{name!r}: {dtype}" for name, dtype in wanted.items())
        raise BadInput(f"{path} has other inputs than its specification says: {_listed(inputs)}; expected {named}", fix)
    missing = [name for name in model.outputs if name not in outputs]
    if missing:
        named = ", ".join(map(repr, model.outputs))
        raise BadInput(f"{path} has other outputs than its specification says: {_listed(outputs)}; expected {named}", fix)
    _check_layout(path, model, inputs[model.input.name], fix)


def _check_layout(path: Path, model: ModelSpec, port: Port, fix: str) -> None:
    if not port.dims:
        return
    axis = model.input.layout.index("C")
    if len(port.dims) != len(model.input.layout) or port.dims[axis] not in (0, model.input.channels):
        expected = f"{model.input.layout} with {model.input.channels} channels"
        raise BadInput(f"{path} takes pictures as {port}; its specification says {expected}", fix)


def check_batch(name: str, ports: Mapping[str, Port], inputs: Tensors) -> None:
    """Raise `BadInput` where the model `name` does not take these arrays."""
    if inputs.keys() != ports.keys() or not all(port.takes(inputs[port.name]) for port in ports.values()):
        given = ", ".join(f"{key!r}: {array.dtype} {array.shape}" for key, array in inputs.items()) or "nothing"
        raise BadInput(
            f"model {name!r} takes {_listed(ports)}, and was given {given}",
            "let ocrdeploy.batching make the batch from the model's own specification",
        )


def _listed(ports: Mapping[str, Port]) -> str:
    return ", ".join(map(str, ports.values())) or "nothing"
