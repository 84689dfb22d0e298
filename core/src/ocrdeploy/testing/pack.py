"""The models that are tested: their files, and a backend here that opens them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np
import pytest

from ocrdeploy import backend, batching, drawn
from ocrdeploy.errors import BadPlugin, OcrdError, Unavailable
from ocrdeploy.pipeline import Pipeline
from ocrdeploy.plugins import Plugins
from ocrdeploy.testing.demands import demand
from ocrdeploy.vocabulary import Artifact, Batch, InferOptions, ModelSpec, Pixels, Prediction, Task, Tensors

PAGES, LINES = ((160, 224), (224, 160), (160, 224)), ((32, 120), (40, 100), (32, 120))
"""The (height, width) of the pictures that are drawn; two of them are of one size, and make a batch."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model as a plugin lists it, and the plugins among which it is."""

    plugins: Plugins
    listed: ModelSpec
    device: str

    def artifact(self) -> Artifact:
        """Return its file. Skips where the file is not here and the error says how to get it; fails where it does not."""
        try:
            return backend.artifact_of_model(self.plugins, self.listed)
        except BadPlugin as error:
            pytest.fail(f"a user who names {self.listed.name} would read of a broken plugin: {error.problem}", pytrace=False)
        except OcrdError as error:
            demand(bool(error.fix), f"{self.listed.name} cannot be had, and nothing says how to get it: {error.problem}")
            pytest.skip(f"the file of {self.listed.name} is not here: {error.problem} (fix: {error.fix})")

    @contextmanager
    def pipeline(self) -> Iterator[Pipeline]:
        """Open it on a backend for the block. Skips where no backend here can."""
        artifact = self.artifact()
        try:
            name = backend.choose(self.plugins, "auto", [artifact.format])
        except Unavailable as error:
            pytest.skip(f"no backend here opens {artifact.format}: {error.problem}")
        try:
            opened = Pipeline(self.plugins, artifact, name, InferOptions(device=self.device))
        except OcrdError as error:
            pytest.fail(f"a user could not open {self.listed.name} on {name}: {error.problem}", pytrace=False)
        with closing(opened):
            yield opened


def pictures(model: ModelSpec, more: int = 0) -> list[Pixels]:
    """Return pictures with text for a model's task."""
    sizes = PAGES if model.task is Task.DETECTION else LINES
    draw = drawn.page if model.task is Task.DETECTION else drawn.line
    return [_coloured(draw(size, seed), model) for seed, size in enumerate([*sizes, *sizes[:1] * more])]


def plain(model: ModelSpec) -> dict[str, Pixels]:
    """Return pictures without text: white, black, noise, and a dot."""
    size = (64, 96) if model.task is Task.DETECTION else (32, 96)
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    found: dict[str, Pixels] = {
        "a white picture": np.full((*size, 3), 255, np.uint8),
        "a black picture": np.zeros((*size, 3), np.uint8),
        "noise": noise,
        "a picture of one pixel": np.full((1, 1, 3), 128, np.uint8),
    }
    return {name: _coloured(picture, model) for name, picture in found.items()}


def _coloured(picture: Pixels, model: ModelSpec) -> Pixels:
    """Return the picture with the channels that the model's are made from: 3, or for a gray model 1."""
    return picture if model.input.channels > 1 else np.ascontiguousarray(picture[..., :1])


def first_batch(pipeline: Pipeline, rows: int = 3) -> tuple[Batch, Tensors]:
    """Return the largest batch of some pictures, and the raw outputs for it."""
    found = list(batching.batches(pictures(pipeline.model, more=rows - 2), pipeline.model.input, rows))
    batch = max(found, key=lambda each: len(each.placements))
    return batch, {name: array.copy() for name, array in pipeline.infer(batch.inputs).items()}


def postprocess(model: Model, spec: ModelSpec, outputs: Tensors, batch: Batch) -> list[Prediction]:
    """Let the family read raw outputs; what is no `OcrdError` fails the test in words."""
    try:
        return backend.postprocess(model.plugins, spec, outputs, batch)
    except OcrdError as error:
        cause = f" ({type(error.__cause__).__name__})" if error.__cause__ else ""
        pytest.fail(f"{spec.name} would fail on a picture: {error.problem}{cause}", pytrace=False)


def points(predictions: Sequence[Prediction]) -> list[tuple[float, float]]:
    """Return the corners of all regions."""
    return [point for prediction in predictions for region in prediction.regions for point in region.polygon]
