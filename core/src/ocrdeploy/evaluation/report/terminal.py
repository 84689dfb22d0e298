"""A report for a terminal: a table, and below it what has to be said of its rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ocrdeploy import tables
from ocrdeploy.evaluation.report import columns as shown
from ocrdeploy.evaluation.report import pairing, wording
from ocrdeploy.evaluation.report.schema import Report, Row

LISTED = 5
"""How many of a row's disagreements are listed; the others are counted."""

_PARTS = 3
"""How many differences of a picture stand on its line."""

_LONG = 60
"""How many characters of a text."""


def render(report: Report, columns: int = 0, *, details: bool = False) -> str:
    """Return the report as text, for a terminal of so many `columns` (0: no limit); `details` adds the sweeps of thresholds.

    Nothing in it is obeyed by a terminal: control characters of names and texts stand as escapes.
    """
    rows = report["rows"]
    iou = wording.number(report.get("settings") or {}, "agreement_iou") or pairing.USUAL_IOU
    parts = [_lines(shown.heading(report)), _table(report, columns), _lines(shown.footnotes(rows))]
    parts += [_below(row, details, iou) for row in rows]
    return "\n".join(part for part in parts if part)


def _table(report: Report, room: int) -> str:
    """Return a line for each row, or, where the terminal is too narrow, a block, without what there is nothing to say of."""
    made, rows = shown.of(report), report["rows"]
    head = [column.title for column in made]
    wide = tables.table(head, [shown.cells(made, row) for row in rows])
    if not room or all(tables.columns(line) <= room for line in wide.splitlines()):
        return wide
    blocks = [["" if cell == wording.NOTHING else cell for cell in shown.cells(made, row, status="")[1:]] for row in rows]
    return tables.table(head[1:], blocks, 1, titles=[_title(row) for row in rows])


def _title(row: Row) -> str:
    mark = "*" if row.get("reference") else ""
    return wording.visible(row["id"]) + mark + ("" if row["status"] == "ok" else f": {row['status']}")


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _below(row: Row, details: bool, iou: float) -> str:
    """Return what is said of a row below the table, under its name; nothing where nothing is to be said."""
    lines = [*_trouble(row), *_warnings(row), *(_sweeps(row) if details else ()), *_disagreements(row, iou)]
    return _lines([wording.visible(row["id"]), *(f"  {line}" for line in lines)]) if lines else ""


def _trouble(row: Row) -> Iterator[str]:
    if row["status"] == "ok":
        return
    yield f"{row['status']}: {wording.visible(row.get('problem') or 'no reason is known')}"
    if row.get("fix"):
        yield f"fix: {wording.visible(row['fix'])}"


def _warnings(row: Row) -> Iterator[str]:
    yield from (f"warning: {wording.visible(each)}" for each in row.get("warnings") or ())
    if row.get("errors"):
        yield f"errors: {wording.counted(row['errors'], 'picture')} gave an error, and count as answered with nothing"


def _sweeps(row: Row) -> Iterator[str]:
    for name, metric in (row.get("metrics") or {}).items():
        sweep: Sequence[Mapping[str, Any]] = (metric.get("details") or {}).get("per_threshold") or ()
        if sweep:
            head = list(sweep[0])
            body = [[wording.significant(wording.number(each, key), wording.MOST_DECIMALS) for key in head] for each in sweep]
            yield f"{wording.visible(name)}, by threshold:"
            yield from (f"  {line}" for line in tables.table(head, body).splitlines())


def _disagreements(row: Row, iou: float) -> Iterator[str]:
    kept = row.get("disagreements") or ()
    compared, agreeing = wording.number(row, "compared"), wording.number(row, "agreeing")
    number = len(kept) if compared is None or agreeing is None else int(compared - agreeing)
    if not kept:
        return
    yield f"answers {wording.counted(number, 'picture')} otherwise than the reference:"
    yield from (f"  {_said(each, iou)}" for each in kept[:LISTED])
    if number > LISTED:
        yield f"  and {number - LISTED} more"


def _said(each: Mapping[str, Any], iou: float) -> str:
    true = each.get("true") or ()
    known = f"; true: {_texts(true)}" if len(true) == 1 else ""
    return f"{wording.visible(each['picture'])}: {_difference(each, iou)}{known}"


def _difference(each: Mapping[str, Any], iou: float) -> str:
    """Return in what two answers differ, the reference's first."""
    reference, row = each["reference"], each["row"]
    if reference.get("problem") or row.get("problem"):
        return f"reference {_outcome(reference)}, here {_outcome(row)}"
    found = pairing.pair(reference, row, iou)
    said = [
        f"reference {_texts([a])}, here {_texts([b])}" for a, b in ((pairing.text(a), pairing.text(b)) for a, b in found.unlike)
    ]
    said += _alone("only the reference", found.only_reference) + _alone("only here", found.only_row)
    return "; ".join(said[:_PARTS]) + (f"; and {len(said) - _PARTS} more" if len(said) > _PARTS else "")


def _alone(who: str, regions: Sequence[pairing.PlainRegion]) -> list[str]:
    if not regions:
        return []
    texts = [text for text in map(pairing.text, regions) if text]
    return [f"{who}: {_texts(texts[:_PARTS]) if texts else wording.counted(len(regions), 'box', 'boxes')}"]


def _outcome(given: Mapping[str, Any]) -> str:
    if given.get("problem"):
        return f"error: {wording.visible(given['problem'])}"
    return wording.counted(len(given.get("regions") or ()), "region")


def _texts(texts: Iterable[str]) -> str:
    return ", ".join(f"'{_short(wording.visible(text))}'" for text in texts)


def _short(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[:_LONG]}..."
