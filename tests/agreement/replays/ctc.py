"""CTC: classes, texts and scores of recorded logits, for any dictionary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from numpy.typing import NDArray

from ocrdeploy import backend, plugins
from ocrdeploy.vocabulary import Batch, ModelSpec, Placement, Region
from ocrdeploy_pytorch.specs import SIX
from replays.comparison import Case, Comparison
from replays.goldens import Goldens

KIND = "ctc"
CRNN = "crnn_academic_dataset"
SCORE = 1e-5
BLANK = "<BLK>"

PRIVATE = 0xF_0000
"""Where the characters begin that stand for classes by their number, so that a text says exactly which classes were found."""


def cases(goldens: Goldens) -> Iterator[Case]:
    """Yield a case for each recorded batch of logits."""
    facts, arrays, found = goldens.facts(KIND), goldens.arrays(KIND), plugins.discover()
    for case in facts["cases"]:
        check = partial(_check, case=case, convertors=facts["convertors"], arrays=arrays, found=found)
        yield Case(KIND, f"{case.get('logits')} ({case.get('convertor')})", check)


def _check(
    comparison: Comparison,
    *,
    case: Mapping[str, Any],
    convertors: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    found: plugins.Plugins,
) -> None:
    convertor = convertors[case["convertor"]]
    classes, logits = convertor["idx2char"], arrays[case["logits"]]
    comparison.same("the number of classes", len(classes), convertor["num_classes"])
    comparison.same("the shape of the logits", list(logits.shape), case["shape"])
    if case["convertor"].split()[0] == CRNN:
        comparison.same("the charset of our own spec", list(SIX[CRNN].charset), classes[1:])
    numbered = _read(_model([chr(PRIVATE + index) for index in range(len(classes))], classes), logits, case, found)
    indexes = [[ord(letter) - PRIVATE for letter in region.text] for region in numbered]
    comparison.same("the classes", indexes, case["indexes"])
    regions = _read(_model(classes, classes), logits, case, found)
    comparison.same("the texts", [region.text for region in regions], case["texts"])
    comparison.same("the number of scores", len(regions), len(case["scores"]))
    for number, (region, scores) in enumerate(zip(regions, case["scores"], strict=False)):
        comparison.close("score", region.char_scores, scores, SCORE, where=f"row {number}: ")


def _model(characters: Sequence[str], classes: Sequence[str]) -> ModelSpec:
    """Return CRNN with other characters; `classes` tells where the blank is."""
    blank = classes.index(BLANK)
    charset = (*characters[:blank], *characters[blank + 1 :])
    return replace(SIX[CRNN], charset=charset, options={**SIX[CRNN].options, "blank": blank})


def _read(model: ModelSpec, logits: NDArray[Any], case: Mapping[str, Any], found: plugins.Plugins) -> list[Region]:
    batch = Batch({}, tuple(_placement(index, ratio) for index, ratio in enumerate(case["valid_ratio"])))
    predictions = backend.postprocess(found, model, {model.outputs[0]: logits}, batch)
    return [prediction.regions[0] for prediction in predictions]


def _placement(index: int, ratio: float | None) -> Placement:
    """Return widths whose quotient is exactly the share of the tensor that the picture fills."""
    content, tensor = (1.0 if ratio is None else ratio).as_integer_ratio()
    return Placement(index, (32, content), (32, content), (32, tensor))
