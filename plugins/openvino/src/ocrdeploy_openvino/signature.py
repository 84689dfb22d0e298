"""What a model takes and gives, and whether a specification and a batch agree with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ocrdeploy.errors import BadInput
from ocrdeploy.vocabulary import ModelSpec, Tensors


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output: its place, its names, its numpy dtype and its dims, where 0 is any size; None is any rank."""

    index: int
    names: frozenset[str]
    dtype: str
    dims: tuple[int, ...] | None

    def __str__(self) -> str:
        shape = "" if self.dims is None else f" ({', '.join(str(size or '?') for size in self.dims)})"
        return f"{min(self.names, default='')!r}: {self.dtype}{shape}"

    def takes(self, array: NDArray[Any]) -> bool:
        """Say whether the array has this dtype, rank and sizes, and anything in it."""
        if array.dtype != self.dtype or 0 in array.shape:
            return False
        if self.dims is None:
            return True
        return len(self.dims) == array.ndim and all(
            wanted in (0, size) for wanted, size in zip(self.dims, array.shape, strict=True)
        )


def ports(outputs: Iterable[Any]) -> tuple[Port, ...]:
    """Read `Model.inputs` or `Model.outputs` of OpenVINO."""
    return tuple(
        Port(index, frozenset(each.get_names()), each.get_element_type().to_dtype().name, _dims(each.get_partial_shape()))
        for index, each in enumerate(outputs)
    )


def _dims(shape: Any) -> tuple[int, ...] | None:
    if shape.rank.is_dynamic:
        return None
    return tuple(0 if size.is_dynamic else size.get_length() for size in shape)


def named(ports: Sequence[Port], name: str) -> Port | None:
    """Return the port of that name."""
    return next((port for port in ports if name in port.names), None)


def check_spec(path: Path, model: ModelSpec, inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
    """Raise `BadInput`, naming both sides, where a file is not the one that the specification describes."""
    fix = f"use the specification that belongs to this file, or the file of model {model.name!r}"
    wanted = {model.input.name: "float32"} | {side.name: side.dtype for side in model.input.side_inputs}
    found = {name: port.dtype for name in wanted if (port := named(inputs, name))}
    if found != wanted or len(inputs) != len(wanted):
        expected = ", ".join(f"{name!r}: {dtype}" for name, dtype in wanted.items())
        raise BadInput(f"{path} has other inputs than its specification says: {_listed(inputs)}; expected {expected}", fix)
    if any(named(outputs, name) is None for name in model.outputs):
        expected = ", ".join(map(repr, model.outputs))
        raise BadInput(f"{path} has other outputs than its specification says: {_listed(outputs)}; expected {expected}", fix)
    picture = next(port for port in inputs if model.input.name in port.names)
    axis = model.input.layout.index("C")
    dims = picture.dims
    if dims is not None and (len(dims) != len(model.input.layout) or dims[axis] not in (0, model.input.channels)):
        layout = f"{model.input.layout} with {model.input.channels} channels"
        raise BadInput(f"{path} takes pictures as {picture}; its specification says {layout}", fix)


def arranged(model: str, ports: Sequence[Port], inputs: Tensors) -> Mapping[int, NDArray[Any]]:
    """Return the arrays by the places of their ports. Raises `BadInput` where the model of that name does not take them."""
    given = {port.index: (port, inputs[name]) for port in ports for name in port.names if name in inputs}
    fits = len(given) == len(inputs) == len(ports) and all(port.takes(array) for port, array in given.values())
    if not fits:
        told = ", ".join(f"{key!r}: {array.dtype} {array.shape}" for key, array in inputs.items()) or "nothing"
        raise BadInput(
            f"model {model!r} takes {_listed(ports)}, and was given {told}",
            "let ocrdeploy make the batch from the model's own specification",
        )
    return {index: array for index, (_, array) in given.items()}


def _listed(ports: Sequence[Port]) -> str:
    return ", ".join(map(str, ports)) or "nothing"
