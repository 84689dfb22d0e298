"""Files that the tool makes: hashed, described by a manifest, written whole or not at all, one writer at a time."""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ocrdeploy import spec
from ocrdeploy.errors import BadInput, OcrdError
from ocrdeploy.vocabulary import STRICT, Artifact, ModelSpec

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_LOG = logging.getLogger(__name__)

CACHE = "OCRDEPLOY_CACHE"
"""Environment variable: the folder for made files, instead of the user's cache folder."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What stands beside a made file, in `<file>.json`: how it came about. `whats_stale` says when it is fresh."""

    __pydantic_config__: ClassVar = STRICT
    model: ModelSpec
    format: str
    sha256: str
    parent_sha256: str
    step: str
    options: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    device: str = "any"
    findings: Mapping[str, int] = field(default_factory=dict)
    """What the step counted, for people: {"denormal_weights": 255958, "took_ms": 310}."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What the plugin that made the file says of it (`Artifact.facts`)."""


_HEX_DIGITS = 64  # of a SHA-256

RECIPE = ("step", "parent_sha256", "options", "versions", "device", "format")
"""What must be equal for a made file to be fresh, beside its model's spec and its own bytes."""


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal. Raises `BadInput` where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}", "name a file that exists and that you may read") from None


def cache_folder() -> Path:
    """Return the folder for made files: `OCRDEPLOY_CACHE`, else the user's cache folder. It may not exist yet."""
    chosen = os.environ.get(CACHE)
    if chosen:
        return Path(chosen)
    import platformdirs

    return Path(platformdirs.user_cache_dir("ocrdeploy", appauthor=False))


@contextmanager
def temporary_beside(target: Path) -> Iterator[Path]:
    """Yield an empty file beside `target`, with its suffix, which is gone after the block unless it was moved.

    Raises `OcrdError` where the folder cannot be written or is full, also for an `OSError` inside the block.
    """
    temporary = target.parent / f".{target.stem[:40]}-{secrets.token_hex(6)}{target.suffix}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Not `mkstemp`: this gives the file the permissions that any new file gets, and it keeps them as `target`.
        temporary.touch(exist_ok=False)
        yield temporary
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def cannot_write(target: Path, error: OSError) -> OcrdError:
    """Return the error for a file that could not be written, with the remedy for where it lies."""
    folder = f"set {CACHE} to a folder" if target.is_relative_to(cache_folder()) else "choose a folder"
    return OcrdError(f"cannot write {target}: {error.strerror or error}", f"{folder} that can be written and has room")


@contextmanager
def write_atomically(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; when the block ends well it becomes `target`, else nothing is left.

    Raises `OcrdError` where the folder cannot be written or is full.
    """
    with temporary_beside(target) as temporary:
        yield temporary
        move_into_place(temporary, target)


def move_into_place(temporary: Path, target: Path) -> None:
    """Bring the content to disk, then give it its final name."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(target)


@contextmanager
def locked(target: Path, lock_file: Path | None = None) -> Iterator[None]:
    """Hold the lock of `target`: a second process that would make the same file waits. Raises `OcrdError`.

    The lock is a file that stays: `lock_file`, else one beside `target`.
    """
    import filelock

    lock_file = lock_file or Path(f"{target}.lock")
    try:
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(lock_file)
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            _LOG.warning("waiting for another process, which is making %s", target)
            lock.acquire()
    except OSError as error:
        raise cannot_write(target, error) from error
    try:
        yield
    finally:
        lock.release()


def manifest_path(path: Path) -> Path:
    """Return where the manifest of `path` stands."""
    return path.with_name(path.name + ".json")


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write the manifest of the file `path` beside it."""
    with write_atomically(manifest_path(path)) as temporary:
        temporary.write_bytes(_adapter().dump_json(manifest, indent=1, fallback=dict, warnings=False))


def read_manifest(path: Path) -> Manifest | None:
    """Return the manifest of the file `path`; None where there is none, or it is not one of ours."""
    try:
        found = _adapter().validate_json(manifest_path(path).read_bytes(), strict=True)
        spec.check(found.model, str(manifest_path(path)))
    except (OSError, ValueError, BadInput):
        return None
    return found


@cache
def _adapter() -> TypeAdapter[Manifest]:
    from pydantic import TypeAdapter

    return TypeAdapter(Manifest)


def whats_stale(path: Path, found: Manifest | None, wanted: Manifest) -> str:
    """Say why the made file `path`, with the manifest `found`, does not serve for `wanted`; '' when it does.

    The answer follows the words "the file is".
    """
    if not path.is_file():
        return "missing"
    if found is None:
        return "without a manifest"
    for name in RECIPE:
        if getattr(found, name) != getattr(wanted, name):
            return f"out of date ({_change(name.replace('_', ' '), getattr(found, name), getattr(wanted, name))})"
    if spec.to_dict(found.model) != spec.to_dict(wanted.model):
        return "out of date (the model's specification changed)"
    if sha256(path) != found.sha256:
        return "changed since it was made"
    return ""


def _change(name: str, was: str | Mapping[str, str], now: str | Mapping[str, str]) -> str:
    if isinstance(was, str) or isinstance(now, str):
        return f"{name} was {_short(was)}, is {_short(now)}"
    keys = [key for key in {**was, **now} if was.get(key) != now.get(key)]
    return f"{name}: " + "; ".join(_change(key, was.get(key, "none"), now.get(key, "none")) for key in keys)


def _short(value: object) -> str:
    return str(value)[:12] if len(str(value)) == _HEX_DIGITS else str(value)


def made(path: Path, manifest: Manifest) -> Artifact:
    """Return the artifact that `manifest` describes at `path`."""
    return Artifact(path, manifest.format, manifest.sha256, manifest.model, manifest.parent_sha256, manifest.facts)
