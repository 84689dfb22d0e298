"""Errors that a user can act on: what went wrong, and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class OcrdError(Exception):
    """One sentence that names the problem, and one that names the remedy.

    Raise it for anything that the user, not the programmer, has to mend. The command line prints it in one place, without a
    traceback, and ends with exit code 1.
    """

    def __init__(self, problem: str, fix: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix

    def __reduce__(self) -> tuple[type[OcrdError], tuple[str, str]]:
        return type(self), (self.problem, self.fix)


class UnknownName(OcrdError):
    """A backend, model, family or option that nobody here knows."""


class Unavailable(OcrdError):
    """A backend that is installed and cannot run on this machine."""


class BadInput(OcrdError):
    """A picture, model file or specification that cannot be used as it is."""


class BadPlugin(OcrdError):
    """A plugin that breaks its contract."""


_PREFIX = 3
"""From how many letters on the beginning of a name says which is meant."""


def unknown(kind: str, name: str, known: Iterable[str], fix: str = "") -> UnknownName:
    """Return the error for a `name` that is not in `known`, naming the nearest of them."""
    names = sorted(known)
    near = nearest(name, names)
    hint = f" (did you mean {near!r}?)" if near else ""
    listed = ", ".join(names) if names else "none"
    return UnknownName(f"unknown {kind} {name!r}{hint}", fix or f"use one of: {listed}")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the member of `known` that is spelled most like `name`, else one that begins with it, or ''."""
    names = list(known)
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    longer = [each for each in names if len(name) >= _PREFIX and each.startswith(name.lower())]
    return (close or longer or [""])[0]
