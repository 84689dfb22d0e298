"""Two models on two backends, compared picture by picture: A alone is the reference, B answers in batches of all sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from ocrdeploy import batching
from ocrdeploy.errors import BadInput, OcrdError
from ocrdeploy.plugins import Plugins
from ocrdeploy.verification import bisection, specs, tasks, tolerance, windows
from ocrdeploy.verification.judge import Judge, misshapen, rounded_to_half
from ocrdeploy.verification.ledger import Ledger, Spot
from ocrdeploy.verification.pictures import Gallery, Size, Specimen
from ocrdeploy.verification.report import TENSOR_KINDS, Report
from ocrdeploy.verification.side import Candidate, Side
from ocrdeploy.verification.tolerance import Tolerance
from ocrdeploy.vocabulary import Batch, Pixels, Prediction, Region, Tensors

BATCHES = (1, 2, 3, 5)
"""The numbers of rows in which B answers."""

MAX_BATCH_AREA = 2**23
"""The most pixels that the tensor of several rows may have, so that a detector's layers fit into memory."""

Found: TypeAlias = tuple[str, str]
"""A difference: its kind, as `report.Difference` lists them, and what it is in words."""


def _ignore(_: object) -> None:
    pass


def verify(
    plugins: Plugins,
    a: Candidate,
    b: Candidate,
    pictures: Iterable[tuple[str, Pixels]] = (),
    *,
    batches: Sequence[int] = BATCHES,
    atol: float | None = None,
    rtol: float | None = None,
    bisect: bool = False,
    note: Callable[[str], None] = _ignore,
    step: Callable[[int], None] = _ignore,
) -> Report:
    """Compare B with its reference A, on `pictures`, (name, RGB or gray pixels), or where there are none on drawn ones.

    A answers to each picture alone, B also in `batches` of several in shuffled orders; a file with fixed dims is compared at
    what it takes. `atol` and `rtol` default to those of the sessions' precision. `note` is told what the chain made, `step`
    how many pictures more are done. Raises `OcrdError` where nothing can be compared, or the reference itself fails.
    """
    one, other = a.artifact.model.task, b.artifact.model.task
    if one is not other:
        raise BadInput(f"A is a {one} model, and B is a {other} model", "compare two models of the same task")
    if bisect:
        bisection.check(a.artifact)
        bisection.check(b.artifact)
    with Side("A", plugins, a, note) as first, Side("B", plugins, b, note) as second:
        allowed = tolerance.chosen(tolerance.of(first.precision, second.precision), atol, rtol)
        comparison = Comparison(first, second, allowed, batches)
        for words in specs.differences(plugins, first.model, second.model):
            comparison.ledger.differ("spec", words)
        gallery = Gallery(first.model.task, first.takes.size or second.takes.size)
        for window in windows.windows(gallery.specimens(pictures), comparison.place, gallery.draw, comparison.most_rows):
            comparison.window(window)
            step(len(window))
        report = comparison.report(gallery)
        probes = comparison.probes() if bisect else None
    # The two sessions are closed by now, and make room for the parts.
    return replace(report, bisection=bisection.bisect(*probes, allowed)) if probes else report


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What A says of one picture: its row of each output, and the regions."""

    outputs: Tensors
    regions: Sequence[Region]


class Comparison:
    """Compares window after window of pictures; what it finds goes to the `ledger`."""

    def __init__(self, a: Side, b: Side, allowed: Tolerance, batches: Sequence[int]) -> None:
        self._a, self._b, self._batches = a, b, batches
        self._judge = Judge(allowed, tolerance.STEEP.get(a.model.family, {}))
        self._names = dict(zip(a.model.outputs, b.model.outputs, strict=False))
        self._shown: Batch | None = None
        self._failure: OcrdError | None = None
        self.ledger = Ledger(self._names)
        for side in (a, b):
            if side.takes.rows and set(batches) != {side.takes.rows}:
                self.ledger.limit(f"{side.label} takes batches of {side.takes.rows} only, so it was given no others")
            if side.takes.size:
                height, width = side.takes.size
                self.ledger.limit(f"{side.label} takes tensors of {width} x {height} only, so it was given no others")

    @property
    def most_rows(self) -> int:
        """How many pictures of one shape are wanted at a time."""
        return self._b.takes.rows or max(self._batches)

    def report(self, gallery: Gallery) -> Report:
        """Return what all came to. Raises what B raised, if it never answered."""
        made = self.ledger.report(self._a.contender(), self._b.contender(), self._a.model.task, self._judge.tolerance, gallery)
        if self._failure and not made.evidence.rows:
            raise self._failure
        return made

    def probes(self) -> tuple[bisection.Probe, bisection.Probe] | None:
        """Return both sides with the first batch that showed a difference of tensors; None where none did."""
        if self._shown is None:
            return None
        return self._a.probe(self._shown, self._a.model), self._b.probe(self._shown, self._a.model)

    def place(self, specimen: Specimen) -> Size | None:
        """Return the (height, width) of a picture's tensor; None where it cannot be compared, which is noted."""
        try:
            size = batching.place(specimen.size, self._a.model.input, 0).tensor
        except BadInput as error:
            self.ledger.limit(f"{specimen.name}: {error.problem}")
            return None
        return size if all(side.takes.size in {None, size} for side in (self._a, self._b)) else None

    def window(self, window: Sequence[Specimen]) -> None:
        """Compare B's answers to these pictures, whose tensors have one shape, with those of A."""
        references = self._references(window)
        agreeing: set[int] = set()
        for rows in self._rows(window):
            if all(specimen.number in references for specimen in rows):
                self._batch(rows, references, agreeing)

    def _references(self, window: Sequence[Specimen]) -> dict[int, Reference]:
        """Return what A says of each picture, by the picture's number; without those that it does not take."""
        found = {}
        for rows in windows.filled(window, self._a.takes.rows or 1):
            batch = self._made(rows)
            try:
                outputs = self._a.infer(batch, self._a.model)
            except BadInput as error:
                self.ledger.limit(f"A does not take {self._shape(batch)}: {error.problem}")
                continue
            predictions = self._a.postprocess(outputs, batch)
            for row, specimen in enumerate(rows):
                arrays = {name: outputs[name][row] for name in self._names}
                found[specimen.number] = Reference(arrays, predictions[row].regions)
        return found

    def _rows(self, window: Sequence[Specimen]) -> Iterator[list[Specimen]]:
        """Yield the batches in which B is to answer."""
        if self._b.takes.rows:
            yield from windows.filled(window, self._b.takes.rows)
            return
        area = math.prod(batching.place(window[0].size, self._a.model.input, 0).tensor)
        for rows in self._batches:
            if rows == 1 or rows * area <= MAX_BATCH_AREA:
                yield from windows.batches(window, rows)

    def _made(self, rows: Sequence[Specimen]) -> Batch:
        """Preprocess as A's spec says; both sides are given these tensors."""
        (batch,) = batching.batches([specimen.pixels for specimen in rows], self._a.model.input, len(rows))
        return batch

    def _shape(self, batch: Batch) -> str:
        return " x ".join(map(str, batch.inputs[self._a.model.input.name].shape))

    def _batch(self, rows: Sequence[Specimen], references: Mapping[int, Reference], agreeing: set[int]) -> None:
        """Compare B's answer to one batch, row by row; the pictures that agree alone join `agreeing`."""
        batch, start = self._made(rows), Spot(rows[0], len(rows), 0)
        outputs = self._answer(batch, start)
        if outputs is None:
            return
        wanted = [references[specimen.number] for specimen in rows]
        wrong = list(misshapen(wanted[0].outputs, outputs, self._names, len(rows)))
        if wrong:
            self._note(wrong, batch, start)
            return
        self.ledger.batch(rows, batch.placements[0].tensor)
        given = [{name: outputs[own][row] for name, own in self._names.items()} for row in range(len(rows))]
        predictions = self._read(outputs, batch, start)
        for row, specimen in enumerate(rows):
            spot = Spot(specimen, len(rows), row)
            self.ledger.picture(specimen, wanted[row].regions)
            found = self._answers(wanted[row].regions, predictions[row].regions) if predictions else []
            found += self._tensors(spot, wanted[row].outputs, given[row])
            if found and self.ledger.listing:
                kind, words = found[0]
                found[0] = kind, "; ".join(filter(None, (words, self._hint(found, wanted, given, spot, agreeing))))
            elif not found and len(rows) == 1:
                agreeing.add(specimen.number)
            self._note(found, batch, spot)

    def _answer(self, batch: Batch, start: Spot) -> Tensors | None:
        """Return B's raw outputs; None where it does not take the batch, which is a limit, or fails, which is a difference."""
        try:
            return self._b.infer(batch, self._a.model)
        except BadInput as error:
            self.ledger.limit(f"B does not take {self._shape(batch)}: {error.problem}")
        except OcrdError as error:
            self._fail(error, batch, start)
        return None

    def _read(self, outputs: Tensors, batch: Batch, start: Spot) -> list[Prediction] | None:
        try:
            return self._b.postprocess(outputs, batch)
        except OcrdError as error:
            self._fail(error, batch, start)
            return None

    def _fail(self, error: OcrdError, batch: Batch, start: Spot) -> None:
        self._failure = self._failure or error
        self._note([("failure", f"A answers, and B fails: {error.problem}")], batch, start)

    def _answers(self, a: Sequence[Region], b: Sequence[Region]) -> list[Found]:
        compared = tasks.compare(a, b, self._judge.tolerance)
        self.ledger.overlaps(compared.overlaps)
        return compared.differences

    def _tensors(self, spot: Spot, a: Tensors, b: Tensors) -> list[Found]:
        deviations = self._judge.deviations(a, b)
        for name, found in deviations.items():
            self.ledger.tensor(name, found, spot)
        return [("tensor", found.words(name)) for name, found in deviations.items() if not found.agrees]

    def _hint(
        self, found: Sequence[Found], wanted: Sequence[Reference], given: Sequence[Tensors], spot: Spot, agreeing: set[int]
    ) -> str:
        """Say what the difference looks like, where it looks like something."""
        if all(kind != "tensor" for kind, _ in found):
            return "the tensors agree"
        mixed_up = self._judge.mix_up([each.outputs for each in wanted], given, spot.row)
        if mixed_up:
            return mixed_up
        if spot.specimen.number in agreeing:
            return "alone, B agrees on this picture"
        if rounded_to_half(wanted[spot.row].outputs, given[spot.row]):
            return f"all numbers of B are half-precision numbers, and its session says {self._b.precision}"
        return ""

    def _note(self, found: Sequence[Found], batch: Batch, spot: Spot) -> None:
        for kind, words in found:
            self.ledger.differ(kind, words, spot)
            if kind in TENSOR_KINDS:
                self._shown = self._shown or batch
