"""Fields of what was read from JSON, checked: a label file is a stranger's, and says what it likes."""

from __future__ import annotations

from typing import Any, TypeVar

from ocrdeploy.errors import BadInput

T = TypeVar("T")

_WORDS = {dict: "an object", list: "a list", str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def field(record: Any, key: str, kind: type[T], where: str) -> T:
    """Return the member `key` of `record`. Raises `BadInput`, which says `where`, unless it is there and of this kind."""
    members = of_kind(record, dict, where)
    if key not in members:
        raise BadInput(f"{where}: {key!r} is missing", "correct the entry, or name another kind")
    return of_kind(members[key], kind, f"{where}: {key!r}")


def of_kind(value: Any, kind: type[T], where: str) -> T:
    """Return `value`. Raises `BadInput`, which says `where`, unless it is of this kind."""
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise BadInput(f"{where} is not {_WORDS[kind]}", "correct the entry, or name another kind")
    return value


def number(record: Any, key: str, where: str) -> float:
    """Return the number `key` of `record`. Raises `BadInput`, which says `where`, unless it is one."""
    from ocrdeploy.datasets.shapes import numbers

    members = of_kind(record, dict, where)
    if key not in members:
        raise BadInput(f"{where}: {key!r} is missing", "correct the entry, or name another kind")
    return numbers([members[key]], f"{where}: {key!r}")[0]
