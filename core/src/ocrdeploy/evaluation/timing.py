"""Latencies as figures: percentiles, and outliers shown, not hidden."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

FAR_OUT = 3.0
"""A latency is an outlier beyond the third quartile by this many interquartile ranges: Tukey's "far out" (1977)."""


def figures(latencies_ms: Sequence[float]) -> dict[str, Any]:
    """Return percentiles and the like of latencies, in milliseconds, by the keys that a report's row has."""
    if not latencies_ms:
        return {"timings": 0}
    values = np.asarray(latencies_ms, np.float64)
    quantiles = np.percentile(values, np.arange(101))
    low, high = quantiles[25], quantiles[75]
    return {
        "p50_ms": float(quantiles[50]),
        "p95_ms": float(quantiles[95]),
        "p99_ms": float(quantiles[99]),
        "mean_ms": float(values.mean()),
        "min_ms": float(values.min()),
        "max_ms": float(values.max()),
        "timings": len(values),
        "outliers": int(np.count_nonzero(values > high + FAR_OUT * (high - low))),
        "latency_quantiles_ms": [round(float(each), 4) for each in quantiles],
    }


def median(values: Sequence[float]) -> float:
    """Return the median; 0 of nothing."""
    return float(np.median(values)) if len(values) else 0.0
