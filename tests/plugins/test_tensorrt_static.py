from __future__ import annotations

import ctypes
import subprocess
import sys
from importlib.metadata import requires

import pytest

from ocrdeploy import nvidia, plugins


def test_it_announces_itself_through_its_entry_point() -> None:
    info = plugins.discover().backends["tensorrt"]
    assert (info.runs, info.builds_from) == (("trt-engine",), ("onnx",))
    assert info.precisions == ("fp32", "tf32", "fp16", "bf16")


def test_it_ranks_above_the_backend_that_runs_on_the_cpu() -> None:
    backends = plugins.discover().backends
    assert backends["tensorrt"].rank > backends["onnxruntime"].rank > backends["pytorch"].rank


def test_announcing_and_probing_import_no_runtime() -> None:
    # On a machine with a GPU the probe imports TensorRT: nothing else proves that its libraries are there.
    say = "from ocrdeploy_tensorrt import devices, hooks; hooks.ocrd_backend(); hooks.ocrd_probe()"
    names = "{'tensorrt', 'tensorrt_rtx', 'cuda'}"
    code = f"import sys; {say}; sys.exit(bool({names} & set(sys.modules)) and not devices.look().gpus)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_driver_is_looked_for_by_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(_: str) -> None:
        return None

    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", found)
    assert nvidia.driver_found()
    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert not nvidia.driver_found()


def test_no_runtime_is_a_hard_dependency() -> None:
    hard = [each for each in requires("ocrdeploy-tensorrt") or [] if "extra ==" not in each]
    assert [each.split(">")[0].split("<")[0] for each in hard] == ["ocrdeploy"]
