"""What a row says of a picture, as it is kept and sent between processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ocrdeploy.errors import OcrdError
from ocrdeploy.vocabulary import Region


@dataclass(frozen=True, slots=True)
class Answer:
    """The regions that were found in one picture, or the problem, with its remedy, that stood in the way."""

    regions: tuple[Region, ...] = ()
    problem: str = ""
    fix: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as JSON has it; numbers come back exactly as they were."""
        if self.problem:
            return {"problem": self.problem, "fix": self.fix}
        return {"regions": [_plain(region) for region in self.regions]}


def refused(error: OcrdError) -> Answer:
    """Return the answer of a picture that cannot be read."""
    return Answer((), error.problem, error.fix)


def from_dict(plain: Mapping[str, Any]) -> Answer:
    """Return the answer that `Answer.to_dict` wrote."""
    if "problem" in plain:
        return Answer((), plain["problem"], plain["fix"])
    return Answer(tuple(_region(each) for each in plain["regions"]))


def _plain(region: Region) -> dict[str, Any]:
    """Leave out what is empty: there are many regions, and most have no label."""
    plain: dict[str, Any] = {"score": float(region.score)}
    if region.polygon:
        plain["polygon"] = [[float(x), float(y)] for x, y in region.polygon]
    if region.text:
        plain["text"] = region.text
    if region.label:
        plain["label"] = region.label
    if region.detection_score is not None:
        plain["detection_score"] = float(region.detection_score)
    return plain


def _region(plain: Mapping[str, Any]) -> Region:
    return Region(
        polygon=tuple((x, y) for x, y in plain.get("polygon", ())),
        text=plain.get("text", ""),
        score=plain["score"],
        detection_score=plain.get("detection_score"),
        label=plain.get("label", ""),
    )
