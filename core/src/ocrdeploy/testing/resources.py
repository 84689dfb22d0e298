"""What this process holds, as Linux tells it."""

from __future__ import annotations

import gc
import os
from collections.abc import Mapping
from pathlib import Path

SELF = Path("/proc/self")
NAMES = ("bytes", "files", "threads")


def measurable() -> bool:
    """Whether there is a /proc that says it."""
    return (SELF / "statm").is_file()


def held() -> Mapping[str, int]:
    """Return how many bytes of memory, open files and threads this process has, by `NAMES`."""
    gc.collect()
    pages = int((SELF / "statm").read_text(encoding="ascii").split()[1])
    counts = (len(list((SELF / name).iterdir())) for name in ("fd", "task"))
    return dict(zip(NAMES, (pages * os.sysconf("SC_PAGE_SIZE"), *counts), strict=True))
