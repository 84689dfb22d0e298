"""What must hold of an exported ONNX model, beyond what its runtime will notice. All take a loaded `onnx.ModelProto`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Dims: TypeAlias = tuple[int | str, ...]
"""The axes of a tensor: a number where one is fixed, a name ('' for an axis without one) where it is open."""

NEAREST = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
"""How PyTorch's "nearest" picks a pixel: floor(i * in / out). ONNX's own default is another pixel, half a step on."""

LINEAR = ("half_pixel", "align_corners")
"""How PyTorch's "bilinear" places the pixels of the larger picture in the smaller one."""


class InvalidGraphError(Exception):
    """A model that is not what its exporter was asked for."""


@dataclass(frozen=True, slots=True)
class Signature:
    """An input or an output of a model. `dtype` is numpy's name for it."""

    name: str
    dtype: str
    dims: Dims


def opset(model: Any) -> int:
    """Return the opset of ONNX's own operators that the model is written in. Raises `InvalidGraphError` where it says none."""
    for entry in model.opset_import:
        if entry.domain in {"", "ai.onnx"}:
            return int(entry.version)
    raise InvalidGraphError("it does not say which opset it is written in")


def require_opset(model: Any, wanted: int) -> None:
    """Raise `InvalidGraphError` unless the model is written in the opset `wanted`."""
    found = opset(model)
    if found != wanted:
        raise InvalidGraphError(f"it is written in opset {found}, and {wanted} was asked for")


def require_plain_operators(model: Any) -> None:
    """Raise `InvalidGraphError` where the model uses operators other than ONNX's own, which not every runtime has."""
    others = sorted({node.domain for node in nodes(model)} - {"", "ai.onnx"})
    if others or model.functions:
        raise InvalidGraphError(f"it uses operators that are not ONNX's own ({', '.join(others) or 'functions'})")


def inferred(model: Any) -> Any:
    """Return the model with the shapes of all that lies between its inputs and outputs. Raises `InvalidGraphError`."""
    from onnx import shape_inference

    try:
        return shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except (shape_inference.InferenceError, ValueError) as error:
        raise InvalidGraphError(f"its shapes cannot be inferred: {_on_one_line(error)}") from error


def check(model: Any) -> None:
    """Raise `InvalidGraphError` unless onnx's own checker, which also infers the shapes, accepts the model."""
    from onnx import checker, shape_inference

    try:
        checker.check_model(model, full_check=True)
    except (checker.ValidationError, shape_inference.InferenceError, ValueError) as error:
        raise InvalidGraphError(f"onnx.checker does not accept it: {_on_one_line(error)}") from error


def require_torch_resize(model: Any) -> None:
    """Raise `InvalidGraphError` unless every Resize picks the pixels that PyTorch's "nearest" or "bilinear" picks."""
    for node in nodes(model):
        if node.op_type == "Upsample" or (node.op_type == "Resize" and not _as_torch(_attributes(node))):
            said = ", ".join(f"{key}={value}" for key, value in sorted(_attributes(node).items()))
            raise InvalidGraphError(f"the {node.op_type} {node.name!r} picks other pixels than PyTorch does ({said})")


def _as_torch(settings: Mapping[str, Any]) -> bool:
    mode = settings.get("mode", "nearest")
    if mode == "nearest":
        return all(settings.get(key) == value for key, value in NEAREST.items())
    return mode == "linear" and settings.get("coordinate_transformation_mode", "half_pixel") in LINEAR


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    values = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    return {key: value.decode() if isinstance(value, bytes) else value for key, value in values.items()}


def require_dims(found: Signature, wanted: Dims) -> None:
    """Raise `InvalidGraphError` where an axis of `found` is fixed that is open in `wanted`, or fixed at another number."""
    if len(found.dims) != len(wanted):
        raise InvalidGraphError(f"{found.name!r} has {len(found.dims)} axes, and {len(wanted)} were expected")
    for axis, (is_, should) in enumerate(zip(found.dims, wanted, strict=True)):
        if isinstance(should, str) != isinstance(is_, str) or (isinstance(should, int) and is_ != should):
            meant = f"open ({should})" if isinstance(should, str) else f"{should}"
            raise InvalidGraphError(
                f"axis {axis} of {found.name!r} is {is_ if isinstance(is_, int) else 'open'}, and should be {meant}"
            )


def inputs(model: Any) -> tuple[Signature, ...]:
    """Return what the model is fed with; weights that are listed as inputs, as old exporters do, are left out."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return tuple(_signature(each) for each in model.graph.input if each.name not in weights)


def outputs(model: Any) -> tuple[Signature, ...]:
    """Return what the model answers."""
    return tuple(_signature(each) for each in model.graph.output)


def _signature(value: Any) -> Signature:
    from onnx import helper

    tensor = value.type.tensor_type
    dims = tuple(dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in tensor.shape.dim)
    return Signature(value.name, helper.tensor_dtype_to_np_dtype(tensor.elem_type).name, dims)


def nodes(model: Any) -> Iterator[Any]:
    """Yield every node, also those of the graphs inside others."""
    yield from _nodes(model.graph.node)
    for function in model.functions:
        yield from _nodes(function.node)


def _nodes(those: Any) -> Iterator[Any]:
    for node in those:
        yield node
        for attribute in node.attribute:
            for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _nodes(graph.node)


def _on_one_line(error: Exception) -> str:
    return " ".join(str(error).split())
