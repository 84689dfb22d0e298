"""Zip files as folders: unpacked once, whole or not at all, and nowhere but where they should be."""

from __future__ import annotations

import calendar
import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath, PureWindowsPath

from ocrdeploy.errors import BadInput, OcrdError

MOST_BYTES = 32 << 30
"""What a zip may hold, unpacked."""

ALWAYS_BYTES = 256 << 20
MOST_GROWTH = 100
"""Beyond `ALWAYS_BYTES`, a zip may hold this many times its own size: pictures do not shrink, and text not by so much."""

MOST_MEMBERS = 1_000_000

_TRASH = "__MACOSX"


def is_zip(path: Path) -> bool:
    """Tell whether `path` is a zip file, by its content."""
    try:
        return path.is_file() and zipfile.is_zipfile(path)
    except OSError:
        return False


def folder_of(path: Path) -> Path:
    """Return the folder that holds what the zip at `path` holds, made now unless an equal zip was unpacked before.

    Where all of it lies in one folder, that one is returned. The folder is in the cache folder, named by the zip's SHA-256.
    Raises `BadInput` for a zip that is damaged, encrypted, or would grow or reach beyond what is allowed.
    """
    from ocrdeploy.artifact import cache_folder, cannot_write, locked, sha256

    target = cache_folder() / "datasets" / sha256(path)[:16]
    if not target.is_dir():
        with locked(target):
            if not target.is_dir():
                try:
                    _unpack(path, target)
                except OSError as error:
                    raise cannot_write(target, error) from error
    return _only_folder(target)


@contextmanager
def called(folder: Path, path: Path) -> Iterator[None]:
    """Let errors from inside the block speak of the zip at `path`, not of the `folder` that it was unpacked to."""
    try:
        yield
    except OcrdError as error:
        if folder == path:
            raise
        raise type(error)(*(renamed(words, folder, path) for words in (error.problem, error.fix))) from error


def renamed(words: str, folder: Path, path: Path) -> str:
    """Return `words` with files in `folder` as files in the zip at `path` that was unpacked there."""
    return words.replace(str(folder), str(path))


def _only_folder(folder: Path) -> Path:
    """Return the folder in `folder` that holds everything, where there is such a one, however deep."""
    while True:
        inside = [each for each in folder.iterdir() if each.name != _TRASH and not each.name.startswith(".")]
        if len(inside) != 1 or not inside[0].is_dir():
            return folder
        folder = inside[0]


def _unpack(path: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent, ignore_cleanup_errors=True) as made:
        whole = Path(made) / "whole"
        whole.mkdir()
        try:
            with zipfile.ZipFile(path) as archive:
                members = archive.infolist()
                _check(path, members)
                for member in members:
                    _write(archive, member, whole)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
            raise BadInput(f"the zip {path} is damaged, or packed in a way that is not understood: {error}", _AGAIN) from error
        whole.replace(target)


_AGAIN = "copy or download it again, or unpack it yourself and name the folder"


def _check(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Raise `BadInput` unless all members lie inside, are files or folders, differ in name, and are small enough together."""
    total = sum(member.file_size for member in members)
    allowed = min(MOST_BYTES, max(ALWAYS_BYTES, MOST_GROWTH * path.stat().st_size))
    if total > allowed or len(members) > MOST_MEMBERS:
        much = f"{len(members)} files of {total >> 20} MiB in all"
        raise BadInput(f"the zip {path} would become {much}; at most {allowed >> 20} MiB are unpacked", _UNPACK)
    seen = set()
    for member in members:
        if member.filename in seen:
            raise BadInput(f"the zip {path} holds {member.filename!r} twice", _AGAIN)
        seen.add(member.filename)
        if member.flag_bits & 1:
            raise BadInput(f"the zip {path} is encrypted", _UNPACK)
        if not _stays_inside(member):
            raise BadInput(f"the zip {path} holds {member.filename!r}, which is a link or would lie outside it", _UNPACK)


_UNPACK = "if you trust it, unpack it yourself and name the folder"


def _stays_inside(member: zipfile.ZipInfo) -> bool:
    name, kind = member.filename, stat.S_IFMT(member.external_attr >> 16)
    outside = PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive or "\\" in name or "\0" in name
    return not outside and ".." not in PurePosixPath(name).parts and kind in {0, stat.S_IFREG, stat.S_IFDIR}


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> None:
    target = folder / member.filename
    if member.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, target.open("xb") as written:
        shutil.copyfileobj(source, written)
    # The time is the member's, so that the same zip unpacked again is the same dataset.
    with suppress(ValueError, OverflowError):
        seconds = calendar.timegm((*member.date_time, 0, 0, 0))
        os.utime(target, (seconds, seconds))
