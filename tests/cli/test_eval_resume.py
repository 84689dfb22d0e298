"""An evaluation that is killed goes on where it was: the same answers, and nothing done twice but the picture in hand."""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen, TimeoutExpired
from typing import Any

import pytest

from ocrdeploy.errors import OcrdError
from ocrdeploy.evaluation import journal

Start = Callable[..., Popen[str]]

KILLS = 20
PICTURES = 60
DELAY_MS = 25
EXACT = ("word_acc", "word_acc_low", "word_acc_drop", "1-N.E.D", "agreement", "agreeing", "errors", "pictures", "disagreements")


def answers(report: Path) -> list[dict[str, Any]]:
    rows = json.loads(report.read_text())["rows"]
    return [{key: row[key] for key in EXACT} for row in rows]


def test_killed_at_twenty_random_moments_it_gives_the_same_answers_and_does_nothing_twice(
    start: Start, backend: Callable[..., str], words: Path, read_model: Path, tmp_path: Path
) -> None:
    chance, log, cache = random.Random(20), tmp_path / "runs.log", tmp_path / "cache"
    names = f"{backend('good')},{backend('faulty', 'refuse')}"
    arguments = ("eval", read_model, "--dataset", words, "--backend", names, "--rounds", 1, "-q")
    delay = f"delay_ms={DELAY_MS}"
    undisturbed = tmp_path / "undisturbed.json"
    process = start(*map(str, (*arguments, "--backend-option", delay, "--json", undisturbed)))
    assert process.wait(120) == 0, process.stderr and process.stderr.read()

    report = tmp_path / "report.json"
    command = tuple(map(str, (*arguments, "--backend-option", delay, "--backend-option", f"log={log}", "--json", report)))
    kills, evaluations, sittings = 0, 0, []
    while kills < KILLS:
        report.unlink(missing_ok=True)
        log.unlink(missing_ok=True)
        killed = 0
        while True:
            process = start(*command, OCRDEPLOY_CACHE=str(cache))
            try:
                limit = None if kills >= KILLS else chance.uniform(0.6, 3.5)
                assert process.wait(limit) == 0, process.stderr and process.stderr.read()
                break
            except TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills, killed = kills + 1, killed + 1
        evaluations += 1
        assert answers(report) == answers(undisturbed)
        wait_for_children(log)
        counted = answered(log)
        assert len(counted) == 2 * PICTURES
        assert sum(count - 1 for count in counted.values()) <= killed
        sittings += [row["sittings"] for row in json.loads(report.read_text())["rows"]]
    assert max(sittings) > 1
    assert not list((cache / "eval").glob("*/*.jsonl")), "what is complete is not kept"


def wait_for_children(log: Path) -> None:
    """The row of an evaluation that was killed ends after the picture in hand; until then it may write to the log."""
    size = -1
    while size != log.stat().st_size:
        size = log.stat().st_size
        time.sleep(4 * DELAY_MS / 1000)


def answered(log: Path) -> Counter[str]:
    """Count how often each backend was asked for its answer to each picture; warming up and trying batches are no answers."""
    lines = [line.split() for line in log.read_text().splitlines()]
    return Counter(f"{backend} {picture}" for backend, request, picture in lines if request == "read")


def test_another_process_with_the_same_evaluation_is_told(tmp_path: Path) -> None:
    key = {"of": str(tmp_path)}
    with journal.opened(key), pytest.raises(OcrdError, match="is running in another process"), journal.opened(key):
        pass
