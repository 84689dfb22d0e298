"""How far two answers may lie apart, and still be the same answer computed in another order or precision."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrdeploy.errors import BadInput


@dataclass(frozen=True, slots=True)
class Tolerance:
    """b agrees with a where |a - b| <= atol * std + rtol * |a|, std being the standard deviation of that output in A.

    So `atol` and `rtol` are both shares: of how much the output varies, and of the number itself. `score`: how far scores
    (0 to 1) may be apart. `iou`: the least overlap of two boxes that are the same box.
    """

    atol: float
    rtol: float
    score: float
    iou: float


LEAST_STD = 1e-3
"""An output that hardly varies, as that for an empty page, is judged as if it varied this much: 1e-7 in single precision."""

_HALF = Tolerance(atol=2e-2, rtol=2e-2, score=2e-2, iou=0.9)

BY_PRECISION: Mapping[str, Tolerance] = {
    "fp32": Tolerance(atol=1e-4, rtol=1e-4, score=1e-3, iou=0.95),
    "tf32": _HALF,
    "fp16": _HALF,
    "bf16": Tolerance(atol=0.16, rtol=0.16, score=0.16, iou=0.8),
}
"""docs/verify.md derives the numbers. A precision that is not here is judged as the least exact one that is."""

STEEP: Mapping[str, Mapping[int, float]] = {"dbnet": {2: 20.0}}
"""For families by name: planes of the first output that may deviate by so many times `atol`, whatever their std.

Plane 2 of DBNet is 1 / (1 + exp(-50 (p - t))) of its planes p and t: it lies between 0 and 1, and where it is steepest it
magnifies every deviation of p and of t 12.5 times. Nothing that DBNet answers is read from it.
"""


def of(*precisions: str) -> Tolerance:
    """Return the tolerance for two sessions of these precisions, which is that of the less exact one."""
    known = list(BY_PRECISION)
    ranks = [known.index(each) if each in known else len(known) - 1 for each in precisions]
    return BY_PRECISION[known[max(ranks)]]


def chosen(tolerance: Tolerance, atol: float | None, rtol: float | None) -> Tolerance:
    """Return `tolerance` with what the user chose in its place. Raises `BadInput` for what is no share."""
    given = {key: value for key, value in (("atol", atol), ("rtol", rtol)) if value is not None}
    for name, value in given.items():
        if not 0 <= value < math.inf:
            raise BadInput(f"the tolerance {name} is {value}", "give a number from 0 on, such as 0.0001")
    return replace(tolerance, **given)


def limits(a: NDArray[np.float64], std: float, tolerance: Tolerance, steep: Mapping[int, float]) -> NDArray[np.float64]:
    """Return how far each number may be from the one in `a`, a row of an output; `steep` as in `STEEP`."""
    with np.errstate(invalid="ignore"):  # 0 times infinity; where a number is infinite, nothing is allowed anyway
        allowed: NDArray[Any] = np.abs(a) * tolerance.rtol + max(std, LEAST_STD) * tolerance.atol
    for plane, factor in steep.items():
        if a.ndim and plane < len(a):
            np.maximum(allowed[plane], factor * tolerance.atol, out=allowed[plane])
    return allowed
