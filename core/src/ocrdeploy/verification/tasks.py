"""What two models say of one picture, compared as people would: boxes, text, labels, scores."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ocrdeploy import matching
from ocrdeploy.verification.tolerance import Tolerance
from ocrdeploy.vocabulary import Region

SAME_BOX = 0.5
"""From this overlap on, two boxes are taken to be about the same text; below, one of them is missing."""

NAMED = 3
"""How many missing boxes are named one by one."""


@dataclass(slots=True)
class Answers:
    """What the comparison of one picture's regions came to: differences as (kind, sentence), and the overlaps of the boxes."""

    differences: list[tuple[str, str]] = field(default_factory=list)
    overlaps: list[float] = field(default_factory=list)


def compare(a: Sequence[Region], b: Sequence[Region], tolerance: Tolerance) -> Answers:
    """Compare what B says of a picture with what A says."""
    found = Answers()
    if any(region.polygon for region in (*a, *b)):
        _boxes(a, b, tolerance, found)
    elif len(a) != len(b):
        found.differences.append(("regions", f"A gives {len(a)} answers, B gives {len(b)}"))
    else:
        for one, other in zip(a, b, strict=True):
            found.differences += _contents(one, other, tolerance.score)
    return found


def _boxes(a: Sequence[Region], b: Sequence[Region], tolerance: Tolerance, found: Answers) -> None:
    overlaps = matching.ious([region.polygon for region in a], [region.polygon for region in b])
    matches = matching.pairs(overlaps, SAME_BOX)
    found.overlaps = [match.iou for match in matches]
    found.differences += _missing(a, b, matches)
    for match in sorted(matches):
        one, other = a[match.a], b[match.b]
        if match.iou < tolerance.iou:
            words = f"{_box(one)} is {_box(other)} in B, an IoU of {match.iou:.3f} ({tolerance.iou:g} is asked)"
            found.differences.append(("box", words))
        # A score is a mean over the box: where the boxes differ by a share of their area, the mean may by that share.
        allowed = tolerance.score + 1 - match.iou
        found.differences += [(kind, f"{_box(one)}: {words}") for kind, words in _contents(one, other, allowed)]


def _missing(a: Sequence[Region], b: Sequence[Region], matches: Sequence[matching.Match]) -> Iterator[tuple[str, str]]:
    only_a = [region for index, region in enumerate(a) if index not in {match.a for match in matches}]
    only_b = [region for index, region in enumerate(b) if index not in {match.b for match in matches}]
    if only_a or only_b:
        lists = [f"only {side} has {_listed(regions)}" for side, regions in (("A", only_a), ("B", only_b)) if regions]
        yield "boxes", f"A finds {_counted(len(a))}, B finds {_counted(len(b))}: {'; '.join(lists)}"


def _listed(regions: Sequence[Region]) -> str:
    named = ", ".join(f"{_box(region)} (score {region.score:.3f})" for region in regions[:NAMED])
    return named + (f" and {len(regions) - NAMED} more" if len(regions) > NAMED else "")


def _counted(number: int) -> str:
    return "1 box" if number == 1 else f"{number} boxes"


def _box(region: Region) -> str:
    xs, ys = zip(*region.polygon, strict=True)
    return f"the box {min(xs):.0f},{min(ys):.0f} to {max(xs):.0f},{max(ys):.0f}"


def _contents(a: Region, b: Region, allowed: float) -> Iterator[tuple[str, str]]:
    """Yield how text, label and scores differ; the scores of different texts are not compared."""
    if a.text != b.text:
        yield "text", f"A reads {a.text!r}, B reads {b.text!r}"
    elif a.label != b.label:
        yield "label", f"A says {a.label!r} (score {a.score:.3f}), B says {b.label!r} (score {b.score:.3f})"
    else:
        both = f"both read {a.text!r}, " if a.text else f"both say {a.label!r}, " if a.label else ""
        whose = ["the score", *(f"the score of character {place + 1}" for place in range(len(a.char_scores)))]
        for name, one, other in zip(whose, (a.score, *a.char_scores), (b.score, *b.char_scores), strict=False):
            if not (abs(one - other) <= allowed or (math.isnan(one) and math.isnan(other))):
                yield "score", f"{both}{name} is {one:.4f} in A and {other:.4f} in B ({allowed:.2g} is allowed)"
                return
