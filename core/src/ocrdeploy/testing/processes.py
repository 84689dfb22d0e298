"""Starting the suite's children, several at a time."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

LIMIT_S = 120


class Child:
    """A process that does one task of `ocrdeploy.testing.child`, started at once."""

    def __init__(self, folder: Path, task: str, variables: dict[str, str] | None = None, **order: Any) -> None:
        folder.mkdir(parents=True)
        (folder / "order.pickle").write_bytes(pickle.dumps(order))
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(variables or {})}
        command = [sys.executable, "-m", "ocrdeploy.testing.child", task, str(folder)]
        self._folder = folder
        with (folder / "said").open("wb") as said:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment)  # noqa: S603 - our own

    def ended(self) -> int:
        """Wait for the end, and return its status; negative: killed by that signal. A child that hangs is killed."""
        try:
            return self._process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def said(self) -> str:
        """Return the end of what it printed."""
        return (self._folder / "said").read_text(encoding="utf-8", errors="replace").strip()[-600:]

    def answer(self) -> Any:
        """Wait for the end, and return the answer; None where there is none."""
        self.ended()
        path = self._folder / "answer.pickle"
        return pickle.loads(path.read_bytes()) if path.is_file() and path.stat().st_size else None  # noqa: S301 - our own
