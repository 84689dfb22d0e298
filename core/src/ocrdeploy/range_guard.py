"""The range guard: pictures run through the fp32 graph before it is converted, on whatever backend runs ONNX here.

Pictures that are given are better than drawn ones, and those of one's own task best: a graph that was trained on other pictures
gets numbers of other sizes from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ocrdeploy import artifact, backend, batching, drawn, headway, images, sources
from ocrdeploy.errors import BadInput
from ocrdeploy.onnxgraph import checks, ranges, subgraph
from ocrdeploy.onnxgraph.ranges import Ranges
from ocrdeploy.plugins import Plugins
from ocrdeploy.vocabulary import Align, Artifact, Exact, InferOptions, InputSpec, ModelSpec, Pixels, Task, Tensors

ONNX = "onnx"

IMAGES = "range_images"
"""The backend option that names a picture, or a folder of them, to measure with; "none" leaves the measuring out."""

NONE = "none"

MOST = 16
"""With how many of the given pictures is measured, evenly spread over all: a few already come near the largest numbers."""

PAGES = ((480, 640), (640, 448))
LINES = ((48, 160), (32, 100), (40, 280), (64, 96), (40, 480))
"""The (height, width) of what is drawn where nothing is given: pages for detectors, lines for all others."""

_SEVERAL_PAGES = (".pdf", ".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class Plan:
    """With what is to be measured, and on which backend; on '' there is none, or it is not wanted, as `why_not` says."""

    backend: str
    version: str = ""
    pictures: tuple[Path, ...] = ()
    why_not: str = ""

    def recipe(self) -> dict[str, str]:
        """Return what the result depends on: the pictures, by their content."""
        if not self.backend:
            return {IMAGES: NONE}
        digests = {f"sha256 of {path}": artifact.sha256(path) for path in self.pictures}
        return {IMAGES: "given" if digests else "drawn", **digests}

    @property
    def count(self) -> int:
        """How many pictures it is measured with, drawn ones not counted."""
        return len(self.pictures)


def plan(plugins: Plugins, options: InferOptions) -> Plan:
    """Choose pictures and a backend. Raises `BadInput` where pictures are named and there are none."""
    given = options.extra.get(IMAGES, "")
    if given == NONE:
        return Plan("", why_not="as was asked")
    pictures = _given(given) if given else ()
    able = [name for name, info in plugins.backends.items() if ONNX in info.runs and "fp32" in info.precisions]
    for name, answer in backend.probe_each(plugins, able).items():
        if answer.ok:
            return Plan(name, answer.version, pictures)
    return Plan("", why_not="no backend that runs ONNX can run here (pip install 'ocrdeploy-onnxruntime[cpu]')")


def _given(path: str) -> tuple[Path, ...]:
    found = sources.find([path])
    for each in found:
        if each.error is not None:
            raise each.error
    files = [each.path for each in found if each.path and each.path.suffix.lower() not in _SEVERAL_PAGES]
    if not files:
        raise BadInput(f"{IMAGES} is {path!r}, where no picture is", "name a picture, or a folder of pictures")
    chosen = sorted({round(place) for place in np.linspace(0, len(files) - 1, MOST)})
    return tuple(files[place] for place in chosen)


def measure(plugins: Plugins, source: Artifact, precision: str, plan: Plan) -> Ranges:
    """Return what the tensors of the fp32 file `source` hold; nothing where the plan names no backend."""
    if not plan.backend:
        return Ranges()
    model = _as_fixed(source)
    inputs = [_inputs(source, model, pixels) for pixels in _pictures(model, plan.pictures)]
    done = 0

    def run(path: Path, names: Sequence[str], batches: Sequence[Tensors]) -> Iterator[Tensors]:
        nonlocal done
        headway.tell("measuring ranges", 1 - 0.9**done)  # How many parts there will be is not known here.
        done += 1
        part = Artifact(path, ONNX, artifact.sha256(path), replace(source.model, outputs=tuple(names)))
        with closing(backend.open_session(plugins, plan.backend, part, InferOptions(device="cpu"))) as session:
            for batch in batches:
                yield session.run(batch)

    try:
        return ranges.measure(source.path, precision, inputs, run)
    except checks.InvalidGraphError as error:
        raise BadInput(f"{source.path} cannot be converted to {precision}: {error}", "export the model again") from error


def _pictures(model: ModelSpec, given: Sequence[Path]) -> Iterator[Pixels]:
    for path in given:
        yield _read(path, model.input)
    if not given:
        pages = model.task is Task.DETECTION
        for seed, size in enumerate(PAGES if pages else LINES):
            yield drawn.page(size, seed) if pages else drawn.line(size, seed)


def _read(path: Path, spec: InputSpec) -> Pixels:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}", "check the path and the disk") from error
    return images.decode(data, name=path.name, colour=spec.colour, orientation=spec.orientation)


def _dims(source: Artifact) -> Mapping[str, int | str]:
    """Return the axes of the image input, by their letters in the layout; a number where one is fixed."""
    every = {each.name: each.dims for each in checks.inputs(subgraph.load(source.path, external=False))}
    return dict(zip(source.model.input.layout, every.get(source.model.input.name, ()), strict=False))


def _as_fixed(source: Artifact) -> ModelSpec:
    """Return the model's spec, with the one size that its file takes where it takes no others."""
    dims = _dims(source)
    height, width = dims.get("H", 0), dims.get("W", 0)
    if isinstance(height, int) and isinstance(width, int) and min(height, width) > 0:
        fixed = replace(source.model.input, resize=Exact(height, width), align=Align.STRETCH, pad_to=1)
        return replace(source.model, input=fixed)
    return source.model


def _inputs(source: Artifact, model: ModelSpec, pixels: Pixels) -> Tensors:
    """Return the batch for one picture; a file that takes batches of one size only is given it that often."""
    (batch,) = batching.batches([pixels], model.input, 1)
    rows: Any = _dims(source).get("N", 1)
    if isinstance(rows, int) and rows > 1:
        return {name: np.repeat(array, rows, axis=0) for name, array in batch.inputs.items()}
    return batch.inputs
