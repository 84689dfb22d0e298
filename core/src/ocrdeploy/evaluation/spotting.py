"""How well a whole page is read: words found and read in their places, and words read wherever they stand."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrdeploy.evaluation import overlaps
from ocrdeploy.evaluation.detection import augmented, rates
from ocrdeploy.vocabulary import Region, Sample

_OTHER = re.compile("[^0-9a-z]")
"""What word recall leaves out, after lower case."""


@dataclass(frozen=True, slots=True)
class EndToEnd:
    """Words that are found and read: intersection over union above 0.5, one to one, and the same text but for case.

    Every detection counts as it is answered, whatever its score. As many are matched as can be. Don't-care regions count on
    neither side, nor does a detection of which more than half lies in one (Karatzas et al., ICDAR 2015 Competition on Robust
    Reading, challenge 4); a true region without a text is one of them. It is not what ICDAR's server computes, which matches
    boxes in their order before it looks at the texts, and has vocabularies.
    """

    name: str = "e2e"
    summary: str = "words found (IoU > 0.5, one to one) and read (case ignored): harmonic mean of recall and precision"
    headline: str = "e2e_hmean"
    lower_is_better: frozenset[str] = frozenset()

    def count(self, samples: Sequence[Sample], answers: Sequence[Sequence[Region]]) -> NDArray[np.float64]:
        """Return true words, detections that are not ignored, and hits of each picture: (N, 3)."""
        true = [[region for region in sample.regions if region.text] for sample in samples]
        care_not = [[*sample.ignored, *(region for region in sample.regions if not region.text)] for sample in samples]
        found = overlaps.find(_polygons(true), _polygons(care_not), _polygons(answers))
        same = _texts(true)[found.pairs[:, 0]] == _texts(answers)[found.pairs[:, 1]]
        number = len(found.pictures)
        hits = augmented(found.pairs[same], np.ones(number), np.ones((number, 1), np.bool_))
        counts = np.zeros((len(samples), 3))
        counts[:, 0] = found.truths
        np.add.at(counts[:, 1], found.pictures, ~found.ignored)
        np.add.at(counts[:, 2], found.pictures, hits[:, 0])
        return counts

    def figures(self, totals: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
        """Return harmonic mean, recall and precision."""
        recall, precision, hmean = rates(totals)
        return {"e2e_hmean": hmean, "e2e_recall": recall, "e2e_precision": precision}

    def describe(self, totals: NDArray[np.float64]) -> Mapping[str, Any]:
        """Return what was counted."""
        return dict(zip(("truths", "detections", "hits"), totals.tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class WordRecall:
    """The share of true words that stand in some line that was read in their picture, wherever it is.

    Only letters a to z and digits are compared, in lower case; a word without any is not counted. A word that is there twice and
    was read once counts twice, and nothing is said of what was read wrongly or too much.
    """

    name: str = "word-recall"
    summary: str = "share of true words (a-z and digits, case ignored) that stand in a line that was read, wherever it is"
    headline: str = "word_recall"
    lower_is_better: frozenset[str] = frozenset()

    def count(self, samples: Sequence[Sample], answers: Sequence[Sequence[Region]]) -> NDArray[np.float64]:
        """Return true words and those that were read, of each picture: (N, 2)."""
        return np.array([_words(*pair) for pair in zip(samples, answers, strict=True)], np.float64).reshape(-1, 2)

    def figures(self, totals: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
        """Return the share; 1 where there is no word."""
        words, read = np.moveaxis(totals, -1, 0)
        return {"word_recall": np.divide(read, words, out=np.ones_like(read), where=words > 0)}

    def describe(self, totals: NDArray[np.float64]) -> Mapping[str, Any]:
        """Return what was counted."""
        return dict(zip(("words", "words_read"), totals.tolist(), strict=True))


def _polygons(pictures: Sequence[Sequence[Region]]) -> list[list[tuple[tuple[float, float], ...]]]:
    return [[region.polygon for region in regions] for regions in pictures]


def _texts(pictures: Sequence[Sequence[Region]]) -> NDArray[Any]:
    return np.array([region.text.lower() for regions in pictures for region in regions], dtype=object)


def _words(sample: Sample, regions: Sequence[Region]) -> tuple[int, int]:
    words = [plain for region in sample.regions if (plain := _plain(region.text))]
    lines = [_plain(region.text) for region in regions]
    return len(words), sum(any(word in line for line in lines) for word in words)


def _plain(text: str) -> str:
    return _OTHER.sub("", text.lower())
