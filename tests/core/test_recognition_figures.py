"""The figures of recognition are MMOCR's."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from ocrdeploy.evaluation import edits, recognition
from ocrdeploy.evaluation.recognition import WordCounts


def slow_distance(first: str, second: str) -> int:
    row = list(range(len(second) + 1))
    for above, one in enumerate(first):
        corner, row[0] = row[0], above + 1
        for column, other in enumerate(second):
            corner, row[column + 1] = row[column + 1], min(row[column] + 1, row[column + 1] + 1, corner + (one != other))
    return row[-1]


@pytest.mark.parametrize("longest", [3, 12, 90])
def test_the_distance_is_that_of_the_usual_table(longest: int) -> None:
    chance = random.Random(longest)
    for _ in range(200):
        first, second = ("".join(chance.choices("abcé", k=chance.randint(0, longest))) for _ in range(2))
        assert edits.distance(first, second) == slow_distance(first, second), (first, second)


@pytest.mark.parametrize(("first", "second", "share"), [("", "", 0), ("", "ab", 1), ("kitten", "sitting", 3 / 7), ("a", "a", 0)])
def test_the_distance_as_a_share_of_the_longer_text(first: str, second: str, share: float) -> None:
    assert edits.normalised(first, second) == edits.normalised(second, first) == share


def test_all_six_figures_of_a_few_words() -> None:
    counts = recognition.total([("it's", "IT'S"), ("c^3", "c3"), ("abx", "abc"), ("a-b", "ab")])
    assert counts == WordCounts(4, 0, 1, 2, 10, 11, 9, 1 / 3 + 1 / 3)
    assert counts.figures() == {
        "char_recall": 0.9,
        "char_precision": 0.8182,
        "word_acc": 0.0,
        "word_acc_ignore_case": 0.25,
        "word_acc_ignore_case_symbol": 0.5,
        "1-N.E.D": 0.8333,
    }


def test_nothing_read_is_nothing_right_and_nothing_wrong() -> None:
    assert set(WordCounts().figures().values()) == {0.0, 1.0}
    assert WordCounts().figures()["1-N.E.D"] == 1.0


def test_figures_are_those_of_mmocr(reference_folder: Path) -> None:
    cases = json.loads((reference_folder / "open" / "metrics.json").read_text())["recognition"]
    for case in cases:
        counts = recognition.total(zip(case["pred"], case["gt"], strict=True))
        matches = case["result"]["count_matches"]
        assert counts.figures() == case["result"]["eval_ocr_metric"], case["tag"]
        assert counts.matched_characters == matches["true_positive_char_num"], case["tag"]
        assert counts.without_symbols == matches["match_word_ignore_case_symbol"], case["tag"]
        assert counts.distances / max(counts.words, 1) == pytest.approx(matches["ned"], abs=1e-12), case["tag"]
    assert len(cases) > 20
