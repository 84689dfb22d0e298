"""The widths that lines should be padded to, if they are padded to a few widths."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


def best(pictures: Mapping[int, int], count: int) -> tuple[int, ...]:
    """Return the at most `count` widths, ascending, to which all pictures are padded with the least area in all.

    `pictures` says how many there are of each width; each is padded to the next of the returned widths. Exact: dynamic
    programming over the distinct widths, cost[j] = min over i < j of cost[i] + width[j] * (pictures wider than width[i], up
    to width[j]).
    """
    widths = np.array(sorted(pictures), np.int64)
    upto = np.cumsum([0, *(pictures[width] for width in widths.tolist())])
    # cost[j]: of the j smallest widths. With no bucket yet, only nothing is covered.
    cost = np.where(np.arange(len(widths) + 1) == 0, 0.0, np.inf)
    cuts: list[list[int]] = []
    for _ in range(min(count, len(widths))):
        split, cost = _one_more(widths, upto, cost)
        cuts.append(split)
    chosen = []
    end = len(widths)
    for split in reversed(cuts):
        if end:
            chosen.append(int(widths[end - 1]))
            end = split[end]
    return tuple(reversed(chosen))


def _one_more(
    widths: NDArray[np.int64], upto: NDArray[np.int64], cost: NDArray[np.float64]
) -> tuple[list[int], NDArray[np.float64]]:
    """Return, for the j smallest widths, where the last of one bucket more begins, and what that costs."""
    split, dearer = [0], [0.0]
    for end in range(1, len(cost)):
        candidates = cost[:end] + widths[end - 1] * (upto[end] - upto[:end])
        begin = int(np.argmin(candidates))
        split.append(begin)
        dearer.append(float(candidates[begin]))
    return split, np.array(dearer)
