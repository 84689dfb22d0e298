"""A family's options: what a model's spec gives, checked against the names, types and defaults of a dataclass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cache
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from ocrdeploy.errors import BadInput, unknown
from ocrdeploy.vocabulary import ModelSpec

Options = TypeVar("Options")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


KINDS: Mapping[Any, tuple[Callable[[Any], bool], str]] = {
    bool: (lambda value: isinstance(value, bool), "true or false"),
    int: (lambda value: isinstance(value, int) and not isinstance(value, bool), "a whole number"),
    float: (_is_number, "a number"),
    tuple[str, ...]: (_are_texts, "a list of texts"),
}
"""What an option's field may be typed as, besides a `Literal` of texts: the check and its name."""


def defaults(kind: Any) -> dict[str, Any]:
    """Return the options of the dataclass `kind` with their default values, for `FamilyInfo.options`."""
    return asdict(kind())


def read(model: ModelSpec, kind: Callable[..., Options]) -> Options:
    """Return the options of `model` as the dataclass `kind`.

    Raises `UnknownName` for a name that it does not have, naming the nearest; `BadInput` for a value of another type.
    """
    types = _types(kind)
    for name, value in model.options.items():
        if name not in types:
            raise unknown(f"option of the family {model.family!r}", name, types)
        if wanted := _problem(value, types[name]):
            raise BadInput(
                f"the option {name!r} of the model {model.name!r} is {value!r}, and must be {wanted}",
                "correct it in the model's spec, or leave it out",
            )
    return kind(**model.options)


@cache
def _types(kind: Callable[..., Any]) -> dict[str, Any]:
    return get_type_hints(kind)


def _problem(value: Any, wanted: Any) -> str:
    """Return what the value must be, where it is not, else ''."""
    if get_origin(wanted) is Literal:
        choices = get_args(wanted)
        return "" if value in choices else f"one of: {', '.join(choices)}"
    check, name = KINDS[wanted]
    return "" if check(value) else name
