"""One problem and its remedy, and how a check that fails itself becomes one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")


class Severity(StrEnum):
    """How bad a problem is."""

    BROKEN = "broken"
    """Something that is installed does not work, or nothing can."""
    WARNING = "warning"
    """Something may surprise, or cannot be used on this machine."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem: what it is about, a sentence that names it, and what mends it."""

    severity: Severity
    about: str
    problem: str
    fix: str


def broken(about: str, problem: str, fix: str) -> Finding:
    """Return a finding of something that does not work."""
    return Finding(Severity.BROKEN, about, problem, fix)


def warning(about: str, problem: str, fix: str) -> Finding:
    """Return a finding of something that may surprise."""
    return Finding(Severity.WARNING, about, problem, fix)


def attempt(what: str, check: Callable[[], T], otherwise: T) -> tuple[T, tuple[Finding, ...]]:
    """Return what `check` returns; where it raises, `otherwise`, and a finding that says so.

    An environment can be broken in ways that nobody foresaw, and the command that examines it goes on all the same.
    """
    try:
        return check(), ()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was looked for
        problem = f"{what} could not be examined: {in_words(error)}"
        return otherwise, (warning("doctor", problem, "mend what else is found first; if this stays, report it"),)


def attempt_findings(what: str, check: Callable[[], Iterable[Finding]]) -> tuple[Finding, ...]:
    """Return the findings of `check`; where it raises, the finding that it did."""
    nothing: tuple[Finding, ...] = ()
    found, failed = attempt(what, lambda: tuple(check()), nothing)
    return (*found, *failed)


def in_words(error: BaseException) -> str:
    """Return the kind of an exception and the first line of what it says."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
