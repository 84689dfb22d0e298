"""Networks: raw outputs of seeded weights, in PyTorch and, exported, in ONNX Runtime.

The way is the user's: a checkpoint on disk, opened by the pytorch backend, and exported by it for the onnxruntime backend.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrdeploy import artifact, backend, plugins
from ocrdeploy.vocabulary import Artifact, ExportOptions, InferOptions, ModelSpec, Session
from ocrdeploy_pytorch.specs import SIX
from replays import weights
from replays.comparison import Case, Check, Comparison
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


def cases(goldens: Goldens) -> Iterator[Case]:
    """Yield a case for each golden output and backend, network by network; each network's sessions are open for its own cases.

    Twin configs with one network share its sessions.
    """
    facts, arrays, entries = goldens.facts(KIND), goldens.arrays(KIND), goldens.state_dicts()
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for case in facts["cases"]:
        groups.setdefault(_network(case.get("config"), entries), []).append(case)
    for group in groups.values():
        with ExitStack() as stack:
            sessions = _Sessions(stack, group[0].get("config"), entries, facts.get("weights_seed"))
            for case in group:
                for name in BACKENDS:
                    label = f"{case.get('config')}, {case.get('input')} -> {case.get('output')}"
                    check = partial(_check, case=case, arrays=arrays, sessions=sessions, name=name)
                    yield Case(f"{KIND} {name}", label, check)


def _network(config: Any, entries: Mapping[str, Any]) -> str:
    """Return what tells one network with its weights from another."""
    described = dict(SIX[config].network) if config in SIX else {"config": config}
    described.pop("config_sha256", None)
    return json.dumps([described, entries.get(config)])


class _Sessions:
    """One network's sessions, each opened when it is first asked for; `stack` closes them."""

    def __init__(self, stack: ExitStack, config: Any, entries: Mapping[str, Any], seed: Any) -> None:
        self._stack, self._config, self._entries, self._seed = stack, config, entries, seed
        self._plugins = plugins.discover()
        self._opened: dict[str, Session] = {}
        self._files: dict[str, Artifact] = {}
        self._folder: Path | None = None

    def __getitem__(self, name: str) -> Session:
        if name not in self._opened:
            opened = backend.open_session(self._plugins, name, self._file(name), InferOptions(device="cpu"))
            self._opened[name] = self._stack.enter_context(closing(opened))
        return self._opened[name]

    def _file(self, name: str) -> Artifact:
        """Return the file that the backend opens."""
        if name not in self._files:
            if self._folder is None:
                self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="replay-")))
            model = SIX[self._config]
            if name == "pytorch":
                made = _checkpoint(model, weights.state_dict(self._entries[self._config], self._seed), self._folder)
            else:
                made = _exported(self._plugins, self._file("pytorch"), self._folder)
            self._files[name] = made
        return self._files[name]


def _checkpoint(model: ModelSpec, arrays: Mapping[str, NDArray[Any]], folder: Path) -> Artifact:
    """Write a checkpoint as MMOCR's training does."""
    import torch

    path = folder / "checkpoint.pth"
    torch.save({"meta": {}, "state_dict": {key: torch.from_numpy(array) for key, array in arrays.items()}}, path)
    return Artifact(path, "checkpoint", artifact.sha256(path), model)


def _exported(found: plugins.Plugins, checkpoint: Artifact, folder: Path) -> Artifact:
    target = folder / "model.onnx"
    model = checkpoint.model
    found.call("pytorch", "ocrd_export", model=model, network=None, checkpoint=checkpoint, target=target, options=EXPORT)
    return Artifact(target, "onnx", artifact.sha256(target), model, checkpoint.sha256)


def _check(
    comparison: Comparison, *, case: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], sessions: _Sessions, name: str
) -> None:
    model, pixels, expected = SIX[case["config"]], arrays[case["input"]], arrays[case["output"]]
    comparison.same("the shape of the input", list(pixels.shape), case["input_shape"])
    comparison.same("the shape of the golden output", list(expected.shape), case["output_shape"])
    statistics = expected.mean(dtype=np.float64), expected.std(dtype=np.float64), expected.min(), expected.max()
    recorded = [case[what] for what in ("mean", "std", "min", "max")]
    comparison.close("statistics", statistics, recorded, STATISTICS * max(1.0, np.abs(recorded).max()))
    if name == "pytorch":
        comparison.same("the state dict", _entries_of(model), entries[case["config"]])
    found = sessions[name].run({model.input.name: pixels})[model.outputs[0]]
    comparison.same("the dtype", str(found.dtype), str(expected.dtype))
    if comparison.same("the shape of the output", found.shape, expected.shape):
        compare_outputs(comparison, found, expected, step=model.family == "dbnet")


def _entries_of(model: ModelSpec) -> dict[str, Any]:
    """Return the keys, shapes and dtypes of the network that is built for `model`, as state_dicts.json has them."""
    from ocrdeploy_pytorch.networks.build import build

    return {
        key: [list(each.shape), str(each.dtype).removeprefix("torch.")] for key, each in build(model.network).state_dict().items()
    }


def compare_outputs(comparison: Comparison, found: NDArray[Any], expected: NDArray[Any], *, step: bool) -> None:
    """Compare raw outputs; with `step`, channel 2 is DBNet's steep step between the two others, and has an allowance of its own."""
    plain: Sequence[int] | slice = [0, 1] if step else slice(None)
    deviation = expected.std(dtype=np.float64)
    comparison.close("output / std", found[:, plain] / deviation, expected[:, plain] / deviation, OUTPUT)
    if step:
        comparison.close("step", found[:, STEP_CHANNEL], expected[:, STEP_CHANNEL], STEP)
