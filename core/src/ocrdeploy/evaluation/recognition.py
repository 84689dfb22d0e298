"""How many words and characters were read rightly: the six figures that MMOCR calls `acc`, and the character error rate."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from difflib import SequenceMatcher
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrdeploy.errors import BadInput
from ocrdeploy.evaluation import edits
from ocrdeploy.vocabulary import Region, Sample

SYMBOLS = re.compile("[^A-Z^a-z^0-9^\u4e00-\u9fa5]")
"""What MMOCR leaves out as a symbol: all but Latin letters, digits, CJK ideographs, and, since it stands in its list, `^`."""

_TINY = 1e-8
"""What MMOCR adds to every divisor, so that nothing divided by nothing is 0."""


@dataclass(frozen=True, slots=True)
class WordCounts:
    """What is counted over words that were read; two of them add up. Characters are those without symbols, in lower case."""

    words: int = 0
    exact: int = 0
    """Words that are equal."""
    without_case: int = 0
    """Words that are equal in lower case."""
    without_symbols: int = 0
    """Words that are equal in lower case without symbols."""
    true_characters: int = 0
    read_characters: int = 0
    matched_characters: int = 0
    """Characters that are in both texts, in one order, as `difflib` pairs them."""
    distances: float = 0.0
    """The sum of the words' edit distances, each as a share of the longer text."""

    def __add__(self, other: WordCounts) -> WordCounts:
        return WordCounts(*map(sum, zip(astuple(self), astuple(other), strict=True)))

    def figures(self) -> Mapping[str, float]:
        """Return MMOCR's six figures under its names, rounded to four digits as it does."""
        return {name: _rounded(share) for name, share in _shares(np.array(astuple(self), np.float64)).items()}


def _shares(counts: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return the six figures, not rounded, of counts whose last axis has the fields of `WordCounts`."""
    words, exact, without_case, without_symbols, true, read, matched, distances = np.moveaxis(counts, -1, 0)
    return {
        "char_recall": matched / (true + _TINY),
        "char_precision": matched / (read + _TINY),
        "word_acc": exact / (words + _TINY),
        "word_acc_ignore_case": without_case / (words + _TINY),
        "word_acc_ignore_case_symbol": without_symbols / (words + _TINY),
        "1-N.E.D": 1 - distances / np.maximum(words, 1),
    }


def _rounded(share: NDArray[np.float64]) -> float:
    return float(f"{share:.4f}")


def count(read: str, true: str) -> WordCounts:
    """Compare one word that was `read` with the `true` one."""
    lower, true_lower = read.lower(), true.lower()
    plain, true_plain = SYMBOLS.sub("", lower), SYMBOLS.sub("", true_lower)
    return WordCounts(
        words=1,
        exact=read == true,
        without_case=lower == true_lower,
        without_symbols=plain == true_plain,
        true_characters=len(true_plain),
        read_characters=len(plain),
        matched_characters=sum(block.size for block in SequenceMatcher(None, plain, true_plain).get_matching_blocks()),
        distances=edits.normalised(plain, true_plain),
    )


def total(pairs: Iterable[tuple[str, str]]) -> WordCounts:
    """Compare every (read, true) pair."""
    return sum((count(read, true) for read, true in pairs), WordCounts())


@dataclass(frozen=True, slots=True)
class WordAccuracy:
    """MMOCR's `acc`: six figures of words that were read, with the names, and the rounding, of `eval_ocr_metric`."""

    name: str = "acc"
    summary: str = "share of words read rightly, with and without case and symbols, and of characters, as MMOCR computes it"
    headline: str = "word_acc_ignore_case_symbol"
    lower_is_better: frozenset[str] = frozenset()

    def count(self, samples: Sequence[Sample], answers: Sequence[Sequence[Region]]) -> NDArray[np.float64]:
        """Return the fields of `WordCounts` for each picture: (N, 8)."""
        counts = [astuple(count(read, true)) for read, true in _words(samples, answers)]
        return np.array(counts, np.float64).reshape(-1, len(fields(WordCounts)))

    def figures(self, totals: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
        """Return the six figures. Those of one set, (8,), are rounded to four digits, as MMOCR reports them; of several, not."""
        shares = _shares(totals)
        return shares if totals.ndim > 1 else {name: np.asarray(_rounded(share)) for name, share in shares.items()}

    def describe(self, totals: NDArray[np.float64]) -> Mapping[str, Any]:
        """Return what was counted."""
        return dict(zip((field.name for field in fields(WordCounts)), totals.tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class CharacterErrorRate:
    """Edits for each true character, over all words together: case, symbols and spaces count. It can exceed 1.

    cer = sum of Levenshtein distances / sum of true characters, Unicode code points; where there is no true character, each
    character that was read is an error of 1.
    """

    name: str = "cer"
    summary: str = "character error rate: edits for each true character, exact text, over all words together; less is better"
    headline: str = "cer"
    lower_is_better: frozenset[str] = frozenset({"cer"})

    def count(self, samples: Sequence[Sample], answers: Sequence[Sequence[Region]]) -> NDArray[np.float64]:
        """Return the edits and the true characters of each picture: (N, 2)."""
        counts = [(edits.distance(read, true), len(true)) for read, true in _words(samples, answers)]
        return np.array(counts, np.float64).reshape(-1, 2)

    def figures(self, totals: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
        """Return the rate."""
        edited, characters = np.moveaxis(totals, -1, 0)
        return {"cer": edited / np.maximum(characters, 1)}

    def describe(self, totals: NDArray[np.float64]) -> Mapping[str, Any]:
        """Return what was counted."""
        return dict(zip(("edits", "true_characters"), totals.tolist(), strict=True))


def _words(samples: Sequence[Sample], answers: Sequence[Sequence[Region]]) -> Iterable[tuple[str, str]]:
    """Yield (read, true) of each picture. A picture that has no answer was read as nothing."""
    for sample, regions in zip(samples, answers, strict=True):
        if len(sample.regions) != 1:
            where = f"{sample.where}: " if sample.where else ""
            problem = f"{where}{sample.image} has {len(sample.regions)} texts, and a recognizer reads one"
            raise BadInput(problem, "give pictures of single words, or judge a detector and a recognizer together")
        yield (regions[0].text if regions else ""), sample.regions[0].text
