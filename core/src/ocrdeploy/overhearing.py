"""Keep what foreign code prints off standard output, thread by thread, and tell who is interested."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, TextIO, cast

_LISTENING = threading.RLock()


@contextlib.contextmanager
def overheard(report: Callable[[str], None]) -> Iterator[None]:
    """Give what this thread prints inside the block to `report`, when it ends, in place of standard output."""
    # One at a time: two threads that replace standard output would put back each other's replacement.
    with _LISTENING:
        ear = _Ear(sys.stdout)
        try:
            with contextlib.redirect_stdout(cast("TextIO", ear)):
                yield
        finally:
            ear.deafen()
            report(ear.said)


class _Ear:
    """Standard output while a plugin is loaded: it remembers what this thread prints and passes on what others print."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._thread, self.said = stream, threading.get_ident(), ""

    def write(self, text: str) -> int:
        """Remember `text`, or pass it on."""
        if threading.get_ident() != self._thread:
            return self._stream.write(text)
        self.said += text
        return len(text)

    def deafen(self) -> None:
        """Pass on everything from now on, since somebody may have kept this stream."""
        self._thread = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
