"""Whether two rows answer a picture alike: the same texts, the same boxes one to one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ocrdeploy import matching
from ocrdeploy.evaluation.answers import Answer
from ocrdeploy.vocabulary import Region

SAME_BOX = 0.8
"""The least intersection over union of two boxes that are the same box: what `ocrd verify` allows the least exact precision."""


class Alike(NamedTuple):
    """Whether two answers agree, and the intersections over union of the boxes that were matched one to one."""

    agrees: bool
    overlaps: tuple[float, ...] = ()


def compare(one: Answer, other: Answer) -> Alike:
    """Compare two answers to one picture. Two that give the same problem agree; an answer and a problem do not."""
    if one.problem or other.problem:
        return Alike(one.problem == other.problem)
    if any(region.polygon for region in (*one.regions, *other.regions)):
        return _boxes(one.regions, other.regions)
    return Alike([_content(region) for region in one.regions] == [_content(region) for region in other.regions])


def _boxes(one: Sequence[Region], other: Sequence[Region]) -> Alike:
    overlaps = matching.ious([region.polygon for region in one], [region.polygon for region in other])
    matches = matching.pairs(overlaps, SAME_BOX)
    all_matched = len(matches) == len(one) == len(other)
    agrees = all_matched and all(_content(one[match.a]) == _content(other[match.b]) for match in matches)
    return Alike(agrees, tuple(match.iou for match in matches))


def _content(region: Region) -> tuple[str, str]:
    return region.text, region.label
