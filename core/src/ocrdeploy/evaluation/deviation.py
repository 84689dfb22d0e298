"""How far the raw outputs of two rows are apart, from the files that their processes left."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrdeploy.verification.tolerance import LEAST_STD, STEEP


def largest(reference: Sequence[Path], other: Sequence[Path], family: str) -> float | None:
    """Return the largest |a - b| over all outputs of all pictures, in standard deviations of the reference's output.

    Planes of the first output that magnify every deviation (`tolerance.STEEP`) are left out: nothing is read from them. None
    where nothing can be compared; infinity where a shape differs or only one of the two is finite.
    """
    found = [
        _deviation(a, b, family if output == 0 else "")
        for first, second in zip(reference, other, strict=True)
        for output, (a, b) in enumerate(_pairs(first, second))
    ]
    return max(found, default=None)


def _pairs(first: Path, second: Path) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    try:
        with np.load(first) as one, np.load(second) as other:
            return [(one[name], other[name]) for name in sorted(set(one) & set(other))]
    except (OSError, ValueError):
        return []


def _deviation(a: NDArray[Any], b: NDArray[Any], family: str) -> float:
    if a.shape != b.shape:
        return float("inf")
    steep = [plane for plane in STEEP.get(family, {}) if a.ndim > 1 and plane < a.shape[1]]
    first, second = (
        np.delete(np.asarray(each, np.float64), steep, axis=1) if steep else np.asarray(each, np.float64) for each in (a, b)
    )
    if not first.size:
        return 0.0
    finite = np.isfinite(first)
    if not np.array_equal(finite, np.isfinite(second)):
        return float("inf")
    std = max(float(first[finite].std()) if finite.any() else 0.0, LEAST_STD)
    return float(np.abs(first[finite] - second[finite]).max(initial=0.0)) / std
