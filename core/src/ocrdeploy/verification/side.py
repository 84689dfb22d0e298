"""One of the two that are compared: a model's file, opened on its backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from ocrdeploy.onnxgraph import checks, subgraph
from ocrdeploy.pipeline import Pipeline
from ocrdeploy.plugins import Plugins
from ocrdeploy.verification.bisection import ONNX, Probe
from ocrdeploy.verification.pictures import Size
from ocrdeploy.verification.report import Contender
from ocrdeploy.vocabulary import Artifact, Batch, InferOptions, ModelSpec, Prediction, Tensors


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model's file, as `models.resolve` gives it, and the backend that is to run it ("auto" chooses)."""

    artifact: Artifact
    backend: str = "auto"
    options: InferOptions = field(default_factory=InferOptions)


@dataclass(frozen=True, slots=True)
class Takes:
    """What an ONNX file fixes of its input: the number of rows (0: any) and the (height, width) of its tensor (None: any)."""

    rows: int = 0
    size: Size | None = None


class Side:
    """A candidate, opened; it is fed with batches that were made for another model. A context manager, which closes it."""

    def __init__(self, label: str, plugins: Plugins, candidate: Candidate, note: Callable[[str], None]) -> None:
        self.label = label
        self._plugins = plugins
        self._candidate = candidate
        self._pipeline = Pipeline(plugins, candidate.artifact, candidate.backend, candidate.options, note)
        self.takes = _takes(candidate.artifact)
        self.precision = self._pipeline.loaded().precision

    @property
    def model(self) -> ModelSpec:
        """The model's spec."""
        return self._pipeline.model

    @property
    def backend(self) -> str:
        """The backend's name."""
        return self._pipeline.backend

    def infer(self, batch: Batch, maker: ModelSpec) -> Tensors:
        """Return the raw outputs for a batch that was made by the spec `maker`."""
        return self._pipeline.infer(self._renamed(batch, maker))

    def postprocess(self, outputs: Tensors, batch: Batch) -> list[Prediction]:
        """Return what the model's family reads from the outputs."""
        return self._pipeline.postprocess(outputs, batch)

    def probe(self, batch: Batch, maker: ModelSpec) -> Probe:
        """Return what a bisection needs of this side."""
        return Probe(self._plugins, self.backend, self._candidate.artifact, self._candidate.options, self._renamed(batch, maker))

    def _renamed(self, batch: Batch, maker: ModelSpec) -> Tensors:
        """Return the inputs of `batch` under the names that this model gives them, in the order of the specs."""
        names = zip(_inputs(maker), _inputs(self.model), strict=False)
        return {own: batch.inputs[given] for given, own in names}

    def contender(self) -> Contender:
        """Say what was loaded."""
        loaded, made = self._pipeline.loaded(), self._pipeline.artifact
        return Contender(
            model=self.model.name,
            path=str(self._candidate.artifact.path),
            sha256=self._candidate.artifact.sha256,
            format=made.format,
            backend=self.backend,
            version=loaded.version,
            device=loaded.device,
            provider=loaded.provider,
            precision=loaded.precision,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pipeline.close()


def _inputs(model: ModelSpec) -> tuple[str, ...]:
    return model.input.name, *(side.name for side in model.input.side_inputs)


def _takes(source: Artifact) -> Takes:
    """Read what the file fixes; nothing where it is no ONNX file, and its backend has to say what it does not take."""
    if source.format != ONNX:
        return Takes()
    inputs = {each.name: each.dims for each in checks.inputs(subgraph.load(source.path, external=False))}
    layout = source.model.input.layout
    dims = dict(zip(layout, inputs.get(source.model.input.name, ()), strict=False))
    rows, height, width = (_fixed(dims.get(axis, 0)) for axis in "NHW")
    return Takes(rows, (height, width) if height and width else None)


def _fixed(dim: int | str) -> int:
    # Some exporters write -1 for an open axis.
    return dim if isinstance(dim, int) and dim > 0 else 0
