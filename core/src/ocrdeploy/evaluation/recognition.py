"""How many words and characters were read rightly: the six figures that MMOCR calls `acc`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from difflib import SequenceMatcher

from ocrdeploy.evaluation import edits

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
        shares = {
            "char_recall": self.matched_characters / (self.true_characters + _TINY),
            "char_precision": self.matched_characters / (self.read_characters + _TINY),
            "word_acc": self.exact / (self.words + _TINY),
            "word_acc_ignore_case": self.without_case / (self.words + _TINY),
            "word_acc_ignore_case_symbol": self.without_symbols / (self.words + _TINY),
            "1-N.E.D": 1 - self.distances / max(self.words, 1),
        }
        return {name: float(f"{share:.4f}") for name, share in shares.items()}


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
