"""What is wrong with a config, and where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ocrdeploy import BadInput

DATA_ONLY = "write the value itself: a config is read as data, and nothing in it is run"


class ConfigError(BadInput):
    """A config that cannot be read as data, or asks for what is not supported; the problem begins with file and line."""


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file; line 0 means the file as a whole."""

    file: Path
    line: int = 0

    def error(self, complaint: str, fix: str = DATA_ONLY) -> ConfigError:
        """Return the error for what is wrong here, in one line whatever the file is called."""
        name = shown(str(self.file))
        return ConfigError(f"{name}:{self.line}: {complaint}" if self.line else f"{name}: {complaint}", fix)


def shown(text: str, most: int = 300) -> str:
    """Return `text` as a complaint may quote it: without control characters, at most this many characters."""
    short = text if len(text) <= most else f"{text[:most]}..."
    return short if short.isprintable() else ascii(short)
