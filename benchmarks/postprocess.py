"""From network output to outlines: ocrdeploy's families beside MMOCR's `get_boundary`, on one thread.

    python benchmarks/postprocess.py [--rounds N] [--recorded TIMINGS_JSON] [--json FILE]

The maps are those of a 736 x 1280 network input (PSENet, PANet: 184 x 320) with 30 texts, some of which touch; and maps that
are text all over, with one kernel, with two small ones in opposite corners (the longest way to go), and with about 1500.
Where the real MMOCR 0.6.3 with mmcv-full can be imported, both get the same maps in one process, taking turns (the one that
begins alternates), and must give the same outlines; otherwise the times are set beside those in TIMINGS_JSON, which were
recorded on another machine. Times are the process's processor time, as the machine may have other work; figures are medians
over the rounds with a 95 % bootstrap interval.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import platform
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrdeploy.families import dbnet, panet, psenet
from ocrdeploy.vocabulary import Batch, Fit, InputSpec, ModelSpec, Placement, Prediction, Task

Map = NDArray[np.float32]
Boundaries = list[list[float]]
Prepare = Callable[[], Callable[[], Any]]
"""Makes a fresh network output, as MMOCR changes its input, and returns the work on it."""

TENSOR, PICTURE = (736, 1280), (720, 1280)
STRIDE = 4
SEEDS = range(6)
USUAL = "30 texts"
LIMIT = 20
"""A map that is text all over should take less than this many times the time of one with 30 texts."""


@dataclass(frozen=True)
class Model:
    """One of MMOCR's models: our family, MMOCR's class, the name in the recorded times, and the ratio wanted and aimed at."""

    family: ModuleType
    theirs: str
    representation: str
    recorded: str
    wanted: float
    aim: float

    @property
    def name(self) -> str:
        return str(self.family.__name__.rpartition(".")[2])


MODELS = (
    Model(dbnet, "DBPostprocessor", "quad", "db/dbnet_r18_fpnc_1200e_icdar2015", 2, 3),
    Model(dbnet, "DBPostprocessor", "poly", "db/DBPostprocessor_poly", 2, 3),
    Model(psenet, "PSEPostprocessor", "poly", "pse/psenet_r50_fpnf_600e_ctw1500", 1, 2),
    Model(psenet, "PSEPostprocessor", "quad", "pse/psenet_r50_fpnf_600e_icdar2015", 1, 2),
    Model(panet, "PANPostprocessor", "poly", "pan/panet_r18_fpem_ffm_600e_ctw1500", 1, 2),
    Model(panet, "PANPostprocessor", "quad", "pan/panet_r18_fpem_ffm_600e_icdar2015", 1, 2),
)


# The maps.


def texts(size: tuple[int, int], seed: int) -> tuple[NDArray[np.int32], Map]:
    """30 slanted lines in a map of `size`: for each pixel the number of its text (0: none), and how far it is from the edge."""
    random = np.random.default_rng(seed)
    height, width = size[0] / 6, size[1] / 5
    numbers, depths = np.zeros(size, np.int32), np.zeros(size, np.float32)
    for number in range(30):
        row, column = divmod(number, 5)
        centre = (column + 0.5 + random.uniform(-0.05, 0.05)) * width, (row + 0.5 + random.uniform(-0.1, 0.1)) * height
        sides = width * random.uniform(0.6, 0.95), height * random.uniform(0.35, 0.6)
        mask = np.zeros(size, np.uint8)
        cv2.fillPoly(mask, [cv2.boxPoints((centre, sides, random.uniform(-8, 8))).astype(np.int32)], 1)
        numbers[mask > 0] = number + 1
        depths[mask > 0] = cv2.distanceTransform(mask, cv2.DIST_L2, 3)[mask > 0]
    return numbers, depths


def logits(inside: NDArray[np.bool_], random: np.random.Generator) -> Map:
    return (np.where(inside, 4, -5) + random.normal(0, 0.3, inside.shape)).astype(np.float32)


def usual(name: str, seed: int) -> Map:
    """What a network might say of 30 texts."""
    random = np.random.default_rng(seed)
    if name == "dbnet":
        _, depths = texts(TENSOR, seed)
        probabilities = 1 / (1 + np.exp(-logits(depths > 6, random)))
        return np.stack([probabilities] * 3)
    numbers, depths = texts((TENSOR[0] // STRIDE, TENSOR[1] // STRIDE), seed)
    steps = np.linspace(0, 4.2, 7)
    if name == "psenet":
        return np.stack([logits(depths > step, random) for step in steps])
    embedding = random.normal(0, 1.5, (31, 4))[numbers].transpose(2, 0, 1) + random.normal(0, 0.1, (4, *numbers.shape))
    return np.concatenate([[logits(depths > step, random) for step in steps[[0, 5]]], embedding]).astype(np.float32)


def all_text(name: str) -> Iterator[tuple[str, Map]]:
    """Maps that are text all over, and what their kernels are."""
    if name == "dbnet":
        yield "all text", np.ones((3, *TENSOR), np.float32)
        return
    full = np.full((7 if name == "psenet" else 6, TENSOR[0] // STRIDE, TENSOR[1] // STRIDE), 6, np.float32)
    kernels = -1 if name == "psenet" else 1
    full[2:] *= name == "psenet"
    yield "all text, 1 kernel", full
    corners, specks = full.copy(), full.copy()
    corners[kernels] = -6
    corners[kernels, :5, :5] = corners[kernels, -5:, -5:] = 6
    yield "all text, 2 kernels", corners
    specks[kernels][np.random.default_rng(0).random(full.shape[1:]) > 0.03] = -6
    yield "all text, 1500 kernels", specks


# Who works on them.


def ours(model: Model, maps: Map) -> Prepare:
    options = {"representation": model.representation}
    spec = ModelSpec("benchmark", model.name, Task.DETECTION, InputSpec("input", Fit(1, 1)), ("output",), options)
    batch = Batch({}, (Placement(0, PICTURE, PICTURE, TENSOR),))

    def prepare() -> Callable[[], list[Prediction]]:
        fresh = {"output": maps[None].copy()}
        return lambda: list(model.family.ocrd_postprocess(spec, fresh, batch))

    return prepare


def real_mmocr() -> str:
    """Make MMOCR importable, where it is installed; return the name of its version, or ''."""
    if not all(importlib.util.find_spec(name) for name in ("torch", "mmocr", "mmdet", "mmcv")):
        return ""
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    try:
        # A torchvision built for another torch lacks its compiled operators, and MMOCR only wants them to have been declared.
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        real_mmocr.__dict__["library"] = library  # It is taken back when the object is collected.
        warnings.simplefilter("ignore")
        importlib.import_module("mmocr.models.textdet.postprocess")
    except (ImportError, RuntimeError) as problem:
        print(f"MMOCR is installed and cannot be imported: {problem}")
        return ""
    return f"MMOCR {version('mmocr')}, mmcv-full {version('mmcv-full')}, torch {version('torch')}"


def theirs(model: Model, maps: Map) -> Prepare:
    torch = importlib.import_module("torch")
    mixin = importlib.import_module("mmocr.models.textdet.dense_heads.head_mixin").HeadMixin
    head = mixin.__new__(mixin)
    postprocessor = getattr(importlib.import_module("mmocr.models.textdet.postprocess"), model.theirs)
    head.postprocessor = postprocessor(text_repr_type=model.representation)
    head.downsample_ratio = 1 if model.name == "dbnet" else 1 / STRIDE
    metas = [{"scale_factor": np.ones(4, np.float32), "filename": ""}]

    def prepare() -> Callable[[], Boundaries]:
        tensor = torch.from_numpy(maps[None].copy())
        return lambda: list(head.get_boundary(tensor, metas, rescale=True)["boundary_result"])

    return prepare


def assert_same(predictions: list[Prediction], boundaries: Boundaries) -> None:
    """The corners of a box may begin at another; nothing else may differ."""
    (prediction,) = predictions
    assert len(prediction.regions) == len(boundaries)
    for region, boundary in zip(prediction.regions, boundaries, strict=True):
        found, wanted = np.array(region.polygon), np.array(boundary[:-1]).reshape(-1, 2)
        assert found.shape == wanted.shape
        assert min(np.abs(np.roll(found, turn, axis=0) - wanted).max() for turn in range(4)) < 2e-3
        assert abs(region.score - boundary[-1]) < 1e-5


# The clock.


def timed(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def measure(model: Model, scenes: list[Map], rounds: int, *, beside: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Seconds of processor time in each round, ours and theirs (0 where MMOCR is not there); the scenes take turns."""
    times = np.zeros((2, rounds))
    workers = [[ours(model, maps)] + ([theirs(model, maps)] if beside else []) for maps in scenes]
    for mine, *other in workers:
        for prepare in other:
            assert_same(mine()(), prepare()())
    for turn in range(-min(3, rounds), rounds):  # The first few warm up; the rounds after them write over their times.
        both = list(enumerate(workers[turn % len(scenes)]))
        for index, prepare in reversed(both) if turn % 2 else both:
            times[index, turn] = timed(prepare())
    return times[0], times[1]


def interval(values: NDArray[Any]) -> list[float]:
    """The median and its 95 % bootstrap interval."""
    medians = np.median(np.random.default_rng(0).choice(values, (2000, len(values))), axis=1)
    return [float(np.median(values)), *np.percentile(medians, [2.5, 97.5]).tolist()]


def told(values: list[float]) -> str:
    return "{:.2f} ({:.2f} to {:.2f})".format(*values)


def line(model: Model, scene: str, seconds: NDArray[Any], other: NDArray[Any]) -> dict[str, Any]:
    """Print and return the figures of one model and one kind of map; `other`: MMOCR's seconds, if there are any."""
    figures: dict[str, Any] = {"model": model.name, "representation": model.representation, "maps": scene}
    figures["ocrdeploy_ms"] = interval(seconds * 1e3)
    text = f"{model.name:7} {model.representation:5} {scene:23} {told(figures['ocrdeploy_ms']):26}"
    if other.any():
        figures["mmocr_ms"] = interval(other * 1e3)
        figures["ratio"] = interval(other / seconds)
        wanted = f", wanted {model.wanted}, aim {model.aim}" if scene == USUAL else ""
        text += f" {told(figures['mmocr_ms']):26} {told(figures['ratio'])}{wanted}"
    print(text, flush=True)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=120)
    parser.add_argument("--recorded", type=Path, help="recorded times of MMOCR, for where it is not installed")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    real = real_mmocr()
    recorded = {}
    if not real and options.recorded:
        recorded = json.loads(options.recorded.read_text())["runs"]["single_thread"]
    against = real or (
        f"times recorded on another machine: {options.recorded}" if recorded else "nothing, as MMOCR is not installed"
    )
    print(f"beside {against}; one thread, {options.rounds} rounds; medians with 95 % intervals")
    print(f"{'family':7} {'shape':5} {'maps':23} {'ocrdeploy, ms':26} {'MMOCR, ms':26} MMOCR / ocrdeploy")
    lines, usuals = [], {}
    for model in MODELS:
        seconds, other = measure(model, [usual(model.name, seed) for seed in SEEDS], options.rounds, beside=bool(real))
        if recorded:
            other = np.full(options.rounds, recorded[f"postprocess/{model.recorded}"]["median_cpu_ms"] / 1e3)
        lines.append(line(model, USUAL, seconds, other))
        usuals[model] = float(np.median(seconds))
    rounds = max(3, options.rounds // 10)
    for model in MODELS:
        for scene, maps in all_text(model.name):
            seconds, other = measure(model, [maps], rounds, beside=bool(real))
            figures = line(model, scene, seconds, other)
            figures["times_usual"] = interval(seconds / usuals[model])
            print(f"{'':37} = {told(figures['times_usual'])} x the time of {USUAL}, wanted below {LIMIT}", flush=True)
            lines.append(figures)
    if options.json:
        about = {"beside": against, "numpy": np.__version__, "opencv": cv2.__version__, "machine": platform.machine()}
        options.json.write_text(json.dumps({**about, "rounds": options.rounds, "lines": lines}, indent=1) + "\n")


if __name__ == "__main__":
    main()
