"""How many cores this process may keep busy, which in a container is not how many the host has."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def usable_cores(root: Path = Path("/")) -> int:
    """Return the number of cores in this process's affinity, cut down to the CPU quota of its cgroup; at least 1.

    A quota of 2.5 cores gives 2: a third thread would be stopped half of the time, and the other two would wait for it.
    `root` is the folder that holds `proc` and `sys`.
    """
    return max(1, math.floor(min(_affinity(), cgroup_quota(root))))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cgroup_quota(root: Path) -> float:
    """Return the smallest CPU quota, in cores, of this process's cgroup and the groups around it; infinity without one."""
    return min((_read_quota(folder) for folder in _cgroup_folders(root)), default=math.inf)


def _cgroup_folders(root: Path) -> Iterator[Path]:
    """Yield the folders of this process's cgroup, from the inside out, for version 2 and for version 1's `cpu` controller.

    A container often sees its own group as the root of the mount while `proc` still names the host's path to it, so folders
    on the way may not exist.
    """
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, inside = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        group = PurePosixPath(inside.lstrip("/"))
        for folder in (group, *group.parents):
            yield mount / folder


def _read_quota(folder: Path) -> float:
    """Return the quota that is set in this folder itself, in cores."""
    limits = _lines(folder / "cpu.max")
    if limits:
        quota, _, period = limits[0].partition(" ")
    else:
        quota = "".join(_lines(folder / "cpu.cfs_quota_us"))
        period = "".join(_lines(folder / "cpu.cfs_period_us"))
    if quota.isdigit() and period.isdigit() and int(period) > 0:
        return int(quota) / int(period)
    return math.inf  # "max" in version 2, -1 in version 1, or no such file


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
