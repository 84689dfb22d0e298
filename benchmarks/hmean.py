"""hmean-iou on 500 pictures, the whole sweep over score thresholds: this project beside MMOCR 0.6.3's `eval_hmean`.

    python benchmarks/hmean.py [--pictures N] [--rounds N] [--timings FILE]

Run it where MMOCR can be imported (docs/install-mmocr.md; `--lite` will do): then both take turns in one process, and have to
give the same numbers. Elsewhere only this project's time is printed, and, with --timings, beside the one that FILE recorded for
MMOCR on another machine. Each picture has 10 true regions on average, 1 to 19, and 11.3 detections: 85 % of the regions, moved a
little, and others. Printed: the fastest and the median time of each, and the ratio of the fastest.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from ocrdeploy.evaluation.metrics import HMEAN_IOU
from ocrdeploy.vocabulary import Region, Sample

SEED = 5
WIDTH, HEIGHT = 1280, 720
Flat: TypeAlias = list[float]
"""x0, y0, x1, y1, ... of a polygon."""


def quad(random: np.random.Generator) -> Flat:
    """A rotated rectangle, somewhere in the picture."""
    angle, width, height = random.normal(0, 0.3), random.uniform(40, 200), random.uniform(15, 50)
    corners = np.array([[-width, -height], [width, -height], [width, height], [-width, height]]) / 2
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return [float(each) for each in (corners @ turn + random.uniform((0, 0), (WIDTH, HEIGHT))).round(2).ravel()]


def picture(random: np.random.Generator) -> tuple[list[Flat], list[Flat], list[Flat]]:
    """True regions, don't-care regions, and detections, which end with their score."""
    truths = [quad(random) for _ in range(random.integers(1, 20))]
    ignored = [quad(random) for _ in range(random.integers(0, 3))]
    found = [[x + random.normal(0, 2) for x in truth] for truth in truths if random.random() < 0.85]
    others = [quad(random) for _ in range(random.poisson(2.7))]
    detections = [[*box, random.uniform(0.5, 1)] for box in found] + [[*box, random.uniform(0.2, 0.9)] for box in others]
    random.shuffle(detections)
    return truths, ignored, detections


def polygon(flat: Flat) -> tuple[tuple[float, float], ...]:
    return tuple(zip(flat[::2], flat[1::2], strict=True))


def ours(pictures: list[Any]) -> Callable[[], Mapping[str, float]]:
    samples = [
        Sample(Path(), tuple(Region(polygon(each)) for each in truths), tuple(Region(polygon(each)) for each in ignored))
        for truths, ignored, _ in pictures
    ]
    answers = [[Region(polygon(each[:-1]), score=each[-1]) for each in detections] for _, _, detections in pictures]

    def run() -> Mapping[str, float]:
        figures = HMEAN_IOU.figures(HMEAN_IOU.count(samples, answers).sum(axis=0))
        return {name: float(figures[figure]) for name, figure in NAMES.items()}

    return run


NAMES = {"hmean-iou:recall": "hmean_recall", "hmean-iou:precision": "hmean_precision", "hmean-iou:hmean": "hmean"}


def mmocr() -> Callable[..., Any] | None:
    """MMOCR's function, or None where it is not installed."""
    try:
        sys.modules.setdefault("lanms", ModuleType("lanms"))  # a compiled module that is imported and, here, not used
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from mmocr.core.evaluation.hmean import eval_hmean
    except ImportError as error:
        print(f"MMOCR is not here: {error}")
        return None
    found: Callable[..., Any] = eval_hmean
    return found


def theirs(eval_hmean: Callable[..., Any], pictures: list[Any]) -> Callable[[], Mapping[str, float]]:
    infos = [{"file_name": f"{number}.jpg"} for number in range(len(pictures))]
    labels = [
        {"masks": [[each] for each in truths], "masks_ignore": [[each] for each in ignored]} for truths, ignored, _ in pictures
    ]

    def run() -> Mapping[str, float]:
        results = [{"boundary_result": [list(each) for each in detections]} for _, _, detections in pictures]
        found: Mapping[str, float] = eval_hmean(results, infos, labels, metrics={"hmean-iou"}, logger="silent")
        return found

    return run


def timed(run: Callable[[], Mapping[str, float]], times: list[float]) -> Mapping[str, float]:
    started = time.perf_counter()
    found = run()
    times.append(1000 * (time.perf_counter() - started))
    return found


def show(who: str, times: list[float]) -> None:
    print(f"{who:<12} fastest {min(times):8.1f} ms   median {statistics.median(times):8.1f} ms   of {len(times)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--timings", type=Path, help="a timings.json with MMOCR's recorded time on 500 pictures")
    options = parser.parse_args()
    random = np.random.default_rng(SEED)
    pictures = [picture(random) for _ in range(options.pictures)]
    for what, of in (("true regions", 0), ("don't-care regions", 1), ("detections", 2)):
        print(f"{what}: {sum(len(each[of]) for each in pictures) / len(pictures):.1f} a picture")
    eval_hmean, our_times, their_times = mmocr(), list[float](), list[float]()
    our = ours(pictures)
    their = theirs(eval_hmean, pictures) if eval_hmean else None
    for _ in range(options.rounds):
        found = timed(our, our_times)
        if their:
            expected = dict(timed(their, their_times))
            assert dict(found) == expected, f"{dict(found)} is not {expected}"
    print({name: round(value, 4) for name, value in found.items()}, "both" if their else "")
    show("ocrdeploy", our_times)
    if their:
        show("MMOCR", their_times)
        print(f"{min(their_times) / min(our_times):.1f} times as fast")
    if options.timings:
        recorded(json.loads(options.timings.read_text()), min(our_times))


def recorded(timings: Any, our_ms: float) -> None:
    for threads, run in timings["runs"].items():
        fastest = next(each["min_ms"] for name, each in run.items() if name.startswith("eval_hmean/"))
        print(f"recorded of MMOCR on another machine, {threads}: {fastest:.0f} ms, {fastest / our_ms:.1f} times ours")


if __name__ == "__main__":
    main()
