"""Networks: raw outputs of seeded weights, in PyTorch and, exported, in ONNX Runtime.

The way is the user's: a checkpoint on disk, opened by the pytorch backend, and exported by it for the onnxruntime backend.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrdeploy import artifact, backend
from ocrdeploy.plugins import Plugins, discover
from ocrdeploy.vocabulary import Artifact, ExportOptions, InferOptions, ModelSpec, Session
from ocrdeploy_pytorch.specs import SIX
from replays import weights
from replays.comparison import Case, Comparison
from replays.goldens import Goldens

KIND = "networks"
BACKENDS = ("pytorch", "onnxruntime")

OUTPUT = 1e-4
"""How far an output may be off, as a share of the standard deviation of the golden one."""

STEP = 2e-3
"""How far DBNet's third map may be off: a step so steep that it makes 12 times as much of every difference."""

STEP_CHANNEL = 2
STATISTICS = 1e-6
EXPORT = ExportOptions(exporter="legacy", dynamic=True)

INFER = InferOptions(device="cpu", threads=1)
"""PyTorch's threads wait for each other by spinning, which takes ten times as long on cores that others use, too."""


def cases(goldens: Goldens) -> Iterator[Case]:
    """Yield a case for each golden output and backend, network by network, each of which is open for its own cases only."""
    facts, arrays, entries = goldens.facts(KIND), goldens.arrays(KIND), goldens.state_dicts()
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for case in facts["cases"]:
        groups.setdefault(_identity(case.get("config"), entries), []).append(case)
    for group in groups.values():
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="replay-")))
            network = _Network(group[0].get("config", ""), entries, facts["weights_seed"], folder, stack)
            for case in group:
                label = f"{case.get('config')}, {case.get('input')} -> {case.get('output')}"
                for name in BACKENDS:
                    yield Case(f"{KIND} {name}", label, partial(_check, case=case, arrays=arrays, network=network, name=name))


def _identity(config: Any, entries: Mapping[str, Any]) -> str:
    """Return what tells one network with its weights from another: twin configs with one network share it."""
    described = dict(SIX[config].network) if config in SIX else {"config": config}
    described.pop("config_sha256", None)
    return json.dumps([described, entries.get(config)])


@dataclass
class _Network:
    """One network with its seeded weights, in `folder`; what is opened is closed with `stack`."""

    config: str
    entries: Mapping[str, Any]
    seed: int
    folder: Path
    stack: ExitStack
    opened: dict[str, Session] = field(default_factory=dict)
    plugins: Plugins = field(default_factory=discover)

    @cached_property
    def checkpoint(self) -> Artifact:
        """The weights as a file, as MMOCR's training writes it."""
        import torch

        arrays = weights.state_dict(self.entries[self.config], self.seed)
        path = self.folder / "checkpoint.pth"
        torch.save({"meta": {}, "state_dict": {key: torch.from_numpy(array) for key, array in arrays.items()}}, path)
        return Artifact(path, "checkpoint", artifact.sha256(path), SIX[self.config])

    @cached_property
    def exported(self) -> Artifact:
        """The ONNX file that the pytorch plugin makes of the checkpoint."""
        source, target = self.checkpoint, self.folder / "model.onnx"
        self.plugins.call(
            "pytorch", "ocrd_export", model=source.model, network=None, checkpoint=source, target=target, options=EXPORT
        )
        return Artifact(target, "onnx", artifact.sha256(target), source.model, source.sha256)

    def session(self, name: str) -> Session:
        """Return the session of the backend `name`."""
        if name not in self.opened:
            file = self.checkpoint if name == "pytorch" else self.exported
            session = backend.open_session(self.plugins, name, file, INFER)
            self.opened[name] = self.stack.enter_context(closing(session))
        return self.opened[name]


def _check(
    comparison: Comparison, *, case: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], network: _Network, name: str
) -> None:
    model, pixels, expected = SIX[case["config"]], arrays[case["input"]], arrays[case["output"]]
    comparison.same("the shape of the input", list(pixels.shape), case["input_shape"])
    comparison.same("the shape of the golden output", list(expected.shape), case["output_shape"])
    statistics = [expected.mean(dtype=np.float64), expected.std(dtype=np.float64), expected.min(), expected.max()]
    recorded = [case[what] for what in ("mean", "std", "min", "max")]
    if not np.allclose(statistics, recorded, STATISTICS, STATISTICS * statistics[1]):
        comparison.problems.append(f"the golden output has other statistics, {statistics}, than are recorded, {recorded}")
    if name == "pytorch":
        compare_entries(comparison, model, network.entries[case["config"]])
    found = network.session(name).run({model.input.name: pixels})[model.outputs[0]]
    comparison.same("the dtype", str(found.dtype), str(expected.dtype))
    if comparison.same("the shape of the output", found.shape, expected.shape):
        compare_outputs(comparison, found, expected, step=model.family == "dbnet")


def compare_entries(comparison: Comparison, model: ModelSpec, entries: Mapping[str, Any]) -> None:
    """Compare keys, order, shapes and dtypes of the network that is built for `model` with those of MMOCR's."""
    from ocrdeploy_pytorch.networks.build import build

    state = build(model.network).state_dict()
    ours = [(key, list(each.shape), str(each.dtype).removeprefix("torch.")) for key, each in state.items()]
    theirs = [(key, shape, dtype) for key, (shape, dtype) in entries.items()]
    for mine, other in zip_longest(ours, theirs):
        if not comparison.same("an entry of the state dict", mine, other):
            return


def compare_outputs(comparison: Comparison, found: NDArray[Any], expected: NDArray[Any], *, step: bool) -> None:
    """Compare raw outputs; with `step`, channel 2 is DBNet's steep step between the others, and has its own allowance."""
    plain: Sequence[int] | slice = [0, 1] if step else slice(None)
    deviation = expected.std(dtype=np.float64)
    comparison.close("output / std", found[:, plain] / deviation, expected[:, plain] / deviation, OUTPUT)
    if step:
        comparison.close("step", found[:, STEP_CHANNEL], expected[:, STEP_CHANNEL], STEP)
