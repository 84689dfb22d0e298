"""Which files a config may be made of: a config that a stranger wrote names others, and only those of its own tree are read.

A config's tree is the top-most folder called `configs` above it, as in MMOCR, else the folder that it lies in; whoever reads
it may add one more folder. Symbolic links are followed first, so that none leads out.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ocrdeploy_pytorch.config.error import ConfigError, Place, shown

MOST_BYTES = 256 * 1024
"""The longest config; MMOCR's longest has 6 KiB, and one with a dictionary of 20,000 characters in it about 150."""

TREE_NAME = "configs"


@dataclass(frozen=True, slots=True)
class Tree:
    """The folders, resolved, whose files may be read; the first is the one where relative paths in values start."""

    folders: tuple[Path, ...]

    @classmethod
    def of(cls, config: Path, root: Path | None = None) -> Tree:
        """Return the tree of `config`, and `root` before it where one is given. Neither needs to exist."""
        resolved = _resolved(config)
        named = [folder for folder in resolved.parents if folder.name == TREE_NAME]
        own = named[-1] if named else resolved.parent
        return cls((own,) if root is None else (_resolved(root), own))

    def read(self, file: Path, complain: Callable[[str, str], ConfigError], most_bytes: int = MOST_BYTES) -> str:
        """Return the text of `file`. Raises what `complain(problem, fix)` gives where it may not or cannot be read."""
        name = shown(str(file))
        try:
            real = _resolved(file)
            if not any(real.is_relative_to(folder) for folder in self.folders):
                raise complain(
                    f"it names the file {name}, which lies outside the folder {shown(str(self.folders[0]))}",
                    f"if you trust it, name a folder that holds both with --config-root, such as {shown(self._common(real))}",
                )
            data = _regular_file(real, most_bytes)
        except OSError as error:
            raise complain(f"cannot read {name}: {error.strerror}", "name a file that exists and that you may read") from None
        except ValueError as error:  # a path with a NUL, or what _regular_file says
            raise complain(f"cannot read {name}: {error}", f"name a text file of at most {most_bytes // 1024} KiB") from None
        return _text(data, file)

    def find(self, name: str) -> Path:
        """Return the file that a value names: an absolute path, or one from the first of the folders that has such a file."""
        found = [folder / name for folder in self.folders]
        return next((path for path in found if os.path.lexists(path)), found[0])

    def _common(self, file: Path) -> str:
        return os.path.commonpath((file, self.folders[-1]))


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except RuntimeError:  # Python 3.11 and 3.12 raise it for links that lead in a circle.
        raise OSError(0, "its symbolic links lead in a circle") from None


def _regular_file(path: Path, most_bytes: int) -> bytes:
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("it is not a file")
    with path.open("rb") as opened:
        data = opened.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise ValueError("it is too long")
    return data


def _text(data: bytes, file: Path) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Place(file, line).error("it is not UTF-8 text", "save it as UTF-8") from None
