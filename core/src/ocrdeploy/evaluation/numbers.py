"""What numbers tell of the precision in which they were computed, whatever a session says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST_DISTINCT = 128
"""Of fewer different numbers nothing is concluded: 0 and 1, or halves and quarters, are exact in every precision."""

_BFLOAT16_REST = np.uint32(0xFFFF)
"""The bits of a float32 that bfloat16 has no room for."""


class Numbers:
    """Watches raw outputs. Float32 numbers that all are exactly such as a shorter format holds were computed in it.

    In float32 a network's numbers fill all 24 bits of their significands: that hundreds of them end in 13 zeros (as
    float16's do) does not happen by chance. It shows only where the last step was in the shorter format; where it was not,
    the deviation from another row does.
    """

    def __init__(self) -> None:
        # The narrower one first: most numbers of bfloat16 fit into float16, too.
        self._may_be = {"bf16": _is_bfloat16, "fp16": _is_float16}
        self._distinct: NDArray[np.float32] = np.zeros(0, np.float32)

    def see(self, outputs: Mapping[str, NDArray[Any]]) -> None:
        """Look at the outputs of one batch."""
        for array in outputs.values():
            if array.dtype == np.float32 and array.size:
                fractional = array[np.isfinite(array) & (array != np.trunc(array))]
                if len(self._distinct) < LEAST_DISTINCT:
                    self._distinct = np.union1d(self._distinct, fractional)[:LEAST_DISTINCT]
                self._may_be = {name: test for name, test in self._may_be.items() if test(fractional)}

    @property
    def precision(self) -> str:
        """The shorter format that all numbers fit into: "fp16" or "bf16"; "" where there is none, or too little was seen."""
        return next(iter(self._may_be), "") if len(self._distinct) >= LEAST_DISTINCT else ""


def _is_float16(array: NDArray[np.float32]) -> bool:
    with np.errstate(over="ignore"):
        return bool(np.array_equal(array, array.astype(np.float16)))


def _is_bfloat16(array: NDArray[np.float32]) -> bool:
    return not bool(np.any(np.ascontiguousarray(array).view(np.uint32) & _BFLOAT16_REST))
