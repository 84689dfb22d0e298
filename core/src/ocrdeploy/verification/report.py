"""What a comparison came to: the verdict, the first difference in words, and how strong the evidence is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from ocrdeploy.verification.bisection import Bisection
from ocrdeploy.verification.pictures import Size
from ocrdeploy.verification.tensors import Summary
from ocrdeploy.verification.tolerance import Tolerance
from ocrdeploy.vocabulary import Task

SCHEMA = 1
"""The version of `Report.to_dict`."""

LISTED = 20
"""How many differences are kept in words; all are counted."""

SHOWN, LIMITS_SHOWN = 5, 8
"""How many of them stand in the text, and of what was not compared."""

TENSOR_KINDS = ("failure", "rows", "shape", "tensor")
"""The kinds of difference that lie in raw tensors; the others lie in the specs or in what is read from tensors."""


class Verdict(StrEnum):
    """What can be said of A and B."""

    AGREE = "agree"
    DIFFER = "differ"
    NOT_VERIFIED = "not verified"
    """No difference was seen, but too little was compared to say that there is none."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference in words. `picture` (from 1) and `batch` are 0 where it concerns no picture; rows count from 0.

    `kind`: spec | failure | rows | shape | tensor | boxes | box | regions | text | label | score.
    """

    kind: str
    words: str
    picture: int = 0
    name: str = ""
    batch: int = 0
    row: int = 0

    def sentence(self, pictures: int) -> str:
        """Return where it was and what it is, of this number of pictures."""
        if not self.picture:
            return self.words
        where = f"batch of {self.batch}, row {self.row}" if self.batch > 1 else "alone"
        return f"picture {self.picture} of {pictures} ({self.name}), {where}: {self.words}"


@dataclass(frozen=True, slots=True)
class Contender:
    """One of the two that were compared, as it was loaded."""

    model: str
    path: str
    sha256: str
    format: str
    backend: str
    version: str
    device: str
    provider: str
    precision: str

    def __str__(self) -> str:
        where = ", ".join(part for part in (self.device, self.precision) if part)
        return f"{self.model} on {self.backend} {self.version} ({where}): {self.path}"


@dataclass(slots=True)
class Evidence:
    """How much was compared. Boxes, characters and answers are A's, those of each picture counted once."""

    given: int = 0
    derived: int = 0
    drawn: int = 0
    sizes: set[Size] = field(default_factory=set)
    batches: dict[int, int] = field(default_factory=dict)
    """How many batches of so many rows."""
    tensors: int = 0
    values: int = 0
    boxes: int = 0
    worst_iou: float | None = None
    characters: int = 0
    answers: int = 0

    @property
    def pictures(self) -> int:
        """How many different pictures were compared."""
        return self.given + self.derived + self.drawn

    @property
    def rows(self) -> int:
        """How many answers of B were compared with one of A."""
        return sum(rows * count for rows, count in self.batches.items())


@dataclass(frozen=True, slots=True)
class Report:
    """The result of `verify`. `str` of it is what `ocrd verify` prints."""

    a: Contender
    b: Contender
    task: Task
    tolerance: Tolerance
    evidence: Evidence
    tensors: tuple[Summary, ...]
    differences: tuple[Difference, ...]
    """The first `LISTED` of them, those of the specs first, else in the order in which they were met."""
    counts: Mapping[str, int]
    """How many differences there are, by kind."""
    pictures: int
    """How many pictures there were; `evidence` says how many of them could be compared."""
    limits: tuple[str, ...] = ()
    """What was not compared, and why."""
    bisection: Bisection | None = None

    @property
    def verdict(self) -> Verdict:
        """The answer."""
        if self.differences:
            return Verdict.DIFFER
        return Verdict.NOT_VERIFIED if self.missing else Verdict.AGREE

    @property
    def agree(self) -> bool:
        """Whether A and B agree, as far as the evidence goes."""
        return self.verdict is Verdict.AGREE

    @property
    def tensors_agree(self) -> bool:
        """Whether raw tensors were compared and none of them differs, whatever was read from them."""
        return self.evidence.tensors > 0 and not any(self.counts.get(kind) for kind in TENSOR_KINDS)

    @property
    def first_difference(self) -> str:
        """The first difference in words; '' where there is none."""
        return self.differences[0].sentence(self.pictures) if self.differences else ""

    @property
    def missing(self) -> str:
        """What there has to be for a verdict, and was not; '' where nothing is missing."""
        if not self.evidence.rows:
            return "nothing was compared"
        found = {
            Task.DETECTION: ("boxes", self.evidence.boxes),
            Task.RECOGNITION: ("characters", self.evidence.characters),
            Task.CLASSIFICATION: ("answers", self.evidence.answers),
        }
        what, number = found[self.task]
        if number:
            return ""
        return f"the tensors agree, and no {what} were compared: in {self.evidence.pictures} pictures, neither A nor B found any"

    @property
    def fix(self) -> str:
        """What makes a verdict possible; '' where there is one."""
        if not self.missing or self.differences:
            return ""
        return "give pictures with text: --images PATH..." if self.evidence.rows else "see what is named as not compared"

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON has it; docs/verify.md describes the keys."""
        return {
            "schema": SCHEMA,
            "verdict": str(self.verdict),
            "first_difference": self.first_difference,
            "problem": self.missing if self.verdict is Verdict.NOT_VERIFIED else "",
            "fix": self.fix,
            "a": asdict(self.a),
            "b": asdict(self.b),
            "task": str(self.task),
            "tolerance": asdict(self.tolerance),
            "evidence": self._evidence(),
            "tensors": [_plain(asdict(each)) for each in self.tensors],
            "difference_counts": dict(self.counts),
            "differences": [{**asdict(each), "sentence": each.sentence(self.pictures)} for each in self.differences],
            "not_compared": list(self.limits),
            "bisection": _plain(asdict(self.bisection)) if self.bisection else None,
        }

    def _evidence(self) -> dict[str, Any]:
        made: dict[str, Any] = {"pictures": self.evidence.pictures, "rows": self.evidence.rows, **asdict(self.evidence)}
        made["sizes"] = [list(size) for size in sorted(self.evidence.sizes)]
        made["batches"] = {str(rows): count for rows, count in sorted(self.evidence.batches.items())}
        return made

    def __str__(self) -> str:
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield f"A  {self.a}"
        yield f"B  {self.b}"
        yield ""
        yield from self._headline()
        if self.bisection:
            yield f"bisection  {self.bisection}"
        if self.tensors:
            yield ""
            yield from _table(self.tensors)
        yield ""
        yield from self._evidence_lines()
        yield from (f"not compared: {each}" for each in self.limits[:LIMITS_SHOWN])
        if len(self.limits) > LIMITS_SHOWN:
            yield f"not compared: {len(self.limits) - LIMITS_SHOWN} things more"

    def _headline(self) -> Iterator[str]:
        if not self.differences:
            rest = f": {self.missing}" if self.missing else ", as far as they were compared" if self.limits else ""
            yield f"{str(self.verdict).upper()}{rest}"
            if self.fix:
                yield f"fix: {self.fix}"
            return
        yield f"DIFFER: {self.first_difference}"
        yield from (f"  also: {each.sentence(self.pictures)}" for each in self.differences[1:SHOWN])
        yield "  in all: " + ", ".join(f"{count} x {kind}" for kind, count in self.counts.items())

    def _evidence_lines(self) -> Iterator[str]:
        seen = self.evidence
        sizes = _listed(f"{width} x {height}" for height, width in sorted(seen.sizes))
        batches = _listed(f"{rows} ({count} x)" for rows, count in sorted(seen.batches.items()))
        yield f"pictures   {seen.pictures}: {seen.given} given, {seen.derived} derived from them, {seen.drawn} drawn here"
        yield f"sizes      {sizes or 'none'}"
        yield f"batches    of {batches or 'none'}"
        yield f"compared   {seen.tensors} tensors, {seen.values} numbers; {self._answers()}"
        allowed = self.tolerance
        yield (
            f"tolerance  |a - b| <= {allowed.atol:g} std + {allowed.rtol:g} |a|; scores {allowed.score:g}"
            + (f"; boxes IoU {allowed.iou:g}" if self.task is Task.DETECTION else "")
        )

    def _answers(self) -> str:
        seen = self.evidence
        match self.task:
            case Task.DETECTION:
                return f"{seen.boxes} boxes" + ("" if seen.worst_iou is None else f" (worst IoU {seen.worst_iou:.4f})")
            case Task.RECOGNITION:
                return f"{seen.characters} characters"
            case Task.CLASSIFICATION:
                return f"{seen.answers} answers"


def _listed(words: Iterable[str], most: int = 8) -> str:
    every = list(words)
    return ", ".join(every[:most]) + (f" and {len(every) - most} more" if len(every) > most else "")


def _table(tensors: Iterable[Summary]) -> Iterator[str]:
    head = ("output", "max abs", "max rel", "mean abs", "cosine", "NaN", "inf", "worst / allowed")
    rows = [head, *(_cells(each) for each in tensors)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _cells(each: Summary) -> tuple[str, ...]:
    nan, inf = (f"{a} / {b}" if a or b else "0" for a, b in (each.nan, each.inf))
    worst = f"{each.worst.excess:.2g} x at {list(each.worst.place)} of {each.where}"
    return (
        each.name,
        f"{each.max_abs:.3g}",
        f"{each.max_rel:.3g}",
        f"{each.mean_abs:.3g}",
        f"{each.cosine:.7f}",
        nan,
        inf,
        worst,
    )


def _plain(value: Any) -> Any:
    """Return `value` with what JSON has no number for as a string: "nan", "inf", "-inf"."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
