"""How far each row of an evaluation is: a line for each on a terminal, with the time that is left."""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ocrdeploy.cli.messages import NOTE
from ocrdeploy.cli.progress import REDRAW_S, bar
from ocrdeploy.cli.streams import terminal_columns

if TYPE_CHECKING:
    from ocrdeploy.evaluation.row import Row

_LOG = logging.getLogger(__name__)

_UP, _CLEAR = "\x1b[A", "\x1b[2K"


@dataclass(slots=True)
class _Track:
    """A row's calls: how many there are, and how many are behind it; `before` were in earlier sittings."""

    total: int
    done: int
    before: int


class RowProgress:
    """Draws a bar for each row on standard error while the block runs, if that is a terminal."""

    def __init__(self, *, wanted: bool = True) -> None:
        self._stream = sys.stderr if wanted and sys.stderr is not None and sys.stderr.isatty() else None
        self._tracks: dict[str, _Track] = {}
        self._said = ""
        self._began = time.monotonic()
        self._drawn_at = 0.0
        self._lines = 0

    def __enter__(self) -> Self:
        for handler in logging.getLogger().handlers:
            handler.addFilter(self._step_aside)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.hide()
        for handler in logging.getLogger().handlers:
            handler.removeFilter(self._step_aside)

    def start(self, row: Row, done: int, total: int) -> None:
        """Show a row, unless it has nothing to do."""
        if total:
            self._tracks[row.order.name] = _Track(total, done, done)
        self._said = ""
        self._began = time.monotonic()
        self._draw(at_once=True)

    def step(self, row: Row) -> None:
        """Count one more call of a row."""
        self._tracks[row.order.name].done += 1
        self._draw()

    def note(self, sentence: str) -> None:
        """Tell people what they should know."""
        _LOG.log(NOTE, "%s", sentence)

    def say(self, sentence: str) -> None:
        """Show what is being waited for."""
        self._said = sentence
        self._draw(at_once=True)

    def _draw(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if self._stream is None or (not at_once and now - self._drawn_at < REDRAW_S):
            return
        lines = self._text(now - self._began, terminal_columns(self._stream) - 1)
        self.hide()
        self._stream.write("".join(f"{line}\n" for line in lines))
        self._stream.flush()
        self._lines, self._drawn_at = len(lines), now

    def _text(self, elapsed_s: float, width: int) -> list[str]:
        names = max(map(len, self._tracks), default=0)
        lines = []
        for name, track in self._tracks.items():
            label = f"{name:{names}} "
            now = track.done - track.before
            # What was done in earlier sittings would have taken as long as what was done in this one.
            would_have_s = elapsed_s * track.done / now if now else 0.0
            lines.append(label[:width] + bar(track.done, track.total, would_have_s, max(width - len(label), 0)))
        return [*lines, *([self._said[:width]] if self._said else [])]

    def hide(self) -> None:
        """Take the lines away, so that others can be printed."""
        if self._stream is not None and self._lines:
            self._stream.write((_UP + _CLEAR) * self._lines + "\r")
            self._stream.flush()
            self._lines = 0

    def _step_aside(self, _record: logging.LogRecord) -> bool:
        self.hide()
        return True
