"""Whether one row of B is A's answer to the same picture, and what it looks like where it is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrdeploy.verification.tensors import Deviation, deviation
from ocrdeploy.verification.tolerance import Tolerance
from ocrdeploy.vocabulary import Tensors


@dataclass(frozen=True, slots=True)
class Judge:
    """Compares rows: the outputs for one picture, by A's names. `steep` is for the first output, as in `tolerance.STEEP`."""

    tolerance: Tolerance
    steep: Mapping[int, float]

    def deviations(self, a: Tensors, b: Tensors) -> dict[str, Deviation]:
        """Return how each output deviates; their shapes are equal."""
        steep: Mapping[int, float] = self.steep
        found = {}
        for name, array in a.items():
            found[name] = deviation(array, b[name], self.tolerance, steep)
            steep = {}
        return found

    def agree(self, a: Tensors, b: Tensors) -> bool:
        """Whether all outputs are within the tolerance."""
        return all(found.agrees for found in self.deviations(a, b).values())

    def mix_up(self, wanted: Sequence[Tensors], given: Sequence[Tensors], row: int) -> str:
        """Say whose answer the wrong row `row` of the batch `given` is, `wanted` being A's answers; '' where it is nobody's."""
        for other, answer in enumerate(wanted):
            if other != row and self.agree(answer, given[row]) and not self.agree(answer, wanted[row]):
                repeated = all(np.array_equal(given[other][name], array) for name, array in given[row].items())
                return f"it repeats row {other}" if repeated else f"it is A's answer to the picture in row {other}"
        return ""


def rounded_to_half(wanted: Tensors, given: Tensors) -> bool:
    """Whether all numbers of B are exactly such as half precision holds, and not all of A's."""
    return all(map(_is_half, given.values())) and not all(map(_is_half, wanted.values()))


def misshapen(wanted: Tensors, given: Tensors, names: Mapping[str, str], rows: int) -> Iterator[tuple[str, str]]:
    """Yield how the shapes of B's outputs for `rows` pictures are wrong; `names`: B's name of each of A's outputs."""
    for name, own in names.items():
        if own not in given:
            yield "shape", f"B gives no output {own!r}"
        elif given[own].shape[:1] != (rows,):
            yield "rows", f"B's output {own!r} has the shape {given[own].shape} for a batch of {rows}"
        elif given[own].shape[1:] != wanted[name].shape:
            yield "shape", f"a row of output {name!r} has the shape {wanted[name].shape} in A and {given[own].shape[1:]} in B"


def _is_half(array: NDArray[Any]) -> bool:
    with np.errstate(over="ignore"):
        return np.array_equal(array, array.astype(np.float16), equal_nan=True)
