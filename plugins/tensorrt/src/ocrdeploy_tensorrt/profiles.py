"""The optimization profile of an engine: the shapes it is built for, checked in sentences before TensorRT sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ocrdeploy.errors import BadInput
from ocrdeploy.onnxgraph.checks import Signature
from ocrdeploy.vocabulary import Exact, Height, InputSpec, ModelSpec, Quantity, Shapes

NAMES = {"NCHW": ("batch", "channels", "height", "width"), "NHWC": ("batch", "height", "width", "channels")}
"""What the axes of the image input are called, by `InputSpec.layout`."""

_COLUMNS = {Quantity.VALID_RATIO: ()}
"""The axes of a side input behind the batch; all others have two numbers for each picture."""

ENDS = ("min", "opt", "max")


def profiles(model: ModelSpec, wanted: Shapes | None, inputs: Sequence[Signature]) -> Mapping[str, Shapes]:
    """Return the shapes of each of the graph's `inputs`, by name.

    `wanted` None means the model's own. Raises `BadInput` where no shapes are known, where they contradict each other, the
    model's specification or an axis that the graph fixes, and for an input that the specification does not name.
    """
    shapes = wanted or model.input.shapes
    if shapes is None:
        raise BadInput(f"{model.name} does not say for which shapes to build", _recommend(model))
    _check(model, shapes)
    found: dict[str, Shapes] = {}
    for each in inputs:
        its = shapes if each.name == model.input.name else _side(model, each.name, shapes)
        _check_fixed(model, each, its)
        found[each.name] = its
    if model.input.name not in found:
        names = ", ".join(found) or "none"
        raise BadInput(f"the graph has no input {model.input.name!r}, which its specification names (it has: {names})", _EXPORT)
    return found


_EXPORT = "export the model again (ocrd export), or correct `input` in its specification"


def _recommend(model: ModelSpec) -> str:
    told = f"ocrd profile {model.name} --images PICTURES --options"
    return f"give --min-shape, --opt-shape and --max-shape; {told} recommends some for your pictures"


def _check(model: ModelSpec, shapes: Shapes) -> None:
    spec, names = model.input, NAMES[model.input.layout]
    ends = dict(zip(ENDS, (shapes.min, shapes.opt, shapes.max), strict=True))
    for end, shape in ends.items():
        if len(shape) != len(names) or min(shape) < 1:
            raise BadInput(
                f"{written(end, shape)} is no shape for {model.name}: it takes {' x '.join(names)}, each at least 1",
                f"give four numbers, as in --{end}-shape {_joined(_example(spec))}",
            )
        for name, side in zip(names, shape, strict=True):
            _check_side(model, name, side, written(end, shape))
    for axis, name in enumerate(names):
        sides = [shape[axis] for shape in ends.values()]
        if sides != sorted(sides):
            said = ", ".join(f"{end} {side}" for end, side in zip(ENDS, sides, strict=True))
            raise BadInput(f"the {name} of the shapes is {said}, and has to rise from min to max", _recommend(model))


def _check_side(model: ModelSpec, name: str, side: int, said: str) -> None:
    """Raise `BadInput` where the model's preprocessing makes no tensor with this side."""
    spec = model.input
    if name == "batch":
        return
    only = _only(spec, name)
    if only is not None and side != only:
        raise BadInput(f"{said} contradicts {model.name}, which always has {_amount(name, only)}", f"give {only} there")
    if name != "channels" and side % spec.pad_to:
        below, above = side // spec.pad_to * spec.pad_to, -(-side // spec.pad_to) * spec.pad_to
        raise BadInput(
            f"the {name} of {said} is {side}, and {model.name} takes multiples of {spec.pad_to}",
            f"give {f'{below} or ' if below else ''}{above}",
        )


def _amount(name: str, number: int) -> str:
    if name == "channels":
        return f"{number} channel{'s' if number > 1 else ''}"
    return f"a {name} of {number}"


def _only(spec: InputSpec, name: str) -> int | None:
    """Return the one number that an axis always has, as the specification says; None where there are several."""
    if name == "channels":
        return spec.channels
    rule = spec.resize
    fixed = None
    if isinstance(rule, Exact):
        fixed = rule.height if name == "height" else rule.width
    elif isinstance(rule, Height) and name == "height":
        fixed = rule.height
    return None if fixed is None else max(1, -(-fixed // spec.pad_to)) * spec.pad_to


def _side(model: ModelSpec, name: str, shapes: Shapes) -> Shapes:
    """Return the shapes of a side input: the batches of the image input's, and what it says of each picture."""
    for each in model.input.side_inputs:
        if each.name == name:
            columns = _COLUMNS.get(each.quantity, (2,))
            return Shapes(*((shape[0], *columns) for shape in (shapes.min, shapes.opt, shapes.max)))
    raise BadInput(f"the graph has an input {name!r}, which the specification of {model.name} does not name", _EXPORT)


def _check_fixed(model: ModelSpec, given: Signature, shapes: Shapes) -> None:
    """Raise `BadInput` where the graph fixes an axis at another number than the shapes want."""
    names = NAMES[model.input.layout] if given.name == model.input.name else ("batch", "second axis")
    if len(given.dims) != len(shapes.min):
        raise BadInput(f"the input {given.name!r} of the graph has {len(given.dims)} axes, not {len(shapes.min)}", _EXPORT)
    for axis, fixed in enumerate(given.dims):
        if not is_open(fixed) and {shape[axis] for shape in (shapes.min, shapes.opt, shapes.max)} != {fixed}:
            end, shape = next(
                (end, shape)
                for end, shape in zip(ENDS, (shapes.min, shapes.opt, shapes.max), strict=True)
                if shape[axis] != fixed
            )
            raise BadInput(
                f"{written(end, shape)} contradicts the graph: the {names[axis]} of its input {given.name!r} is fixed at {fixed}",
                f"give {fixed} there, or export the model again with that axis open (ocrd export --dynamic)",
            )


def is_open(dim: int | str) -> bool:
    """Whether an axis takes any length: named, or, as some exporters write it, less than 1."""
    return isinstance(dim, str) or dim < 1


def written(end: str, shape: Sequence[int]) -> str:
    """Return a shape with its option: "--max-shape 1x3x736x992"."""
    return f"--{end}-shape {_joined(shape)}"


def _joined(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _example(spec: InputSpec) -> Sequence[int]:
    if spec.shapes is not None:
        return spec.shapes.opt
    return (1, spec.channels, 736, 992) if spec.layout == "NCHW" else (1, 736, 992, spec.channels)
