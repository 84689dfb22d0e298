from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, requires

import pytest

from ocrdeploy import Unavailable, backend, nvidia, plugins
from ocrdeploy_tensorrt import hooks

Pretend = Callable[..., None]


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Pretend:
    """Stand in for a machine with or without a driver, and for what pip has installed there."""

    def machine(*, driver: bool, installed: dict[str, str]) -> None:
        def version(name: str) -> str:
            if name not in installed:
                raise PackageNotFoundError(name)
            return installed[name]

        monkeypatch.setattr(hooks, "driver_found", lambda: driver)
        monkeypatch.setattr(hooks, "version", version)

    return machine


def test_it_announces_itself_through_its_entry_point() -> None:
    info = plugins.discover().backends["tensorrt"]
    assert (info.runs, info.builds_from) == (("trt-engine",), ("onnx",))
    assert info.precisions == ("fp32", "tf32", "fp16", "bf16")


def test_it_ranks_above_the_backend_that_runs_on_the_cpu() -> None:
    backends = plugins.discover().backends
    assert backends["tensorrt"].rank > backends["onnxruntime"].rank > backends["pytorch"].rank


def test_announcing_and_probing_import_no_runtime() -> None:
    say = "from ocrdeploy_tensorrt import hooks; hooks.ocrd_backend(); hooks.ocrd_probe()"
    code = f"import sys; {say}; sys.exit('tensorrt' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("installed", [{}, {"tensorrt": "11.4"}])
def test_without_a_driver_the_driver_is_what_is_missing(pretend: Pretend, installed: dict[str, str]) -> None:
    pretend(driver=False, installed=installed)
    answer = hooks.ocrd_probe()
    assert answer.problem == "no NVIDIA driver was found"
    assert answer.fix == "install a driver that supports CUDA 13"
    assert answer.details.get("flavour", "") == "".join(installed)


def test_without_a_runtime_the_extra_is_named(pretend: Pretend) -> None:
    pretend(driver=True, installed={})
    answer = hooks.ocrd_probe()
    assert answer.problem == "neither tensorrt nor tensorrt-rtx is installed"
    assert answer.fix.startswith("pip install 'ocrdeploy-tensorrt[sdk]'")


@pytest.mark.parametrize(
    ("distribution", "flavour"),
    [("tensorrt", "tensorrt"), ("tensorrt-cu13", "tensorrt"), ("tensorrt-cu12", "tensorrt"), ("tensorrt-rtx", "tensorrt-rtx")],
)
def test_with_everything_it_says_that_engines_come_later(pretend: Pretend, distribution: str, flavour: str) -> None:
    pretend(driver=True, installed={distribution: "1.2.3"})
    answer = hooks.ocrd_probe()
    assert answer.problem == "this version of ocrdeploy-tensorrt (0.1.0) cannot open engines yet"
    assert answer.fix
    assert (answer.version, answer.details["flavour"]) == ("1.2.3", flavour)


def test_asking_for_it_ends_in_one_sentence_with_a_remedy(pretend: Pretend) -> None:
    pretend(driver=False, installed={})
    with pytest.raises(Unavailable) as raised:
        backend.choose(plugins.discover(), "tensorrt", ["onnx"])
    assert raised.value.problem == "backend 'tensorrt' cannot run here: no NVIDIA driver was found"
    assert raised.value.fix.startswith("install a driver that supports CUDA 13, or use one of: onnxruntime")
    with pytest.raises(Unavailable, match="no NVIDIA driver was found"):
        hooks.ocrd_infer()


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
