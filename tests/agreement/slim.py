"""Make the slim copy of a folder of golden results that lies beside this file.

    python tests/agreement/slim.py ../shared/reference/open tests/agreement/goldens

It keeps cases of every kind that are small, and leaves out every case that was made from a picture of a research data set.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replays import ctc, metrics, networks, postprocess, preprocess
from replays.goldens import Goldens

ARRAYS: Mapping[str, Sequence[str]] = {
    networks.KIND: ("input", "output"),
    preprocess.KIND: ("array", "grid"),
    **dict.fromkeys(postprocess.KINDS, ("map",)),
    ctc.KIND: ("logits",),
}
"""The fields of each kind's cases that name an array."""

LARGEST: Mapping[str, int] = {networks.KIND: 100_000, preprocess.KIND: 50_000, ctc.KIND: 7_000}
"""The most numbers that an array of a kept case holds."""

PICTURES = 16
"""The most pictures that a kept data set of the metrics has."""

WORDS = 12
"""The most words that a kept list of words has."""

MAPS: Mapping[str, Sequence[str]] = {
    "postprocess_db": ("specks", "touching", "empty", "full", "noise", "holes", "conf"),
    "postprocess_pse": ("specks", "touching", "full", "border"),
    "postprocess_pan": ("rects", "specks", "full", "holes"),
}
"""The maps that are kept, by the end of their names: among them the two whose boundaries differ with newer libraries."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Make a slim copy of a folder of golden results.")
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    options = parser.parse_args(arguments)
    options.target.mkdir(exist_ok=True)
    source = Goldens(options.source)
    for kind, names in ARRAYS.items():
        _copy(source, options.target, kind, names)
    _write(options.target / f"{metrics.KIND}.json", _metrics(metrics.facts(source)))
    _write(options.target / "state_dicts.json", source.state_dicts())


def _copy(source: Goldens, target: Path, kind: str, names: Sequence[str]) -> None:
    facts, arrays = source.facts(kind), source.arrays(kind)
    kept = [case for case in facts["cases"] if _is_kept(kind, case, [arrays[case[name]] for name in names if name in case])]
    used: dict[str, Any] = {case[name]: arrays[case[name]] for case in kept for name in names}
    _write(target / f"{kind}.json", {**facts, "cases": kept})
    np.savez_compressed(target / f"{kind}.npz", **used)


def _metrics(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Keep small data sets, the pictures that are in them, numbered anew, and short lists of words."""
    datasets = [each for each in facts["hmean"]["datasets"] if len(each["images"]) <= PICTURES]
    used = sorted({index for each in datasets for index in each["images"]})
    renumbered = [{**each, "images": [used.index(index) for index in each["images"]]} for each in datasets]
    hmean = {"images": [facts["hmean"]["images"][index] for index in used], "datasets": renumbered}
    recognition = [each for each in facts["recognition"] if len(each["gt"]) <= WORDS]
    return {**facts, "hmean": hmean, "recognition": recognition}


def _is_kept(kind: str, case: Mapping[str, Any], arrays: Sequence[NDArray[Any]]) -> bool:
    if kind in MAPS:
        return case["map"].split("_")[1] in MAPS[kind]
    return case.get("source") != "file" and all(array.size <= LARGEST[kind] for array in arrays)


def _write(path: Path, facts: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(facts, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
