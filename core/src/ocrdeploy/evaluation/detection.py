"""How well regions are found: recall, precision and their harmonic mean at the best score threshold."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ocrdeploy.evaluation import overlaps
from ocrdeploy.vocabulary import Region, Sample

Counts: TypeAlias = NDArray[np.float64]
"""(..., 3): true regions, detections that are not ignored, and hits."""

Hits: TypeAlias = Callable[[NDArray[np.intp], NDArray[np.float64], NDArray[np.bool_]], NDArray[np.bool_]]
"""Which detections are hits: pairs (K, 2) of region and detection, scores (D,), alive (D, thresholds) -> (D, thresholds)."""


class Rates(NamedTuple):
    """Shares, each of the counts' leading shape."""

    recall: NDArray[np.float64]
    precision: NDArray[np.float64]
    hmean: NDArray[np.float64]


def rates(counts: Counts) -> Rates:
    """Return recall = hits / truths, precision = hits / detections and 2PR / (P + R) of counts, of one picture or of their sum.

    Where nothing is to be found, recall is 1, and precision is 1 if nothing was detected either; where nothing was detected and
    something is to be found, precision is 0. (MMOCR 0.6.3, `compute_hmean`.)
    """
    truths, detections, hits = np.moveaxis(counts, -1, 0)
    recall = np.divide(hits, truths, out=np.ones_like(hits), where=truths > 0)
    precision = np.divide(hits, detections, out=np.zeros_like(hits), where=(truths > 0) & (detections > 0))
    precision = np.where((truths == 0) & (detections == 0), 1.0, precision)
    both = recall + precision
    hmean = np.divide(2 * recall * precision, both, out=np.zeros_like(hits), where=both > 0)
    return Rates(recall, precision, hmean)


def score(region: Region) -> float:
    """Return how sure the detector was of a region, whether or not its text was read afterwards."""
    return region.score if region.detection_score is None else region.detection_score


@dataclass(frozen=True, slots=True)
class Hmean:
    """Recall, precision and harmonic mean of boxes; of the score thresholds, the one counts that gives the highest hmean.

    A detection counts at a threshold where its score is more than `low` and at least the threshold: `low`, `low` + `step`, ... up
    to `high`. `hits` says which detections find a region; `headline` begins the figures' names.
    """

    name: str
    summary: str
    headline: str
    hits: Hits
    low: float = 0.3
    high: float = 0.9
    step: float = 0.1
    lower_is_better: frozenset[str] = frozenset()

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """The score thresholds, ascending, as floats with the errors that adding steps makes: they decide about equal scores."""
        return np.arange(self.low, min(self.high + self.step, 1.0), self.step)

    def count(self, samples: Sequence[Sample], answers: Sequence[Sequence[Region]]) -> NDArray[np.float64]:
        """Return true regions, detections and hits of each picture at each threshold: (N, thresholds, 3)."""
        found = overlaps.find(
            [[region.polygon for region in sample.regions] for sample in samples],
            [[region.polygon for region in sample.ignored] for sample in samples],
            [[region.polygon for region in regions] for regions in answers],
        )
        scores = np.array([score(region) for regions in answers for region in regions], np.float64)
        alive = (scores > self.low)[:, None] & (scores[:, None] >= self.thresholds)
        counts = np.zeros((len(samples), len(self.thresholds), 3))
        counts[:, :, 0] = found.truths[:, None]
        np.add.at(counts[:, :, 1], found.pictures, alive & ~found.ignored[:, None])
        np.add.at(counts[:, :, 2], found.pictures, self.hits(found.pairs, scores, alive))
        return counts

    def figures(self, totals: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
        """Return hmean, recall and precision at the best threshold, and that; of equally good ones, the lowest."""
        each = rates(totals)
        best = np.argmax(each.hmean, axis=-1)

        def at_best(values: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.take_along_axis(values, best[..., None], axis=-1)[..., 0]

        return {
            self.headline: at_best(each.hmean),
            f"{self.headline}_recall": at_best(each.recall),
            f"{self.headline}_precision": at_best(each.precision),
            f"{self.headline}_threshold": self.thresholds[best],
        }

    def describe(self, totals: NDArray[np.float64]) -> Mapping[str, Any]:
        """Return the sweep: counts and shares at each threshold, ascending."""
        names = ("threshold", "recall", "precision", "hmean", "truths", "detections", "hits")
        columns = (self.thresholds, *rates(totals), *np.moveaxis(totals, -1, 0))
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return {"per_threshold": [dict(zip(names, row, strict=True)) for row in rows]}


def greedy(pairs: NDArray[np.intp], _scores: NDArray[np.float64], alive: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Match each region with the first free detection that finds it, in the order of the regions, then of the detections.

    Not the best: a region may take the one detection that another needs. (MMOCR 0.6.3, `eval_hmean_iou`; the order is ICDAR's.)
    """
    taken = np.zeros_like(alive)
    matched: dict[int, NDArray[np.bool_]] = defaultdict(lambda: np.zeros(alive.shape[1], np.bool_))
    for region, detection in pairs.tolist():
        hit = alive[detection] & ~taken[detection] & ~matched[region]
        taken[detection] |= hit
        matched[region] |= hit
    return taken


def augmented(pairs: NDArray[np.intp], scores: NDArray[np.float64], alive: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Match as many regions and detections as can be, at every threshold, by augmenting paths (Berge 1957, Kuhn 1955).

    Detections come in by falling score; each either lengthens the matching or never will, so those that did, down to a score, are
    the size of the best matching down to that score.
    """
    finds: dict[int, list[int]] = defaultdict(list)
    counted = np.flatnonzero(alive.any(axis=1))
    for region, detection in pairs[np.isin(pairs[:, 1], counted)].tolist():
        finds[detection].append(region)
    matching = _Matching(finds)
    matched = np.zeros(len(scores), np.bool_)
    for detection in sorted(finds, key=lambda each: -scores[each]):
        matched[detection] = matching.grow(detection)
    return alive & matched[:, None]


@dataclass(frozen=True, slots=True)
class _Matching:
    """Detections and regions that are matched one to one; `finds` has the regions that each detection might have."""

    finds: Mapping[int, Sequence[int]]
    regions: dict[int, int] = field(default_factory=dict)
    """The region of each matched detection."""
    detections: dict[int, int] = field(default_factory=dict)
    """The detection of each matched region."""

    def grow(self, detection: int) -> bool:
        """Match `detection` as well, if need be by moving others to other regions; return whether that can be."""
        wanted_by: dict[int, int] = {}
        waiting = deque([detection])
        while waiting:
            current = waiting.popleft()
            for region in self.finds[current]:
                if region in wanted_by:
                    continue
                wanted_by[region] = current
                if region not in self.detections:
                    self._move(region, wanted_by)
                    return True
                waiting.append(self.detections[region])
        return False

    def _move(self, region: int | None, wanted_by: Mapping[int, int]) -> None:
        """Give a free region to the detection that wants it, the one that this had to the next, and so on."""
        while region is not None:
            detection = wanted_by[region]
            before = self.regions.get(detection)
            self.regions[detection], self.detections[region] = region, detection
            region = before
