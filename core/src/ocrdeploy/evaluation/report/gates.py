"""Gates: conditions on a report's rows on which continuous integration fails. docs/eval-json.md has the rules."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ocrdeploy.errors import BadInput, nearest, unknown
from ocrdeploy.evaluation.report import keys, wording
from ocrdeploy.evaluation.report.schema import Report, Row

OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}

EXAMPLE = "'hmean_drop > 0.005', 'agreement < 0.999', or for some rows only 'onnxruntime fp16: p95_ms > 40'"

_GATE = re.compile(
    r"(?:(?P<rows>.+):)?\s*(?P<key>[^\s<>=!:]+)\s*(?P<sign><=|>=|==|!=|<|>)\s*(?P<number>[^\s<>=!]+)\s*", re.DOTALL
)

_OF_THE_REFERENCE: Mapping[str, float] = {"agreement": 1.0, "box_iou": 1.0, "deviation": 0.0}
"""What the reference is, compared with itself, where its row does not say so; it also drops by nothing."""


@dataclass(frozen=True, slots=True)
class Gate:
    """A row fails where its value of `key` stands in the relation `sign` to `bound`. `rows`: which ones; '' for all."""

    text: str
    key: str
    sign: str
    bound: float
    rows: str = ""

    def covers(self, row: Row) -> bool:
        """Tell whether the gate is for this row: all rows, those of a backend, or those whose `id` begins with these words."""
        return not self.rows or self.rows == row.get("backend") or f"{row['id']} ".startswith(f"{self.rows} ")

    def fails(self, value: float) -> bool:
        """Tell whether a value is what the gate must not let through."""
        return OPERATORS[self.sign](value, self.bound)


@dataclass(frozen=True, slots=True)
class Failure:
    """A row that failed a gate. `row`: its `id`, '' where no row could be tried; `value`: None where there was none."""

    row: str
    gate: str
    value: float | None
    sentence: str


def parse(text: str, figures: Iterable[str] | None = None) -> Gate:
    """Read a gate, such as "p95_ms > 40" or "onnxruntime fp16: hmean_drop > 0.005".

    `figures` are those of the metrics that will be evaluated, such as "hmean"; without them, a key that nobody knows is found
    by `failing` only. Raises `BadInput` where `text` is no gate, or its key none.
    """
    found = _GATE.fullmatch(text.strip())
    if not found:
        raise BadInput(f"{text!r} is no gate: it has to be KEY, one of {' '.join(OPERATORS)}, and a number", f"as in {EXAMPLE}")
    gate = Gate(text.strip(), found["key"], found["sign"], _bound(text, found["number"]), (found["rows"] or "").strip())
    if figures is not None:
        _check_key(gate, figures)
    return gate


def failing(report: Report, gates: Sequence[Gate]) -> list[Failure]:
    """Return every failure, gate by gate, row by row. Raises `BadInput` where no row could have a gate's key.

    A row that broke off fails each gate that covers it. One that ran and lacks the value fails: it cannot be told. One that
    is unavailable fails only a gate that names it. A gate that no row could be tried on fails.
    """
    rows = report["rows"]
    figures = keys.figures(rows)
    if any(row["status"] == "ok" for row in rows):  # else nobody knows which figures there would be
        extra = [name for row in rows for name in row if wording.number(row, name) is not None]
        for gate in gates:
            _check_key(gate, [*figures, *extra])
    return [failure for gate in gates for failure in _failing(rows, gate)]


def _failing(rows: Sequence[Row], gate: Gate) -> Iterator[Failure]:
    covered = [row for row in rows if gate.covers(row)]
    if not covered:
        near = nearest(gate.rows, [str(row["id"]) for row in rows])
        hint = f" (did you mean {near!r}?)" if near else ""
        yield Failure("", gate.text, None, f"no row is called {gate.rows!r}{hint}")
        return
    failures = [failure for row in covered if (failure := _tried(row, gate))]
    yield from failures
    if not failures and all(row["status"] != "ok" for row in covered):
        yield Failure("", gate.text, None, "no row could be tried, since none could run here")


def _tried(row: Row, gate: Gate) -> Failure | None:
    name = str(row["id"])
    if row["status"] == "failed" or (row["status"] != "ok" and gate.rows):
        return Failure(name, gate.text, None, f"{name}: {row['status']}: {row.get('problem') or 'no reason is known'}")
    if row["status"] != "ok":
        return None
    value = _value(row, gate.key)
    if value is None:
        return Failure(name, gate.text, None, f"{name}: it cannot be told: the row has no {gate.key}")
    if gate.fails(value):
        return Failure(name, gate.text, value, f"{name}: {gate.key} is {_exact(value)}, {gate.sign} {_exact(gate.bound)}")
    return None


def _value(row: Row, key: str) -> float | None:
    value = wording.number(row, key)
    if value is None and row.get("reference"):
        if key.removesuffix("_low").removesuffix("_high").endswith("_drop"):
            return 0.0
        return _OF_THE_REFERENCE.get(key)
    return value


def _check_key(gate: Gate, figures: Iterable[str]) -> None:
    known = [*keys.MEASURED, *(name for figure in dict.fromkeys(figures) for name in keys.around(figure))]
    if gate.key not in known:
        plain = [name for name in known if not name.endswith(("_low", "_high"))]
        error = unknown("key", gate.key, plain)
        raise BadInput(f"{error.problem} in the gate {gate.text!r}", error.fix)


def _bound(text: str, number: str) -> float:
    try:
        bound = float(number)
    except ValueError:
        bound = math.nan
    if not math.isfinite(bound):
        raise BadInput(f"{text!r} is no gate: {number!r} is no number", f"as in {EXAMPLE}")
    return bound


def _exact(value: float) -> str:
    return f"{value:.10g}"
