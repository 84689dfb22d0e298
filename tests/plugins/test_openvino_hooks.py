from __future__ import annotations

import importlib.util
import subprocess
import sys
import types
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest

import ocrdeploy_openvino
from ocrdeploy import Unavailable, plugins
from ocrdeploy.vocabulary import Artifact, Exact, InferOptions, InputSpec, ModelSpec, Task
from ocrdeploy_openvino import hooks

MODEL = ModelSpec("tiny", "ctc", Task.RECOGNITION, InputSpec("x", Exact(4, 8)), ("y",))


@pytest.fixture
def pretend_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Let a version of openvino be installed, or none, and its package lie in a folder, with its compiled part or without."""

    def pretend(number: str, *, whole: bool = True) -> None:
        def version(name: str) -> str:
            if not number:
                raise PackageNotFoundError(name)
            return number

        (tmp_path / "openvino").mkdir(exist_ok=True)
        if whole:
            (tmp_path / "openvino/_pyopenvino.cpython-311-x86_64-linux-gnu.so").touch()
        found = ModuleSpec("openvino", None, origin=str(tmp_path / "openvino/__init__.py"))
        monkeypatch.setattr(hooks, "version", version)
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: found)

    return pretend


def test_it_announces_itself_through_its_entry_point() -> None:
    found = plugins.discover()
    assert found.backends["openvino"].runs == ("onnx",)
    assert found.backends["openvino"].precisions == ("fp32", "bf16")
    assert found.distribution("openvino").startswith("ocrdeploy-openvino 0.1.0")


def test_it_is_nobodys_default_where_another_backend_runs_onnx() -> None:
    ranks = {name: info.rank for name, info in plugins.discover().backends.items()}
    assert ranks["fake"] < ranks["openvino"] < min(ranks["onnxruntime"], ranks["pytorch"])


@pytest.mark.parametrize("name", ["ocrdeploy", "ocrdeploy-onnxruntime", "ocrdeploy-ppocr", "ocrdeploy-pytorch"])
def test_no_other_distribution_brings_openvino(name: str) -> None:
    assert not [line for line in requires(name) or [] if "openvino" in line]


def test_announcing_and_probing_import_no_runtime() -> None:
    code = (
        "import sys; from ocrdeploy_openvino import hooks; hooks.ocrd_backend(); hooks.ocrd_probe(); "
        "sys.exit('openvino' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_probe_finds_a_runtime_that_is_whole(pretend_installed: Callable[..., None]) -> None:
    pretend_installed("2026.4.1")
    answer = hooks.ocrd_probe()
    assert (answer.version, answer.device, answer.ok) == ("2026.4.1", "cpu", True)


@pytest.mark.parametrize(
    ("number", "whole", "problem", "fix"),
    [
        ("", True, "openvino is not installed", "pip install 'openvino>=2026.0'"),
        ("2025.4.0", True, "openvino 2025.4.0 is older", "pip install 'openvino>=2026.0'"),
        ("2026.4.1", False, "its files are not where", "pip install --force-reinstall --no-deps openvino==2026.4.1"),
    ],
)
def test_what_is_wrong_comes_with_the_command_that_mends_it(
    pretend_installed: Callable[..., None], number: str, whole: bool, problem: str, fix: str
) -> None:
    pretend_installed(number, whole=whole)
    answer = hooks.ocrd_probe()
    assert problem in answer.problem
    assert answer.fix == fix


@pytest.mark.parametrize("module", [types.ModuleType("openvino"), None])
def test_a_runtime_that_cannot_be_imported_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, pretend_installed: Callable[..., None], module: types.ModuleType | None
) -> None:
    pretend_installed("2026.4.1")
    monkeypatch.setitem(sys.modules, "openvino", module)
    for loaded in ("openvino.frontend", "ocrdeploy_openvino.session"):
        monkeypatch.delitem(sys.modules, loaded, raising=False)
    monkeypatch.delattr(ocrdeploy_openvino, "session", raising=False)
    with pytest.raises(Unavailable, match="openvino cannot be imported") as raised:
        hooks.ocrd_infer(artifact=Artifact(Path("a.onnx"), "onnx", "", MODEL), options=InferOptions())
    assert "--force-reinstall" in raised.value.fix


def test_openvino_sends_nothing_while_it_is_imported_and_runs(tmp_path: Path) -> None:
    # Its distribution requires openvino-telemetry, which the converters of OpenVINO use; this plugin calls none of them.
    if importlib.util.find_spec("openvino") is None:
        pytest.skip("needs the runtime: pip install openvino")
    code = """
import socket, sys
from pathlib import Path
def refuse(*_): raise SystemExit("something wanted to be sent")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
import numpy as np, onnx
from onnx import helper
from ocrdeploy.vocabulary import *
from ocrdeploy_openvino import hooks
ports = [helper.make_tensor_value_info(name, 1, ["N", 3, 4, 4]) for name in "xy"]
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "t", ports[:1], ports[1:])
path = Path(sys.argv[1])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
model = ModelSpec("t", "ctc", Task.RECOGNITION, InputSpec("x", Exact(4, 4)), ("y",))
session = hooks.ocrd_infer(artifact=Artifact(path, "onnx", "", model), options=InferOptions())
session.run({"x": np.zeros((1, 3, 4, 4), np.float32)})
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "t.onnx")], check=True, timeout=60)
