"""Which node of a graph is the first whose answer differs: binary search over the tensors inside it.

Each step runs, on both sides, a file whose outputs are a few tensors from the middle of the graph. So no more than those few
are in memory at a time, and every backend that takes ONNX will do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ocrdeploy import artifact, backend, spec
from ocrdeploy.errors import BadInput
from ocrdeploy.onnxgraph import metadata, subgraph
from ocrdeploy.plugins import Plugins
from ocrdeploy.verification.tensors import Deviation, deviation
from ocrdeploy.verification.tolerance import Tolerance
from ocrdeploy.vocabulary import Artifact, BuildOptions, InferOptions, Tensors

ONNX = "onnx"

PROBES = 3
"""How many tensors are looked at in one run: more of them save runs, and take memory."""


@dataclass(frozen=True, slots=True)
class Bisection:
    """The first node, in the order of the graph, whose answer is out of tolerance while all that it takes is within.

    First among the `tested` tensors, that is: a difference may fade away again before the next one that was looked at.
    `node` is '' where none was found, and `note` says why. `weights`: those of the node that are not the same in both files.
    """

    nodes: int
    tested: int
    note: str = ""
    index: int = 0
    node: str = ""
    operator: str = ""
    tensor: str = ""
    module: str = ""
    weights: tuple[str, ...] = ()
    deviation: Deviation | None = None

    def __str__(self) -> str:
        if not self.tensor:
            return f"no node was found: {self.note}"
        module = f", of the module {self.module}" if self.module else ""
        how = self.deviation.words(self.tensor) if self.deviation else f"output {self.tensor!r} has another shape in B"
        weights = f"; its weights differ: {', '.join(self.weights)}" if self.weights else ""
        return (
            f"node {self.index} of {self.nodes}, {self.operator} {self.node or 'without a name'}{module}: what it takes agrees, "
            f"{how}{weights} ({self.tested} tensors were tested)"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """One side: an ONNX file, the backend that takes it, and the inputs of the batch that showed a difference."""

    plugins: Plugins
    backend: str
    artifact: Artifact
    options: InferOptions
    inputs: Tensors

    def answers(self, model: Any, names: Sequence[str]) -> Tensors:
        """Return these tensors of the graph `model`, which is the artifact's."""
        wanted = replace(self.artifact.model, outputs=tuple(names))
        with TemporaryDirectory(prefix="ocrdeploy-bisect-") as folder:
            part = subgraph.cut(model, names)
            metadata.describe(part, {metadata.KEY: spec.to_json(wanted)})
            path = Path(folder, "part.onnx")
            path.write_bytes(part.SerializeToString())
            del part
            made = self._reach(Artifact(path, ONNX, artifact.sha256(path), wanted))
            with closing(backend.open_session(self.plugins, self.backend, made, self.options)) as session:
                return session.run(self.inputs)

    def _reach(self, part: Artifact) -> Artifact:
        """Return what the backend opens. Not by way of the chain, which would keep every part in the cache."""
        if ONNX in self.plugins.backends[self.backend].runs:
            return part
        options = BuildOptions(
            self.options.precision, self.options.device, custom_ops=self.options.custom_ops, extra=self.options.extra
        )
        return backend.build(self.plugins, self.backend, part, part.path.with_name("part.built"), options)


def check(source: Artifact) -> None:
    """Raise `BadInput` unless `source` is a file that parts can be cut from."""
    if source.format != ONNX:
        raise BadInput(
            f"{source.path} is of the format {source.format}, and only ONNX files can be bisected",
            "leave --bisect out, or compare two ONNX files (ocrd export makes them)",
        )


def bisect(a: Probe, b: Probe, tolerance: Tolerance) -> Bisection:
    """Find the first node at which `b` leaves `a`; the tensors that both graphs have, by name, are what can be tested."""
    search = _Search(a, b, tolerance)
    found = search.first()
    if found is None:
        note = "with tensors from inside the graph as outputs, on one batch, the two agree: what differs is the way in which the "
        note += "backend joins nodes, or what it keeps between runs"
        return Bisection(len(search.nodes), len(search.found), note)
    name = search.names[found]
    node = search.producers[name]
    return Bisection(
        nodes=len(search.nodes),
        tested=len(search.found),
        index=node.index,
        node=node.name,
        operator=node.operator,
        tensor=name,
        module=node.module,
        weights=tuple(search.weights(node)),
        deviation=search.found[found],
    )


class _Search:
    """What was tested so far: for the tensors of `names`, by their index, how they deviate (None: in shape)."""

    def __init__(self, a: Probe, b: Probe, tolerance: Tolerance) -> None:
        self._sides, self._tolerance = (a, b), tolerance
        self._models = [subgraph.load(side.artifact.path) for side in self._sides]
        self.nodes = subgraph.nodes(self._models[0])
        self.producers = {name: node for node in self.nodes for name in node.outputs}
        also = set(subgraph.tensor_names(self._models[1]))
        self.names = [name for name in subgraph.tensor_names(self._models[0]) if name in also]
        self.found: dict[int, Deviation | None] = {}
        if not self.names:
            raise BadInput(
                f"{a.artifact.path} and {b.artifact.path} have no tensors of the same names",
                "bisect two files of one graph, or one file on two backends",
            )

    def first(self) -> int | None:
        """Return the first tensor that differs while the inputs of its node agree; None where no answer of the graph differs."""
        index = {name: place for place, name in enumerate(self.names)}
        self._test(index[name] for name in self._sides[0].artifact.model.outputs if name in index)
        differing = [place for place in self.found if self._differs(place)]
        while differing:
            high = self._narrow(min(differing))
            inputs = [index[name] for name in self.producers[self.names[high]].inputs if name in index]
            self._test(inputs)
            differing = [place for place in inputs if self._differs(place)]
            if not differing:
                return high
        return None

    def _narrow(self, high: int) -> int:
        """Return a tensor, at `high` or before it, that differs and follows one that agrees, or is the very first."""
        low = self._agreeing_before(high)
        while high - low > 1:
            probes = np.linspace(low, high, PROBES + 2)[1:-1].round().astype(int).tolist()
            self._test(place for place in probes if low < place < high)
            high = min(place for place in self.found if low < place <= high and self._differs(place))
            low = self._agreeing_before(high)
        return high

    def _agreeing_before(self, high: int) -> int:
        return max((place for place in self.found if place < high and not self._differs(place)), default=-1)

    def _differs(self, place: int) -> bool:
        found = self.found[place]
        return found is None or not found.agrees

    def _test(self, places: Iterable[int]) -> None:
        untested = sorted(set(places) - self.found.keys())
        for start in range(0, len(untested), PROBES):
            some = untested[start : start + PROBES]
            names = [self.names[place] for place in some]
            a, b = (side.answers(model, names) for side, model in zip(self._sides, self._models, strict=True))
            for place, name in zip(some, names, strict=True):
                same = a[name].shape == b[name].shape
                self.found[place] = deviation(a[name], b[name], self._tolerance) if same else None

    def weights(self, node: subgraph.Node) -> Iterable[str]:
        """Yield the weights of `node` that are not the same in both graphs, each with the largest difference."""
        from onnx import numpy_helper

        a, b = ({each.name: each for each in model.graph.initializer} for model in self._models)
        others = {name: each.inputs for each in subgraph.nodes(self._models[1]) for name in each.outputs}
        for one, other in zip(node.inputs, others[node.outputs[0]], strict=False):
            if one in a and other in b:
                first, second = (np.asarray(numpy_helper.to_array(each), np.float64) for each in (a[one], b[other]))
                if first.shape != second.shape:
                    yield f"{one} (another shape)"
                elif not np.array_equal(first, second, equal_nan=True):
                    yield f"{one} (by up to {np.nanmax(np.abs(first - second)):.3g})"
