from __future__ import annotations

import io
import logging
from types import SimpleNamespace

import pytest

from ocrdeploy.cli import progress
from ocrdeploy.cli.progress import Progress, bar


class Terminal(io.StringIO):
    """Standard error as a terminal has it."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    made = Terminal()
    # Not `sys.stderr` itself: pytest sets that anew when the test begins, after its fixtures.
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=made))
    monkeypatch.setattr(progress, "terminal_columns", lambda _: 40)
    monkeypatch.setattr(progress, "REDRAW_S", 0)
    return made


def test_the_bar_grows_and_says_what_is_left() -> None:
    assert bar(0, 4, 0.0, 30) == "[........................] 0/4"
    assert bar(1, 4, 60.0, 30) == "[###..........] 1/4, 3:00 left"
    assert bar(4, 4, 60.0, 30) == "[#############] 4/4, 0:00 left"
    assert bar(1, 10_000, 2.0, 80).endswith("1/10000, 5:33:18 left")


@pytest.mark.parametrize("width", range(1, 100, 7))
@pytest.mark.parametrize("done", [0, 1, 999, 1000, 1003])
def test_the_bar_never_wraps(width: int, done: int) -> None:
    assert len(bar(done, 1000, 3600.0, width)) <= width


def test_the_line_steps_aside_for_results_and_for_the_log(terminal: Terminal) -> None:
    handler = logging.StreamHandler(terminal)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        with Progress(2) as shown:
            shown.step()
            shown.hide()
            terminal.write("a result\n")
            shown.step()
            root.warning("a warning")
    finally:
        root.removeHandler(handler)
    assert "1/2" in terminal.getvalue()
    assert screen(terminal.getvalue()) == ["a result", "a warning", ""]


def screen(written: str) -> list[str]:
    """Return what stands on a terminal's lines in the end."""
    lines = []
    for line in written.split("\n"):
        cells: list[str] = []
        for piece in line.split("\r"):
            cells[: len(piece)] = piece
        lines.append("".join(cells).rstrip())
    return lines


def test_there_is_no_line_for_one_piece_of_work_or_when_it_is_not_wanted(terminal: Terminal) -> None:
    for shown in (Progress(1), Progress(5, wanted=False)):
        with shown:
            shown.step()
    assert terminal.getvalue() == ""


def test_there_is_no_line_where_standard_error_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(5) as shown:
        shown.step()
    assert capsys.readouterr().err == ""
