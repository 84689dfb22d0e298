"""How the cases went, as a table by kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from replays.comparison import Outcome

TITLES = ("kind", "cases", "passed", "failed", "skipped", "largest differences (allowed)")


def table(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Yield the lines of the table: a title, a row for each kind, and their sum."""
    rows: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        rows.setdefault(outcome.row, []).append(outcome)
    cells = [TITLES, *(_cells(row, its) for row, its in rows.items())]
    cells.append(_cells("all", [outcome for its in rows.values() for outcome in its], differences=False))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        yield "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:-1], widths[1:-1]), line[-1]]).rstrip()


def _cells(row: str, outcomes: Sequence[Outcome], *, differences: bool = True) -> tuple[str, ...]:
    failed, skipped = sum(bool(outcome.problems) for outcome in outcomes), sum(bool(outcome.skipped) for outcome in outcomes)
    counts = len(outcomes), len(outcomes) - failed - skipped, failed, skipped
    largest = _largest(outcome.largest for outcome in outcomes) if differences else {}
    shown = ", ".join(f"{what} {difference:.1e} ({allowed:.0e})" for what, (difference, allowed) in largest.items())
    return (row, *map(str, counts), shown)


def _largest(each: Iterable[Mapping[str, tuple[float, float]]]) -> dict[str, tuple[float, float]]:
    merged: dict[str, tuple[float, float]] = {}
    for largest in each:
        for what, measured in largest.items():
            merged[what] = max(measured, merged.get(what, measured))
    return merged
