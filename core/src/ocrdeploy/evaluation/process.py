"""The process of one row, seen from outside: asked one thing at a time, and its death put into words."""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Self

from ocrdeploy.errors import OcrdError

_LOG = logging.getLogger(__name__)

LONGEST_CALL_S = 600.0
"""A picture that takes longer than this hangs; building and opening may take as long as they take."""

LAST_WORDS = 3
"""How many lines of what a process printed before it died are told."""


class RowDied(OcrdError):
    """The row's process ended, or hung, while it was asked something."""


class RowProcess:
    """Owns the process; a context manager that ends it. Starting it opens nothing yet."""

    def __init__(self, log: Path) -> None:
        """Start the process; what it prints is appended to the file `log`."""
        self._log = log
        with log.open("ab") as printed:
            self._began_at = printed.tell()
            self._process = subprocess.Popen(
                # -P: what lies in the working folder must not be taken for a module of the child's.
                [sys.executable, "-P", "-m", "ocrdeploy.evaluation.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=printed,
                bufsize=0,
            )
        self._unread = b""

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def ask(self, request: Mapping[str, Any], *, doing: str, limit_s: float | None = LONGEST_CALL_S) -> dict[str, Any]:
        """Send a request and wait for its answer. `doing` says in an error what the process was at.

        Raises `RowDied` where it ends or takes more than `limit_s` seconds.
        """
        assert self._process.stdin
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
        except OSError:
            raise self._died(doing) from None
        line = self._line(doing, limit_s)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _line(self, doing: str, limit_s: float | None) -> bytes:
        assert self._process.stdout
        descriptor = self._process.stdout.fileno()
        deadline = None if limit_s is None else monotonic() + limit_s
        while b"\n" not in self._unread:
            left = None if deadline is None else max(deadline - monotonic(), 0.0)
            if not select.select([descriptor], [], [], left)[0]:
                self.kill()
                raise RowDied(f"it did not answer within {limit_s:g} s while {doing}", "leave that picture out, or that backend")
            part = os.read(descriptor, 1 << 16)
            if not part:
                raise self._died(doing)
            self._unread += part
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _died(self, doing: str) -> RowDied:
        code = self._process.wait()
        how = f"was ended by {_signal(-code)}" if code < 0 else f"ended with exit code {code}"
        memory = " (the system does this where memory runs out)" if code == -signal.SIGKILL else ""
        words = self._last_words()
        return RowDied(
            f"its process {how}{memory} while {doing}" + (f": {words}" if words else ""),
            "run it on that picture alone with ocrd run --debug, and report it to the backend's authors",
        )

    def _last_words(self) -> str:
        with self._log.open("rb") as printed:
            printed.seek(self._began_at)
            lines = printed.read()[-4096:].decode("utf-8", "replace").splitlines()
        return (
            " / ".join(line.strip() for line in lines if line.strip())[-300:] if len(lines) <= LAST_WORDS else lines[-1].strip()
        )

    def kill(self) -> None:
        """End the process at once."""
        with suppress(OSError):
            self._process.kill()

    def close(self) -> None:
        """Let the process free its models and end; one that does not within some seconds is killed."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            _LOG.warning("the process of a row did not end by itself")
            self.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
