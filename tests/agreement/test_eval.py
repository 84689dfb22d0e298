"""`ocrd eval` gives the figures that MMOCR gives, with trained weights; on all pictures with OCRDEPLOY_TEST_FULL=1."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ocrdeploy import plugins, samples
from ocrdeploy.evaluation import recognition
from ocrdeploy.evaluation.metrics import HMEAN_IOU
from ocrdeploy.samples import Dataset
from ocrdeploy.vocabulary import Region

FULL = os.environ.get("OCRDEPLOY_TEST_FULL") == "1"
WORDS, PHOTOGRAPHS = 120, 4
BACKENDS = ("pytorch", "onnxruntime")

Evaluate = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def checkpoints(data_folder: Path) -> Path:
    return data_folder / "checkpoints"


@pytest.fixture
def evaluate(tmp_path: Path) -> Evaluate:
    def run(model: str, dataset: str, limit: int) -> dict[str, Any]:
        report = tmp_path / "report.json"
        names = ",".join(BACKENDS)
        command = [sys.executable, "-m", "ocrdeploy", "eval", model, "--dataset", dataset, "--backend", names, "--rounds", "1"]
        more = [] if FULL else ["--limit", str(limit)]
        done = subprocess.run([*command, *more, "--json", str(report), "-q"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(report.read_text())
        assert [row["status"] for row in found["rows"]] == ["ok", "ok"], done.stdout
        return found

    return run


def chosen(dataset: Dataset, limit: int) -> list[int]:
    """The sample that `--limit` takes with the seed 0."""
    every = range(len(dataset.samples))
    return list(every) if FULL else sorted(random.Random(0).sample(every, limit))


def test_crnn_has_mmocrs_six_figures_on_both_backends(evaluate: Evaluate, checkpoints: Path, data_folder: Path) -> None:
    reference = f"iiit5k:{data_folder / 'iiit5k'}"
    report = evaluate(f"crnn_academic_dataset::{checkpoints / 'crnn_academic_selftrained.pth'}", reference, WORDS)
    dataset = samples.load(plugins.discover(), reference)
    lines = (checkpoints / "predictions.tsv").read_text(encoding="utf-8").splitlines()
    read = dict(line.split("\t")[:2] for line in lines if not line.startswith("#"))
    numbers = chosen(dataset, WORDS)
    expected = recognition.total((read[dataset.names[n]], dataset.samples[n].regions[0].text) for n in numbers).figures()
    if FULL:
        assert expected == json.loads((checkpoints / "results.json").read_text())["metrics"]
    assert report["reference"] == "pytorch fp32 auto"
    for row in report["rows"]:
        assert {name: row[name] for name in expected} == expected, row["id"]
        assert row["agreement"] == 1.0
        assert row["pictures"] == len(numbers)


SETS = {
    "words-json": ("icdar03_scene", "icdar03_scene_150_of_249"),
    "mmocr1": ("mmocr_det_toy", "mmocr_det_toy_10"),
}
"""By kind: the folder, and what the recorded results call it."""


@pytest.mark.parametrize("kind", SETS)
def test_dbnet_has_mmocrs_hmean_at_each_threshold_on_both_backends(
    evaluate: Evaluate, checkpoints: Path, data_folder: Path, kind: str
) -> None:
    if kind == "mmocr1" and not FULL:
        pytest.skip("takes a minute: set OCRDEPLOY_TEST_FULL=1")
    folder, results = SETS[kind]
    reference = f"{kind}:{data_folder / folder}"
    model = f"dbnet_r18_fpnc_1200e_icdar2015::{checkpoints / 'dbnet_r18_selftrained.pth'}"
    report = evaluate(model, reference, PHOTOGRAPHS)
    dataset = samples.load(plugins.discover(), reference)
    numbers = chosen(dataset, PHOTOGRAPHS)
    recorded = json.loads((checkpoints / "dbnet_predictions.json").read_text())["results"][folder]
    answers = {case["file"].rsplit("/", 1)[-1]: [_region(each) for each in case["boundary_result"]] for case in recorded}
    totals = HMEAN_IOU.count(
        [dataset.samples[n] for n in numbers], [answers[dataset.samples[n].image.name] for n in numbers]
    ).sum(axis=0)
    figures = {name: float(value) for name, value in HMEAN_IOU.figures(totals).items()}
    sweep = HMEAN_IOU.describe(totals)["per_threshold"]
    if FULL:
        facts = json.loads((checkpoints / "dbnet_results.json").read_text())["results"][results]
        assert figures["hmean"] == pytest.approx(facts["hmean_iou"]["hmean-iou:hmean"], abs=5e-4)
        for mine, theirs in zip(sweep, facts["per_threshold"], strict=True):
            assert [round(mine[name], 3) for name in ("recall", "precision", "hmean")] == pytest.approx(
                [theirs[name] for name in ("recall", "precision", "hmean")], abs=1e-3
            )
    for row in report["rows"]:
        for name, value in figures.items():
            assert row[name] == pytest.approx(value, abs=5e-4), (row["id"], name)
        for mine, theirs in zip(row["metrics"]["hmean-iou"]["details"]["per_threshold"], sweep, strict=True):
            assert mine == pytest.approx(theirs, abs=1e-3), row["id"]
        assert row["agreement"] >= 0.98


def _region(boundary: list[float]) -> Region:
    *numbers, score = boundary
    return Region(tuple(zip(numbers[::2], numbers[1::2], strict=True)), score=score)
