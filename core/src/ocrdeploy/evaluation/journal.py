"""Results on disk as they come, so that an evaluation that was killed goes on where it was.

One folder for each evaluation, named by what decides its answers; one file in it for each row, a line of JSON an event. A line
that was cut off by the kill is dropped. The folder is removed when the evaluation is complete.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from ocrdeploy import artifact
from ocrdeploy.errors import OcrdError
from ocrdeploy.evaluation.row import Event, Row

_LOG = logging.getLogger(__name__)

BEGUN = "begun.json"


class Journal:
    """The folder of one evaluation. It writes through to the system with every event; a power cut may cost the last ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, IO[bytes]] = {}

    def resume(self, row: Row, facts: Mapping[str, str]) -> int:
        """Bring `row` to where an earlier sitting left it, and return how many events that were.

        `facts` decide its answers (versions, options): where they are others now, the row begins anew, saying so.
        """
        path, head = self._path(row), {"event": "row", "row": row.order.name, "facts": dict(facts)}
        events, whole = _read(path)
        if events and events[0] != head:
            was, now = events[0].get("facts", {}), head["facts"]
            changed = ", ".join(
                f"{key} was {was.get(key)!r}, is {value!r}" for key, value in facts.items() if was.get(key) != value
            )
            _LOG.warning("%s begins anew: %s", row.order.name, changed or f"its journal is not one of ours ({now})")
            events, whole = [], 0
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("r+b" if path.exists() else "w+b")
        self._files[row.order.name] = file
        file.truncate(whole)
        file.seek(whole)
        if not events:
            self._write(file, head)
        for event in events[1:]:
            row.hear(event)
        return max(len(events) - 1, 0)

    def add(self, row: Row, event: Event) -> None:
        """Write an event of `row`, and let the row take it in."""
        self._write(self._files[row.order.name], event)
        row.hear(event)

    def place(self, row: Row, name: str) -> Path:
        """Return where a file of the row's own lies."""
        return self.folder / f"{_slug(row.order.name)}.{name}"

    def _path(self, row: Row) -> Path:
        return self.place(row, "jsonl")

    def _write(self, file: IO[bytes], event: Event) -> None:
        try:
            file.write(json.dumps(event).encode() + b"\n")
            file.flush()
        except OSError as error:
            raise artifact.cannot_write(self.folder, error) from error

    def close(self) -> None:
        """Close the files."""
        while self._files:
            self._files.popitem()[1].close()


def _read(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the whole lines of a journal, and how many bytes they are."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return [], 0
    events: list[dict[str, Any]] = []
    whole = 0
    for line in content.splitlines(keepends=True):
        try:
            event = json.loads(line)
        except ValueError:
            break
        if not line.endswith(b"\n") or not isinstance(event, dict):
            break
        events.append(event)
        whole += len(line)
    return events, whole


def _slug(name: str) -> str:
    readable = re.sub(r"[^\w.-]+", "-", name)
    return f"{readable[:60]}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def folder_of(key: Mapping[str, Any]) -> Path:
    """Return the folder of the evaluation whose answers `key` decides."""
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    return artifact.cache_folder() / "eval" / digest


@contextmanager
def opened(key: Mapping[str, Any], *, fresh: bool = False) -> Iterator[Journal]:
    """Yield the journal of the evaluation that `key` describes, which no other process may use meanwhile.

    `fresh` forgets what an earlier sitting left. Raises `OcrdError` where another process has it, or nothing can be written.
    """
    import filelock

    folder = folder_of(key)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(f"{folder}.lock")
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise OcrdError("this evaluation is running in another process", "wait for it, or stop it") from None
    except OSError as error:
        raise artifact.cannot_write(folder, error) from error
    try:
        yield from _used(folder, fresh=fresh)
    finally:
        lock.release()


def _used(folder: Path, *, fresh: bool) -> Iterator[Journal]:
    try:
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise artifact.cannot_write(folder, error) from error
    journal = Journal(folder)
    try:
        yield journal
    finally:
        journal.close()


def begun(journal: Journal) -> datetime:
    """Return when the evaluation began, in this sitting or an earlier one."""
    path = journal.folder / BEGUN
    try:
        return datetime.fromisoformat(json.loads(path.read_text(encoding="utf-8"))["begun"])
    except (OSError, ValueError, KeyError, TypeError):
        now = datetime.now(UTC)
        path.write_text(json.dumps({"begun": now.isoformat(timespec="seconds")}), encoding="utf-8")
        return now


def remove(folder: str) -> None:
    """Remove the journal of an evaluation that is complete."""
    shutil.rmtree(folder, ignore_errors=True)
