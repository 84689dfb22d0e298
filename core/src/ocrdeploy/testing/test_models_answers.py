"""What a model's family reads from raw outputs: the same each time, picture by picture, in the picture's own pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ocrdeploy.errors import BadPlugin, OcrdError
from ocrdeploy.testing import pack
from ocrdeploy.testing.demands import demand
from ocrdeploy.testing.pack import Model
from ocrdeploy.vocabulary import Batch, Prediction, Task, Tensors


def _row(outputs: Tensors, batch: Batch, row: int) -> tuple[Tensors, Batch]:
    """Return one row of a batch, with what was answered to it, as if it had been alone."""
    alone = {name: array[row : row + 1].copy() for name, array in batch.inputs.items()}
    return (
        {name: array[row : row + 1].copy() for name, array in outputs.items()},
        Batch(alone, batch.placements[row : row + 1]),
    )


def _stretched(batch: Batch, factor: int) -> Batch:
    """Return the batch as if its pictures had been so many times as large, and been made smaller."""
    larger = [replace(each, size=(each.size[0] * factor, each.size[1] * factor)) for each in batch.placements]
    return Batch(batch.inputs, tuple(larger))


def _maps(outputs: Tensors) -> Mapping[str, Tensors]:
    chance = np.random.default_rng(0)
    makers: Mapping[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
        "noise from 0 to 1": lambda array: chance.random(array.shape),
        "noise around 0": lambda array: chance.normal(0, 5, array.shape),
        "nothing but 0": np.zeros_like,
        "nothing but 1": np.ones_like,
        "nothing but -1000": lambda array: np.full_like(array, -1000),
        "nothing but 1000": lambda array: np.full_like(array, 1000),
    }
    return {
        words: {name: np.asarray(make(array), array.dtype) for name, array in outputs.items()} for words, make in makers.items()
    }


def _check_sane(model: Model, predictions: list[Prediction], batch: Batch, words: str) -> None:
    for prediction, placement in zip(predictions, batch.placements, strict=True):
        height, width = placement.size
        for region in prediction.regions:
            numbers = [*(value for point in region.polygon for value in point), region.score, *region.char_scores]
            demand(
                all(map(math.isfinite, numbers)),
                f"boxes or scores of {model.listed.name} would be no numbers for {words}, and drawing or JSON fail: {numbers}",
            )
            # Boxes may overhang the edge; one that is a picture away is in another scale.
            outside = [(x, y) for x, y in region.polygon if not (-width <= x <= 2 * width and -height <= y <= 2 * height)]
            demand(
                not outside,
                f"boxes of {model.listed.name} would lie outside of the picture, {width} x {height}, for {words}: {outside[:2]}",
            )


def test_pictures_are_read_as_alone_also_in_a_batch(model: Model) -> None:
    with model.pipeline() as pipeline:
        pictures = pack.pictures(pipeline.model)
        alone = pipeline.predict(pictures, 1)
        together = pipeline.predict(pictures, 4)
    for number, (one, other) in enumerate(zip(alone, together, strict=True)):
        said = [region.text or region.label for region in one.regions], [region.text or region.label for region in other.regions]
        demand(said[0] == said[1], f"with --batch-size 4 picture {number} would be read as {said[1]} instead of {said[0]}")
        near = np.allclose(pack.points([one]), pack.points([other]), atol=2) if len(one.regions) == len(other.regions) else False
        demand(near, f"with --batch-size 4 the boxes of picture {number} would be others")


def test_pictures_without_text_do_not_crash_it(model: Model) -> None:
    with model.pipeline() as pipeline:
        for words, picture in pack.plain(pipeline.model).items():
            try:
                (found,) = pipeline.predict([picture])
            except BadPlugin as error:
                pytest.fail(f"`ocrd run` would blame a plugin for {words}: {error.problem}", pytrace=False)
            except OcrdError as error:
                demand(bool(error.fix), f"{words} is refused, and nothing says what to do: {error.problem}")
                continue
            scores = [region.score for region in found.regions]
            demand(
                all(0 <= score <= 1 for score in scores), f"--min-score would mean nothing: for {words} scores are {scores[:5]}"
            )


def test_post_processing_is_deterministic(model: Model) -> None:
    with model.pipeline() as pipeline:
        batch, outputs = pack.first_batch(pipeline)
        first, *others = [pack.postprocess(model, pipeline.model, outputs, batch) for _ in range(3)]
    demand(all(each == first for each in others), "the same picture would be read differently each time: the family is not pure")


def test_post_processing_changes_nothing_that_it_is_given(model: Model) -> None:
    with model.pipeline() as pipeline:
        batch, outputs = pack.first_batch(pipeline)
        given = {**outputs, **batch.inputs}
        before = {name: array.copy() for name, array in given.items()}
        pack.postprocess(model, pipeline.model, outputs, batch)
    changed = [name for name, array in given.items() if not np.array_equal(array, before[name], equal_nan=True)]
    demand(not changed, f"`ocrd verify` would compare numbers that the family has changed: {changed}")


def test_post_processing_of_a_row_does_not_depend_on_the_others(model: Model) -> None:
    with model.pipeline() as pipeline:
        batch, outputs = pack.first_batch(pipeline)
        for words, raw in {"real outputs": outputs, **_maps(outputs)}.items():
            together = pack.postprocess(model, pipeline.model, raw, batch)
            for row, found in enumerate(together):
                (alone,) = pack.postprocess(model, pipeline.model, *_row(raw, batch, row))
                demand(alone == found, f"a picture's text or boxes would change with its neighbours in a batch ({words})")


def test_post_processing_survives_any_numbers(model: Model) -> None:
    with model.pipeline() as pipeline:
        batch, outputs = pack.first_batch(pipeline)
        for words, raw in _maps(outputs).items():
            _check_sane(model, pack.postprocess(model, pipeline.model, raw, batch), batch, words)


def test_boxes_are_finite_and_in_the_pictures_scale(model: Model) -> None:
    if model.listed.task is not Task.DETECTION:
        pytest.skip(f"{model.listed.name} finds no boxes")
    with model.pipeline() as pipeline:
        batch, outputs = pack.first_batch(pipeline)
        corners = []
        # Where a network that was never trained finds nothing, a map with a block in it has something to find.
        for raw in (outputs, {name: _block(array) for name, array in outputs.items()}):
            for factor in (1, 4):
                shown = _stretched(batch, factor)
                found = pack.postprocess(model, pipeline.model, raw, shown)
                _check_sane(model, found, shown, f"a picture that is {factor} times as large as its tensor")
                corners.append(np.array(pack.points(found)))
    for small, large in (corners[:2], corners[2:]):
        if not len(small) or not len(large):
            continue
        wanted, got = 4 * (small.max(axis=0) - small.min(axis=0)), large.max(axis=0) - large.min(axis=0)
        demand(
            bool(np.all(np.abs(got - wanted) <= 0.1 * wanted + 16)),
            "boxes would be in the scale of the tensor, and not of the picture: for a picture four times as large they span "
            f"{got}, not {wanted}",
        )


def _block(array: NDArray[Any]) -> NDArray[Any]:
    """Return a map with low numbers, and a block of high ones in the middle."""
    made = np.full_like(array, 0 if array.min() >= 0 else -8)
    height, width = array.shape[-2:]
    made[..., height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = 1 if array.max() <= 1 else 8
    return made
