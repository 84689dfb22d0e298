"""The tables of a page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ocrdeploy.evaluation.report import columns as shown
from ocrdeploy.evaluation.report import wording
from ocrdeploy.evaluation.report.columns import Column
from ocrdeploy.evaluation.report.markup import Markup, join, tag
from ocrdeploy.evaluation.report.schema import Report, Row


def rows(report: Report, styles: Mapping[str, str]) -> Markup:
    """Return the table that a terminal shows, too; it scrolls by itself where the window is narrow."""
    made = shown.of(report)
    head = [
        tag("th", *_breakable(column.title), scope="col", title=column.about, **_aligned(index))
        for index, column in enumerate(made)
    ]
    body = [_row(row, made, styles[str(row["id"])]) for row in report["rows"]]
    table = tag(
        "table",
        tag("caption", "Accuracy, agreement, latency and cost of each row", class_="unseen"),
        tag("thead", tag("tr", *head)),
        tag("tbody", *body),
        class_="rows",
    )
    about = [tag("div", tag("dt", column.title), tag("dd", column.about)) for column in made]
    explained = tag("details", tag("summary", "What the columns are"), tag("dl", *about, class_="facts"))
    return join([_scrolling(table, "The rows, a table"), explained])


def _breakable(title: str) -> list[str]:
    """Return a title that may go on in a new line after each underscore."""
    first, *rest = title.split("_")
    return [first, *(part for word in rest for part in ("_", tag("wbr"), word))]


def _row(row: Row, columns: Sequence[Column], style: str) -> Markup:
    first, *cells = shown.cells(columns, row)
    name = tag("th", tag("span", class_=f"swatch {style}"), first, scope="row", title=wording.visible(row["id"]))
    if row["status"] != "ok":
        known = [tag("td", *_cell(cell)) for cell in cells[: shown.IDENTITY - 1]]
        status = tag("td", tag("a", tag("span", str(row["status"]), class_="tag"), href="#not-run"))
        empty = [tag("td", class_="number") for _ in columns[shown.IDENTITY + 1 :]]
        return tag("tr", name, *known, status, *empty, class_=f"row {style} absent")
    made = [
        tag("td", *_cell(cell), data_value=_value(row, columns[index]), **_aligned(index))
        for index, cell in enumerate(cells, start=1)
    ]
    return tag("tr", name, *made, class_=f"row {style}")


def _cell(text: str) -> list[str]:
    """Return a cell's parts: the interval of a figure, or what is in brackets, stands below it."""
    found = _BRACKET.search(text)
    return [found[1], tag("span", found[2], class_="below")] if found else [text]


def _value(row: Row, column: Column) -> str | None:
    value = wording.number(row, column.sort) if column.sort else None
    return None if value is None else repr(value)


def _aligned(index: int) -> dict[str, str]:
    return {"class_": "number"} if index >= shown.IDENTITY else {}


def sweeps(ran: Sequence[Row]) -> Markup:
    """Return the figures of each row at each threshold."""
    made = []
    for row in ran:
        for name, metric in (row.get("metrics") or {}).items():
            sweep = (metric.get("details") or {}).get("per_threshold") or ()
            if sweep:
                title = f"{row['id']}: {name}"
                made.append(tag("details", tag("summary", title), _scrolling(_plain(sweep, title), title)))
    return join(made)


def _plain(entries: Sequence[Mapping[str, Any]], title: str) -> Markup:
    head = list(entries[0])
    body = [[wording.significant(wording.number(each, key), wording.MOST_DECIMALS) for key in head] for each in entries]
    return tag(
        "table",
        tag("caption", title, class_="unseen"),
        tag("thead", tag("tr", *(tag("th", key, scope="col", class_="number") for key in head))),
        tag("tbody", *(tag("tr", *(tag("td", cell, class_="number") for cell in line)) for line in body)),
    )


def circumstances(report: Report) -> Markup:
    """Return what the figures depend on: models, dataset, settings, machine and versions."""
    groups = [
        (f"Model: {model.get('role') or 'model'}", {key: value for key, value in model.items() if key != "role"})
        for model in report.get("models") or ()
    ]
    groups += [(title, report.get(key) or {}) for title, key in _GROUPS]
    groups += [
        (f"Row: {row['id']}", {key: row[key] for key in _OF_A_ROW if row.get(key) not in _EMPTY}) for row in report["rows"]
    ]
    made = [
        tag("div", tag("h3", title), tag("dl", *(_fact(name, value) for name, value in facts.items()), class_="facts"))
        for title, facts in groups
        if facts
    ]
    return tag("div", *made, class_="circumstances")


def _fact(name: str, value: object) -> Markup:
    return tag("div", tag("dt", str(name).replace("_", " ")), tag("dd", _said(value)))


def _said(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_said(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_said, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return wording.NOTHING if value is None else str(value)


def _scrolling(table: Markup, name: str) -> Markup:
    return tag("div", table, class_="scrolling", tabindex="0", role="region", aria_label=name)


_BRACKET = re.compile(r"^(\S+)( [\[(].*)$")

_OF_A_ROW = (
    *("distribution", "provider", "device_asked", "precision_claimed", "pictures", "errors"),
    *("box_iou", "batch_agreement", "repeat_agreement", "deviation"),
    *("timings", "outliers", "sittings", "warm_up_passes", "warm_up_steady", "open_s", "built"),
    *("artifact_format", "artifact_path", "host_memory_growth_mib_per_picture", "notes"),
)
"""What is worth knowing of a row and has no column."""

_EMPTY: tuple[object, ...] = (None, "", [])

_GROUPS = (("Dataset", "dataset"), ("Settings", "settings"), ("Environment", "environment"))
