"""Two checkpoints in MMOCR's format with trained weights: pictures in, MMOCR's own answers out, in PyTorch and ONNX Runtime.

By default a sample of the pictures; with OCRDEPLOY_TEST_FULL=1 all of them, which takes some minutes.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ocrdeploy import backend, batching, chain, images, models
from ocrdeploy.evaluation import recognition
from ocrdeploy.plugins import Plugins, discover
from ocrdeploy.vocabulary import Fit, ModelSpec, Pixels, Prediction, Region, Session, Task
from replays.comparison import Comparison
from replays.networks import INFER, compare_outputs
from replays.postprocess import CORNER, SCORE, distance

BACKENDS = ("pytorch", "onnxruntime")
FULL = bool(os.environ.get("OCRDEPLOY_TEST_FULL"))

WORDS = 300
"""How many words are read by default."""

TIE = 1e-4
"""How close a network's best two logits have to be for the second to count as well."""

CHARACTER = 1e-4
MOVED_SCORE = 0.0131
"""How much another score a boundary has that newer libraries see otherwise, at most (dbnet_predictions.json)."""

UNLISTED = {"ryoungt_13.08.2002/fdPICT0010.JPG": {6: 0.0}}
"""A boundary that newer libraries see otherwise, on a photograph that MMOCR fails on with them, so that it is not in its list.

OpenCV 4.6 gives it MMOCR's score, 0.547142, on our own map, OpenCV 5.0 another, 0.551857: approxPolyDP takes the next point.
"""

NEAR = 1e-5
"""How near to a threshold a probability has to be for either side of it to count."""


@dataclass(frozen=True)
class Opened:
    """A checkpoint opened on one backend."""

    plugins: Plugins
    model: ModelSpec
    session: Session

    def outputs(self, pictures: Sequence[Pixels], batch_size: int = 1) -> Iterator[tuple[Prediction, NDArray[Any]]]:
        """Yield each picture's prediction and raw output, batch by batch; `Prediction.index` says which picture it is."""
        for batch in batching.batches(pictures, self.model.input, batch_size):
            outputs = self.session.run(batch.inputs)
            predictions = backend.postprocess(self.plugins, self.model, outputs, batch)
            yield from zip(predictions, outputs[self.model.outputs[0]], strict=True)


@contextmanager
def opened(name: str, task: Task, reference: str) -> Iterator[Opened]:
    found = discover()
    source = models.resolve(found, reference, task=task)
    made = chain.reach(found, source, name, INFER, lambda _: None)
    with closing(backend.open_session(found, name, made, INFER)) as session:
        yield Opened(found, made.model, session)


@pytest.fixture(scope="module")
def checkpoints(data_folder: Path) -> Path:
    folder = data_folder / "checkpoints"
    if not folder.is_dir():
        pytest.skip(f"needs the checkpoints, and {folder} does not exist")
    return folder


@pytest.fixture(scope="module", params=BACKENDS)
def crnn(request: pytest.FixtureRequest, checkpoints: Path) -> Iterator[Opened]:
    reference = f"crnn_academic_dataset::{checkpoints / 'crnn_academic_selftrained.pth'}"
    with opened(request.param, Task.RECOGNITION, reference) as session:
        yield session


@pytest.fixture(scope="module", params=BACKENDS)
def dbnet(request: pytest.FixtureRequest, checkpoints: Path) -> Iterator[Opened]:
    reference = f"dbnet_r18_fpnc_1200e_icdar2015::{checkpoints / 'dbnet_r18_selftrained.pth'}"
    with opened(request.param, Task.DETECTION, reference) as session:
        yield session


def decoded(path: Path, model: ModelSpec) -> Pixels:
    return images.decode(path.read_bytes(), name=path.name, colour=model.input.colour, orientation=model.input.orientation)


@cache
def predictions_of_mmocr(checkpoints: Path) -> dict[str, tuple[str, float]]:
    """Path of the word -> its text and the mean of its characters' scores."""
    lines = (checkpoints / "predictions.tsv").read_text(encoding="utf-8").splitlines()
    fields = [line.split("\t") for line in lines if not line.startswith("#")]
    return {path: (text, float(score)) for path, text, score in fields}


def truths(data_folder: Path) -> dict[str, str]:
    lines = (data_folder / "iiit5k" / "test_labels.tsv").read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t") for line in lines)


def is_tie(logits: NDArray[Any]) -> bool:
    """Whether at some step the best two of the logits (T, C) are nearly equal."""
    best = np.sort(logits, axis=1)[:, -2:]
    return bool((best[:, 1] - best[:, 0]).min() <= TIE)


def say(capsys: pytest.CaptureFixture[str], what: str, each: Sequence[str]) -> None:
    """List what was let pass, past pytest, which shows nothing of a test that succeeds."""
    if each or FULL:
        with capsys.disabled():
            sys.stdout.write("".join(f"\n{line}" for line in (what, *each)) + "\n")


def test_every_word_is_read_as_mmocr_reads_it(
    crnn: Opened, checkpoints: Path, data_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = predictions_of_mmocr(checkpoints)
    paths = list(expected) if FULL else sorted(random.Random(4).sample(list(expected), WORDS))
    pictures = [decoded(data_folder / "iiit5k" / path, crnn.model) for path in paths]
    read: dict[str, str] = {}
    ties = []
    for prediction, logits in crnn.outputs(pictures, batch_size=16):
        path, (region,) = paths[prediction.index], prediction.regions
        text, score = expected[path]
        read[path] = region.text
        if region.text == text:
            assert region.score == pytest.approx(score, abs=CHARACTER), path
        else:
            assert is_tie(logits), f"{path}: {region.text!r}, and MMOCR reads {text!r}"
            ties.append(f"{path}: {region.text!r} or {text!r}")
    assert len(read) == len(paths)
    say(capsys, f"of {len(paths)} words, {len(ties)} were read otherwise where two classes tie", ties)
    if FULL:
        labels = truths(data_folder)
        figures = recognition.total((read[path], labels[path]) for path in paths).figures()
        assert figures == json.loads((checkpoints / "results.json").read_text())["metrics"]


def test_the_accuracies_of_mmocrs_answers_are_its_own(checkpoints: Path, data_folder: Path) -> None:
    labels = truths(data_folder)
    pairs = [(text, labels[path]) for path, (text, _) in predictions_of_mmocr(checkpoints).items()]
    results = json.loads((checkpoints / "results.json").read_text())
    assert len(pairs) == results["n"] == 3000
    assert recognition.total(pairs).figures() == results["metrics"]


def test_every_character_has_the_score_that_mmocr_gives_it(crnn: Opened, checkpoints: Path, data_folder: Path) -> None:
    lines = [json.loads(line) for line in (checkpoints / "char_scores.jsonl").read_text(encoding="utf-8").splitlines()]
    pictures = [decoded(data_folder / "iiit5k" / line["path"], crnn.model) for line in lines]
    characters = 0
    for prediction, _ in crnn.outputs(pictures, batch_size=16):
        (region,), line = prediction.regions, lines[prediction.index]
        assert region.text == line["text"]
        assert list(region.char_scores) == pytest.approx(line["score"], abs=CHARACTER), line["path"]
        characters += len(region.char_scores)
    assert characters > 500


def test_inputs_and_logits_are_those_of_mmocr(crnn: Opened, checkpoints: Path, data_folder: Path) -> None:
    with np.load(checkpoints / "reference_logits.npz") as stored:
        arrays = dict(stored)
    for number, path in enumerate(arrays["paths"].tolist()):
        picture = decoded(data_folder / "iiit5k" / path, crnn.model)
        (batch,) = batching.batches([picture], crnn.model.input, 1)
        if f"input_{number:02}" in arrays:
            np.testing.assert_allclose(batch.inputs["input"], arrays[f"input_{number:02}"], rtol=0, atol=1e-6)
        comparison = Comparison()
        found = crnn.session.run(batch.inputs)["output"]
        compare_outputs(comparison, found, arrays[f"logits_{number:02}"][None], step=False)
        assert not comparison.problems, path


@dataclass(frozen=True)
class Photograph:
    """A photograph and what MMOCR found in it; `moved` tells the boundaries that newer libraries move, and how far in pixels."""

    path: Path
    facts: dict[str, Any]
    moved: dict[int, float]


def photographs(checkpoints: Path, data_folder: Path) -> list[Photograph]:
    """Return all of them, or a few: among those one on which MMOCR raises today, and one that newer libraries see otherwise."""
    facts = json.loads((checkpoints / "dbnet_predictions.json").read_text())
    newer = facts["with_newer_libraries"]
    moved: dict[str, dict[int, float]] = dict(UNLISTED)
    for name, index, pixels in newer["boundaries_that_differ_by_more_than_0_01_px"]:
        moved.setdefault(name, {})[index] = pixels
    chosen = [
        Photograph(data_folder / folder / case["file"], case, moved.get(case["file"], {}))
        for folder, cases in facts["results"].items()
        for case in cases
    ]
    if FULL:
        return chosen
    special = {*UNLISTED, newer["boundaries_that_differ_by_more_than_0_01_px"][0][0]}
    few = random.Random(4).sample([each for each in chosen if each.facts["file"] not in special], 4)
    return [each for each in chosen if each.facts["file"] in special] + few


def test_every_photograph_has_the_boundaries_that_mmocr_finds(
    dbnet: Opened, checkpoints: Path, data_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = photographs(checkpoints, data_folder)
    found, near = 0, []
    for photograph in chosen:
        ((prediction, output),) = dbnet.outputs([decoded(photograph.path, dbnet.model)])
        assert [1, *output.shape] == photograph.facts["output_shape"]
        assert output[0].mean(dtype=np.float64) == pytest.approx(photograph.facts["prob_mean"], abs=1e-6)
        assert output[0].max() == pytest.approx(photograph.facts["prob_max"], abs=1e-5)
        if problem := difference(prediction.regions, photograph):
            excused = is_near(output[0], prediction.regions, dbnet.model)
            assert excused, f"{photograph.path}: {problem}"
            near.append(f"{photograph.path.name}: {problem}")
        found += len(prediction.regions)
    assert found > 20
    say(capsys, f"of {len(chosen)} photographs with {found} boundaries, {len(near)} differ near a threshold", near)


def difference(regions: Sequence[Region], photograph: Photograph) -> str:
    """Say what is different from MMOCR's boundaries, which may begin at another corner; '' where nothing is."""
    boundaries = photograph.facts["boundary_result"]
    if len(regions) != len(boundaries):
        return f"{len(regions)} boundaries, expected {len(boundaries)}"
    for index, (region, boundary) in enumerate(zip(regions, boundaries, strict=True)):
        off = distance(region, boundary, quads=True)
        if off > CORNER + photograph.moved.get(index, 0.0):
            return f"boundary {index} is {off:.3g} px off"
        if abs(region.score - boundary[-1]) > (MOVED_SCORE if index in photograph.moved else SCORE):
            return f"boundary {index} has the score {region.score}, expected {boundary[-1]}"
    return ""


def is_near(probabilities: NDArray[Any], regions: Sequence[Region], model: ModelSpec) -> bool:
    """Whether a pixel of the map (H, W) or a score is so near to its threshold that it may fall on either side."""
    mask, score = model.options["mask_threshold"], model.options["score_threshold"]
    return bool(np.abs(probabilities - mask).min() < NEAR) or any(abs(region.score - score) < NEAR for region in regions)


def test_maps_and_boundaries_at_a_small_size_are_those_of_mmocr(dbnet: Opened, checkpoints: Path, data_folder: Path) -> None:
    with np.load(checkpoints / "dbnet_logits.npz") as stored:
        arrays = dict(stored)
    for number, facts in enumerate(json.loads(str(arrays["info_json"]))):
        long, short = max(facts["img_scale"]), min(facts["img_scale"])
        model = replace(dbnet.model, input=replace(dbnet.model.input, resize=Fit(long, short)))
        path = data_folder / "icdar03_scene" / facts["file"]
        (batch,) = batching.batches([decoded(path, model)], model.input, 1)
        np.testing.assert_allclose(batch.inputs["input"], arrays[f"input_{number}"], rtol=0, atol=1e-6)
        outputs = dbnet.session.run(batch.inputs)
        comparison = Comparison()
        compare_outputs(comparison, outputs["output"], arrays[f"output_{number}"], step=True)
        assert not comparison.problems, path
        (prediction,) = backend.postprocess(dbnet.plugins, model, outputs, batch)
        assert prediction.regions
        assert not difference(prediction.regions, Photograph(path, facts, {}))
