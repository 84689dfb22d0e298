"""Adds up what a comparison finds, and makes the report of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ocrdeploy.verification.pictures import Gallery, Origin, Size, Specimen
from ocrdeploy.verification.report import LISTED, Contender, Difference, Evidence, Report
from ocrdeploy.verification.tensors import Deviation, Tally
from ocrdeploy.verification.tolerance import Tolerance
from ocrdeploy.vocabulary import Region, Task


class Spot(NamedTuple):
    """Which row of a batch of how many rows, and the picture in it."""

    specimen: Specimen
    rows: int
    row: int

    def __str__(self) -> str:
        batch = f", row {self.row} of a batch of {self.rows}" if self.rows > 1 else ""
        return f"picture {self.specimen.number}{batch}"


class Ledger:
    """Everything that is counted, for the outputs of these names."""

    def __init__(self, names: Iterable[str]) -> None:
        self._tallies = {name: Tally(name) for name in names}
        self._differences: list[Difference] = []
        self._counts: Counter[str] = Counter()
        self._limits: dict[str, None] = {}
        self._evidence = Evidence()
        self._seen: set[int] = set()

    @property
    def differences(self) -> int:
        """How many differences there are so far."""
        return self._counts.total()

    @property
    def listing(self) -> bool:
        """Whether another difference would still be kept in words."""
        return len(self._differences) < LISTED

    def differ(self, kind: str, words: str, spot: Spot | None = None) -> None:
        """Count a difference, of a kind that `Difference` lists."""
        self._counts[kind] += 1
        if spot is None:
            self._differences.append(Difference(kind, words))
        elif self.listing:
            self._differences.append(Difference(kind, words, spot.specimen.number, spot.specimen.name, spot.rows, spot.row))

    def limit(self, words: str) -> None:
        """Note what is not compared, once."""
        self._limits[words] = None

    def tensor(self, name: str, found: Deviation, spot: Spot) -> None:
        """Count a row of an output."""
        self._tallies[name].add(found, str(spot))
        self._evidence.tensors += 1
        self._evidence.values += found.values

    def overlaps(self, ious: Sequence[float]) -> None:
        """Count the overlaps of boxes."""
        known = () if self._evidence.worst_iou is None else (self._evidence.worst_iou,)
        self._evidence.worst_iou = min((*known, *ious), default=None)

    def batch(self, rows: Sequence[Specimen], size: Size) -> None:
        """Count a batch of B that was compared; `size` is that of its tensor."""
        self._evidence.batches[len(rows)] = self._evidence.batches.get(len(rows), 0) + 1
        self._evidence.sizes.add(size)

    def picture(self, specimen: Specimen, regions: Sequence[Region]) -> None:
        """Count a picture that was compared and what A says of it, once."""
        if specimen.number in self._seen:
            return
        self._seen.add(specimen.number)
        seen = self._evidence
        seen.given += specimen.origin is Origin.GIVEN
        seen.derived += specimen.origin is Origin.DERIVED
        seen.drawn += specimen.origin is Origin.DRAWN
        seen.boxes += sum(bool(region.polygon) for region in regions)
        seen.characters += sum(len(region.text) for region in regions)
        seen.answers += sum(bool(region.label) for region in regions)

    def report(self, a: Contender, b: Contender, task: Task, allowed: Tolerance, gallery: Gallery) -> Report:
        """Return what all came to."""
        tensors = tuple(summary for tally in self._tallies.values() if (summary := tally.summary()))
        for each in tensors:
            shared = min(each.nan[0], each.nan[1]), min(each.inf[0], each.inf[1])
            if any(shared):
                self.limit(f"output {each.name!r} has {shared[0]} NaN and {shared[1]} infinite numbers in A and B alike")
        return Report(
            a,
            b,
            task,
            allowed,
            self._evidence,
            tensors,
            tuple(self._differences),
            dict(self._counts),
            gallery.count,
            tuple(self._limits),
        )
