"""A report for spreadsheets (CSV) and for documents (Markdown)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

from ocrdeploy.evaluation.report import columns as shown
from ocrdeploy.evaluation.report import keys, wording
from ocrdeploy.evaluation.report.schema import Report, Row

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""How a text begins that a spreadsheet takes for a formula: OWASP, "CSV Injection"."""

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~&!])")


def to_csv(report: Report) -> str:
    """Return every scalar of every row: a line of keys, then a line a row, as RFC 4180 has it; null is an empty cell.

    A text that a spreadsheet would take for a formula begins with an apostrophe. Numbers stand in full.
    """
    rows = report["rows"]
    names = _scalar_keys(rows)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_cell(name) for name in names])
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return out.getvalue()


def to_markdown(report: Report) -> str:
    """Return the table of the terminal, and what is said below it, as Markdown."""
    rows = report["rows"]
    made = shown.of(report)
    title, *facts = (_escaped(line) for line in shown.heading(report))
    parts = [f"## {title}", _bullets(facts), _table([column.title for column in made], [shown.cells(made, row) for row in rows])]
    parts.append(_bullets(_escaped(line) for line in shown.footnotes(rows)))
    parts.append(_bullets(line for row in rows for line in _said(row)))
    return "\n\n".join(part for part in parts if part) + "\n"


def _scalar_keys(rows: Sequence[Row]) -> list[str]:
    """Return the keys under which some row has a scalar: the documented ones first, in their order, figures after them."""
    known = [key.name for key in keys.ROW]
    met = dict.fromkeys(name for row in rows for name in row)
    ordered = [*(name for name in known if name in met), *(name for name in met if name not in known)]
    return [name for name in ordered if not any(isinstance(row.get(name), dict | list | tuple) for row in rows)]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    text = wording.encodable(str(value))
    return f"'{text}" if text.startswith(_FORMULA) else text


def _table(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    aligned = ["---"] * shown.IDENTITY + ["---:"] * (len(head) - shown.IDENTITY)
    lines = [head, aligned, *([_escaped(cell) for cell in cells] for cells in body)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _said(row: Row) -> Iterable[str]:
    name = f"**{_escaped(wording.visible(row['id']))}**"
    if row["status"] != "ok":
        fix = f" Fix: {_escaped(wording.visible(row['fix']))}" if row.get("fix") else ""
        yield f"{name} {row['status']}: {_escaped(wording.visible(row.get('problem') or 'no reason is known'))}.{fix}"
    yield from (f"{name}: {_escaped(wording.visible(each))}" for each in row.get("warnings") or ())


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)
