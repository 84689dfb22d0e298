"""A report that comes from a file: whether it is one, and whether this version can read it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from ocrdeploy.errors import BadInput
from ocrdeploy.evaluation.report import keys
from ocrdeploy.evaluation.report.keys import Key

Report: TypeAlias = Mapping[str, Any]
"""A report as JSON has it: docs/eval-json.md."""

Row: TypeAlias = Mapping[str, Any]

SCHEMA = 1
"""The version of the form. A key that is added does not change it; one that is removed, or that changes its meaning, does."""

NEEDED = ("title", "rows", "dataset", "environment")
NEEDED_OF_A_ROW = ("id", "status")
STATUSES = ("ok", "unavailable", "failed")

_AGAIN = "give a file that `ocrd eval --json` wrote"

_IS: Mapping[str, Callable[[object], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list | tuple),
    "null": lambda value: value is None,
}


def read(path: Path) -> Report:
    """Return the report in a file. Raises `BadInput` where there is none, or where it is not one that this version reads."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"cannot read the report '{path}': {error.strerror or error}", "check the path") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"'{path}' is no report: it is not UTF-8 at byte {error.start}", _AGAIN) from error
    except (json.JSONDecodeError, RecursionError) as error:
        where = f", line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise BadInput(f"'{path}' is no report: it is not JSON{where}", _AGAIN) from error
    return check(found, f"'{path}'")


def check(report: object, where: str) -> Report:
    """Return `report` if it is one of this version; else raise `BadInput` that names `where`. Keys that are new are let pass."""
    if not isinstance(report, dict) or "schema" not in report:
        raise BadInput(f"{where} is no report: it has no key 'schema'", _AGAIN)
    if report["schema"] != SCHEMA:
        raise _other_version(report["schema"], where)
    for problem in _problems(report):  # the first will do; each relies on the checks before it
        raise BadInput(f"{where} is no whole report: {problem}", _AGAIN)
    return report


def _other_version(schema: object, where: str) -> BadInput:
    if isinstance(schema, int) and schema > SCHEMA:
        return BadInput(
            f"{where} was written by a newer ocrdeploy: its schema is {schema}, this one reads {SCHEMA}",
            "update ocrdeploy, or evaluate again with this one",
        )
    return BadInput(f"{where} is no report: its schema is {schema!r}, not {SCHEMA}", _AGAIN)


def _problems(report: dict[str, Any]) -> Iterator[str]:
    yield from (f"it has no key {name!r}" for name in NEEDED if name not in report)
    yield from _wrong_types(report, keys.REPORT, "")
    for name, known in (("dataset", keys.DATASET), ("settings", keys.SETTINGS), ("environment", keys.ENVIRONMENT)):
        yield from _wrong_types(report.get(name) or {}, known, f"{name}.")
    for index, row in enumerate(report["rows"]):
        yield from _problems_of_row(row, f"rows[{index}]")


def _problems_of_row(row: object, place: str) -> Iterator[str]:
    if not isinstance(row, dict):
        yield f"{place} is no object"
        return
    yield from (f"{place} has no key {name!r}" for name in NEEDED_OF_A_ROW if name not in row)
    yield from _wrong_types(row, keys.ROW, f"{place}.")
    if row["status"] not in STATUSES:
        yield f"{place}.status is {row['status']!r}, none of {', '.join(STATUSES)}"
    for name, metric in (row.get("metrics") or {}).items():
        if not isinstance(metric, dict) or not isinstance(metric.get("headline"), str):
            yield f"{place}.metrics[{name!r}] has no headline"
    figures = [Key(name, "number or null", "", "") for figure in keys.figures([row]) for name in keys.around(figure)]
    yield from _wrong_types(row, figures, f"{place}.")
    for number, each in enumerate(row.get("disagreements") or ()):
        yield from _problems_of_disagreement(each, f"{place}.disagreements[{number}]")


def _problems_of_disagreement(each: object, place: str) -> Iterator[str]:
    if not isinstance(each, dict):
        yield f"{place} is no object"
        return
    yield from (f"{place} has no key {key.name!r}" for key in keys.DISAGREEMENT if key.name not in each)
    yield from _wrong_types(each, keys.DISAGREEMENT, f"{place}.")
    for side in ("reference", "row"):
        regions = each[side].get("regions") or []
        if not (_IS["array"](regions) and all(_is_region(region) for region in regions)):
            yield f"{place}.{side}.regions has something that is no region"


def _is_region(region: object) -> bool:
    """Tell whether this has a polygon of points that are two numbers, if it has one, and a text that is text."""
    if not isinstance(region, dict) or not isinstance(region.get("text", ""), str):
        return False
    polygon = region.get("polygon") or []
    return _IS["array"](polygon) and all(
        _IS["array"](point) and len(point) == len("xy") and all(map(_IS["number"], point)) for point in polygon
    )


def _wrong_types(value: Mapping[str, Any], known: Iterable[Key], place: str) -> Iterator[str]:
    for key in known:
        if key.name in value and not any(_IS[kind](value[key.name]) for kind in key.kind.split(" or ")):
            yield f"{place}{key.name} is {value[key.name]!r:.60}, not {_with_article(key.kind)}"


def _with_article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aio" else f"a {kind}"
