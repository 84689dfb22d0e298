"""`ModelSpec` as JSON and YAML: written into artifacts, read from files, every mistake named with its place."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocrdeploy.errors import BadInput
from ocrdeploy.vocabulary import Align, Exact, Fit, Height, ModelSpec, Resize, Rounding, Shapes, ShortSide, Task

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

RULES = {"fit": Fit, "short_side": ShortSide, "height": Height, "exact": Exact}
EXAMPLE = "ocrd models show NAME prints a whole one"
LARGEST = 65_536
"""The largest size that a spec may name, in pixels."""

DTYPES = ("float16", "float32", "float64", "int32", "int64")
"""What a side input may be, by numpy's names."""

_AXES = 4
_LEAST: dict[type[Resize], dict[str, int]] = {
    Fit: {"long": 1, "short": 1},
    ShortSide: {"minimum": 1, "max_long": 0},
    Height: {"height": 1, "width_multiple": 1, "min_width": 1, "max_width": 0},
    Exact: {"height": 1, "width": 1},
}


@cache
def _adapter() -> TypeAdapter[ModelSpec]:
    from pydantic import TypeAdapter

    return TypeAdapter(ModelSpec)


def to_dict(model: ModelSpec) -> dict[str, Any]:
    """Return `model` as plain dictionaries, lists, strings and numbers."""
    made: dict[str, Any] = json.loads(to_json(model))
    return made


def to_json(model: ModelSpec, *, indent: int | None = None) -> str:
    """Return `model` as JSON."""
    # A plugin's options may be a mapping that is no dictionary: it is made one, without a warning.
    return _adapter().dump_json(model, indent=indent, fallback=dict, warnings=False).decode()


def from_json(text: str | bytes, where: str) -> ModelSpec:
    """Read a `ModelSpec`; `where` names the source in complaints. Raises `BadInput`."""
    return from_plain(_json(text, where), where)


def from_plain(plain: object, where: str) -> ModelSpec:
    """Make a `ModelSpec` of dictionaries and lists, as JSON or YAML gives them. Raises `BadInput`."""
    from pydantic import ValidationError

    if not isinstance(plain, dict):
        raise BadInput(f"{where}: a model specification is a mapping, not {type(plain).__name__}", EXAMPLE)
    try:
        # By way of JSON, because pydantic takes a list for a tuple and a string for an enum only from there.
        model = _adapter().validate_json(json.dumps(plain), strict=True)
    except ValidationError as error:
        raise _wrong(where, _first_complaint(error.errors(include_url=False), plain)) from None
    except (TypeError, ValueError, RecursionError) as error:
        raise _wrong(where, f"it holds what JSON cannot say: {error}") from None
    check(model, where)
    return model


def read_file(path: Path) -> ModelSpec:
    """Read a `ModelSpec` from a JSON or YAML file, or from a manifest, whose `model` it is. Raises `BadInput`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise BadInput(f"cannot read the specification {path}: {reason}", "name a JSON or YAML file") from None
    plain = _yaml(text, str(path)) if path.suffix.lower() in {".yaml", ".yml"} else _json(text, str(path))
    if isinstance(plain, dict) and isinstance(plain.get("model"), dict):
        plain = plain["model"]
    return from_plain(plain, str(path))


def _json(text: str | bytes, where: str) -> object:
    try:
        plain: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where}: not JSON: {error}", f"write a model specification: {EXAMPLE}") from None
    return plain


def _yaml(text: str, where: str) -> object:
    import yaml

    try:
        plain: object = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())  # PyYAML writes several lines
        raise BadInput(f"{where}: not YAML: {reason}", f"write a model specification: {EXAMPLE}") from None
    return plain


def _wrong(where: str, complaint: str) -> BadInput:
    return BadInput(f"{where}: {complaint}", f"correct the specification ({EXAMPLE})")


def _first_complaint(complaints: Sequence[ErrorDetails], plain: dict[str, Any]) -> str:
    """Say what is wrong first; among the four resize rules, only what concerns the one that was meant."""
    first = complaints[0]
    resize = plain["input"].get("resize") if isinstance(plain.get("input"), dict) else None
    if first["loc"][:2] == ("input", "resize") and isinstance(resize, dict):
        rule = resize.get("rule")
        if not isinstance(rule, str) or rule not in RULES:
            said = "missing; it is" if rule is None else f"{rule!r}, not"
            return f"input.resize.rule is {said} one of {', '.join(RULES)}"
        first = next(each for each in complaints if RULES[rule].__name__ in each["loc"])
    place = ".".join(str(part) for part in first["loc"] if part not in {kind.__name__ for kind in RULES.values()})
    return f"{place or 'the specification'}: {first['msg']}"


def check(model: ModelSpec, where: str) -> None:
    """Raise `BadInput` where the parts of a spec contradict each other, or a number makes no sense."""
    resize = model.input.resize
    for name, least in _LEAST[type(resize)].items():
        size = getattr(resize, name)
        if not least <= size <= LARGEST:
            raise _wrong(where, f"input.resize.{name} is {size}, and must be from {least} to {LARGEST}")
    for place, holds, demand in _DEMANDS:
        if not holds(model):
            raise _wrong(where, f"{place} {demand}")


def _per_channel(numbers: Sequence[float], model: ModelSpec) -> bool:
    return len(numbers) in {1, model.input.channels} and all(map(math.isfinite, numbers))


def _limits_in_order(model: ModelSpec) -> bool:
    resize = model.input.resize
    return not isinstance(resize, Height) or resize.max_width == 0 or resize.min_width <= resize.max_width


def _rounds_down_and_pads(model: ModelSpec) -> bool:
    resize = model.input.resize
    return isinstance(resize, Height) and resize.rounding is Rounding.NEAREST and model.input.align is Align.PAD


def _in_order(shapes: Shapes | None) -> bool:
    if shapes is None:
        return True
    ranks = {len(shapes.min), len(shapes.opt), len(shapes.max)}
    return ranks == {_AXES} and all(1 <= a <= b <= c for a, b, c in zip(shapes.min, shapes.opt, shapes.max, strict=True))


def _all_different(model: ModelSpec) -> bool:
    names = [model.input.name, *(side.name for side in model.input.side_inputs)]
    return len(set(names)) == len(names)


_DEMANDS: tuple[tuple[str, Callable[[ModelSpec], bool], str], ...] = (
    ("name", lambda model: bool(model.name.strip()), "must not be empty"),
    ("outputs", lambda model: bool(model.outputs), "must name at least one output"),
    (
        "charset",
        lambda model: bool(model.charset) or model.task is not Task.RECOGNITION,
        "is what a recognition model writes with, and must not be empty",
    ),
    ("charset", lambda model: not model.charset or model.task is Task.RECOGNITION, "belongs to a recognition model only"),
    ("input.resize", _limits_in_order, "has a max_width that is less than its min_width"),
    (
        "input.align",
        lambda model: not _rounds_down_and_pads(model),
        "must be 'stretch' where input.resize.rounding is 'nearest': a width that was rounded down has no room for its line",
    ),
    ("input.pad_to", lambda model: 1 <= model.input.pad_to <= LARGEST, f"must be from 1 to {LARGEST}"),
    ("input.pad_value", lambda model: math.isfinite(model.input.pad_value), "must be a finite number"),
    (
        "input.scale",
        lambda model: math.isfinite(model.input.scale) and model.input.scale != 0,
        "must be a finite number other than 0",
    ),
    ("input.mean", lambda model: _per_channel(model.input.mean, model), "must be one finite number, or one for each channel"),
    ("input.std", lambda model: _per_channel(model.input.std, model), "must be one finite number, or one for each channel"),
    ("input.std", lambda model: 0 not in model.input.std, "must not be 0: pixels are divided by it"),
    (
        "input.shapes",
        lambda model: _in_order(model.input.shapes),
        f"must be three times {_AXES} numbers from 1 on, with min <= opt <= max",
    ),
    ("input.side_inputs", _all_different, "and the image input must all have different names"),
    (
        "input.side_inputs",
        lambda model: all(side.dtype in DTYPES for side in model.input.side_inputs),
        f"have a dtype that is not one of {', '.join(DTYPES)}",
    ),
)
"""What must hold of a spec beyond its types: the place, the test, and the demand in words."""
