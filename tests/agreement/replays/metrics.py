"""Metrics: hmean-iou of each picture, threshold and data set, and the figures of words that were read; all of them exactly."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrdeploy.errors import BadInput
from ocrdeploy.evaluation import recognition
from ocrdeploy.evaluation.detection import Hmean, rates
from ocrdeploy.evaluation.metrics import HMEAN_IOU, METRICS
from ocrdeploy.vocabulary import Region, Sample
from replays.comparison import Case, Comparison
from replays.goldens import Goldens

KIND = "metrics"

SWEEPS: Mapping[str, Hmean] = {
    "result": HMEAN_IOU,
    "result_min0_max1_step0.05": replace(HMEAN_IOU, low=0, high=1, step=0.05),
}
"""The fields of a data set that hold results, and with which score thresholds they were made."""

DISTANCE = 1e-12
"""The mean edit distance is a sum of fractions, whose last digit depends on their order."""


def cases(goldens: Goldens) -> Iterator[Case]:
    """Yield a case for each data set and sweep, and for each list of words."""
    golden = facts(goldens)
    pictures = golden["hmean"]["images"]
    for each in golden["hmean"]["datasets"]:
        for field in [field for field in SWEEPS if field in each]:
            check = partial(_detection, pictures=pictures, dataset=each, field=field)
            yield Case(KIND, f"hmean-iou, {each['name']}, {field}", check)
    for each in golden["recognition"]:
        yield Case(KIND, f"acc, {each['tag']}", partial(_recognition, case=each))


def facts(goldens: Goldens) -> Mapping[str, Any]:
    """Return metrics.json, which has no arrays beside it, and whose cases stand in two lists; raises `BadInput`."""
    path = goldens.folder / f"{KIND}.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"there is no {path.name} in {path.parent}", "give a whole folder of golden results") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {error}", "give a whole folder of golden results") from None
    if not found["hmean"]["datasets"] or not found["recognition"]:
        raise BadInput(f"{path} holds no cases", "give a whole folder of golden results")
    return found


def _polygon(numbers: Sequence[float]) -> tuple[tuple[float, float], ...]:
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def _regions(polygons: Sequence[Sequence[float]]) -> tuple[Region, ...]:
    return tuple(Region(_polygon(each)) for each in polygons)


def _detection(comparison: Comparison, *, pictures: Sequence[Mapping[str, Any]], dataset: Mapping[str, Any], field: str) -> None:
    metric, expected = SWEEPS[field], dataset[field]
    chosen = [pictures[index] for index in dataset["images"]]
    samples = [Sample(Path(each["tag"]), _regions(each["gt"]), _regions(each["ignored"])) for each in chosen]
    answers = [[Region(_polygon(box[:-1]), score=box[-1]) for box in each["pred"]] for each in chosen]
    counts = metric.count(samples, answers)
    totals = counts.sum(axis=0)
    comparison.same("the thresholds", metric.thresholds.tolist(), expected["thresholds"])
    comparison.same("the number of thresholds", counts.shape[1], len(expected["per_threshold"]))
    for index, at_threshold in enumerate(expected["per_threshold"]):
        where = f"threshold {index}"
        comparison.same(f"{where}: the data set", _shares(totals[index]) | _numbers(totals[index]), at_threshold["dataset"])
        comparison.same(f"{where}: the number of pictures", len(counts), len(at_threshold["images"]))
        for each, count, theirs in zip(chosen, counts[:, index], at_threshold["images"], strict=False):
            comparison.same(f"{where}: {each['tag']}", _shares(count), theirs)
    figures = {name: float(value) for name, value in metric.figures(totals).items()}
    mine = {f"hmean-iou:{name}": figures[f"hmean_{name}"] for name in ("recall", "precision")}
    comparison.same("the result", {**mine, "hmean-iou:hmean": figures["hmean"]}, expected["final"])


def _shares(counts: NDArray[np.float64]) -> dict[str, float]:
    return {name: float(share) for name, share in rates(counts)._asdict().items()}


def _numbers(counts: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip(("num_gts", "num_dets", "num_match"), map(int, counts), strict=True))


def _recognition(comparison: Comparison, *, case: Mapping[str, Any]) -> None:
    samples = [Sample(Path(case["tag"]), (Region(text=text),)) for text in case["gt"]]
    answers = [[Region(text=text)] for text in case["pred"]]
    counts = METRICS["acc"].count(samples, answers)
    figures = {name: float(value) for name, value in METRICS["acc"].figures(counts.sum(axis=0)).items()}
    comparison.same("the figures", figures, case["result"]["eval_ocr_metric"])
    ours = recognition.total(zip(case["pred"], case["gt"], strict=True))
    theirs = dict(case["result"]["count_matches"])
    comparison.close("edit distance", ours.distances / max(ours.words, 1), theirs.pop("ned"), DISTANCE)
    mine = {
        "gt_char_num": ours.true_characters,
        "pred_char_num": ours.read_characters,
        "true_positive_char_num": ours.matched_characters,
        "gt_word_num": ours.words,
        "match_word_num": ours.exact,
        "match_word_ignore_case": ours.without_case,
        "match_word_ignore_case_symbol": ours.without_symbols,
    }
    comparison.same("the counts", mine, theirs)
