"""Axes: from where to where, and with which marks."""

from __future__ import annotations

import math
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear axis from `low` to `high`, and the round numbers on it that are marked."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def share(self, value: float) -> float:
        """Return where on the axis a value is, 0 to 1; what lies outside is put to the nearer end."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)

    def label(self, tick: float) -> str:
        """Return a mark's number, with the decimals that tell it from its neighbours."""
        step = self.ticks[1] - self.ticks[0] if len(self.ticks) > 1 else abs(tick) or 1.0
        return f"{tick:.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"


def of(low: float, high: float, *, wanted: int = 5) -> Scale:
    """Return an axis that begins and ends at round numbers and holds `low` to `high`, with about `wanted` marks."""
    if not high > low:
        room = abs(low) * 0.05 or 1.0
        low, high = low - room, high + room
    step = _step((high - low) / wanted)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return Scale(first * step, last * step, tuple(index * step for index in range(first, last + 1)))


def from_zero(high: float, *, wanted: int = 5) -> Scale:
    """Return an axis from 0 that ends a little above `high`, not at a mark: bars would be short without need."""
    high = high * 1.02 or 1.0
    step = _step(high / wanted)
    return Scale(0.0, high, tuple(index * step for index in range(math.floor(high / step) + 1)))


def _step(least: float) -> float:
    power = float(10 ** math.floor(math.log10(least)))
    return next(power * step for step in _STEPS if power * step >= least * (1 - 1e-9))
