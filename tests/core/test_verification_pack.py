"""No false alarm: the models of the pack, on ONNX Runtime, agree with themselves in every batch and size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ocrdeploy import backend, drawn, models
from ocrdeploy.plugins import Plugins, discover
from ocrdeploy.verification import BATCHES, Candidate, Report, verify
from ocrdeploy.vocabulary import Artifact, InferOptions, ShortSide


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    found = discover()
    answer = backend.probe(found, "onnxruntime")
    if not answer.ok:
        pytest.skip(f"needs the backend onnxruntime: {answer.problem}")
    if "ppocr-v6-rec" not in found.models:
        pytest.skip("needs the models of ocrdeploy-ppocr")
    return found


def compared(plugins: Plugins, artifact: Artifact, *sizes: tuple[int, int]) -> Report:
    draw = drawn.page if min(sizes[0]) > 60 else drawn.line
    given = [(f"{index}.png", draw(size, index)) for index, size in enumerate(sizes)]
    one, two = (Candidate(artifact, "onnxruntime", InferOptions(device="cpu", threads=threads)) for threads in (1, 2))
    return verify(plugins, one, two, given)


def test_the_recognizer_reads_the_same_with_other_threads_and_in_batches(plugins: Plugins) -> None:
    report = compared(plugins, models.resolve(plugins, "ppocr-v6-rec", task=None), (32, 120))
    assert report.agree, str(report)
    assert set(report.evidence.batches) == set(BATCHES)
    assert report.evidence.characters > 20


def test_the_detector_finds_the_same_boxes_in_every_size_and_batch(plugins: Plugins) -> None:
    found = models.resolve(plugins, "ppocr-v6-det", task=None)
    # The model's own rule makes every picture 736 pixels high, which takes long.
    small = replace(found.model, input=replace(found.model.input, resize=ShortSide(32)))
    report = compared(plugins, replace(found, model=small), (128, 192))
    assert report.agree, str(report)
    assert set(report.evidence.batches) == set(BATCHES)
    assert len(report.evidence.sizes) >= 3
    assert report.evidence.boxes > 10
    assert report.evidence.worst_iou is not None
    assert report.evidence.worst_iou > 0.99
    assert np.isclose(report.tensors[0].cosine, 1)
