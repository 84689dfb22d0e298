"""Intervals are what resampling the pictures, one resample after the other, gives."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ocrdeploy.errors import BadInput
from ocrdeploy.evaluation import bootstrap
from ocrdeploy.evaluation.metrics import HMEAN_IOU, METRICS
from ocrdeploy.vocabulary import Region, Sample

CER = METRICS["cer"]


def swept(pictures: int, seed: int = 0, better: float = 0) -> NDArray[np.float64]:
    """Counts as hmean-iou makes them: fewer detections, and fewer hits, at higher thresholds."""
    random = np.random.default_rng(seed)
    counts = np.zeros((pictures, 7, 3))
    counts[..., 0] = random.integers(0, 9, (pictures, 1))
    counts[..., 1] = -np.sort(-random.integers(0, 12, (pictures, 7)), axis=1)
    counts[..., 2] = np.floor(np.minimum(counts[..., 0], counts[..., 1]) * random.uniform(better, 1, (pictures, 1)))
    return counts


def test_intervals_are_those_of_a_loop_over_resamples() -> None:
    counts = swept(40)
    random = np.random.default_rng(3)
    values = []
    for _ in range(300):
        chosen = random.integers(0, 40, 40)
        figures = HMEAN_IOU.figures(sum((counts[index] for index in chosen), np.zeros((7, 3))))
        values.append({name: float(value) for name, value in figures.items()})
    found = bootstrap.intervals(HMEAN_IOU, counts, samples=300, seed=3, level=0.9)
    for name, interval in found.items():
        expected = np.percentile([each[name] for each in values], [5, 95])
        assert list(interval) == pytest.approx(list(expected), abs=1e-12), name
    assert found["hmean_threshold"].low < found["hmean_threshold"].high


def test_a_chunk_more_or_less_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = swept(30)
    whole = bootstrap.intervals(HMEAN_IOU, counts, samples=100)
    monkeypatch.setattr(bootstrap, "_DRAWN", 7 * 30)
    assert bootstrap.intervals(HMEAN_IOU, counts, samples=100) == whole
    monkeypatch.setattr(bootstrap, "_DRAWN", 1)
    assert bootstrap.intervals(HMEAN_IOU, counts, samples=100) == whole


def test_the_seed_decides() -> None:
    counts = swept(30)
    first, again, other = (bootstrap.intervals(HMEAN_IOU, counts, seed=seed, samples=50) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_intervals_hold_the_mean_as_often_as_they_say() -> None:
    """Of 200 datasets whose true error rate is 0.2, some 95 % have an interval that holds it."""
    random, held = np.random.default_rng(0), 0
    for trial in range(200):
        counts = np.stack([random.binomial(10, 0.2, 150), np.full(150, 10)], axis=1).astype(np.float64)
        low, high = bootstrap.intervals(CER, counts, samples=400, seed=trial)["cer"]
        held += low <= 0.2 <= high
    assert 180 <= held <= 198


def test_a_row_does_not_differ_from_itself() -> None:
    counts = swept(25)
    assert set(bootstrap.differences(HMEAN_IOU, counts, counts).values()) == {bootstrap.Interval(0.0, 0.0)}


def test_differences_are_paired() -> None:
    """Hard pictures are hard for both: one more edit in each picture is the same difference in every resample."""
    random = np.random.default_rng(5)
    ours = np.stack([random.integers(1, 90, 60), np.full(60, 100)], axis=1).astype(np.float64)
    theirs = ours - [1, 0]
    low, high = bootstrap.differences(CER, ours, theirs)["cer"]
    assert [low, high] == pytest.approx([0.01, 0.01])
    spread = bootstrap.intervals(CER, ours)["cer"]
    assert spread.high - spread.low > 0.1


def test_differences_are_those_of_a_loop() -> None:
    ours, theirs = swept(20, 1, better=0.5), swept(20, 2)
    random, values = np.random.default_rng(0), []
    for _ in range(100):
        chosen = random.integers(0, 20, 20)
        values.append([float(HMEAN_IOU.figures(counts[chosen].sum(axis=0))["hmean"]) for counts in (ours, theirs)])
    expected = np.percentile([a - b for a, b in values], [2.5, 97.5])
    found = bootstrap.differences(HMEAN_IOU, ours, theirs, samples=100)["hmean"]
    assert list(found) == pytest.approx(list(expected), abs=1e-12)
    assert found.low > 0


def test_intervals_of_figures_that_are_reported_rounded_are_not_rounded() -> None:
    samples = [Sample(Path(), (Region(text=text),)) for text in "abcdefg"]
    counts = METRICS["acc"].count(samples, [[Region(text="a")]] * 7)
    high = bootstrap.intervals(METRICS["acc"], counts)["word_acc"].high
    assert high > 0
    assert high != round(high, 4)


def test_one_picture_varies_not_and_none_is_refused() -> None:
    low, high = bootstrap.intervals(CER, np.array([[1.0, 4.0]]))["cer"]
    assert (low, high) == (0.25, 0.25)
    with pytest.raises(BadInput, match="there is no picture"):
        bootstrap.intervals(CER, np.zeros((0, 2)))
    with pytest.raises(ValueError, match="paired counts of 2 and 3 pictures"):
        bootstrap.differences(CER, np.zeros((2, 2)), np.zeros((3, 2)))


def test_ten_thousand_pictures_take_little_memory() -> None:
    counts = swept(10_000)
    tracemalloc.start()
    try:
        bootstrap.differences(HMEAN_IOU, counts, counts, samples=250)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100e6
