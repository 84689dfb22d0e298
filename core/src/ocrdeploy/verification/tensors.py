"""How far one array is from another: the numbers, the worst place, and whether it is too far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ocrdeploy.verification.tolerance import Tolerance, limits

Pair: TypeAlias = tuple[int, int]
"""A count in A, and the same in B."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """How far an array is from its reference.

    `max_rel` is that of the numbers of A which are at least as large as A's std, since noise around 0 is large relative to 0.
    `place` is where |a - b| is the most times what is `allowed` there, and `excess` is how many times; where only one of the
    two is finite, infinitely many times. `beyond`: how many numbers have an excess above 1.
    """

    values: int
    max_abs: float
    max_rel: float
    mean_abs: float
    cosine: float
    place: tuple[int, ...]
    a: float
    b: float
    allowed: float
    excess: float
    beyond: int
    nan: Pair
    inf: Pair

    @property
    def agrees(self) -> bool:
        """Whether all numbers are within the tolerance, and NaN or infinite in both arrays or in neither."""
        return self.beyond == 0

    def words(self, name: str) -> str:
        """Say how the output `name` differs."""
        at = f"at {list(self.place)}"
        if np.isfinite(self.excess):
            return (
                f"output {name!r} differs by {abs(self.a - self.b):.3g} {at} (A {self.a:.6g}, B {self.b:.6g}, {self.allowed:.2g} "
                f"is allowed), and is out of tolerance in {self.beyond} of {self.values} numbers"
            )
        counts = [
            f"{b} {what} in B and {a} in A" for what, (a, b) in (("NaN", self.nan), ("infinite numbers", self.inf)) if a or b
        ]
        return f"output {name!r} has {', '.join(counts)}, first {at} (A {self.a:.6g}, B {self.b:.6g})"


def deviation(a: NDArray[Any], b: NDArray[Any], tolerance: Tolerance, steep: Mapping[int, float] | None = None) -> Deviation:
    """Compare `b` with its reference `a`, of the same shape; `steep` as in `tolerance.STEEP`."""
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    nan, inf = _count(np.isnan, first, second), _count(np.isinf, first, second)
    std = _std(first)
    excess, difference, allowed = _excess(first, second, limits(first, std, tolerance, steep or {}))
    if not first.size:
        return Deviation(0, 0.0, 0.0, 0.0, 1.0, (), 0.0, 0.0, 0.0, 0.0, 0, nan, inf)
    worst = np.unravel_index(int(excess.argmax()), first.shape)
    large = np.abs(first) >= max(std, np.finfo(np.float64).tiny)
    return Deviation(
        values=first.size,
        max_abs=float(difference.max()),
        max_rel=float((difference[large] / np.abs(first[large])).max(initial=0.0)),
        mean_abs=float(difference.mean()),
        cosine=_cosine(first, second),
        place=tuple(int(index) for index in worst),
        a=float(first[worst]),
        b=float(second[worst]),
        allowed=float(allowed[worst]),
        excess=float(excess[worst]),
        beyond=int(np.count_nonzero(excess > 1)),
        nan=nan,
        inf=inf,
    )


def _count(what: Any, first: NDArray[np.float64], second: NDArray[np.float64]) -> Pair:
    return int(np.count_nonzero(what(first))), int(np.count_nonzero(what(second)))


def _std(array: NDArray[np.float64]) -> float:
    finite = array[np.isfinite(array)]
    return float(finite.std()) if finite.size else 0.0


def _excess(
    first: NDArray[np.float64], second: NDArray[np.float64], allowed: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return |a - b| in units of what is allowed, |a - b| where both are finite, and what is allowed."""
    both = np.isfinite(first) & np.isfinite(second)
    alike = (first == second) | (np.isnan(first) & np.isnan(second))
    difference = np.zeros_like(first)
    np.subtract(first, second, out=difference, where=both)
    np.abs(difference, out=difference)
    excess = np.zeros_like(first)
    # Where a tolerance of 0 was asked for, equal numbers are still equal.
    np.divide(difference, allowed, out=excess, where=both & (allowed > 0))
    excess[(both & (allowed == 0) & ~alike) | ~(both | alike)] = np.inf
    return excess, difference, allowed


def _cosine(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the cosine between the two as vectors, of their finite numbers; 1 for two that are 0 everywhere."""
    x, y = (np.where(np.isfinite(array), array, 0.0).ravel() for array in (first, second))
    lengths = float(np.linalg.norm(x)), float(np.linalg.norm(y))
    if 0.0 in lengths:
        return 1.0 if lengths == (0.0, 0.0) else 0.0
    return float(x @ y) / (lengths[0] * lengths[1])


@dataclass(frozen=True, slots=True)
class Summary:
    """What all rows of one output came to: the largest `max_abs` and `max_rel`, the mean, the smallest cosine, NaN, infinities.

    `worst` is the row with the greatest excess, and `where` says which picture and batch that was.
    """

    name: str
    rows: int
    values: int
    max_abs: float
    max_rel: float
    mean_abs: float
    cosine: float
    nan: Pair
    inf: Pair
    worst: Deviation
    where: str


class Tally:
    """Adds up the deviations of one output, row by row."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._found: list[tuple[Deviation, str]] = []

    def add(self, found: Deviation, where: str) -> None:
        """Count the row that `where` names."""
        self._found.append((found, where))

    def summary(self) -> Summary | None:
        """Return the result; None where nothing was counted."""
        if not self._found:
            return None
        each = [found for found, _ in self._found]
        worst, where = max(self._found, key=lambda pair: pair[0].excess)
        values = sum(one.values for one in each)
        return Summary(
            name=self._name,
            rows=len(each),
            values=values,
            max_abs=max(one.max_abs for one in each),
            max_rel=max(one.max_rel for one in each),
            mean_abs=sum(one.mean_abs * one.values for one in each) / max(values, 1),
            cosine=min(one.cosine for one in each),
            nan=(sum(one.nan[0] for one in each), sum(one.nan[1] for one in each)),
            inf=(sum(one.inf[0] for one in each), sum(one.inf[1] for one in each)),
            worst=worst,
            where=where,
        )
