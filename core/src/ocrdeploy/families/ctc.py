"""CTC recognizers: a score for each character at each step along the line, and a blank between characters.

MMOCR's CRNN and PP-OCR's recognizers are this one family with other options.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrdeploy.errors import BadInput
from ocrdeploy.families import options, tensors
from ocrdeploy.hookspecs import hookimpl
from ocrdeploy.vocabulary import Batch, FamilyInfo, ModelSpec, Placement, Prediction, Region, Task, Tensors

ocrd_contract = 1


@dataclass(frozen=True, slots=True)
class CtcOptions:
    """How steps become characters; the defaults are MMOCR's."""

    blank: int = 0
    """The class that is no character; negative: counted from the last."""
    softmax: bool = True
    """Whether the outputs are logits, and a softmax makes them probabilities; else they are probabilities already."""
    merge_repeated: bool = True
    """Whether a character that is the best of several steps in a row stands for one character."""
    skip_padding: bool = True
    """Whether only the steps over the picture are read, not those over the padding on its right."""


@hookimpl
def ocrd_family() -> FamilyInfo:
    """Announce the family."""
    return FamilyInfo("ctc", Task.RECOGNITION, options.defaults(CtcOptions))


@hookimpl
def ocrd_postprocess(model: ModelSpec, outputs: Tensors, batch: Batch) -> list[Prediction]:
    """Read the first output, (N, T, C): scores of C classes, the characters of `model.charset` and the blank, at T steps.

    A region's score is the mean of its characters' scores, 0 where there is none.
    """
    chosen = options.read(model, CtcOptions)
    scores = tensors.scores(model, outputs, batch, dimensions=(3,))
    blank, classes = _blank(model, chosen, scores.shape[2]), scores.argmax(axis=2)
    return [
        Prediction(placement.index, (_region(model, row, best[: _length(len(best), placement, chosen)], blank, chosen),))
        for placement, row, best in zip(batch.placements, scores, classes, strict=True)
    ]


def _region(model: ModelSpec, row: NDArray[np.float32], best: NDArray[np.intp], blank: int, chosen: CtcOptions) -> Region:
    """Read one line from its scores (T, C) and the best classes of the steps that are read."""
    kept = best != blank
    if chosen.merge_repeated:
        kept[1:] &= best[1:] != best[:-1]
    found = best[kept]
    # The charset has no blank, so the classes behind it stand one place earlier.
    text = "".join([model.charset[index] for index in (found - (found > blank)).tolist()])
    scores = _probabilities(row, np.flatnonzero(kept), found, chosen).tolist()
    return Region(text=text, score=sum(scores) / len(scores) if scores else 0.0, char_scores=tuple(scores))


def _blank(model: ModelSpec, chosen: CtcOptions, classes: int) -> int:
    """Return the index of the blank; raises `BadInput` unless the other classes are as many as the characters."""
    if classes != len(model.charset) + 1:
        raise BadInput(
            f"the model {model.name!r} tells {classes} classes apart, the blank among them, and its spec names "
            f"{len(model.charset)} characters",
            f"give the {classes - 1} characters of this model, in the order of its classes, as `charset` in its spec",
        )
    if chosen.blank not in range(-classes, classes):
        raise BadInput(
            f"the blank of the model {model.name!r} is class {chosen.blank}, and it has {classes}",
            "correct `blank` in the options of its spec; it is mostly 0",
        )
    return chosen.blank % classes


def _length(steps: int, placement: Placement, chosen: CtcOptions) -> int:
    """Return how many steps are read."""
    if not chosen.skip_padding:
        return steps
    return min(steps, math.ceil(steps * (placement.content[1] / placement.tensor[1])))


def _probabilities(row: NDArray[np.float32], steps: NDArray[np.intp], found: NDArray[Any], chosen: CtcOptions) -> NDArray[Any]:
    """Return the probability of each found class; a softmax is taken at these steps only, as there are many classes."""
    values: NDArray[Any] = row[steps, found]
    if chosen.softmax:
        values = 1 / np.exp(row[steps] - values[:, None]).sum(axis=1)
    return values
