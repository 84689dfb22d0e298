"""Which metrics there are, what suits what, and what those that are not MMOCR's count."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Sequence
from importlib import util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from ocrdeploy.errors import BadInput, UnknownName
from ocrdeploy.evaluation import metrics, recognition
from ocrdeploy.evaluation.metrics import METRICS, Metric
from ocrdeploy.vocabulary import Region, Sample

TASKS = ("detect", "recognize", "ocr")


def box(x: float, width: float = 100, y: float = 0) -> tuple[tuple[float, float], ...]:
    return ((x, y), (x + width, y), (x + width, y + 10), (x, y + 10))


def word(text: str, x: float = 0, score: float = 0.9) -> Region:
    return Region(box(x), text, score)


def page(*regions: Region, ignored: Sequence[Region] = ()) -> Sample:
    return Sample(Path("page.png"), regions, tuple(ignored))


def line(text: str) -> Sample:
    return Sample(Path("word.png"), (Region(text=text),), where="labels.txt:7")


def counted(name: str, sample: Sample, *answer: Region) -> list[float]:
    found: list[float] = METRICS[name].count([sample], [answer])[0].tolist()
    return found


def figures(metric: Metric, totals: NDArray[np.float64]) -> dict[str, float]:
    return {name: float(value) for name, value in metric.figures(totals).items()}


# The registry.


def some(task: str) -> tuple[list[Sample], list[list[Region]]]:
    if task == "recognize":
        return [line("abc"), line("Ab-c"), line("x")], [[Region(text="abc")], [Region(text="abc")], []]
    return [page(word("abc"), word("d", 200)), page(), page(word("e"))], [[word("ABC")], [word("x")], [word("f"), word("e", 300)]]


@pytest.mark.parametrize("task", TASKS)
def test_a_metric_keeps_its_contract(task: str) -> None:
    samples, answers = some(task)
    for name in metrics.names(task):
        metric = METRICS[name]
        counts = metric.count(samples, answers)
        assert (metric.name, len(counts), counts.dtype.name) == (name, 3, "float64")
        totals = counts.sum(axis=0)
        whole = metric.figures(totals)
        assert metric.headline in whole
        assert metric.lower_is_better <= whole.keys()
        assert metric.summary
        assert "\n" not in metric.summary
        stacked = metric.figures(np.stack([totals, totals]).reshape(2, 1, *totals.shape))
        assert stacked.keys() == whole.keys()
        for figure, value in whole.items():
            assert np.shape(value) == (), figure
            assert stacked[figure].shape == (2, 1), figure
            assert stacked[figure] == pytest.approx(float(value), abs=5.1e-5), figure
        described = dict(metric.describe(totals))
        assert described
        assert json.loads(json.dumps(described, allow_nan=False)) == described


@pytest.mark.parametrize("task", TASKS)
def test_no_picture_and_the_empty_answer_are_counted(task: str) -> None:
    samples, _ = some(task)
    for name in metrics.names(task):
        metric = METRICS[name]
        shape = metric.count(samples, [[], [], []]).shape
        none = metric.count([], [])
        assert none.shape == (0, *shape[1:])
        assert all(np.isfinite(value) for value in metric.figures(none.sum(axis=0)).values())


def test_figures_have_names_of_their_own() -> None:
    seen: list[str] = []
    for task in TASKS:
        for name in metrics.names(task):
            seen += METRICS[name].figures(METRICS[name].count(*some(task)).sum(axis=0))
    own = set(seen)
    assert len(own) == 4 + 4 + 6 + 1 + 3 + 1
    assert {"hmean", "hmean_threshold", "hmean_best", "e2e_hmean", "cer", "word_recall", "1-N.E.D"} <= own


def test_every_metric_is_for_a_task() -> None:
    assert {name for task in TASKS for name in metrics.names(task)} == set(METRICS)
    assert metrics.names("classify") == ()
    assert metrics.default("classify", texts=True, polygons=True) == ()


@pytest.mark.parametrize(
    ("task", "texts", "polygons", "expected"),
    [
        ("detect", False, True, ("hmean-iou",)),
        ("detect", True, False, ()),
        ("recognize", True, False, ("acc",)),
        ("recognize", False, True, ()),
        ("ocr", True, True, ("e2e", "word-recall", "hmean-iou")),
        ("ocr", True, False, ("word-recall",)),
        ("ocr", False, True, ("hmean-iou",)),
        ("ocr", False, False, ()),
    ],
)
def test_the_usual_metrics_are_those_that_the_labels_allow(
    task: str, texts: bool, polygons: bool, expected: tuple[str, ...]
) -> None:
    assert metrics.default(task, texts=texts, polygons=polygons) == expected
    chosen = metrics.choose(task, expected, texts=texts, polygons=polygons)
    assert tuple(metric.name for metric in chosen) == expected


def test_metrics_are_chosen_once_and_in_order() -> None:
    chosen = metrics.choose("ocr", ["hmean-best", "e2e", "hmean-best"], texts=True, polygons=True)
    assert [metric.name for metric in chosen] == ["hmean-best", "e2e"]


def test_an_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"unknown metric 'hmean' \(did you mean 'hmean-iou'\?\)") as caught:
        metrics.choose("detect", ["hmean"], texts=False, polygons=True)
    assert caught.value.fix == "use one of: hmean-best, hmean-iou"


def test_a_metric_of_another_task_is_refused() -> None:
    with pytest.raises(BadInput, match="acc does not judge the task detect") as caught:
        metrics.choose("detect", ["acc"], texts=True, polygons=True)
    assert caught.value.fix == "use one of: hmean-iou, hmean-best"


def test_a_metric_that_the_labels_do_not_allow_is_refused() -> None:
    with pytest.raises(BadInput, match="e2e needs polygons, which the labels of this dataset do not have") as caught:
        metrics.choose("ocr", ["e2e"], texts=True, polygons=False)
    assert caught.value.fix == "use one of: word-recall"
    with pytest.raises(BadInput, match="e2e needs texts and polygons") as caught:
        metrics.choose("ocr", ["e2e"], texts=False, polygons=False)
    assert caught.value.fix == "give a dataset that has them"


# acc


def test_acc_of_a_dataset_is_rounded_as_mmocr_does_and_acc_of_several_is_not() -> None:
    samples = [line(text) for text in ("abc", "Ab-c", "x", "yz", "yy", "y", "")]
    reads = ["abc", "abc", "", "z", "YY", "yyy", "q"]
    metric = METRICS["acc"]
    totals = metric.count(samples, [[Region(text=text)] for text in reads]).sum(axis=0)
    expected = recognition.total(zip(reads, [sample.regions[0].text for sample in samples], strict=True)).figures()
    assert figures(metric, totals) == expected
    several = metric.figures(totals[None])
    assert several["word_acc"][0] == pytest.approx(1 / 7, abs=1e-9)
    assert expected["word_acc"] == 0.1429


def test_no_answer_is_the_empty_text() -> None:
    assert counted("acc", line("abc")) == counted("acc", line("abc"), Region(text=""))


@pytest.mark.parametrize("name", ["acc", "cer"])
def test_a_picture_of_several_words_is_not_for_a_recognizer(name: str) -> None:
    several = Sample(Path("page.png"), (word("a"), word("b")), where="labels.json:3")
    with pytest.raises(BadInput, match=r"^labels.json:3: page.png has 2 texts, and a recognizer reads one"):
        METRICS[name].count([several], [[word("a")]])


# cer


@pytest.mark.parametrize(
    ("true", "read", "edits"),
    [("kitten", "sitting", 3), ("abc", "ABC", 3), ("a b", "ab", 1), ("", "xyz", 3), ("naïve", "naive", 1), ("same", "same", 0)],
)
def test_cer_counts_edits_of_the_exact_text(true: str, read: str, edits: int) -> None:
    assert counted("cer", line(true), Region(text=read)) == [edits, len(true)]


def test_cer_is_of_all_characters_together_and_may_exceed_one() -> None:
    metric = METRICS["cer"]
    counts = metric.count([line("a"), line("abcdefghi")], [[Region(text="xyz")], [Region(text="abcdefghi")]])
    assert figures(metric, counts.sum(axis=0)) == {"cer": 0.3}
    assert metric.figures(counts)["cer"].tolist() == [3, 0]
    assert figures(metric, np.array([2.0, 0.0])) == {"cer": 2.0}
    assert metric.lower_is_better == {"cer"}


# e2e


def test_a_word_counts_where_place_and_text_are_right() -> None:
    true = page(word("One"), word("two", 200), word("3", 400), word("four", 600))
    found = [word("ONE", 10), word("twо", 200), word("3", 1000), word("4", 600)]  # noqa: RUF001 - a Cyrillic letter
    assert counted("e2e", true, *found) == [4, 4, 1]
    assert figures(METRICS["e2e"], np.array([4.0, 5.0, 1.0])) == {
        "e2e_hmean": pytest.approx(2 / 9),
        "e2e_recall": 0.25,
        "e2e_precision": 0.2,
    }


def test_of_several_words_in_one_place_the_right_text_is_found() -> None:
    true = page(word("one"), word("two"))
    assert counted("e2e", true, word("two"), word("one")) == [2, 2, 2]
    assert counted("e2e", true, word("one"), word("one")) == [2, 2, 1]


def test_as_many_words_as_can_be_are_matched() -> None:
    true = page(Region(box(0), "a"), Region(box(30), "a"))
    assert counted("e2e", true, Region(box(20), "a"), Region(box(2, 70), "a")) == [2, 2, 2]


def test_every_answer_counts_whatever_its_score() -> None:
    assert counted("e2e", page(word("a")), word("a", score=0.01), word("b", 300, score=0.02)) == [1, 2, 1]


def test_dont_care_regions_take_out_what_lies_in_them() -> None:
    assert counted("e2e", page(ignored=[word("###")]), word("a", 49), word("b", 51)) == [0, 1, 0]
    assert counted("e2e", page(word("a"), ignored=[word("###", 200)]), word("a"), word("b", 200)) == [1, 1, 1]


def test_a_true_region_without_text_is_dont_care() -> None:
    assert counted("e2e", page(word("a"), word("", 200)), word("a"), word("b", 200)) == [1, 1, 1]


def test_e2e_equals_a_search_through_everything() -> None:
    chance = random.Random(4)
    hits = 0
    for _ in range(200):
        true = [word(chance.choice("ab"), 20 * chance.randint(0, 6)) for _ in range(chance.randint(0, 4))]
        found = [word(chance.choice("abAB"), 20 * chance.randint(0, 6)) for _ in range(chance.randint(0, 4))]
        expected = _best(true, found)
        assert counted("e2e", page(*true), *found) == [len(true), len(found), expected]
        hits += expected
    assert hits > 100


def _best(true: Sequence[Region], found: Sequence[Region]) -> int:
    """How many boxes, 100 wide and shifted by less than a third of that, match at most."""
    if not true:
        return 0
    first, *rest = true
    fits = [
        index
        for index, each in enumerate(found)
        if each.text.lower() == first.text.lower() and abs(each.polygon[0][0] - first.polygon[0][0]) < 100 / 3
    ]
    taken = [1 + _best(rest, [*found[:index], *found[index + 1 :]]) for index in fits]
    return max([_best(rest, found), *taken])


# word-recall


def test_words_are_looked_for_in_every_line() -> None:
    true = page(word("Stop!"), word("it's"), word("---"), word("now"), word("now"), word("later"))
    read = [Region(text="please STOP, its"), Region(text="NOW"), Region(text="lat er")]
    assert counted("word-recall", true, *read) == [5, 5]
    assert counted("word-recall", true, Region(text="lat"), Region(text="er")) == [5, 0]
    assert figures(METRICS["word-recall"], np.array([5.0, 2.0])) == {"word_recall": 0.4}


def test_words_of_one_picture_are_not_found_in_another() -> None:
    counts = METRICS["word-recall"].count([page(word("a")), page(word("b"))], [[word("b")], [word("b")]])
    assert counts.tolist() == [[1, 0], [1, 1]]


@pytest.fixture
def benchmark(repository: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """What measures word recall beside rapidocr, and is a script."""
    spec = util.spec_from_file_location("against_rapidocr", repository / "benchmarks" / "against_rapidocr.py")
    assert spec
    assert spec.loader
    module = util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_word_recall_is_that_of_the_benchmark(benchmark: ModuleType) -> None:
    chance = random.Random(8)
    for _ in range(100):
        texts = ["".join(chance.choices("aB1-é ", k=chance.randint(0, 3))) for _ in range(6)]
        lines = ["".join(chance.choices("aB1-é ", k=chance.randint(0, 9))) for _ in range(3)]
        words = [each for each in (benchmark.letters(text) for text in texts) if each]
        expected = benchmark.words_read(words, [benchmark.Line([], text) for text in lines])
        found = counted("word-recall", page(*map(word, texts)), *(Region(text=text) for text in lines))
        assert found == [len(words), expected]
