"""hmean-iou is MMOCR's, picture by picture, and so is not the best matching, which hmean-best is."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import shapely

from ocrdeploy.evaluation import overlaps
from ocrdeploy.evaluation.detection import rates
from ocrdeploy.evaluation.metrics import HMEAN_BEST, HMEAN_IOU
from ocrdeploy.vocabulary import Region, Sample

Polygon: TypeAlias = tuple[tuple[float, float], ...]
Picture: TypeAlias = tuple[Sample, Sequence[Region]]


def rectangle(x: float, y: float, width: float, height: float) -> Polygon:
    return ((x, y), (x + width, y), (x + width, y + height), (x, y + height))


def bow_tie(x: float, y: float, width: float, height: float) -> Polygon:
    return ((x, y), (x + width, y + height), (x + width, y), (x, y + height))


def sample(truths: Iterable[Polygon], ignored: Iterable[Polygon] = ()) -> Sample:
    return Sample(Path(), tuple(Region(each) for each in truths), tuple(Region(each) for each in ignored))


def answer(*boxes: tuple[Polygon, float]) -> list[Region]:
    return [Region(polygon, score=score) for polygon, score in boxes]


def split(pictures: Iterable[Picture]) -> tuple[list[Sample], list[Sequence[Region]]]:
    samples, answers = zip(*pictures, strict=True)
    return list(samples), list(answers)


def at(threshold: float, picture: Picture) -> list[int]:
    """Return true regions, detections and hits of one picture at a threshold."""
    index = int(np.argmin(np.abs(HMEAN_IOU.thresholds - threshold)))
    return [int(each) for each in HMEAN_IOU.count(*split([picture]))[0, index]]


# A plain loop, written from the description of the metric.


def area_of(shape: Any) -> float:
    return float(shape.area)


def mended(polygon: Any) -> Any:
    return polygon if polygon.is_valid else polygon.buffer(0)


def slow(picture: Picture, threshold: float, low: float = 0.3) -> list[int]:
    true, answers = picture
    truths = [mended(shapely.Polygon(region.polygon)) for region in true.regions]
    raw = [shapely.Polygon(region.polygon) for region in answers if region.score > low and region.score >= threshold]
    care = []
    for detection in raw:
        covered = False
        for region in true.ignored:
            inside = area_of(mended(detection).intersection(mended(shapely.Polygon(region.polygon))))
            covered |= detection.area > 0 and inside / area_of(detection) > 0.5
        if not covered:
            care.append(mended(detection))
    free, hits = set(range(len(care))), 0
    for truth in truths:
        for index in sorted(free):
            union = area_of(care[index].union(truth))
            if union and area_of(care[index].intersection(truth)) / union > 0.5:
                free.discard(index)
                hits += 1
                break
    return [len(truths), len(care), hits]


def chance_polygon(chance: random.Random) -> Polygon:
    """A box, a bow tie, a line, or any corners, on a coarse grid, where ties and halves are frequent."""
    kind = chance.randrange(6)
    x, y, width, height = (chance.randint(0, 8) for _ in range(4))
    if kind < 3:
        return rectangle(x, y, width, height)
    if kind == 3:
        return bow_tie(x, y, width, height)
    return tuple((chance.randint(0, 8), chance.randint(0, 8)) for _ in range(chance.choice((3, 4, 4, 7))))


def chance_picture(chance: random.Random) -> Picture:
    truths = [chance_polygon(chance) for _ in range(chance.randint(0, 6))]
    ignored = [chance_polygon(chance) for _ in range(chance.choice((0, 0, 1, 3)))]
    boxes = [
        chance.choice(truths) if truths and chance.random() < 0.5 else chance_polygon(chance) for _ in range(chance.randint(0, 8))
    ]
    scores = [chance.choice((0.1, 0.3, 0.5, 0.7, 0.9, chance.random())) for _ in boxes]
    return sample(truths, ignored), answer(*zip(boxes, scores, strict=True))


@pytest.fixture
def pictures() -> list[Picture]:
    chance = random.Random(11)
    return [chance_picture(chance) for _ in range(250)]


def test_it_equals_a_plain_loop_on_any_polygons(pictures: list[Picture]) -> None:
    counts = HMEAN_IOU.count(*split(pictures))
    assert counts.shape == (250, 7, 3)
    hits = 0
    for picture, found in zip(pictures, counts, strict=True):
        for threshold, at_threshold in zip(HMEAN_IOU.thresholds, found, strict=True):
            assert at_threshold.tolist() == slow(picture, float(threshold)), (picture, threshold)
        hits += int(found[0, 2])
    assert hits > 150


def test_other_thresholds_equal_the_loop(pictures: list[Picture]) -> None:
    metric = replace(HMEAN_IOU, low=0, high=1, step=0.25)
    assert metric.thresholds.tolist() == [0, 0.25, 0.5, 0.75]
    for picture, found in zip(pictures, metric.count(*split(pictures)), strict=True):
        assert found.tolist() == [slow(picture, threshold, 0) for threshold in (0, 0.25, 0.5, 0.75)]


def test_pictures_have_nothing_to_do_with_each_other(pictures: list[Picture], monkeypatch: pytest.MonkeyPatch) -> None:
    for metric in (HMEAN_IOU, HMEAN_BEST):
        counts = metric.count(*split(pictures))
        order = np.random.default_rng(0).permutation(len(pictures))
        assert np.array_equal(metric.count(*split(pictures[index] for index in order)), counts[order])
        each = [metric.count(*split([picture]))[0] for picture in pictures]
        assert np.array_equal(each, counts)
    monkeypatch.setattr(overlaps, "_AT_A_TIME", 7)
    assert np.array_equal(HMEAN_BEST.count(*split(pictures)), counts)


def test_figures_of_one_picture_are_its_rates(pictures: list[Picture]) -> None:
    counts = HMEAN_IOU.count(*split(pictures))
    figures, each = HMEAN_IOU.figures(counts), rates(counts)
    best = each.hmean.argmax(axis=1)
    rows = np.arange(len(pictures))
    assert np.array_equal(figures["hmean"], each.hmean[rows, best])
    assert np.array_equal(figures["hmean"], each.hmean.max(axis=1))
    assert np.array_equal(figures["hmean_recall"], each.recall[rows, best])
    assert np.array_equal(figures["hmean_precision"], each.precision[rows, best])
    assert np.array_equal(figures["hmean_threshold"], HMEAN_IOU.thresholds[best])
    for name, value in HMEAN_IOU.figures(counts[7]).items():
        assert value == figures[name][7]


def test_what_is_true_finds_itself(pictures: list[Picture]) -> None:
    def sound(polygon: Polygon) -> bool:
        return bool(mended(shapely.Polygon(polygon)).area > 0)

    alike = []
    for true, _ in pictures:
        regions = tuple(region for region in true.regions if sound(region.polygon))
        alike.append((replace(true, regions=regions, ignored=()), regions))
    for metric in (HMEAN_IOU, HMEAN_BEST):
        *shares, threshold = metric.figures(metric.count(*split(alike)).sum(axis=0)).values()
        assert [*map(float, shares), float(threshold)] == [1, 1, 1, 0.3]


# What the rules say, one by one.


@pytest.mark.parametrize(
    ("detection", "hits"),
    [
        (rectangle(0, 0, 50, 10), 0),
        (rectangle(0, 0, 51, 10), 1),
        (tuple(reversed(rectangle(0, 0, 100, 10))), 1),
        (rectangle(0, 0, 200, 10), 0),
        (rectangle(0, 0, 199, 10), 1),
        (rectangle(300, 0, 100, 10), 0),
        ((), 0),
        (((0, 0), (100, 10)), 0),
        (((0, 0), (100, 0), (100, 10), (0, math.nan)), 0),
        (((0, 0), (100, 0), (math.inf, 10), (0, 10)), 0),
        (((0, 0), (100, 0), (0, 0)), 0),
    ],
)
def test_more_than_half_must_overlap(detection: Polygon, hits: int) -> None:
    assert at(0.3, (sample([rectangle(0, 0, 100, 10)]), answer((detection, 0.9)))) == [1, 1, hits]


@pytest.mark.parametrize(
    ("ignored", "counted"),
    [
        ([rectangle(0, 0, 50, 10)], 1),
        ([rectangle(0, 0, 51, 10)], 0),
        ([rectangle(0, 0, 40, 10), rectangle(40, 0, 40, 10)], 1),
        ([rectangle(-1000, -1000, 3000, 3000)], 0),
        ([()], 1),
    ],
)
def test_a_detection_of_which_one_region_hides_more_than_half_is_ignored(ignored: list[Polygon], counted: int) -> None:
    assert at(0.3, (sample([], ignored), answer((rectangle(0, 0, 100, 10), 0.9)))) == [0, counted, 0]


def test_what_is_ignored_cannot_be_a_hit() -> None:
    box = rectangle(0, 0, 100, 10)
    assert at(0.3, (sample([box], [box]), answer((box, 0.9)))) == [1, 0, 0]


def test_a_bow_tie_is_never_ignored_since_its_drawn_area_is_none() -> None:
    box = rectangle(0, 0, 100, 10)
    assert at(0.3, (sample([], [box]), answer((bow_tie(0, 0, 100, 10), 0.9)))) == [0, 1, 0]


def test_bounds_leave_out_nothing_where_the_drawn_area_is_not_that_of_the_shape() -> None:
    lopsided = ((0, 0), (12, 0), (0, 10), (8, 10))  # a bow tie: 20 as it is drawn, 36 as a shape
    assert at(0.3, (sample([], [rectangle(0, 0, 12, 1.2)]), answer((lopsided, 0.9)))) == [0, 0, 0]
    twice = rectangle(0, 0, 10, 10) * 2  # 200 as it is drawn, 100 as a shape
    assert at(0.3, (sample([twice]), answer((rectangle(0, 0, 10, 6), 0.9)))) == [1, 1, 1]


def test_the_least_score_must_be_exceeded_and_a_threshold_reached() -> None:
    box = rectangle(0, 0, 100, 10)
    for score, first, second in ((0.3, 0, 0), (0.30001, 1, 0), (0.4, 1, 1), (math.nan, 0, 0)):
        picture = sample([box]), answer((box, score))
        assert [at(threshold, picture)[2] for threshold in (0.3, 0.4)] == [first, second], score


def test_a_score_on_a_threshold_is_below_it_where_adding_steps_went_beyond() -> None:
    box = rectangle(0, 0, 100, 10)
    assert HMEAN_IOU.thresholds[5] > 0.8
    assert at(0.8, (sample([box]), answer((box, 0.8)))) == [1, 0, 0]


def test_the_detector_says_how_sure_it_was_not_the_recognizer() -> None:
    box = rectangle(0, 0, 100, 10)
    assert at(0.9, (sample([box]), [Region(box, "word", score=0.1, detection_score=0.95)])) == [1, 1, 1]
    assert at(0.9, (sample([box]), [Region(box, "word", score=0.95, detection_score=0.1)])) == [1, 0, 0]


def test_the_first_region_takes_the_first_detection_and_the_best_matching_does_not() -> None:
    truths = [rectangle(0, 0, 100, 10), rectangle(30, 0, 100, 10)]
    found = answer((rectangle(20, 0, 100, 10), 0.9), (rectangle(2, 0, 70, 10), 0.8))
    picture = sample(truths), found
    assert at(0.3, picture) == [2, 2, 1]
    assert HMEAN_BEST.count(*split([picture]))[0, :3, 2].tolist() == [2, 2, 2]
    assert at(0.3, (sample(truths), found[::-1])) == [2, 2, 2]


def test_of_equally_good_thresholds_the_lowest_is_taken() -> None:
    box = rectangle(0, 0, 100, 10)
    counts = HMEAN_IOU.count(*split([(sample([box]), answer((box, 0.65), (rectangle(0, 99, 9, 9), 0.35)))]))
    figures = HMEAN_IOU.figures(counts.sum(axis=0))
    assert figures["hmean"] == 1
    assert figures["hmean_threshold"] == 0.4


def test_nothing_to_find_and_nothing_found() -> None:
    box = rectangle(0, 0, 100, 10)
    for picture, expected in (
        ((sample([]), []), (1, 1, 1)),
        ((sample([]), answer((box, 0.9))), (1, 0, 0)),
        ((sample([box]), []), (0, 0, 0)),
    ):
        (each,) = HMEAN_IOU.count(*split([picture]))
        assert tuple(float(share) for share in rates(each[0])) == expected
    assert HMEAN_IOU.count([], []).shape == (0, 7, 3)
    assert HMEAN_IOU.figures(HMEAN_IOU.count([], []).sum(axis=0))["hmean"] == 1


def test_the_sweep_is_described() -> None:
    box = rectangle(0, 0, 100, 10)
    totals = HMEAN_IOU.count(*split([(sample([box, box]), answer((box, 0.65)))])).sum(axis=0)
    rows = HMEAN_IOU.describe(totals)["per_threshold"]
    assert [row["threshold"] for row in rows] == HMEAN_IOU.thresholds.tolist()
    assert rows[0] == {
        "threshold": 0.3, "recall": 0.5, "precision": 1.0, "hmean": 2 / 3, "truths": 2.0, "detections": 1.0, "hits": 1.0,
    }  # fmt: skip
    assert (rows[-1]["precision"], rows[-1]["hits"]) == (0, 0)
    assert json.loads(json.dumps(rows)) == rows


# The best matching.


def most(pairs: set[tuple[int, int]], rows: int, columns: int) -> int:
    """The size of the largest matching, by trying everything."""
    if rows > columns:
        return most({(column, row) for row, column in pairs}, columns, rows)
    return max(sum((row, column) in pairs for row, column in enumerate(order)) for order in permutations(range(columns), rows))


def test_no_matching_is_larger_than_the_best_at_any_threshold() -> None:
    chance = random.Random(3)
    greater = 0
    for _ in range(300):
        number, detections = chance.randint(0, 5), chance.randint(1, 6)
        pairs = {(chance.randrange(number), chance.randrange(detections)) for _ in range(9)} if number else set()
        scores = np.array([chance.choice((0.2, 0.5, 0.5, 0.8, 0.95)) for _ in range(detections)])
        alive = scores[:, None] >= np.array([0.3, 0.6, 0.9])
        listed = np.array(sorted(pairs), np.intp).reshape(-1, 2)
        best, first = HMEAN_BEST.hits(listed, scores, alive), HMEAN_IOU.hits(listed, scores, alive)
        assert not (best & ~alive).any()
        for index, living in enumerate(alive.T):
            expected = most({pair for pair in pairs if living[pair[1]]}, number, detections)
            assert best[:, index].sum() == expected
            assert first[:, index].sum() <= expected
            greater += int(first[:, index].sum() < expected)
    assert greater > 5


def test_a_long_chain_is_followed_to_its_end() -> None:
    """Every detection but the last prefers what the next one needs, so the last moves all of them."""
    number = 3000
    pairs = np.array(sorted({(max(each - shift, 0), each) for each in range(number) for shift in (0, 1)}), np.intp)
    scores = np.linspace(0.9, 0.4, number)
    best = HMEAN_BEST.hits(pairs, scores, np.ones((number, 1), np.bool_))
    assert best.all()


# What MMOCR said of real pictures.


def toy(folder: Path) -> Iterator[Sample]:
    labels = json.loads((folder / "mmocr_det_toy" / "textdet_test.json").read_text(encoding="utf-8"))
    for picture in labels["data_list"]:
        regions: dict[bool, list[Polygon]] = {False: [], True: []}
        for instance in picture["instances"]:
            numbers = instance["polygon"]
            regions[instance["ignore"]].append(tuple(zip(numbers[::2], numbers[1::2], strict=True)))
        yield sample(regions[False], regions[True])


def scene(folder: Path) -> Iterator[Sample]:
    for photo in json.loads((folder / "icdar03_scene" / "words.json").read_text(encoding="utf-8")):
        yield sample(rectangle(*word["bbox"]) for word in photo["words"])


def recorded(folder: Path, name: str) -> tuple[list[list[Region]], Mapping[str, Any]]:
    checkpoints = folder / "checkpoints"
    predictions = json.loads((checkpoints / "dbnet_predictions.json").read_text(encoding="utf-8"))["results"][name]
    results = json.loads((checkpoints / "dbnet_results.json").read_text(encoding="utf-8"))["results"]
    boxes = [
        [(tuple(zip(each[:-1:2], each[1:-1:2], strict=True)), each[-1]) for each in one["boundary_result"]] for one in predictions
    ]
    return [answer(*each) for each in boxes], next(value for key, value in results.items() if key.startswith(name))


def test_the_toys_ground_truth_is_found_by_itself(data_folder: Path) -> None:
    samples = list(toy(data_folder))
    figures = HMEAN_IOU.figures(HMEAN_IOU.count(samples, [each.regions for each in samples]).sum(axis=0))
    assert len(samples) == 10
    assert [float(figures[name]) for name in ("hmean", "hmean_recall", "hmean_precision")] == [1, 1, 1]


@pytest.mark.parametrize("name", ["mmocr_det_toy", "icdar03_scene"])
def test_mmocrs_answers_to_real_pictures_are_judged_as_mmocr_did(data_folder: Path, name: str) -> None:
    samples = list((toy if name == "mmocr_det_toy" else scene)(data_folder))
    answers, expected = recorded(data_folder, name)
    totals = HMEAN_IOU.count(samples, answers).sum(axis=0)
    figures = {name: float(value) for name, value in HMEAN_IOU.figures(totals).items()}
    assert {f"hmean-iou:{each}": figures[f"hmean_{each}"] for each in ("recall", "precision")} | {
        "hmean-iou:hmean": figures["hmean"]
    } == expected["hmean_iou"]
    for row, theirs in zip(HMEAN_IOU.describe(totals)["per_threshold"], expected["per_threshold"], strict=True):
        assert {key: round(row[key], 3) for key in ("recall", "precision", "hmean")} == {
            key: theirs[key] for key in ("recall", "precision", "hmean")
        }
