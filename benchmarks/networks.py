"""The network alone: the PyTorch plugin beside the real MMOCR, and ONNX Runtime beside both.

    python benchmarks/networks.py [--picture FILE] [--seconds S] [--threads N] [--json FILE]

Needs MMOCR (docs/install-mmocr.md). DBNet gets the picture at 1280 x 720, CRNN at 256 x 64, as the models' specifications
prepare them. All have the same weights (untrained, which does not matter to the time) and must give the same output. They run
in one process, in turns; who begins alternates. For MMOCR the time is that of its network under `torch.no_grad`, as its own
tools run it, from array to array; for the others that of `Session.run`. Wall and processor time, medians over the rounds; a
ratio is the median of the rounds' ratios with its 95 % bootstrap interval.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ocrdeploy import artifact, backend, batching, images, plugins
from ocrdeploy.vocabulary import Artifact, ExportOptions, InferOptions, ModelSpec, Session, Tensors
from ocrdeploy_pytorch import exporter, specs
from ocrdeploy_pytorch.mmocr import networks as mmocr_networks
from ocrdeploy_pytorch.networks.build import build

ROOT = Path(__file__).resolve().parents[1]
SIZES: Mapping[str, tuple[int, int]] = {"dbnet_r18_fpnc_1200e_icdar2015": (1280, 720), "crnn_academic_dataset": (256, 64)}
"""(Width, height) of the picture that each model gets; what is to be seen in it does not matter."""

FEWEST = 5
"""Rounds, however long they take."""

LIMIT = 1.03
"""What the plugin's time may be, in that of MMOCR's network."""

Run = Callable[[], NDArray[Any]]


def prepared(model: ModelSpec, picture: Path) -> Tensors:
    pixels = images.decode(picture.read_bytes(), name=picture.name, colour=model.input.colour)
    (batch,) = batching.batches([np.asarray(cv2.resize(pixels, SIZES[model.name]), np.uint8)], model.input, 1)
    return batch.inputs


def saved(model: ModelSpec, folder: Path) -> Artifact:
    """A checkpoint of the model."""
    torch.manual_seed(0)
    path = folder / f"{model.name}.pth"
    torch.save({"state_dict": build(model.network).state_dict()}, path)
    return Artifact(path, "checkpoint", artifact.sha256(path), model)


def mmocr(checkpoint: Artifact, inputs: Tensors) -> Run:
    network = mmocr_networks.build(checkpoint.model.network).eval()
    network.load_state_dict(torch.load(checkpoint.path, weights_only=True)["state_dict"])

    def run() -> NDArray[Any]:
        with torch.no_grad():
            output: NDArray[Any] = network(torch.from_numpy(inputs["input"])).numpy()
        return output

    return run


def answer(session: Session, inputs: Tensors) -> NDArray[Any]:
    return session.run(inputs)["output"]


def exported(checkpoint: Artifact) -> Artifact:
    network = build(checkpoint.model.network)
    network.load_state_dict(torch.load(checkpoint.path, weights_only=True)["state_dict"])
    path = checkpoint.path.with_suffix(".onnx")
    exporter.export(network, checkpoint.model, path, ExportOptions())
    return Artifact(path, "onnx", artifact.sha256(path), checkpoint.model)


@contextmanager
def runs(model: ModelSpec, inputs: Tensors, threads: int) -> Iterator[dict[str, Run]]:
    """What runs the model on the inputs, by name."""
    found = plugins.discover()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        checkpoint = saved(model, Path(folder))
        made: dict[str, Run] = {"mmocr": mmocr(checkpoint, inputs)}
        opened = {
            "pytorch": ("pytorch", checkpoint, {}),
            "channels last": ("pytorch", checkpoint, {"channels_last": "on"}),
            "onnxruntime": ("onnxruntime", exported(checkpoint), {}),
        }
        for name, (runtime, file, extra) in opened.items():
            options = InferOptions(device="cpu", threads=threads, extra=extra)
            session = stack.enter_context(closing(backend.open_session(found, runtime, file, options)))
            made[name] = partial(answer, session, inputs)
        yield made


def timed(run: Run) -> tuple[float, float]:
    """Wall and processor time, in ms."""
    wall, processor = time.perf_counter(), time.process_time()
    run()
    return (time.perf_counter() - wall) * 1000, (time.process_time() - processor) * 1000


def in_turns(made: Mapping[str, Run], seconds: float) -> dict[str, NDArray[np.float64]]:
    """For each name (rounds, 2) times."""
    names = list(made)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    end = time.perf_counter() + seconds
    while len(times["mmocr"]) < FEWEST or time.perf_counter() < end:
        turn = len(times["mmocr"]) % len(names)
        for name in names[turn:] + names[:turn]:
            times[name].append(timed(made[name]))
    return {name: np.array(each) for name, each in times.items()}


def ratio(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> tuple[float, float, float]:
    """The median of the rounds' ratios, and its interval."""
    ratios = ours / theirs
    draws = np.random.default_rng(0).choice(ratios, (2000, len(ratios)))
    low, high = np.percentile(np.median(draws, axis=1), [2.5, 97.5])
    return float(np.median(ratios)), float(low), float(high)


def measure(name: str, picture: Path, seconds: float, threads: int) -> dict[str, Any]:
    model = specs.SIX[name]
    inputs = prepared(model, picture)
    with runs(model, inputs, threads) as made:
        torch.set_num_threads(threads)
        wanted = made["mmocr"]()
        for run in made.values():
            for _ in range(2):
                difference = np.abs(run() - wanted).max()
            assert difference <= 1e-4, difference
        times = in_turns(made, seconds)
    shape, rounds = inputs["input"].shape, len(times["mmocr"])
    print(f"{name} on {' x '.join(map(str, shape))}, {threads} threads, {rounds} rounds")
    figures: dict[str, Any] = {"shape": shape, "rounds": rounds}
    for each, (wall, processor) in ((each, np.median(taken, axis=0)) for each, taken in times.items()):
        figures[each] = {"wall_ms": wall, "processor_ms": processor}
        line = f"  {each:13} wall {wall:8.2f} ms   processor {processor:8.2f} ms"
        if each != "mmocr":
            ratios = [ratio(times[each][:, column], times["mmocr"][:, column]) for column in (0, 1)]
            figures[each] |= dict(zip(("wall_ratio", "processor_ratio"), ratios, strict=True))
            shown = [f"{middle:.3f} ({low:.3f} to {high:.3f})" for middle, low, high in ratios]
            line += f"   x MMOCR's: wall {shown[0]}, processor {shown[1]}"
        print(line)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=Path, default=ROOT / "docs" / "demo.png")
    parser.add_argument("--seconds", type=float, default=60, help="for each model")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    figures = {name: measure(name, options.picture, options.seconds, options.threads) for name in SIZES}
    slower = [name for name, each in figures.items() if each["pytorch"]["wall_ratio"][1] > LIMIT]
    print(f"more than {LIMIT} x MMOCR's time: {', '.join(slower) or 'none'}")
    if options.json:
        versions = {name: version(name) for name in ("torch", "mmocr", "onnxruntime", "numpy")}
        machine = platform.processor() or platform.machine()
        options.json.write_text(json.dumps({**figures, "versions": versions, "machine": machine}, indent=1) + "\n")


if __name__ == "__main__":
    main()
