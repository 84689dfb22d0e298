"""One golden case: what is compared, how far apart it may be, and how it went."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from ocrdeploy.errors import OcrdError

LONGEST = 160
"""How many characters of a value a complaint quotes."""


class Skip(Exception):
    """Raised by a check that cannot be made here, with the reason."""


class Comparison:
    """Collects what one case's check finds: complaints, and the largest difference of each thing that is measured."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.largest: dict[str, tuple[float, float]] = {}
        """What is measured -> its largest difference, and the one that is allowed."""

    def same(self, what: str, found: object, expected: object) -> bool:
        """Compare exactly."""
        if found != expected:
            self.problems.append(f"{what} is {_shown(found)}, expected {_shown(expected)}")
            return False
        return True

    def close(self, what: str, found: Any, expected: Any, allowed: float, *, where: str = "") -> None:
        """Compare number by number; another shape is a complaint of its own. `where` stands before the complaint."""
        mine, theirs = np.asarray(found, np.float64), np.asarray(expected, np.float64)
        if self.same(f"{where}the shape of the {what}", mine.shape, theirs.shape):
            self.within(what, float(np.abs(mine - theirs).max(initial=0.0)), allowed, where=where)

    def within(self, what: str, difference: float, allowed: float, *, where: str = "") -> None:
        """Take down a difference. One that is not a number is too large."""
        before = self.largest.get(what, (0.0, allowed))[0]
        self.largest[what] = difference if np.isnan(difference) else max(before, difference), allowed
        if not difference <= allowed:
            self.problems.append(f"{where}{what} differs by {difference:.3g}, allowed {allowed:g}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


Check: TypeAlias = Callable[[Comparison], None]


@dataclass(frozen=True, slots=True)
class Case:
    """A golden case: the row of the table that it counts in, its name in complaints, and its check."""

    row: str
    name: str
    check: Check


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a case went: `problems` where it failed, `skipped` (a reason) where it could not be checked."""

    row: str
    name: str
    problems: tuple[str, ...] = ()
    skipped: str = ""
    largest: dict[str, tuple[float, float]] = field(default_factory=dict)


def run(case: Case) -> Outcome:
    """Check one case. Whatever its check throws is that case's failure, and the others go on."""
    comparison = Comparison()
    try:
        case.check(comparison)
    except Skip as reason:
        return Outcome(case.row, case.name, skipped=str(reason))
    except OcrdError as error:
        comparison.problems.append(f"{error.problem} ({error.fix})")
    except KeyError as error:
        comparison.problems.append(f"the golden files have no {error}")
    except Exception as error:  # noqa: BLE001 - a damaged golden can make anything fail, and the case is to be named
        comparison.problems.append(f"{type(error).__name__}: {error}")
    return Outcome(case.row, case.name, tuple(comparison.problems), largest=comparison.largest)
