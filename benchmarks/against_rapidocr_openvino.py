"""ocrdeploy on its OpenVINO backend beside rapidocr 3.10.0 on its own OpenVINO engine, the same weights, the same photographs.

    python benchmarks/against_rapidocr_openvino.py FOLDER [--limit N] [--rounds N] [--json FILE]

FOLDER holds photographs and a words.json: [{"file", "words": [{"bbox": [x, y, width, height], "text"}]}]. Every row reads each
photograph from its file, in one process, by turns (the one that begins rotates), so that a noisy minute falls on all; of several
rounds the fastest of a photograph counts. rapidocr asks for no precision, and so gets what OpenVINO likes best: bf16 where the
processor has it; a second row of it is made to ask for fp32. ocrdeploy runs in fp32 and in bf16. Printed for each row:

* precision: what its detector and recognizer compute in, read from OpenVINO's execution graph, the same way for all rows;
* words: how many ground-truth words (letters and digits, case ignored) stand in a line that was read;
* speed: the first row's time / the row's, of the totals, and the median of the photographs' with its 95 % bootstrap interval.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ocrdeploy import Reader, backend
from ocrdeploy.plugins import discover
from ocrdeploy_openvino import precision

Read = Callable[[str], list[str]]
Tell = Callable[[], str]
PEER = "rapidocr"


def rapidocr(hint: str = "") -> tuple[Read, Tell]:
    """Set rapidocr up as its users do, or, with a `hint`, with a precision, for which it has no setting."""
    from rapidocr import EngineType, RapidOCR

    its: Any = import_module("rapidocr.inference_engine.openvino.main")
    settings = {"INFERENCE_PRECISION_HINT": hint} if hint else {}
    plain: Any = its.CPUConfig

    class Hinted(plain):  # type: ignore[misc]
        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), **settings}

    found = discover()
    files = {"Det": "ppocr-v6-det", "Rec": "ppocr-v6-rec", "Cls": "ppocr-v2-cls"}
    params: dict[str, Any] = {"Global.log_level": "error"}
    for part, name in files.items():
        params[f"{part}.engine_type"] = EngineType.OPENVINO
        params[f"{part}.model_path"] = str(backend.artifact_of_model(found, found.models[name]).path)
    engine: Any = RapidOCR(params=params)

    def read(path: str) -> list[str]:
        its.CPUConfig = Hinted  # It opens its models when they are first needed.
        lines = list(engine(path).txts or ())
        its.CPUConfig = plain
        return lines

    def computes() -> str:
        sessions = (part.session.session for part in (engine.text_det, engine.text_rec))
        return ", ".join(precision.lowest(precision.computed(each.get_compiled_model())) for each in sessions)

    return read, computes


def ocrdeploy(reader: Reader) -> tuple[Read, Tell]:
    def read(path: str) -> list[str]:
        (page,) = reader.read(path, on_error="raise")
        return [region.text for region in page.regions]

    return read, lambda: ", ".join(reader.loaded[role].precision for role in ("detector", "recognizer"))


def letters(text: str) -> str:
    return re.sub(r"[^0-9a-z]", "", text.lower())


def words_read(photo: Mapping[str, Any], lines: Sequence[str]) -> int:
    read = [letters(line) for line in lines]
    words = [word for word in (letters(each["text"]) for each in photo["words"]) if word]
    return sum(any(word in line for line in read) for word in words)


def in_turns(rows: Mapping[str, Read], photos: Sequence[Any], folder: Path, turn: int) -> tuple[dict[str, Any], dict[str, int]]:
    """Let each row read each photograph; return seconds by row and photograph, and the words that each row read."""
    names = list(rows)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    words = dict.fromkeys(names, 0)
    for index, photo in enumerate(photos):
        first = (index + turn) % len(names)
        for name in names[first:] + names[:first]:
            started = time.perf_counter()
            lines = rows[name](str(folder / photo["file"]))
            seconds[name].append(time.perf_counter() - started)
            words[name] += words_read(photo, lines)
    return {name: np.array(each) for name, each in seconds.items()}, words


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
    with ExitStack() as stack:
        rows = {PEER: rapidocr(), f"{PEER} told fp32": rapidocr("f32")}
        for kind in ("fp32", "bf16"):
            rows[f"ocrdeploy {kind}"] = ocrdeploy(
                stack.enter_context(Reader(backend="openvino", device="cpu", precision=kind, threads=0))
            )
        readers = {name: read for name, (read, _) in rows.items()}
        in_turns(readers, photos[:2], options.folder, 0)  # opens everything
        rounds = [in_turns(readers, photos, options.folder, turn) for turn in range(options.rounds)]
        told = {name: tell() for name, (_, tell) in rows.items()}
    load = os.getloadavg()[1]
    seconds = {name: np.min([each[name] for each, _ in rounds], axis=0) for name in rows}
    figures: dict[str, Any] = {}
    print(f"{len(photos)} photographs, openvino {version('openvino')}, load {load:.1f} over the last 5 minutes")
    for name, computes in told.items():
        ratios = seconds[PEER] / seconds[name]
        total, (low, high) = float(seconds[PEER].sum() / seconds[name].sum()), interval(ratios)
        figures[name] = {"precision": computes, "words": rounds[0][1][name], "seconds": float(seconds[name].sum())}
        figures[name] |= {"speed": total, "speed_median": float(np.median(ratios)), "interval": [low, high]}
        speed = f"{total:.2f} in total, median {np.median(ratios):.2f} (95 % interval {low:.2f} to {high:.2f})"
        print(f"{name:18} {seconds[name].sum():6.1f} s  words {rounds[0][1][name]}  speed {speed}  {computes}")
    if options.json:
        options.json.write_text(json.dumps({"load": load, "rounds": options.rounds, "rows": figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
