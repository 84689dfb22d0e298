"""How the numbers of a report are written: with as many digits as the measurement supports, and no more."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from typing import Any

NOTHING = "-"

DIGITS = 3
"""Significant digits of a time or a size: the next run differs in the third."""

MOST_DECIMALS = 4
"""Of a share: more would need more than 10,000 pictures."""

NEEDED_TIMINGS: Mapping[str, int] = {"p95_ms": 20, "p99_ms": 100}
"""From fewer timings than these, a percentile is only the slowest of them, and is marked."""

ROUGH = "~"

_MB = 1e6


def number(row: Mapping[str, Any], key: str) -> float | None:
    """Return a number of a row; None where there is none, or one that is none (NaN)."""
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def significant(value: float | None, digits: int = DIGITS) -> str:
    """Return a number with so many significant digits, in plain notation; the digits before the point all stand."""
    if value is None:
        return NOTHING
    if value == 0:
        return "0"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, max(decimals, 0))
    decimals = digits - 1 - math.floor(math.log10(abs(rounded or value)))  # 9.996 became 10.0
    return f"{rounded:.{max(decimals, 0)}f}"


def milliseconds(row: Mapping[str, Any], key: str) -> str:
    """Return a latency; a percentile of too few timings has a mark."""
    value = number(row, key)
    return NOTHING if value is None else (ROUGH if is_rough(row, key) else "") + significant(value)


def is_rough(row: Mapping[str, Any], key: str) -> bool:
    """Tell whether there are too few timings for this percentile."""
    return number(row, key) is not None and (number(row, "timings") or 0) < NEEDED_TIMINGS.get(key, 0)


def figure(row: Mapping[str, Any], key: str) -> str:
    """Return a figure and its interval: the interval to the second digit of its width, the figure to one more."""
    value, low, high = (number(row, key + end) for end in ("", "_low", "_high"))
    if value is None:
        return NOTHING
    if low is None or high is None:
        return f"{value:.{MOST_DECIMALS}f}"
    decimals = _decimals(high - low)
    return f"{value:.{min(decimals + 1, MOST_DECIMALS)}f} [{low:.{decimals}f}, {high:.{decimals}f}]"


def drop(row: Mapping[str, Any], key: str) -> str:
    """Return how much worse than the reference a figure is; "+" is worse, as in `hmean_drop`."""
    value, low, high = (number(row, f"{key}_drop{end}") for end in ("", "_low", "_high"))
    if value is None or row.get("reference"):
        return NOTHING
    if low is None or high is None or not high > low:
        return _signed(value, MOST_DECIMALS)
    decimals = _decimals(high - low)
    return f"{_signed(value, min(decimals + 1, MOST_DECIMALS))} [{_signed(low, decimals)}, {_signed(high, decimals)}]"


def share(value: float | None) -> str:
    """Return a share; only what is 1 is written as 1, however near it comes."""
    if value is None:
        return NOTHING
    most = 1 - 10**-MOST_DECIMALS
    return f"{min(value, most) if value < 1 else value:.{MOST_DECIMALS}f}"


def build(row: Mapping[str, Any]) -> str:
    """Return how long the artifact took to make, and whether it was made now."""
    if row.get("built") == "nothing to build" or number(row, "build_s") is None:
        return NOTHING
    return significant(number(row, "build_s")) + (" (earlier)" if row.get("built") == "earlier" else "")


def megabytes(row: Mapping[str, Any]) -> str:
    """Return the size of the artifact in MB."""
    size = number(row, "artifact_bytes")
    return NOTHING if size is None else significant(size / _MB)


def precision(row: Mapping[str, Any]) -> str:
    """Return the precision that was asked for, and the one that was proved where that is another."""
    asked, proved = row.get("precision") or "", row.get("precision_proved")
    return f"{asked} (proved {proved}!)" if proved and proved != asked else asked or NOTHING


def device(row: Mapping[str, Any]) -> str:
    """Return where a row ran, or should have."""
    return row.get("device") or row.get("device_asked") or NOTHING


def visible(text: object) -> str:
    """Return a text of a stranger on one line: what a terminal would obey, or what no encoder takes, stands as an escape."""
    return "".join(_escaped(each) if unicodedata.category(each) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else each for each in str(text))


def encodable(text: str) -> str:
    """Return a text with what no encoder takes, a byte of a file name that is not UTF-8, as an escape."""
    return "".join(_escaped(each) if unicodedata.category(each) == "Cs" else each for each in text)


def sampled(dataset: Mapping[str, Any]) -> str:
    """Return how many pictures of a dataset were taken, in words."""
    pictures, of = dataset.get("pictures"), dataset.get("of")
    if dataset.get("limit") is None or pictures == of:
        return counted(pictures, "picture")
    return f"a seeded sample of {pictures} of {counted(of, 'picture')}, seed {dataset.get('seed')}"


def counted(count: object, noun: str, plural: str = "") -> str:
    """Return "1 picture", "2 pictures"."""
    return f"{count} {noun}" if count == 1 else f"{count} {plural or noun + 's'}"


def _decimals(width: float) -> int:
    if not width > 0:
        return DIGITS
    return min(max(DIGITS - 1, -math.floor(math.log10(width))), MOST_DECIMALS)


def _signed(value: float, decimals: int) -> str:
    text = f"{value:+.{decimals}f}"
    return text[1:] if float(text) == 0 else text


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - a byte
