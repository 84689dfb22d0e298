"""One model on one backend: pictures in, predictions out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter
from types import TracebackType
from typing import Self

from ocrdeploy import backend, batching, chain
from ocrdeploy.errors import BadInput, BadPlugin
from ocrdeploy.plugins import Plugins
from ocrdeploy.vocabulary import Align, Artifact, Batch, Exact, InferOptions, Loaded, ModelSpec, Pixels, Prediction, Tensors


class Pipeline:
    """A model's file opened on one backend, between its preprocessing and its family's post-processing.

    It owns the session; `close` it, or use it as a context manager. `spent_ms` adds up where the time went, in milliseconds;
    `steps` are those that led to `artifact`, the file that was opened; `watch`, where it is set, is shown each batch's raw
    outputs.
    """

    def __init__(
        self, plugins: Plugins, source: Artifact, name: str, options: InferOptions, note: Callable[[str], None] = lambda _: None
    ) -> None:
        """Open `source` on the backend `name` ("auto" chooses), making the format that it opens where that is missing."""
        self._plugins = plugins
        self.backend = backend.choose(plugins, name, [source.format])
        backend.check_options(plugins, self.backend, options)  # before minutes go into a build
        self.steps: list[chain.Step] = []
        self.artifact = chain.reach(plugins, source, self.backend, options, note, done=self.steps.append)
        self._session = backend.open_session(plugins, self.backend, self.artifact, options)
        self.spent_ms = {"preprocess": 0.0, "infer": 0.0, "postprocess": 0.0}
        self.watch: Callable[[Tensors], None] | None = None

    @property
    def model(self) -> ModelSpec:
        """The model's spec."""
        return self.artifact.model

    def bring_to(self, size: tuple[int, int]) -> None:
        """Stretch every picture to a tensor of this (height, width) from now on. Raises what `stretched` raises."""
        fixed = stretched(self.model, size)
        self.artifact = replace(self.artifact, model=fixed)

    def loaded(self) -> Loaded:
        """Say what really runs."""
        return self._session.loaded()

    def predict(self, pictures: Sequence[Pixels], batch_size: int = 1) -> list[Prediction]:
        """Return one prediction for each picture, in order.

        Pictures are batched with others of the same tensor shape, at most `batch_size` at a time; a picture's result does
        not depend on the others.
        """
        results: list[Prediction | None] = [None] * len(pictures)
        started = perf_counter()
        for batch in batching.batches(pictures, self.model.input, batch_size):
            started = self._spend("preprocess", started)
            for prediction in self._run(batch):
                results[prediction.index] = prediction
            started = perf_counter()
        return [self._present(result) for result in results]

    def _run(self, batch: Batch) -> list[Prediction]:
        started = perf_counter()
        outputs = self.infer(batch.inputs)
        started = self._spend("infer", started)
        if self.watch is not None:
            self.watch(outputs)
            started = perf_counter()
        predictions = self.postprocess(outputs, batch)
        self._spend("postprocess", started)
        return predictions

    def infer(self, inputs: Tensors) -> Tensors:
        """Return the raw outputs of the model for the inputs of one batch."""
        return self._session.run(inputs)

    def postprocess(self, outputs: Tensors, batch: Batch) -> list[Prediction]:
        """Return what the model's family reads from raw outputs, one prediction for each row of `batch`, in order."""
        return backend.postprocess(self._plugins, self.model, outputs, batch)

    def _present(self, result: Prediction | None) -> Prediction:
        if result is None:
            raise BadPlugin(f"family {self.model.family!r} left a picture without a prediction", "report it to its authors")
        return result

    def _spend(self, what: str, started: float) -> float:
        now = perf_counter()
        self.spent_ms[what] += (now - started) * 1000
        return now

    def close(self) -> None:
        """Free the session."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def stretched(model: ModelSpec, size: tuple[int, int]) -> ModelSpec:
    """Return `model` with every picture stretched to a tensor of this (height, width), instead of what its spec says.

    Raises `BadInput` where the model takes sides of another multiple.
    """
    multiple = model.input.pad_to
    if any(side < 1 or side % multiple for side in size):
        taken = f"{model.name} takes sides that are multiples of {multiple}"
        raise BadInput(f"{size[0]} x {size[1]} is no size for it: {taken}", "give another height and width")
    return replace(model, input=replace(model.input, resize=Exact(*size), align=Align.STRETCH))
