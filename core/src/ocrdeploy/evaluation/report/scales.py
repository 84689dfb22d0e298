"""Axes: from where to where, and with which marks."""

from __future__ import annotations

import math
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 5.0, 10.0)

_ROOM = 0.08
"""How much of the span of values is left free at either end."""


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


def around(low: float, high: float, *, wanted: int = 8) -> Scale:
    """Return an axis that holds `low` to `high` with some room, but none that no share could be in: below 0, or above 1."""
    room = _ROOM * (high - low) or _ROOM * (abs(low) or 1.0)
    start = max(low - room, 0.0) if low >= 0 else low - room
    end = min(high + room, 1.0) if high <= 1 else high + room
    step = _step((end - start) / wanted)
    first, last = math.ceil(start / step - 1e-9), math.floor(end / step + 1e-9)
    return Scale(start, end, tuple(index * step for index in range(first, last + 1)))


def from_zero(high: float, *, wanted: int = 5) -> Scale:
    """Return an axis from 0 that ends a little above `high`, not at a mark: bars would be short without need."""
    high = high * 1.02 or 1.0
    step = _step(high / wanted)
    return Scale(0.0, high, tuple(index * step for index in range(math.floor(high / step) + 1)))


def _step(least: float) -> float:
    power = float(10 ** math.floor(math.log10(least)))
    return next(power * step for step in _STEPS if power * step >= least * (1 - 1e-9))
