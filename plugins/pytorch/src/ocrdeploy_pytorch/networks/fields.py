"""Reading a network's description: plain JSON in, checked values out, every mistake named with its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from ocrdeploy.errors import BadInput

T = TypeVar("T", str, int)

MOST = 100_000
"""The largest number that a description may name: channels, classes, kernels."""

_FIX = "correct the model's network, or name the config that it was trained with"


class Fields:
    """A mapping whose keys are asked for one by one. `done` complains of those that nobody asked for.

    Every method raises `BadInput` for a value that cannot be.
    """

    def __init__(self, given: object, place: str) -> None:
        if not isinstance(given, Mapping):
            raise BadInput(f"{place} is {given!r}, not a mapping", _FIX)
        self._given: Mapping[str, Any] = given
        self._place = place
        self._known: set[str] = set()
        self._sections: list[Fields] = []

    def section(self, name: str) -> Fields:
        """Return the mapping `name`, empty where there is none."""
        self._sections.append(Fields(self._take(name, {}), f"{self._place}.{name}"))
        return self._sections[-1]

    def choice(self, name: str, accepted: Sequence[T], default: T | None = None) -> T:
        """Return one of the `accepted` values. Without a default it has to be there."""
        value = self._take(name, default)
        for each in accepted:
            if value == each and type(value) is type(each):
                return each
        said = f"{value!r}, not" if name in self._given else "missing; it is"
        raise self._wrong(name, f"{said} one of {', '.join(map(repr, accepted))}")

    def count(self, name: str, default: int) -> int:
        """Return a number of channels, classes or the like."""
        value = self._take(name, default)
        if not _counts(value):
            raise self._wrong(name, f"{value!r}, not a whole number from 1 to {MOST}")
        return int(value)

    def flag(self, name: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self._take(name, default)
        if not isinstance(value, bool):
            raise self._wrong(name, f"{value!r}, not true or false")
        return value

    def same(self, name: str, expected: int | Sequence[int]) -> None:
        """Check a value that another part of the network decides."""
        value = self._take(name, expected)
        if value != expected and list(_listed(value)) != list(_listed(expected)):
            raise self._wrong(name, f"{value!r}, and the part before it gives {expected!r}")

    def ignore(self, name: str) -> None:
        """Accept a key that has no bearing on the network."""
        self._take(name, None)

    def done(self) -> None:
        """Raise `BadInput` where a key was not asked for."""
        for section in self._sections:
            section.done()
        unknown = sorted(map(str, self._given.keys() - self._known))
        if unknown:
            known = ", ".join(sorted(self._known))
            raise BadInput(f"{self._place} has unknown keys: {', '.join(unknown)}", f"it may have: {known}")

    def _take(self, name: str, default: Any) -> Any:
        self._known.add(name)
        return self._given.get(name, default)

    def _wrong(self, name: str, complaint: str) -> BadInput:
        return BadInput(f"{self._place}.{name} is {complaint}", _FIX)


def _counts(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else [value]
