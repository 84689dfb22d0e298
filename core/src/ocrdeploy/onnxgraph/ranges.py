"""How large the numbers inside a graph get, and what rounding them to half precision loses: measured on inputs, in fp32.

The graph is cut into files that answer with some of its tensors each, so that no more than these are in memory at a time. Who
runs them is the caller's: any backend that takes ONNX. Tensors of graphs inside others (the body of a Loop) are not measured.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ocrdeploy.onnxgraph import checks, subgraph
from ocrdeploy.onnxgraph.precision_forms import Form, form
from ocrdeploy.vocabulary import Tensors

Run: TypeAlias = Callable[[Path, Sequence[str], Sequence[Tensors]], Iterable[Tensors]]
"""Opens an ONNX file that answers with the tensors of these names, and yields what it answers to each of the inputs."""

MOST_BYTES = 2**28
"""How much one file may answer with; a tensor that is larger comes alone."""

SAMPLED = 2**18
"""From how many numbers of a tensor its loss is computed, evenly spread; the largest is looked for among all."""


@dataclass(frozen=True, slots=True)
class Ranges:
    """The largest |number| of each float32 tensor, infinite or NaN where one was, and what rounding loses (`Form.loss`)."""

    largest: Mapping[str, float] = field(default_factory=dict)
    losses: Mapping[str, float] = field(default_factory=dict)


def measure(source: Path, precision: str, inputs: Sequence[Tensors], run: Run) -> Ranges:
    """Run the fp32 graph `source` on `inputs`, each a batch, and return what its tensors hold.

    Raises `InvalidGraphError` for a graph whose types cannot be inferred, and what `run` raises.
    """
    model = checks.inferred(subgraph.load(source))
    seen = _Seen(form(precision))
    for batch in inputs:
        seen.inputs(batch)
    with TemporaryDirectory(prefix="ocrdeploy-ranges-") as folder:
        for names in _groups(_sizes(model, inputs)):
            path = Path(folder, "part.onnx")
            path.write_bytes(subgraph.cut(model, names).SerializeToString())
            for answer in run(path, names, inputs):
                seen.tensors(answer)
    return seen.ranges()


class _Seen:
    def __init__(self, half: Form) -> None:
        self._half = half
        self._largest: dict[str, float] = {}
        self._errors: dict[str, float] = defaultdict(float)
        self._squares: dict[str, float] = defaultdict(float)

    def inputs(self, batch: Tensors) -> None:
        self.tensors({name: array for name, array in batch.items() if array.dtype == np.float32})

    def tensors(self, answer: Tensors) -> None:
        for name, array in answer.items():
            # Not `max`, which would lose a NaN that comes second.
            self._largest[name] = float(np.maximum(self._largest.get(name, 0.0), _largest(array)))
            sample = array.ravel()[:: max(1, array.size // SAMPLED)]
            error, square = self._half.squares(sample)
            self._errors[name] += error
            self._squares[name] += square

    def ranges(self) -> Ranges:
        losses = {name: (self._errors[name] / square) ** 0.5 for name, square in self._squares.items() if square}
        return Ranges(self._largest, losses)


def _largest(array: NDArray[Any]) -> float:
    return float(np.maximum(array.max(), -array.min())) if array.size else 0.0


def _sizes(model: Any, inputs: Sequence[Tensors]) -> dict[str, int]:
    """Return how many bytes each float32 tensor takes for the largest input, as far as shape inference finds it out.

    One whose size is not known is taken for as large as the largest that is.
    """
    from onnx import TensorProto

    largest = max(inputs, key=lambda batch: sum(array.size for array in batch.values()))
    shaped = type(model)()
    shaped.CopyFrom(model)
    del shaped.graph.value_info[:]
    for value in shaped.graph.input:
        if value.name in largest:
            for dim, size in zip(value.type.tensor_type.shape.dim, largest[value.name].shape, strict=False):
                dim.dim_value = size
    for value in shaped.graph.output:
        value.type.tensor_type.ClearField("shape")
    shaped = checks.inferred(shaped)
    known = {each.name: each.type.tensor_type for each in (*shaped.graph.value_info, *shaped.graph.output)}
    floats = [name for name in subgraph.tensor_names(model) if name in known and known[name].elem_type == TensorProto.FLOAT]
    sizes = {name: _bytes(known[name]) for name in floats}
    unknown = max(sizes.values(), default=0)
    return {name: size or unknown for name, size in sizes.items()}


def _bytes(kind: Any) -> int:
    dims = [dim.dim_value for dim in kind.shape.dim] if kind.HasField("shape") else [0]
    return 4 * int(np.prod(dims, dtype=np.int64))


def _groups(sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """Yield the names, in their order, a few at a time: as many as take `MOST_BYTES`, or one."""
    group: list[str] = []
    total = 0
    for name, size in sizes.items():
        if group and total + size > MOST_BYTES:
            yield group
            group, total = [], 0
        group.append(name)
        total += size
    if group:
        yield group
