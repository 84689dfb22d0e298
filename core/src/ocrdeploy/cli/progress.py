"""How far the work is: one line on a terminal, which steps aside for whatever else is printed."""

from __future__ import annotations

import logging
import sys
import time
from types import TracebackType
from typing import Self

from ocrdeploy.cli.streams import terminal_columns

REDRAW_S = 0.1
"""Seconds between two drawings."""


class Progress:
    """A bar on standard error while the block runs, if that is a terminal and there is more than one piece of work."""

    def __init__(self, total: int, *, wanted: bool = True) -> None:
        self.total = total
        self.done = 0
        self._stream = sys.stderr if wanted and total > 1 and sys.stderr is not None and sys.stderr.isatty() else None
        self._began = time.monotonic()
        self._drawn_at = 0.0
        self._shown = 0

    def __enter__(self) -> Self:
        for handler in logging.getLogger().handlers:
            handler.addFilter(self._step_aside)
        self.draw()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.hide()
        for handler in logging.getLogger().handlers:
            handler.removeFilter(self._step_aside)

    def step(self, pieces: int = 1) -> None:
        """Count `pieces` more as done."""
        self.done += pieces
        self.draw()

    def draw(self) -> None:
        """Draw the line, unless it stands there and is fresh."""
        now = time.monotonic()
        if self._stream is None or (self._shown and now - self._drawn_at < REDRAW_S):
            return
        line = bar(self.done, self.total, now - self._began, terminal_columns(self._stream) - 1)
        self._write("\r" + line.ljust(self._shown))
        self._shown, self._drawn_at = len(line), now

    def hide(self) -> None:
        """Take the line away, so that other lines can be printed."""
        if self._shown:
            self._write("\r" + " " * self._shown + "\r")
            self._shown = 0

    def _write(self, text: str) -> None:
        assert self._stream is not None
        self._stream.write(text)
        self._stream.flush()

    def _step_aside(self, _record: logging.LogRecord) -> bool:
        self.hide()
        return True


def bar(done: int, total: int, elapsed_s: float, width: int) -> str:
    """Return the line for `done` of `total`, in at most `width` columns; the bar itself is what gives way.

    What is left is not told where nothing is done, or no time has passed.
    """
    left = f", {_clock(elapsed_s / done * (total - done))} left" if done and elapsed_s else ""
    tail = f" {done}/{total}{left}"
    room = min(width - len(tail) - 2, 40)
    if room < 1:
        return tail.strip()[:width]
    filled = room * min(done, total) // total
    return f"[{'#' * filled}{'.' * (room - filled)}]{tail}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
