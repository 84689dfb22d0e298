"""In what two answers to one picture differ: which regions are in one only, and which have another text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

PlainRegion: TypeAlias = Mapping[str, Any]
"""A region as a report has it: `polygon`, `text`, `score`."""

USUAL_IOU = 0.8
"""What a report's settings say where they say nothing."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """Regions of the reference and of another row. `alike` and `unlike` are the same box; of `unlike` the texts differ."""

    alike: tuple[tuple[PlainRegion, PlainRegion], ...]
    unlike: tuple[tuple[PlainRegion, PlainRegion], ...]
    only_reference: tuple[PlainRegion, ...]
    only_row: tuple[PlainRegion, ...]


def pair(reference: Mapping[str, Any], row: Mapping[str, Any], iou: float = USUAL_IOU) -> Pairing:
    """Match the regions of two answers one to one, as the evaluation did: by their boxes, or, without boxes, by their places."""
    ours: Sequence[PlainRegion] = reference.get("regions") or ()
    theirs: Sequence[PlainRegion] = row.get("regions") or ()
    matched = _matched(ours, theirs, iou)
    pairs = [(ours[a], theirs[b]) for a, b in sorted(matched)]
    taken, met = {a for a, _ in matched}, {b for _, b in matched}
    return Pairing(
        alike=tuple(each for each in pairs if text(each[0]) == text(each[1])),
        unlike=tuple(each for each in pairs if text(each[0]) != text(each[1])),
        only_reference=tuple(region for index, region in enumerate(ours) if index not in taken),
        only_row=tuple(region for index, region in enumerate(theirs) if index not in met),
    )


def text(region: PlainRegion) -> str:
    """Return what a region says: its text, or the label that a classifier gave it."""
    return str(region.get("text") or region.get("label") or "")


def _matched(ours: Sequence[PlainRegion], theirs: Sequence[PlainRegion], iou: float) -> list[tuple[int, int]]:
    if not any(region.get("polygon") for region in (*ours, *theirs)):
        return [(index, index) for index in range(min(len(ours), len(theirs)))]
    from ocrdeploy import matching

    overlaps = matching.ious([_polygon(region) for region in ours], [_polygon(region) for region in theirs])
    return [(match.a, match.b) for match in matching.pairs(overlaps, iou)]


def _polygon(region: PlainRegion) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), float(y)) for x, y in region.get("polygon") or ())
