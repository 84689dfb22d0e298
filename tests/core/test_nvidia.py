"""What the driver tells is read from its own tool; where there is none, nothing is told."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ocrdeploy import nvidia


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a stand-in for nvidia-smi on the path: a shell script."""

    def install(script: str) -> None:
        tool = tmp_path / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    return install


def test_gpus_are_named_in_order(smi: Callable[[str], None]) -> None:
    smi("printf 'NVIDIA H100 80GB HBM3\\nNVIDIA L4\\n'")
    assert nvidia.gpus() == ["NVIDIA H100 80GB HBM3", "NVIDIA L4"]


def test_the_memory_of_one_process_is_summed_over_gpus(smi: Callable[[str], None]) -> None:
    smi("printf '41, 500\\n42, 812\\n42, 100\\n43, [N/A]\\n'")
    assert nvidia.memory_mib(42) == 912
    assert nvidia.memory_mib(43) is None
    assert nvidia.memory_mib(44) is None


@pytest.mark.parametrize("script", ["exit 9", "echo 'NVIDIA-SMI has failed because it could not communicate'; exit 1"])
def test_a_tool_that_fails_tells_nothing(smi: Callable[[str], None], script: str) -> None:
    smi(script)
    assert nvidia.gpus() == []
    assert nvidia.memory_mib(42) is None


def test_without_a_driver_nothing_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert nvidia.gpus() == []
    assert nvidia.memory_mib(42) is None
