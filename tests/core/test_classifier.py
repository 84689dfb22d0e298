"""Classification of whole pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ocrdeploy.errors import BadInput
from ocrdeploy.families import classifier
from ocrdeploy.vocabulary import Batch, Exact, InputSpec, ModelSpec, Placement, Prediction, Region, Task


def model(**options: Any) -> ModelSpec:
    return ModelSpec("a-judge", "classifier", Task.CLASSIFICATION, InputSpec("x", Exact(48, 192)), ("scores",), options)


def classify(spec: ModelSpec, scores: list[list[float]]) -> list[Prediction]:
    placements = tuple(Placement(9 - row, (48, 192), (48, 192), (48, 192)) for row in range(len(scores)))
    return classifier.ocrd_postprocess(spec, {"scores": np.array(scores, np.float32)}, Batch({}, placements))


@pytest.mark.parametrize("labels", [("0", "180"), ["0", "180"]])
def test_the_best_class_is_named_with_its_probability(labels: Any) -> None:
    predictions = classify(model(labels=labels), [[0.75, 0.25], [0.125, 0.875]])
    assert predictions == [Prediction(9, (Region(label="0", score=0.75),)), Prediction(8, (Region(label="180", score=0.875),))]


def test_logits_become_probabilities() -> None:
    (prediction,) = classify(model(labels=["0", "180"], softmax=True), [[1000.0, 1000.0 + np.log(3)]])
    assert prediction.regions[0].label == "180"
    assert prediction.regions[0].score == pytest.approx(0.75, abs=1e-4)


def test_another_number_of_labels_than_classes_names_both() -> None:
    with pytest.raises(BadInput, match="tells 3 classes apart, and its spec names 2 labels"):
        classify(model(labels=["0", "180"]), [[0.1, 0.2, 0.7]])


@pytest.mark.parametrize("labels", ["0", ["0", 180], None])
def test_labels_are_texts(labels: Any) -> None:
    with pytest.raises(BadInput, match="must be a list of texts"):
        classify(model(labels=labels), [[0.1, 0.9]])


def test_the_family_announces_itself() -> None:
    info = classifier.ocrd_family()
    assert (info.name, info.task, info.options["labels"]) == ("classifier", Task.CLASSIFICATION, ())
