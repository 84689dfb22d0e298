"""A dictionary of a config, read argument by argument, so that nothing in it is passed over in silence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ocrdeploy_pytorch.config.error import ConfigError, shown

LARGEST = 2**31
"""Of a number in a config that says what a model does."""


class Section:
    """The dictionary at `place`, such as `model.backbone`. `done` complains about every argument that nobody asked for."""

    def __init__(self, given: object, place: str, fix: str) -> None:
        if not isinstance(given, Mapping):
            raise ConfigError(f"{place} of the config is {quoted(given)}, and must be a dictionary", fix)
        self._rest = dict(given)
        self.place = place
        self.fix = fix

    def error(self, name: str, complaint: str) -> ConfigError:
        """Return the error for one argument: `complaint` follows its name."""
        return ConfigError(f"{self.place}.{name} of the config {complaint}", self.fix)

    def take(self, name: str, default: Any = None) -> Any:
        """Return an argument as it is."""
        return self._rest.pop(name, default)

    def has(self, name: str) -> bool:
        """Whether the argument is given, and not taken yet."""
        return name in self._rest

    def choice(self, name: str, accepted: Sequence[Any], default: Any = None) -> Any:
        """Return an argument that must be one of `accepted`; a list and a tuple of the same items are the same."""
        value = self.take(name, default)
        for each in accepted:
            if _same(value, each):
                return each
        listed = ", ".join(map(repr, accepted))
        raise self.error(name, f"is {quoted(value)}, and only {listed} {'is' if len(accepted) == 1 else 'are'} supported")

    def kind(self, accepted: Sequence[str]) -> str:
        """Return the `type`, one of `accepted`."""
        found: str = self.choice("type", accepted)
        return found

    def section(self, name: str, default: object = None) -> Section:
        """Return an argument that is a dictionary itself."""
        return Section(self.take(name, default), f"{self.place}.{name}", self.fix)

    def number(self, name: str, default: float | None = None) -> float:
        """Return a finite number from 0 on."""
        value = self.take(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value) or not 0 <= value <= LARGEST:
            raise self.error(name, f"is {quoted(value)}, and must be a number from 0 on")
        return float(value)

    def whole(self, name: str, default: int | None = None, least: int = 0) -> int:
        """Return a whole number from `least` on."""
        value = self.take(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= LARGEST:
            raise self.error(name, f"is {quoted(value)}, and must be a whole number from {least} on")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """Return True or False."""
        value = self.take(name, default)
        if not isinstance(value, bool):
            raise self.error(name, f"is {quoted(value)}, and must be True or False")
        return value

    def numbers(self, name: str, count: int, default: Sequence[float] | None = None) -> tuple[float, ...]:
        """Return `count` finite numbers."""
        value = self.take(name, default)
        if not isinstance(value, list | tuple) or len(value) != count or not all(map(_is_finite, value)):
            raise self.error(name, f"is {quoted(value)}, and must be {count} number{'s' * (count > 1)}, one for each channel")
        return tuple(float(each) for each in value)

    def without_bearing(self, *names: str) -> None:
        """Take arguments that concern training only, whatever they are."""
        for name in names:
            self.take(name)

    def done(self) -> None:
        """Raise `ConfigError` where an argument is left that nobody asked for."""
        for name, value in self._rest.items():
            raise self.error(shown(str(name)), f"is {quoted(value)}, and no such argument is supported")


def quoted(value: object) -> str:
    """Return `value` as a complaint quotes it."""
    return shown(repr(value), 80)


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _same(value: Any, accepted: Any) -> bool:
    if isinstance(accepted, list | tuple):
        return isinstance(value, list | tuple) and list(value) == list(accepted)
    return type(value) is type(accepted) and bool(value == accepted)
