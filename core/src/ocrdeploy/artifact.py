"""Files that the tool makes: hashed, described by a manifest, written whole or not at all, one writer at a time."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ocrdeploy import spec
from ocrdeploy.errors import BadInput, OcrdError
from ocrdeploy.vocabulary import Artifact, ModelSpec

CACHE = "OCRDEPLOY_CACHE"
"""Environment variable: the folder for made files, instead of the user's cache folder."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What stands beside a made file, in `<file>.json`: how it came about. Equal in all of `RECIPE` means fresh."""

    model: ModelSpec
    format: str
    sha256: str
    parent_sha256: str
    step: str
    options: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    device: str = "any"
    findings: Mapping[str, int] = field(default_factory=dict)
    """What the step counted, for people: {"denormal_weights": 255958}."""


RECIPE = ("step", "parent_sha256", "options", "versions", "device", "format")


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
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.stem[:40]}-", suffix=target.suffix)
        os.close(handle)
        temporary = Path(name)
        yield temporary
    except OSError as error:
        reason = error.strerror or str(error)
        raise OcrdError(f"cannot write {target}: {reason}", "choose a folder that can be written and has room") from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


@contextmanager
def write_atomically(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; when the block ends well it becomes `target`, else nothing is left.

    Raises `OcrdError` where the folder cannot be written or is full.
    """
    with temporary_beside(target) as temporary:
        yield temporary
        move_into_place(temporary, target)


def move_into_place(temporary: Path, target: Path) -> None:
    """Bring the content to disk and give it its final name, with the permissions of an ordinary new file."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    mask = os.umask(0)
    os.umask(mask)
    temporary.chmod(0o666 & ~mask)
    temporary.replace(target)


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Hold the lock of `target`: a second process that would make the same file waits."""
    import filelock

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(f"{target}.lock")
        lock.acquire()
    except OSError as error:
        fix = f"set {CACHE} to a folder that can be written"
        raise OcrdError(f"cannot write to {target.parent}: {error.strerror or error}", fix) from error
    try:
        yield
    finally:
        lock.release()


def manifest_path(path: Path) -> Path:
    """Return where the manifest of `path` stands."""
    return path.with_name(path.name + ".json")


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write the manifest of the file `path` beside it."""
    plain: dict[str, Any] = {name: getattr(manifest, name) for name in Manifest.__slots__}
    plain["model"] = spec.to_dict(manifest.model)
    with write_atomically(manifest_path(path)) as temporary:
        temporary.write_text(json.dumps(plain, default=dict, ensure_ascii=False, indent=1), encoding="utf-8")


def read_manifest(path: Path) -> Manifest | None:
    """Return the manifest of the file `path`; None where there is none, or it is not one of ours."""
    try:
        plain = json.loads(manifest_path(path).read_text(encoding="utf-8"))
        model = spec.from_plain(plain.pop("model"), str(manifest_path(path)))
        return Manifest(model=model, **plain)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, BadInput):
        return None


def whats_stale(path: Path, found: Manifest | None, wanted: Manifest) -> str:
    """Say why the made file `path`, with the manifest `found`, does not serve for `wanted`; '' when it does."""
    if not path.is_file():
        return "missing"
    if found is None:
        return "without a manifest"
    for name in RECIPE:
        if getattr(found, name) != getattr(wanted, name):
            return f"out of date (another {name.replace('_', ' ')})"
    if spec.to_dict(found.model) != spec.to_dict(wanted.model):
        return "out of date (another model specification)"
    if sha256(path) != found.sha256:
        return "changed since it was made"
    return ""


def made(path: Path, manifest: Manifest) -> Artifact:
    """Return the artifact that `manifest` describes at `path`."""
    return Artifact(path, manifest.format, manifest.sha256, manifest.model, manifest.parent_sha256)
