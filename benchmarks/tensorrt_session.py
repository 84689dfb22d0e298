"""What a TensorRT session costs beside its copies and its engine. Needs a GPU; it has never run on one.

    python benchmarks/tensorrt_session.py ENGINE [--shape 1x3x736x1312] [--runs 200] [--cuda-graph on] [--json FILE]

The session's `run` is timed by the wall clock. By turns with it, on a stream of its own, the same copies (pinned memory to the
GPU and back) and the same engine are timed by CUDA's events. Printed: the medians in milliseconds, and
wall / (copies + engine), which should be at most 1.10.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from ocrdeploy import artifact, backend, models
from ocrdeploy.plugins import discover
from ocrdeploy.vocabulary import InferOptions
from ocrdeploy_tensorrt import module
from ocrdeploy_tensorrt.buffers import Buffers
from ocrdeploy_tensorrt.engine import Engine
from ocrdeploy_tensorrt.ports import Shape, nbytes


class Bare:
    """The engine and the copies of one run, each between two events of one stream."""

    def __init__(self, path: Path, inputs: dict[str, Any]) -> None:
        cuda = import_module("cuda.core")
        device = cuda.Device(0)
        device.set_current()
        self._timed = cuda.EventOptions(timing_enabled=True)
        self._stream = device.create_stream()
        self._engine = Engine(module.load(), path.read_bytes(), path)
        self._inputs = inputs
        self._outputs = self._engine.context.shape({name: array.shape for name, array in inputs.items()})
        self._memory = Buffers(cuda, device, self._stream)
        for name, array in inputs.items():
            self._memory.reserve(name, array.nbytes, host=True)
        for name in self._outputs:
            self._memory.reserve(name, self._size(name), host=True)
        self._engine.context.place(self._memory.address)

    def _size(self, name: str) -> int:
        return nbytes(self._outputs[name], self._engine.outputs[name].dtype)

    def engine_ms(self) -> float:
        return self._between(lambda: self._engine.context.execute(int(self._stream.handle)))

    def copies_ms(self) -> float:
        return self._between(self._copy)

    def _copy(self) -> None:
        for name, array in self._inputs.items():
            self._memory.upload(name, array)
        for name in self._outputs:
            self._memory.download(name, self._size(name))

    def _between(self, work: Callable[[], object]) -> float:
        first = self._stream.record(options=self._timed)
        work()
        last = self._stream.record(options=self._timed)
        self._stream.sync()
        return float(last - first)

    def close(self) -> None:
        self._engine.close()
        self._memory.close()
        self._stream.close()


def shape(text: str) -> Shape:
    return tuple(int(part) for part in text.split("x"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", type=Path)
    parser.add_argument("--shape", type=shape, help="of the picture input (default: the model's usual one)")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--cuda-graph", default="off")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()

    plugins = discover()
    found = models.resolve(plugins, str(options.engine), task=None)
    wanted = options.shape or (found.model.input.shapes.opt if found.model.input.shapes else None)
    if wanted is None:
        parser.error("the model has no usual shape: name one with --shape")
    inputs = {found.model.input.name: np.random.default_rng(0).standard_normal(wanted, dtype=np.float32)}
    session = backend.open_session(plugins, "tensorrt", found, InferOptions(extra={"cuda_graph": options.cuda_graph}))
    bare = Bare(options.engine, inputs)
    times: dict[str, list[float]] = {"wall": [], "engine": [], "copies": []}
    for _ in range(options.runs + 20):
        started = perf_counter()
        session.run(inputs)
        times["wall"].append((perf_counter() - started) * 1000)
        times["engine"].append(bare.engine_ms())
        times["copies"].append(bare.copies_ms())
    medians = {name: float(np.median(values[20:])) for name, values in times.items()}
    loaded = session.loaded()
    bare.close()
    session.close()
    ratio = medians["wall"] / (medians["engine"] + medians["copies"])
    print(f"TensorRT {loaded.version}, {loaded.provider}, {loaded.precision}, {'x'.join(map(str, wanted))}")
    print(", ".join(f"{name} {value:.3f} ms" for name, value in medians.items()), f"; wall / (copies + engine) {ratio:.3f}")
    if options.json:
        figures = {"ratio": ratio, "ms": medians, "version": loaded.version, "gpu": loaded.provider, "shape": wanted}
        options.json.write_text(json.dumps(figures | {"sha256": artifact.sha256(options.engine)}, indent=1) + "\n")


if __name__ == "__main__":
    main()
