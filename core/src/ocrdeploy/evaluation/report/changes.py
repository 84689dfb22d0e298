"""What changed between two reports, and whether it is more than noise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ocrdeploy import tables
from ocrdeploy.evaluation.report import doubts, keys, wording
from ocrdeploy.evaluation.report.schema import Report, Row

LATENCY_FLOOR = 0.05
"""Medians that are nearer than this share are called equal: runs of one machine on two days differ by as much."""

NOTCH = 1.57
"""Half a notch is this times IQR / sqrt(n). Two medians differ, at about 95 %, where their notches do not overlap: McGill,
Tukey and Larsen, Variations of Box Plots, The American Statistician 32 (1978)."""

MEMORY_SHARE, MEMORY_MIB = 0.05, 8.0
"""Of memory a report has no spread, so this is a rule of thumb: what changes by less than either is called noise."""

_QUANTILES = 101
_MIB = ("host_memory_peak_mib", "device_memory_peak_mib")


class Verdict(StrEnum):
    """What a change is."""

    BETTER = "better"
    WORSE = "worse"
    CHANGED = "changed"
    """More than noise, and neither better nor worse by itself."""
    NOISE = "noise"
    UNKNOWN = "cannot be told"


@dataclass(frozen=True, slots=True)
class Change:
    """One value of a row, before and after, with the reason for the verdict."""

    key: str
    old: float | str | None
    new: float | str | None
    verdict: Verdict
    why: str


@dataclass(frozen=True, slots=True)
class RowChanges:
    """What changed in a row that is in both reports. Values that are equal are left out."""

    id: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two reports compared. `doubts` are reasons not to compare them."""

    old: str
    new: str
    doubts: tuple[str, ...]
    rows: tuple[RowChanges, ...]
    only_old: tuple[str, ...]
    only_new: tuple[str, ...]

    @property
    def beyond_noise(self) -> tuple[tuple[str, Change], ...]:
        """The changes that are more than noise, each with its row."""
        return tuple((row.id, each) for row in self.rows for each in row.changes if each.verdict is not Verdict.NOISE)


def compare(old: Report, new: Report) -> Comparison:
    """Compare two reports row by row, by the rows' `id`."""
    before, after = ({str(row["id"]): row for row in report["rows"]} for report in (old, new))
    lower = keys.less_is_better(new["rows"]) | keys.less_is_better(old["rows"])
    return Comparison(
        old=_name(old),
        new=_name(new),
        doubts=tuple(doubts.between(old, new)),
        rows=tuple(RowChanges(name, tuple(_changes(before[name], row, lower))) for name, row in after.items() if name in before),
        only_old=tuple(name for name in before if name not in after),
        only_new=tuple(name for name in after if name not in before),
    )


def render(comparison: Comparison, columns: int = 0) -> str:
    """Return the comparison as text, for a terminal of so many `columns` (0: no limit)."""
    parts = [f"old: {comparison.old}\nnew: {comparison.new}\n"]
    if comparison.doubts:
        parts.append("reasons not to compare them:\n" + "".join(f"  {wording.visible(each)}\n" for each in comparison.doubts))
    parts += [_row(row, columns) for row in comparison.rows]
    for where, names in (("old", comparison.only_old), ("new", comparison.only_new)):
        parts += [f"only in the {where} report: {', '.join(wording.visible(name) for name in names)}\n"] if names else []
    count = len(comparison.beyond_noise)
    parts.append(f"{wording.counted(count, 'change')} beyond noise\n" if count else "nothing changed beyond noise\n")
    return "\n".join(parts)


def _row(row: RowChanges, columns: int) -> str:
    name = wording.visible(row.id)
    if not row.changes:
        return f"{name}: unchanged\n"
    body = [
        (each.key, _written(each.key, each.old), _written(each.key, each.new), each.verdict, each.why) for each in row.changes
    ]
    table = tables.table(("key", "old", "new", "verdict", "why"), body, max(columns - len("  "), 1) if columns else 0)
    return f"{name}\n" + "".join(f"  {line}\n" for line in table.splitlines())


def _written(key: str, value: float | str | None) -> str:
    if value is None:
        return wording.NOTHING
    if isinstance(value, str):
        return wording.visible(value)
    if key == "artifact_bytes":
        return f"{value:.0f}"
    return wording.significant(value) if key.endswith(("_ms", "_mib", "_s")) else f"{value:.4f}"


def _changes(old: Row, new: Row, lower: frozenset[str]) -> Iterator[Change]:
    if old["status"] != new["status"]:
        gone = Verdict.WORSE if old["status"] == "ok" else Verdict.BETTER if new["status"] == "ok" else Verdict.CHANGED
        yield Change("status", old["status"], new["status"], gone, new.get("problem") or "it runs now")
    if "ok" not in {old["status"]} & {new["status"]}:
        return
    for key in ("version", "precision_proved"):
        if old.get(key) != new.get(key):
            yield Change(key, old.get(key), new.get(key), Verdict.CHANGED, "another one ran")
    for figure in keys.figures([old, new]):
        yield from _figure(old, new, figure, less_is_better=figure in lower)
    yield from _agreement(old, new)
    yield from _latency(old, new)
    for key in _MIB:
        yield from _memory(old, new, key)
    yield from _size(old, new)


def _figure(old: Row, new: Row, key: str, *, less_is_better: bool) -> Iterator[Change]:
    """Compare a figure: it is more than noise where either value lies outside of the other's interval."""
    a, b = wording.number(old, key), wording.number(new, key)
    if a == b:
        return
    if a is None or b is None:
        yield Change(key, a, b, Verdict.UNKNOWN, "only one report has it")
        return
    intervals = [(wording.number(row, f"{key}_low"), wording.number(row, f"{key}_high")) for row in (old, new)]
    inside = [_inside(value, *interval) for value, interval in zip((b, a), intervals, strict=True)]
    if None in inside:
        yield Change(key, a, b, Verdict.UNKNOWN, "it has no interval")
    elif any(inside):
        yield Change(key, a, b, Verdict.NOISE, "within an interval")
    else:
        # What has no drop is a setting, such as the best threshold: it is no worse for being another.
        judged = _better((b < a) == less_is_better) if f"{key}_drop" in {*old, *new} else Verdict.CHANGED
        yield Change(key, a, b, judged, "each outside of the other's interval")


def _agreement(old: Row, new: Row) -> Iterator[Change]:
    """Compare agreement: answers do not change by chance, save on pictures that are answered otherwise when asked again."""
    a, b = wording.number(old, "agreement"), wording.number(new, "agreement")
    if a is None or b is None or a == b:
        return
    repeats = [number for row in (old, new) if (number := wording.number(row, "repeat_agreement")) is not None]
    chance = 1 - min(repeats, default=1.0)
    if abs(a - b) <= chance:
        yield Change("agreement", a, b, Verdict.NOISE, f"{100 * chance:.2g} % of answers change when asked again")
    else:
        yield Change("agreement", a, b, _better(b > a), "other pictures are answered as the reference answers them")


def _latency(old: Row, new: Row) -> Iterator[Change]:
    a, b = wording.number(old, "p50_ms"), wording.number(new, "p50_ms")
    if not a or not b or a == b:
        return
    ratio = f"{b / a:.2f} x"
    before, after = _half_notch(old), _half_notch(new)
    if abs(b / a - 1) <= LATENCY_FLOOR:
        yield Change("p50_ms", a, b, Verdict.NOISE, f"{ratio}, within {100 * LATENCY_FLOOR:g} %")
    elif before is None or after is None:
        yield Change("p50_ms", a, b, Verdict.UNKNOWN, f"{ratio}, and a report has no quantiles")
    elif abs(b - a) <= before + after:
        yield Change("p50_ms", a, b, Verdict.NOISE, f"{ratio}, within the spread (notches overlap)")
    else:
        yield Change("p50_ms", a, b, _better(b < a), f"{ratio}, beyond the spread")


def _half_notch(row: Row) -> float | None:
    quantiles: Sequence[float] = row.get("latency_quantiles_ms") or ()
    timings = wording.number(row, "timings")
    if len(quantiles) != _QUANTILES or not timings:
        return None
    return float(NOTCH * (quantiles[75] - quantiles[25]) / math.sqrt(timings))


def _memory(old: Row, new: Row, key: str) -> Iterator[Change]:
    a, b = wording.number(old, key), wording.number(new, key)
    if a is None or b is None or a == b:
        return
    rule = f"{100 * MEMORY_SHARE:g} % and {MEMORY_MIB:g} MiB"
    if abs(b - a) > max(MEMORY_SHARE * a, MEMORY_MIB):
        yield Change(key, a, b, _better(b < a), f"{b - a:+.0f} MiB, beyond {rule}")
    else:
        yield Change(key, a, b, Verdict.NOISE, f"{b - a:+.0f} MiB, within {rule}")


def _size(old: Row, new: Row) -> Iterator[Change]:
    a, b = wording.number(old, "artifact_bytes"), wording.number(new, "artifact_bytes")
    if a is not None and b is not None and a != b:
        yield Change("artifact_bytes", a, b, _better(b < a), f"{b - a:+.0f} bytes")


def _inside(value: float, low: float | None, high: float | None) -> bool | None:
    return None if low is None or high is None else low <= value <= high


def _better(is_better: bool) -> Verdict:
    return Verdict.BETTER if is_better else Verdict.WORSE


def _name(report: Report) -> str:
    return wording.visible(f"{report['title']}, {report.get('started') or 'at an unknown time'}")
