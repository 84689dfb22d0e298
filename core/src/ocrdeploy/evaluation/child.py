"""The process of one row: opens its models once, answers when it is asked to, and ends when its standard input closes.

A line of JSON in is a request, a line of JSON out is its answer. What plugins print goes to standard error.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import IO, Any

import numpy as np

from ocrdeploy.errors import OcrdError, Unavailable
from ocrdeploy.evaluation import memory, opened, order, together
from ocrdeploy.evaluation.numbers import Numbers
from ocrdeploy.evaluation.opened import Opened
from ocrdeploy.onnxgraph import metadata
from ocrdeploy.pipeline import Pipeline
from ocrdeploy.plugins import discover
from ocrdeploy.vocabulary import Tensors

STEADY = 0.05
"""Warming up ends when a pass is not faster than the one before it by more than this share."""

FEWEST_PASSES = 2
LONGEST_WARM_UP_S = 10.0

Reply = dict[str, Any]


class Child:
    """Answers requests about one row."""

    def __init__(self) -> None:
        self._opened: Opened | None = None
        self._notes: list[str] = []

    def open(self, request: Mapping[str, Any]) -> Reply:
        """Open the models: {"order": ...}. Answers with what was loaded, from which file, and how long it took."""
        started = perf_counter()
        self._opened = opened.open_subject(discover(), order.from_dict(request["order"]), self._notes.append)
        took_s = perf_counter() - started
        pipelines = list(self._opened.pipelines.values())
        steps = [step for pipeline in pipelines for step in pipeline.steps]
        fresh = any(step.fresh for step in steps)
        built_now_s = sum(step.took_s for step in steps if step.fresh)
        return {
            "loaded": [{**asdict(pipeline.loaded()), "details": {}} for pipeline in pipelines],
            "models": [pipeline.model.name for pipeline in pipelines],
            "open_s": max(took_s - built_now_s, 0.0),
            "build_s": sum(step.took_s for step in steps),
            "built": "now" if fresh else "earlier" if any(step.manifest.sha256 for step in steps) else "nothing to build",
            "artifact_path": " ".join(str(pipeline.artifact.path) for pipeline in pipelines),
            "artifact_format": " ".join(dict.fromkeys(pipeline.artifact.format for pipeline in pipelines)),
            "artifact_bytes": sum(map(_size, pipelines)),
        }

    def warm(self, request: Mapping[str, Any]) -> Reply:
        """Answer the named pictures again and again until that gets no faster: {"paths", "names", "raw": [file, ...]}.

        The first pass is watched: it tells in which precision the numbers were computed, and the raw outputs of the first
        pictures are written to the files of "raw".
        """
        ready, numbers = self._ready(), Numbers()
        pictures = list(zip(map(Path, request["paths"]), request["names"], strict=True))
        for (path, name), raw in zip(pictures, [*request["raw"], *[""] * len(pictures)], strict=False):
            with opened.watched(ready, _saving(raw, numbers)):
                opened.timed(ready, [path], [name])
        passes = list(self._passes(pictures))
        return {"passes": len(passes), "steady": _is_steady(passes), "numbers": numbers.precision}

    def _passes(self, pictures: Sequence[tuple[Path, str]]) -> Iterator[float]:
        seen: list[float] = []
        while len(seen) < FEWEST_PASSES or (not _is_steady(seen) and sum(seen) < LONGEST_WARM_UP_S):
            started = perf_counter()
            for path, name in pictures:
                opened.timed(self._ready(), [path], [name])
            seen.append(perf_counter() - started)
            yield seen[-1]

    def read(self, request: Mapping[str, Any]) -> Reply:
        """Answer pictures, one batch: {"paths", "names"}. The only request that is timed."""
        answers, spent = opened.timed(self._ready(), [Path(path) for path in request["paths"]], request["names"])
        return {
            "answers": [answer.to_dict() for answer in answers],
            "ms": {step: round(ms, 4) for step, ms in spent.items()},
            "resident_mib": round(memory.resident_mib(), 3),
        }

    def memory(self, _request: Mapping[str, Any]) -> Reply:
        """Say how much memory this process has taken at most: {}."""
        return {"peak_mib": memory.peak_mib()}

    def together(self, request: Mapping[str, Any]) -> Reply:
        """Compare answers in batches with answers alone: {"paths", "names"}."""
        ready = self._ready()
        pictures = []
        for path, name in zip(request["paths"], request["names"], strict=True):
            try:
                pictures.append((name, ready.decode(Path(path).read_bytes(), name)))
            except (OcrdError, OSError):
                continue  # it is counted where it is read
        return together.check(ready, pictures)

    def _ready(self) -> Opened:
        assert self._opened, "open comes first"
        return self._opened

    def reply(self, line: bytes) -> Reply:
        """Return the answer to one request; a problem is an answer, too."""
        request = json.loads(line)
        verbs: Mapping[str, Callable[[Mapping[str, Any]], Reply]] = {
            "open": self.open,
            "warm": self.warm,
            "read": self.read,
            "memory": self.memory,
            "together": self.together,
        }
        try:
            answer = verbs[request["do"]](request)
        except OcrdError as error:
            answer = {"problem": error.problem, "fix": error.fix, "unavailable": isinstance(error, Unavailable)}
        except MemoryError:
            answer = {"problem": "there is not enough memory for this", "fix": "try fewer rows or a smaller batch"}
        if self._notes:
            answer["notes"], self._notes = self._notes, []
        return answer

    def hear(self) -> None:
        """Let warnings of the core and of plugins be told in the next answer."""
        logging.getLogger().addHandler(_Notes(self._notes_append))

    def _notes_append(self, sentence: str) -> None:
        self._notes.append(sentence)

    def close(self) -> None:
        """Free the models."""
        if self._opened:
            self._opened.close()


class _Notes(logging.Handler):
    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(record.getMessage())


def _is_steady(passes: Sequence[float]) -> bool:
    return len(passes) >= FEWEST_PASSES and passes[-1] >= passes[-2] * (1 - STEADY)


def _saving(raw: str, numbers: Numbers) -> Callable[[Tensors], None]:
    def watch(outputs: Tensors) -> None:
        numbers.see(outputs)
        if raw:
            arrays: dict[str, Any] = {f"output_{index}": array for index, array in enumerate(outputs.values())}
            np.savez(raw, **arrays)

    return watch


def _size(pipeline: Pipeline) -> int:
    """Return the size of the file that was opened, and of those beside it that hold its weights, in bytes."""
    path = pipeline.artifact.path
    files = [path]
    if pipeline.artifact.format == "onnx":
        files += [path.parent / name for name in metadata.external_files(path)]
    return sum(each.stat().st_size for each in files)


def main() -> None:
    """Answer requests until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the parent's; this process ends when the parent does
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        _serve(sys.stdin.buffer, out)


def _serve(requests: IO[bytes], out: IO[bytes]) -> None:
    child = Child()
    child.hear()
    try:
        for line in requests:
            out.write(json.dumps(child.reply(line)).encode() + b"\n")
            out.flush()
    except BrokenPipeError:
        return  # whoever asked is gone
    finally:
        child.close()


if __name__ == "__main__":
    main()
