"""`ocrd export`: what it writes and says, and every way in which it can be asked for what cannot be."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess, Popen
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from ocrdeploy.onnxgraph import metadata

Ocrd = Callable[..., CompletedProcess[str]]
Start = Callable[..., Popen[str]]

MAKER = """
import os, time
from dataclasses import asdict, replace
from pathlib import Path

from ocrdeploy import BadInput, hookimpl
from ocrdeploy.vocabulary import *

ocrd_contract = 1
NETWORK = {"architecture": "toy", "upsample": "nearest"}
MODEL = ModelSpec(
    "toy-det", "dbnet", Task.DETECTION, InputSpec("x", Fit(64, 32), pad_to=32, mean=(0.5,)), ("maps",), network=NETWORK
)

@hookimpl
def ocrd_backend():
    return BackendInfo("maker", runs=("checkpoint",), options=("networks",), rank=1000)

@hookimpl
def ocrd_probe():
    return Probe("1.0") if not os.environ.get("MAKER_LACKS") else Probe(problem="maker lacks a lathe", fix="pip install lathe")

@hookimpl
def ocrd_models():
    return [MODEL]

@hookimpl
def ocrd_artifact(model):
    raise BadInput(f"{model.name} has no weights", f"write {model.name}::CHECKPOINT")

@hookimpl
def ocrd_describe(path, root):
    return replace(MODEL, name=f"{path.stem} of {root}") if path.suffix == ".toy" else None

@hookimpl
def ocrd_infer():
    raise BadInput("the maker runs nothing", "")

@hookimpl
def ocrd_export(model, checkpoint, target, options):
    import json
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    print("busy")
    weights = np.frombuffer(checkpoint.path.read_bytes(), np.float32)
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["maps"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", len(weights)])],
        [helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["n", 3, "h", len(weights)])],
        [numpy_helper.from_array(weights, "w")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", options.opset or 17)], ir_version=8)
    asked = {**asdict(options), "network": dict(model.network)}
    helper.set_model_props(made, {"ocrdeploy.recipe": json.dumps({"exporter": "lathe", "asked": asked})})
    data = made.SerializeToString()
    target.write_bytes(data[:40])
    if os.environ.get("MAKER_SLEEPS"):
        (Path(os.environ["MAKER_SLEEPS"]) / "half").touch()
        time.sleep(60)
    target.write_bytes(data)
"""


@pytest.fixture
def maker(site: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plugin that exports files of floats, such a file, and a folder to work in."""
    site("maker", MAKER)
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    np.array([1, 2, 3], np.float32).tofile("w.pth")
    return folder


def asked(path: str) -> dict[str, Any]:
    recipe: dict[str, Any] = json.loads(metadata.read(Path(path))[metadata.RECIPE])
    return dict(recipe["asked"])


def test_the_file_is_written_and_told_in_a_few_lines(ocrd: Ocrd, maker: Path) -> None:
    done = ocrd("export", "toy-det", "w.pth", "-o", "made/det.onnx")
    assert done.returncode == 0
    assert done.stderr == "busy\n", "what a plugin prints is not the answer"
    path = maker / "made" / "det.onnx"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    lines = done.stdout.splitlines()
    assert lines[0] == "made/det.onnx"
    told = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines[1:]}
    assert told.pop("versions").startswith("ocrdeploy ")
    assert told == {
        "model": "toy-det (detection, family dbnet)",
        "input": "x: float32, n x 3 x h x 3",
        "output": "maps: float32, n x 3 x h x 3",
        "opset": "17, by the lathe exporter",
        "size": f"{path.stat().st_size / 1e6:.1f} MB, 1 nodes",
        "denormals": "none",
        "NaN": "none",
        "sha256": digest,
    }


def test_denormal_and_nan_weights_are_told(ocrd: Ocrd, maker: Path) -> None:
    np.array([1, 2, 0x7FC0_0000, 0x3F80_0000], np.uint32).tofile(maker / "w.pth")
    done = ocrd("export", "toy-det", "w.pth", "-o", "det.onnx")
    assert done.returncode == 0
    assert "  denormals  2 weights were flushed to zero\n" in done.stdout
    assert "  NaN        1 weights are not a number, and so may be what the model answers\n" in done.stdout


@pytest.mark.parametrize("words", [["toy-det", "w.pth"], ["toy-det::w.pth"]])
def test_a_name_and_a_checkpoint_are_two_words_or_one(ocrd: Ocrd, maker: Path, words: list[str]) -> None:
    assert ocrd("export", *words, "-o", "det.onnx").returncode == 0
    assert (maker / "det.onnx").is_file()


@pytest.mark.parametrize("words", [["my.toy", "w.pth"], ["my.toy::w.pth"]])
def test_a_config_may_refer_to_the_folder_that_is_named(ocrd: Ocrd, maker: Path, words: list[str]) -> None:
    (maker / "my.toy").touch()
    done = ocrd("export", *words, "-o", "det.onnx", "--config-root", "bases")
    assert done.returncode == 0
    assert "model      my of bases (" in done.stdout


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], {}),
        (["--dynamic"], {}),
        (["--batch", 3, "--opset", 11], {"batch": 3, "opset": 11}),
        (["--static"], {"dynamic": False}),
        (["--image", "a.png"], {"size": [32, 64]}),
        (["--image", "a.png", "--static"], {"size": [32, 64], "dynamic": False}),
        (["--exporter", "dynamo", "--device", "cuda:1"], {"exporter": "dynamo", "device": "cuda:1"}),
        (["--backend-option", "networks=mmocr"], {"extra": {"networks": "mmocr"}}),
        (["--networks", "mmocr"], {"extra": {"networks": "mmocr"}}),
        (["--model-option", "upsample=bilinear"], {"network": {"architecture": "toy", "upsample": "bilinear"}}),
    ],
)
def test_options_reach_the_exporter(ocrd: Ocrd, maker: Path, options: list[object], expected: dict[str, Any]) -> None:
    Image.new("RGB", (100, 40)).save(maker / "a.png")
    assert ocrd("export", "toy-det", "w.pth", "-o", "det.onnx", *options).returncode == 0
    usual: dict[str, Any] = {
        "opset": 0,
        "dynamic": True,
        "batch": 0,
        "size": None,
        "device": "cpu",
        "exporter": "legacy",
        "extra": {},
    }
    assert asked("det.onnx") == {**usual, "network": {"architecture": "toy", "upsample": "nearest"}, **expected}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--static", "--batch", 2], "--batch and --static exclude each other"),
        (["--dynamic", "--static"], "--dynamic and --static exclude each other"),
        (["--opset", "eleven"], "'--opset'"),
        (["--batch", 0], "'--batch'"),
        (["--model-option", "upsample"], "'upsample' is not KEY=VALUE"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(ocrd: Ocrd, maker: Path, options: list[object], complaint: str) -> None:
    done = ocrd("export", "toy-det", "w.pth", "-o", "det.onnx", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr.splitlines()[0]
    assert not (maker / "det.onnx").exists()


def test_without_an_output_it_is_exit_code_2(ocrd: Ocrd, maker: Path) -> None:
    assert maker.is_dir()
    done = ocrd("export", "toy-det", "w.pth")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'-o' / '--output'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint", "fix"),
    [
        (["toy-dett", "w.pth"], "unknown model 'toy-dett' (did you mean 'toy-det'?)", "toy-det"),
        (["toy-dett::w.pth"], "unknown model 'toy-dett' (did you mean 'toy-det'?)", "toy-det"),
        (["toy-det"], "toy-det has no weights", "toy-det::CHECKPOINT"),
        (["toy-det", "missing.pth"], "there is no file 'missing.pth'", "NAME::CHECKPOINT"),
        (["missing.py", "w.pth"], "there is no file 'missing.py'", "check the path"),
        (["toy-det", "w.pth", "--model-option", "upsampel=bilinear"], "'upsampel' (did you mean 'upsample'?)", "upsample"),
        (["toy-det", "w.pth", "--backend-option", "network=x"], "'network' (did you mean 'networks'?)", "networks"),
        (["toy-det", "w.pth", "--exporter", "dynmo"], "unknown exporter 'dynmo' (did you mean 'dynamo'?)", "legacy"),
        (["toy-det", "w.pth", "--device", "auto"], "unknown device 'auto'", "cuda:N"),
        (["toy-det", "w.pth", "--image", "missing.png"], "cannot read missing.png: No such file", "name a picture"),
        (["toy-det", "w.pth", "--image", "w.pth"], "'w.pth' is not a picture", "pass a picture"),
    ],
)
def test_what_cannot_be_exported_is_a_sentence(ocrd: Ocrd, maker: Path, arguments: list[str], complaint: str, fix: str) -> None:
    done = ocrd("export", *arguments, "-o", "det.onnx")
    assert (done.returncode, done.stdout) == (1, "")
    problem, remedy = done.stderr.splitlines()
    assert problem.startswith("error: ")
    assert complaint in problem
    assert remedy.startswith("fix:   ")
    assert fix in remedy
    assert not (maker / "det.onnx").exists()


@pytest.mark.parametrize(
    ("target", "complaint", "fix"),
    [
        ("folder", "folder is a folder", "-o folder/model.onnx"),
        ("model.pth", "-o model.pth does not end in .onnx", "-o model.onnx"),
        ("there.onnx", "there.onnx exists already", "--overwrite"),
        ("w.pth/model.onnx", "cannot write to w.pth: Not a directory", "another folder"),
        ("/proc/model.onnx", "cannot write to /proc: ", "another folder"),
    ],
)
def test_a_file_that_cannot_be_written_is_told_before_any_work(
    ocrd: Ocrd, maker: Path, target: str, complaint: str, fix: str
) -> None:
    (maker / "folder").mkdir()
    (maker / "there.onnx").write_bytes(b"mine")
    done = ocrd("export", "toy-det", "w.pth", "-o", target)
    assert (done.returncode, done.stdout) == (1, "")
    problem, remedy = done.stderr.splitlines()
    assert complaint in problem
    assert fix in remedy
    assert (maker / "there.onnx").read_bytes() == b"mine"


def test_an_existing_file_is_replaced_where_that_is_wanted(ocrd: Ocrd, maker: Path) -> None:
    (maker / "det.onnx").write_bytes(b"old")
    assert ocrd("export", "toy-det", "w.pth", "-o", "det.onnx", "--overwrite").returncode == 0
    onnx.checker.check_model(maker / "det.onnx")
    (maker / "det.onnx").unlink()
    (maker / "det.onnx.show.png").write_bytes(b"old")
    done = ocrd("export", "toy-det", "w.pth", "-o", "det.onnx", "--show")
    assert "det.onnx.show.png exists already" in done.stderr
    assert not (maker / "det.onnx").exists()


def test_without_a_plugin_that_exports_the_command_that_brings_one_is_named(
    ocrd: Ocrd, maker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAKER_LACKS", "1")
    monkeypatch.setenv("OCRDEPLOY_DISABLED_PLUGINS", "pytorch")
    done = ocrd("export", "toy-det", "w.pth", "-o", "det.onnx")
    assert done.returncode == 1
    problem, remedy = done.stderr.splitlines()
    assert problem.startswith("error: w.pth is a checkpoint, and no installed plugin can export it to ONNX: ")
    assert problem.endswith("maker cannot run here: maker lacks a lathe")
    assert remedy == "fix:   pip install lathe"
    (maker / "config.py").write_text("model = dict(type='DBNet')\n")
    done = ocrd("export", "config.py", "w.pth", "-o", "det.onnx")
    assert done.returncode == 1
    assert "no installed plugin understands the config config.py" in done.stderr
    assert "fix:   pip install ocrdeploy-pytorch" in done.stderr


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a system with SIGKILL")
@pytest.mark.parametrize("there", [False, True])
def test_an_export_that_is_killed_leaves_no_half_file(start: Start, maker: Path, there: bool) -> None:
    target = maker / "det.onnx"
    if there:
        target.write_bytes(b"the old one")
    variables = {"MAKER_SLEEPS": str(maker)}
    process = start("export", "toy-det", maker / "w.pth", "-o", target, "--overwrite", **variables)
    deadline = time.monotonic() + 30
    while not (maker / "half").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert (target.read_bytes() if target.exists() else b"") == (b"the old one" if there else b"")
    halves = [path for path in maker.glob(".det-*.onnx") if path.stat().st_size == 40]
    assert halves, "the half file bears another name"
    done = start("export", "toy-det", maker / "w.pth", "-o", target, "--overwrite")
    assert done.wait() == 0
    onnx.checker.check_model(target)


def test_an_interrupted_export_leaves_nothing(start: Start, maker: Path) -> None:
    process = start("export", "toy-det", maker / "w.pth", "-o", maker / "det.onnx", MAKER_SLEEPS=str(maker))
    deadline = time.monotonic() + 30
    while not (maker / "half").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    assert sorted(path.name for path in maker.iterdir()) == ["half", "w.pth"]


def test_the_document_names_every_option(repository: Path) -> None:
    from ocrdeploy.cli.export import export

    page = (repository / "docs" / "export.md").read_text(encoding="utf-8")
    options = [name for option in export.params for name in option.opts if name.startswith("--")]
    general = {"--debug", "--quiet", "--backend-option", "--output"}
    assert [name for name in options if name not in general and f"`{name}" not in page] == []
