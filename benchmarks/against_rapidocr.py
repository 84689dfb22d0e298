"""ocrdeploy beside rapidocr 3.10.0, the same weights, on the same photographs: what is read, and how fast.

    python benchmarks/against_rapidocr.py FOLDER [--limit N] [--rounds N] [--json FILE]

FOLDER holds photographs and a words.json: [{"file", "words": [{"bbox": [x, y, width, height], "text"}]}]. Both read each
photograph from its file, with their default settings, in one process, taking turns (the one that begins alternates), so that
a noisy minute falls on both. Printed:

* lines: how many of rapidocr's lines ocrdeploy finds with the same text at an intersection over union of at least 0.5;
* words: how many ground-truth words (letters and digits, case ignored) stand in a line that was read;
* speed: the ratio of the total times, and the median of the photographs' ratios with its 95 % bootstrap interval.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from ocrdeploy import Reader

IOU = 0.5


@dataclass
class Line:
    """A line that was read: four corners and the text."""

    polygon: list[list[float]]
    text: str


@dataclass
class Score:
    """What adds up over the photographs."""

    lines: int = 0
    same: int = 0
    words: int = 0
    ours_words: int = 0
    theirs_words: int = 0
    ours_lines: int = 0
    ours_s: list[float] = field(default_factory=list)
    theirs_s: list[float] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)


def letters(text: str) -> str:
    return re.sub(r"[^0-9a-z]", "", text.lower())


def words_read(words: Sequence[str], lines: Sequence[Line]) -> int:
    read = [letters(line.text) for line in lines]
    return sum(any(word in line for line in read) for word in words)


def overlap(a: list[list[float]], b: list[list[float]]) -> float:
    one, two = (shapely.make_valid(shapely.Polygon(each)) for each in (a, b))
    union = one.union(two).area
    return float(one.intersection(two).area / union) if union else 0.0


def found_again(theirs: Sequence[Line], ours: Sequence[Line]) -> list[Line]:
    """The lines of `theirs` that have no line of the same text and place of its own among `ours`."""
    free = list(ours)
    missing = []
    for line in theirs:
        same = [each for each in free if each.text == line.text and overlap(each.polygon, line.polygon) >= IOU]
        if same:
            free.remove(same[0])
        else:
            missing.append(line)
    return missing


def rapidocr() -> Callable[[str], list[Line]]:
    from rapidocr import RapidOCR

    engine = RapidOCR(params={"Global.log_level": "error"})

    def read(path: str) -> list[Line]:
        answer: Any = engine(path)
        if answer.boxes is None:
            return []
        return [Line(box.tolist(), text) for box, text in zip(answer.boxes, answer.txts, strict=True)]

    return read


def ocrdeploy(reader: Reader) -> Callable[[str], list[Line]]:
    def read(path: str) -> list[Line]:
        (page,) = reader.read(path, on_error="raise")
        return [Line([list(point) for point in region.polygon], region.text) for region in page.regions]

    return read


def timed(read: Callable[[str], list[Line]], path: str) -> tuple[list[Line], float]:
    started = time.perf_counter()
    lines = read(path)
    return lines, time.perf_counter() - started


def compare(
    ours: Callable[[str], list[Line]], theirs: Callable[[str], list[Line]], photos: list[Any], folder: Path, turn: int
) -> Score:
    score = Score()
    for index, photo in enumerate(photos):
        path = str(folder / photo["file"])
        if (index + turn) % 2:
            their_lines, their_s = timed(theirs, path)
            our_lines, our_s = timed(ours, path)
        else:
            our_lines, our_s = timed(ours, path)
            their_lines, their_s = timed(theirs, path)
        words = [word for word in (letters(each["text"]) for each in photo["words"]) if word]
        missing = found_again(their_lines, our_lines)
        score.lines += len(their_lines)
        score.same += len(their_lines) - len(missing)
        score.ours_lines += len(our_lines)
        score.words += len(words)
        score.ours_words += words_read(words, our_lines)
        score.theirs_words += words_read(words, their_lines)
        score.ours_s.append(our_s)
        score.theirs_s.append(their_s)
        score.differences += [f"{photo['file']}: {line.text!r}, not in {[each.text for each in our_lines]}" for line in missing]
    return score


def interval(ratios: np.ndarray[Any, Any]) -> tuple[float, float]:
    draws = np.random.default_rng(0).choice(ratios, (2000, len(ratios)))
    low, high = np.percentile(np.median(draws, axis=1), [2.5, 97.5])
    return float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int, default=0, help="only the first N photographs")
    parser.add_argument("--rounds", type=int, default=1, help="how often all are read; the fastest of a photograph counts")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    photos = json.loads((options.folder / "words.json").read_text())[: options.limit or None]
    with Reader(backend="onnxruntime", device="cpu") as reader:
        ours, theirs = ocrdeploy(reader), rapidocr()
        for read in (ours, theirs):
            read(str(options.folder / photos[0]["file"]))
        rounds = [compare(ours, theirs, photos, options.folder, turn) for turn in range(options.rounds)]
    score = rounds[0]
    ours_s = np.min([each.ours_s for each in rounds], axis=0)
    theirs_s = np.min([each.theirs_s for each in rounds], axis=0)
    ratios = theirs_s / ours_s
    low, high = interval(ratios)
    figures = {
        "photographs": len(photos),
        "rapidocr_lines": score.lines,
        "same_text_and_place": score.same,
        "same_share": score.same / score.lines,
        "ocrdeploy_lines": score.ours_lines,
        "words": score.words,
        "ocrdeploy_words": score.ours_words,
        "rapidocr_words": score.theirs_words,
        "speed_ratio_of_totals": float(theirs_s.sum() / ours_s.sum()),
        "speed_ratio_median": float(np.median(ratios)),
        "speed_ratio_interval": [low, high],
        "ocrdeploy_s": float(ours_s.sum()),
        "rapidocr_s": float(theirs_s.sum()),
        "rounds": options.rounds,
        "versions": {name: version(name) for name in ("ocrdeploy", "rapidocr", "onnxruntime", "opencv-python-headless", "numpy")},
        "machine": platform.processor() or platform.machine(),
    }
    print("\n".join(score.differences))
    print(
        f"lines  {score.same} of rapidocr's {score.lines} found with the same text at IoU >= {IOU} ({figures['same_share']:.1%})"
    )
    print(f"words  of {score.words}: ocrdeploy {score.ours_words}, rapidocr {score.theirs_words}")
    total = f"{theirs_s.sum():.1f} s / {ours_s.sum():.1f} s"
    print(f"speed  rapidocr / ocrdeploy: {figures['speed_ratio_of_totals']:.2f} in total ({total}),")
    print(f"       median of the photographs {figures['speed_ratio_median']:.2f} (95 % interval {low:.2f} to {high:.2f})")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
