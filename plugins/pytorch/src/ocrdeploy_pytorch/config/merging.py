"""A config and its bases become one, by MMCV's rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ocrdeploy_pytorch.config.error import Place, shown
from ocrdeploy_pytorch.config.evaluation import Names, Placeholder

DELETE = "_delete_"


def without_duplicates(bases: Sequence[dict[str, Any]], place: Place) -> dict[str, Any]:
    """Return the bases of one config as one. Raises `ConfigError` where two of them give the same name."""
    together: dict[str, Any] = {}
    for base in bases:
        twice = sorted(together.keys() & base.keys())
        if twice:
            raise place.error(f"two of its bases assign {shown(twice[0])!r}", "leave one of the two out")
        together.update(base)
    return together


def merged(own: Names, base: dict[str, Any]) -> dict[str, Any]:
    """Return what `own` assigns, over what its bases together do: dictionaries part by part, anything else as a whole."""
    result = dict(base)
    for name, value in own.values.items():
        place = Place(own.file, own.lines[name])
        result[name] = _over(_filled(value, base, own), result, name, place)
    return result


def _over(value: Any, base: dict[str, Any], key: Any, place: Place) -> Any:
    # A `_delete_` where there is nothing to delete stays in the value, as with MMCV.
    if not isinstance(value, dict) or key not in base:
        return value
    rest = {part: each for part, each in value.items() if part != DELETE}
    if value.get(DELETE, False):
        return rest
    old = base[key]
    if not isinstance(old, dict):
        raise place.error(
            f"it makes a dictionary of {shown(str(key))!r}, which is none in its base",
            f"add {DELETE}=True to the dictionary, if it is to take the place of the base's value",
        )
    together = dict(old)
    for part, each in rest.items():
        together[part] = _over(each, together, part, place)
    return together


def _filled(value: Any, base: dict[str, Any], own: Names) -> Any:
    """Return a copy of `value` with the bases' values in the places that are held for them."""
    return copied(value, lambda leaf: _of_base(leaf, base, own) if isinstance(leaf, Placeholder) else leaf)


def copied(value: Any, leaf: Callable[[Any], Any] = lambda leaf: leaf) -> Any:
    """Return a copy of `value` in which nothing is held twice; what is no container goes through `leaf`."""
    match value:
        case dict():
            return {key: copied(each, leaf) for key, each in value.items()}
        case list():
            return [copied(each, leaf) for each in value]
        case tuple():
            return tuple([copied(each, leaf) for each in value])
        case set():
            return set(value)
    return leaf(value)


def _of_base(asked: Placeholder, base: dict[str, Any], own: Names) -> Any:
    value: Any = base
    for key in asked.keys:
        if not isinstance(value, dict) or key not in value:
            raise Place(own.file, asked.line).error(
                f"it asks for {{{{ _base_.{shown('.'.join(asked.keys))} }}}}, and its bases have no such value",
                "correct the name, or add the base that has it to _base_",
            )
        value = value[key]
    return value
