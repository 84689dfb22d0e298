"""Run a program of this package in a fresh interpreter, for so long and no longer, and read the lines of JSON that it prints."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: its answers in order, what it printed on standard error, and `problem`, '' where all went well."""

    answers: tuple[Mapping[str, Any], ...]
    errors: str
    problem: str

    @property
    def unfinished(self) -> str:
        """What the child had begun, and not finished, when it ended; '' where there is no such thing."""
        begun = ""
        for answer in self.answers:
            begun = answer.get("begin", "")
        return begun if self.problem else ""

    @property
    def last_words(self) -> str:
        """The last line on standard error, which often says why."""
        return next((line.strip() for line in reversed(self.errors.splitlines()) if line.strip()), "")


def run(
    program: Path, arguments: Sequence[str], limit_s: float, path: Sequence[str], variables: Mapping[str, str] | None = None
) -> Ended:
    """Run `program` with `path` as its `sys.path`, for up to `limit_s` seconds."""
    # -P: the folder of the program, and the current one, are on `sys.path` only if they are on this process's.
    command = [sys.executable, "-P", str(program), json.dumps([str(entry) for entry in path]), *arguments]
    environment = {**os.environ, **(variables or {}), "PYTHONIOENCODING": "utf-8:backslashreplace"}
    # Files and not pipes: a grandchild that lives on would keep a pipe open.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment)  # noqa: S603 - ours
        except OSError as error:
            return Ended((), "", f"no other Python could be started: {error.strerror}")
        try:
            problem = _in_words(child.wait(limit_s))
        except subprocess.TimeoutExpired:
            problem = f"it takes more than {limit_s:g} seconds"
        finally:
            child.kill()
            child.wait()
        return Ended(_answers(_text(out)), _text(err), problem)


def _in_words(code: int) -> str:
    if code < 0:
        return f"it ends the process with {_signal(-code)}"
    return f"it ends the process with exit code {code}" if code else ""


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", errors="replace")


def _answers(printed: str) -> tuple[Mapping[str, Any], ...]:
    """Return the lines that are whole: the last may have been cut by the end of the process."""
    found = []
    for line in printed.splitlines():
        try:
            answer = json.loads(line)
        except ValueError:
            continue
        if isinstance(answer, dict):
            found.append(answer)
    return tuple(found)
