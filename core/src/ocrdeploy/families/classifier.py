"""Classifiers of whole pictures, such as the one that finds lines of text that stand upside down."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ocrdeploy.errors import BadInput
from ocrdeploy.families import options, tensors
from ocrdeploy.hookspecs import hookimpl
from ocrdeploy.vocabulary import Batch, FamilyInfo, ModelSpec, Prediction, Region, Task, Tensors

ocrd_contract = 1


@dataclass(frozen=True, slots=True)
class ClassifierOptions:
    """What the classes are called, and when an answer is to be acted on."""

    labels: tuple[str, ...] = ()
    """The name of each class, in the order of the output."""
    softmax: bool = False
    """Whether the outputs are logits, and a softmax makes them probabilities; else they are probabilities already."""
    threshold: float = 0.9
    """A line is turned only where the score exceeds this; every answer is reported, whatever its score."""


@hookimpl
def ocrd_family() -> FamilyInfo:
    """Announce the family."""
    return FamilyInfo("classifier", Task.CLASSIFICATION, options.defaults(ClassifierOptions))


@hookimpl
def ocrd_postprocess(model: ModelSpec, outputs: Tensors, batch: Batch) -> list[Prediction]:
    """Read the first output, (N, K): a score for each of the K labels."""
    chosen = options.read(model, ClassifierOptions)
    scores = tensors.scores(model, outputs, batch, dimensions=(2,))
    if scores.shape[1] != len(chosen.labels):
        raise BadInput(
            f"the model {model.name!r} tells {scores.shape[1]} classes apart, and its spec names {len(chosen.labels)} labels",
            "give one for each class, in the order of the output, as `labels` in the options of its spec",
        )
    if chosen.softmax:
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        scores = powers / powers.sum(axis=1, keepdims=True)
    best = scores.argmax(axis=1).tolist()
    return [
        Prediction(placement.index, (Region(label=chosen.labels[index], score=float(row[index])),))
        for placement, row, index in zip(batch.placements, scores, best, strict=True)
    ]
