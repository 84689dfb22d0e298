"""A fake network, opened once for many runs."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from ocrdeploy import BadInput, OcrdError
from ocrdeploy.vocabulary import Loaded, ModelSpec, Tensors, Threads
from ocrdeploy_fake.network import Network


class FakeSession:
    """A fake network, opened. Nothing in it changes when it runs, so any number of threads may run it."""

    def __init__(self, model: ModelSpec, path: Path, *, delay_ms: str) -> None:
        network = Network(path)
        if [model.input.name] != list(network.inputs) or not set(model.outputs) <= set(network.outputs):
            has = f"it takes {', '.join(network.inputs)} and gives {', '.join(network.outputs)}"
            raise BadInput(f"{path} is not what the spec of {model.name} says: {has}", "use the spec that belongs to this file")
        if not delay_ms.isdecimal():
            raise BadInput(f"delay_ms is {delay_ms!r}", "give the milliseconds that a run shall take longer, such as 20")
        self._model, self._delay_s = model, int(delay_ms) / 1000
        self._network: Network | None = network

    def run(self, inputs: Tensors) -> Tensors:
        """Answer one batch."""
        name, network = self._model.input.name, self._network
        if network is None:
            raise OcrdError(f"the session of {self._model.name} is closed", "open another one")
        array, dims = inputs.get(name), network.inputs[name]
        if array is None or array.ndim != len(dims) or any(d not in (0, n) for d, n in zip(dims, array.shape, strict=True)):
            raise BadInput(f"{self._model.name} takes pictures, {dims}, as {name!r}", "correct `input` in its spec")
        time.sleep(self._delay_s)
        outputs = network.compute({name: array.astype(np.float32)})
        return {each: np.array(outputs[each], order="C") for each in self._model.outputs}

    def loaded(self) -> Loaded:
        """Say what runs."""
        return Loaded(version=np.__version__, device="cpu", provider="numpy", threads=Threads.ANY)

    def close(self) -> None:
        """Let go of the network."""
        self._network = None
