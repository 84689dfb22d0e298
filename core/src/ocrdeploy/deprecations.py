"""What of the contract goes away: plugins that use it are told from when on, until when it works, and what to write instead.

docs/stability.md says what is promised. A line of `DEPRECATED` is taken out together with what it speaks of.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any


@dataclass(frozen=True, slots=True)
class Deprecation:
    """Something that goes away: deprecated `since` a version, it works at least `until` a day, and `instead` says what to do."""

    since: str
    until: date
    instead: str


DEPRECATED: Mapping[tuple[str, str], Deprecation] = {}
"""By hook and argument; by hook and "" where the whole hook goes away."""


def used(hooks: Mapping[str, Callable[..., Any]]) -> Iterator[str]:
    """Yield a sentence for each deprecated thing that these implementations, by the names of their hooks, use."""
    for hook, function in hooks.items():
        arguments = inspect.signature(function).parameters
        for (deprecated, argument), facts in DEPRECATED.items():
            if deprecated == hook and (not argument or argument in arguments):
                what = f"the argument {argument} of {hook}" if argument else hook
                until = f"{facts.until:%Y-%m-%d}"
                yield f"{what} is deprecated since {facts.since} and may go away after {until}: {facts.instead}"
