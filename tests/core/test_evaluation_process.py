"""The process of a row: it answers, and when it hangs, dies or is left alone that is said, and nothing of it stays."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest
from ocrdeploy_fake import stripes

from ocrdeploy.evaluation.order import Order, Subject
from ocrdeploy.evaluation.process import RowDied, RowProcess


@pytest.fixture
def row(tmp_path: Path) -> Iterator[RowProcess]:
    with RowProcess(tmp_path / "row.log") as process:
        yield process


def opening(tmp_path: Path, **extra: str) -> dict[str, Any]:
    model = stripes.write_onnx(stripes.RECOGNIZER, tmp_path / "read.onnx")
    return {"do": "open", "order": Order(Subject("recognize", (str(model),), ("",)), "fake", extra=extra).to_dict()}


def reading(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "word.png"
    cv2.imwrite(str(path), stripes.draw(["abcd"])[37:85])
    return {"do": "read", "paths": [str(path)], "names": ["word.png"]}


def test_it_opens_answers_and_says_where_the_time_went(row: RowProcess, tmp_path: Path) -> None:
    opened = row.ask(opening(tmp_path), doing="opening")
    assert opened["loaded"][0]["device"] == "cpu"
    assert opened["built"] == "now"
    assert opened["artifact_format"] == "fake"
    answer = row.ask(reading(tmp_path), doing="reading")
    assert answer["answers"][0]["regions"][0]["text"] == "abcd"
    spent = answer["ms"]
    assert spent["total"] >= spent["decode"] + spent["preprocess"] + spent["infer"] + spent["postprocess"]
    assert row.ask({"do": "memory"}, doing="asking")["peak_mib"] > 10


def test_a_picture_that_is_not_there_is_an_answer(row: RowProcess, tmp_path: Path) -> None:
    row.ask(opening(tmp_path), doing="opening")
    request = {"do": "read", "paths": [str(tmp_path / "none.png")], "names": ["none.png"]}
    assert "'none.png' cannot be read" in row.ask(request, doing="reading")["answers"][0]["problem"]


def test_what_cannot_be_opened_is_said_with_its_remedy(row: RowProcess, tmp_path: Path) -> None:
    answer = row.ask(opening(tmp_path, delay_ms="soon"), doing="opening")
    assert answer["problem"] == "delay_ms is 'soon'"
    assert answer["fix"]
    assert not answer["unavailable"]


def test_one_that_hangs_is_ended(row: RowProcess, tmp_path: Path) -> None:
    row.ask(opening(tmp_path, delay_ms="30000"), doing="opening")
    with pytest.raises(RowDied, match=r"did not answer within 0\.5 s while reading word\.png"):
        row.ask(reading(tmp_path), doing="reading word.png", limit_s=0.5)
    assert is_gone(row.pid)


def test_one_that_is_killed_is_named_by_its_signal(row: RowProcess, tmp_path: Path) -> None:
    row.ask(opening(tmp_path), doing="opening")
    os.kill(row.pid, signal.SIGKILL)
    with pytest.raises(RowDied, match=r"was ended by SIGKILL .*where memory runs out.* while reading"):
        row.ask(reading(tmp_path), doing="reading")


def test_it_ends_with_the_one_who_asks(tmp_path: Path) -> None:
    with RowProcess(tmp_path / "row.log") as process:
        process.ask(opening(tmp_path), doing="opening")
    assert is_gone(process.pid)


def test_it_waits_without_spinning(row: RowProcess, tmp_path: Path) -> None:
    row.ask(opening(tmp_path), doing="opening")
    before = cpu_s(row.pid)
    time.sleep(0.5)
    assert cpu_s(row.pid) - before < 0.1


def cpu_s(pid: int) -> float:
    """The processor time of a process, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_gone(pid: int, within_s: float = 5.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        status = Path(f"/proc/{pid}/stat")
        if not status.exists() or status.read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False
