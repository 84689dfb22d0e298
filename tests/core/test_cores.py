from __future__ import annotations

import os
from pathlib import Path

import pytest

from ocrdeploy import cores


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def fake_system(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("max 100000", 8),
        ("400000 100000", 4),
        ("250000 100000", 2),
        ("50000 100000", 1),
        ("1600000 100000", 8),
        ("", 8),
        ("junk", 8),
    ],
)
def test_a_version_2_quota_limits_the_cores(tmp_path: Path, limit: str, expected: int) -> None:
    root = fake_system(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": limit})
    assert cores.usable_cores(root) == expected


@pytest.mark.usefixtures("eight_cores")
def test_the_tightest_group_around_the_process_decides(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/pod/container\n",
        "sys/fs/cgroup/pod/container/cpu.max": "600000 100000",
        "sys/fs/cgroup/pod/cpu.max": "300000 100000",
        "sys/fs/cgroup/cpu.max": "max 100000",
    }
    assert cores.usable_cores(fake_system(tmp_path, files)) == 3


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(("quota", "expected"), [("-1", 8), ("200000", 2), ("20000", 1)])
def test_a_version_1_quota_limits_the_cores_also_under_the_hosts_path(tmp_path: Path, quota: str, expected: int) -> None:
    files = {
        "proc/self/cgroup": "12:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/docker/abc\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": quota + "\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    }
    assert cores.usable_cores(fake_system(tmp_path, files)) == expected


@pytest.mark.usefixtures("eight_cores")
def test_another_controllers_group_is_not_read(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "5:cpuset:/small\n",
        "sys/fs/cgroup/cpu/small/cpu.cfs_quota_us": "100000",
        "sys/fs/cgroup/cpu/small/cpu.cfs_period_us": "100000",
    }
    assert cores.usable_cores(fake_system(tmp_path, files)) == 8


def test_affinity_limits_the_cores_without_a_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 5, 7}, raising=False)
    assert cores.usable_cores(tmp_path) == 3


def test_a_system_without_affinity_counts_its_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert cores.usable_cores(tmp_path) == 5
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores.usable_cores(tmp_path) == 1


def test_this_process_has_at_least_one_core_and_no_more_than_its_affinity() -> None:
    assert 1 <= cores.usable_cores() <= (os.cpu_count() or 1)
