"""How sure a figure is: percentile intervals of resampled pictures (Efron 1979)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ocrdeploy.errors import BadInput
from ocrdeploy.evaluation.metrics import Metric

_DRAWN = 1_000_000
"""How many pictures are drawn at a time, over all resamples of a chunk: about 30 MB."""


class Interval(NamedTuple):
    """From where to where a figure lies."""

    low: float
    high: float


def intervals(
    metric: Metric, counts: NDArray[np.float64], *, level: float = 0.95, samples: int = 2000, seed: int = 0
) -> Mapping[str, Interval]:
    """Return the interval of each of the metric's figures at a confidence `level`.

    `counts`, (N, ...), are what `Metric.count` gives. Each of the `samples` resamples draws N pictures, with replacement. What a
    figure chooses, such as the best threshold, is chosen anew in each. Raises `BadInput` where there is no picture.
    """
    return _spread([metric.figures(totals) for totals in _resampled(counts, samples, seed)], level)


def differences(
    metric: Metric,
    counts: NDArray[np.float64],
    reference_counts: NDArray[np.float64],
    *,
    level: float = 0.95,
    samples: int = 2000,
    seed: int = 0,
) -> Mapping[str, Interval]:
    """Return the interval of each figure of `counts` less the same figure of `reference_counts`, on the same pictures.

    Both are resampled alike (paired), so what makes a picture hard for both does not widen the interval.
    """
    if len(counts) != len(reference_counts):
        raise ValueError(f"paired counts of {len(counts)} and {len(reference_counts)} pictures")
    ours, theirs = _resampled(counts, samples, seed), _resampled(reference_counts, samples, seed)
    return _spread([_less(metric.figures(a), metric.figures(b)) for a, b in zip(ours, theirs, strict=True)], level)


_Figures = Mapping[str, NDArray[np.float64]]


def _less(ours: _Figures, theirs: _Figures) -> _Figures:
    return {name: values - theirs[name] for name, values in ours.items()}


def _resampled(counts: NDArray[np.float64], samples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Yield the totals of resamples, (some, ...), until there are `samples` of them. The same seed draws the same pictures."""
    number = len(counts)
    if not number:
        raise BadInput("there is no picture to say how sure a figure is", "give a dataset that has pictures")
    random, flat = np.random.default_rng(seed), np.asarray(counts, np.float64).reshape(number, -1)
    most = max(1, _DRAWN // number)
    for start in range(0, samples, most):
        rows = min(most, samples - start)
        drawn = random.integers(0, number, (rows, number)) + np.arange(rows)[:, None] * number
        weights = np.bincount(drawn.ravel(), minlength=rows * number).reshape(rows, number)
        yield (weights.astype(np.float64) @ flat).reshape(rows, *counts.shape[1:])


def _spread(chunks: list[_Figures], level: float) -> Mapping[str, Interval]:
    tail = 100 * (1 - level) / 2
    made = {}
    for name in chunks[0]:
        low, high = np.percentile(np.concatenate([chunk[name] for chunk in chunks]), [tail, 100 - tail])
        made[name] = Interval(float(low), float(high))
    return made
