"""`ocrd verify`, on the fake backend and, where it is installed, on ONNX Runtime."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import onnx
import pytest
from ocrdeploy_fake import stripes
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from ocrdeploy import backend, plugins, spec
from ocrdeploy.cli.verify import EPILOG, _candidate
from ocrdeploy.verification import tolerance
from ocrdeploy.vocabulary import InferOptions, InputSpec, ModelSpec, ShortSide, Task

Ocrd = Callable[..., CompletedProcess[str]]

CLASSIFIER = "ppocr-v2-cls"


@pytest.fixture
def onnxruntime() -> str:
    answer = backend.probe(plugins.discover(), "onnxruntime")
    if not answer.ok:
        pytest.skip(f"needs the backend onnxruntime: {answer.problem}")
    return "onnxruntime"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the test begins: the fake recognizer and detector as files, and a folder of pictures in their script."""
    monkeypatch.chdir(tmp_path)
    stripes.write_onnx(stripes.RECOGNIZER, tmp_path / "rec.onnx")
    stripes.write_onnx(stripes.DETECTOR, tmp_path / "det.onnx")
    (tmp_path / "lines").mkdir()
    for name in ("abc", "dab", "cc"):
        Image.fromarray(stripes.draw([name])).save(tmp_path / "lines" / f"{name}.png")
    Image.new("RGB", (64, 64), "white").save(tmp_path / "white.png")
    return tmp_path


def test_two_that_agree(ocrd: Ocrd, folder: Path) -> None:
    done = ocrd("verify", "fake=rec.onnx", "fake=rec.onnx", "--images", folder / "lines")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0] == f"A  stripes-rec on fake {np.__version__} (cpu, fp32): rec.onnx"
    assert "AGREE" in lines
    assert any(re.fullmatch(r"pictures   \d+: 3 given, 8 derived from them, \d+ drawn here", line) for line in lines)
    assert any(re.search(r"tensors, \d+ numbers; [1-9]\d* characters$", line) for line in lines)


def test_several_pictures_may_follow_images(ocrd: Ocrd, folder: Path) -> None:
    pictures = ["lines/abc.png", "lines/cc.png"]
    done = ocrd("verify", "fake=rec.onnx", "fake=rec.onnx", "--json", "-", "--images", *pictures)
    assert json.loads(done.stdout)["evidence"]["given"] == 2
    again = ocrd(
        "verify", "--images", pictures[0], "fake=rec.onnx", "fake=rec.onnx", "--images", pictures[1], "--json", "report.json"
    )
    assert again.returncode == 0
    assert "AGREE" in again.stdout
    assert json.loads((folder / "report.json").read_text(encoding="utf-8")) == json.loads(done.stdout)


def test_two_runtimes_that_agree(ocrd: Ocrd, folder: Path, onnxruntime: str) -> None:
    done = ocrd("verify", "fake=rec.onnx", f"{onnxruntime}=rec.onnx", "--images", folder / "lines")
    assert done.returncode == 0, done.stdout + done.stderr


def test_two_that_differ(ocrd: Ocrd, folder: Path, onnxruntime: str) -> None:
    other = onnx.load("rec.onnx")
    (pool,) = (node for node in other.graph.node if node.op_type == "MaxPool")
    next(each for each in pool.attribute if each.name == "strides").ints[:] = [1, 2]
    onnx.save(other, "other.onnx")
    done = ocrd("verify", "fake=rec.onnx", f"{onnxruntime}=other.onnx", "--images", folder / "lines", "--json", "report.json")
    assert done.returncode == 3
    first = re.search(r"^DIFFER: (picture 1 of \d+ .*: a row of output 'scores' has the shape .*)$", done.stdout, re.MULTILINE)
    assert first is not None
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert (report["verdict"], report["first_difference"]) == ("differ", first[1])
    assert report["differences"][0]["kind"] == "shape"


def test_too_little_to_tell(ocrd: Ocrd, folder: Path) -> None:
    done = ocrd("verify", "fake=det.onnx", "fake=det.onnx", "--images", folder / "white.png", "--json", "-")
    report = json.loads(done.stdout)
    assert report["evidence"]["drawn"] > 0  # white.png alone fills no batch, and what is drawn has text in it
    (folder / "empty").mkdir()
    for index in range(5):
        Image.new("RGB", (64, 64), (255, 255, 250 + index)).save(folder / "empty" / f"{index}.png")
        Image.new("RGB", (96, 64), (255, 255, 250 + index)).save(folder / "empty" / f"{index}-wide.png")
    done = ocrd("verify", "fake=det.onnx", "fake=det.onnx", "--images", folder / "empty")
    assert done.returncode == 3
    assert "NOT VERIFIED: the tensors agree, and no boxes were compared: in " in done.stdout
    assert "fix: give pictures with text: --images PATH..." in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["fakee=rec.onnx", "rec.onnx"], 1, "error: unknown backend 'fakee' (did you mean 'fake'?)"),
        (["fake=rec.onnx", "fake=det.onnx"], 1, "error: A is a recognition model, and B is a detection model"),
        (["fake=rec.onnx", "fake=wreck.onnx"], 1, "error: there is no model file wreck.onnx"),
        (["fake=rec.onnx", "fake=rec.onnx", "x.png"], 2, "error: 'x.png' is a third model; pictures follow --images"),
        (["fake=rec.onnx", "fake=rec.onnx", "--images", "missing.png"], 1, "error: 'missing.png' does not exist"),
        (["fake=rec.onnx", "fake=rec.onnx", "--images", ""], 2, "error: Invalid value for '--images': a path is empty"),
        (
            ["fake=rec.onnx", "fake=rec.onnx", "--json", "nowhere.onnx/report.json"],
            1,
            "error: cannot write nowhere.onnx/report.json",
        ),
        (["fake=rec.onnx", "fake=rec.onnx", "--atol", "nan"], 1, "error: the tolerance atol is nan"),
        (["fake=rec.onnx", "fake=rec.onnx", "--device", "cuda:0"], 1, "error: the fake backend cannot run on cuda:0"),
    ],
)
def test_what_cannot_be_compared_is_a_sentence(ocrd: Ocrd, folder: Path, arguments: list[str], code: int, said: str) -> None:
    (folder / "nowhere.onnx").touch()
    done = ocrd("verify", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.splitlines()[0].startswith(said)
    assert done.stderr.splitlines()[1].startswith("fix:   ")


def test_a_path_may_have_an_equals_sign(ocrd: Ocrd, folder: Path) -> None:
    (folder / "run=3").mkdir()
    (folder / "rec.onnx").rename(folder / "run=3" / "rec.onnx")
    done = ocrd("verify", "fake=run=3/rec.onnx", "run=3/rec.onnx", "--images", "lines", "--json", "-")
    assert json.loads(done.stdout)["b"]["path"] == "run=3/rec.onnx"


def test_a_spec_serves_both(ocrd: Ocrd, folder: Path) -> None:
    other = {**asdict(stripes.RECOGNIZER), "name": "renamed"}
    (folder / "spec.json").write_text(json.dumps(other), encoding="utf-8")
    done = ocrd("verify", "fake=rec.onnx", "fake=rec.onnx", "--spec", "spec.json", "--images", "lines", "--json", "-")
    report = json.loads(done.stdout)
    assert report["a"]["model"] == report["b"]["model"] == "renamed"


def test_trust_reaches_those_who_open_engines_and_nobody_else(folder: Path) -> None:
    (folder / "rec.engine").write_bytes(b"somebody's")
    (folder / "rec.json").write_text(spec.to_json(stripes.RECOGNIZER), encoding="utf-8")
    found, opened = plugins.discover(), InferOptions(threads=2)
    if "tensorrt" not in found.backends:
        pytest.skip("needs the backend tensorrt, which need not run here")

    def extra(reference: str, *, trust: bool) -> Mapping[str, str]:
        return _candidate(found, reference, folder / "rec.json", opened, trust_engine=trust).options.extra

    assert extra("tensorrt=rec.engine", trust=True) == extra("rec.engine", trust=True) == {"trust_engine": "yes"}
    assert extra("fake=rec.onnx", trust=True) == extra("rec.onnx", trust=True) == {}
    assert extra("tensorrt=rec.engine", trust=False) == {}


def test_tolerances_are_those_that_were_asked_for(ocrd: Ocrd, folder: Path) -> None:
    done = ocrd(
        "verify", "fake=rec.onnx", "fake=rec.onnx", "--images", folder / "lines", "--atol", "0", "--rtol", "0.5", "--json", "-"
    )
    asked = json.loads(done.stdout)["tolerance"]
    assert (asked["atol"], asked["rtol"]) == (0, 0.5)


def test_the_help_has_the_tolerances() -> None:
    numbers = {name: f"{each.atol:g}" for name, each in tolerance.BY_PRECISION.items()}
    assert f"fp32 {numbers['fp32']}, tf32 and fp16 {numbers['fp16']}, bf16 {numbers['bf16']}" in EPILOG.replace("\n", " ")
    assert all(each.atol == each.rtol for each in tolerance.BY_PRECISION.values())


def test_the_document_has_every_key_of_the_report(ocrd: Ocrd, folder: Path, repository: Path) -> None:
    text = (repository / "docs" / "verify.md").read_text(encoding="utf-8")
    done = ocrd("verify", "fake=det.onnx", "fake=det.onnx", "--images", folder / "lines", "--json", "-")
    described = set(re.findall(r"`([\w.\[\]]+)`", text))

    def keys(value: Any, above: str = "") -> set[str]:
        if isinstance(value, dict):
            return {f"{above}{key}" for key in value} | {each for key in value for each in keys(value[key], f"{above}{key}.")}
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return keys(value[0], above.removesuffix(".") + "[].")
        return set()

    closed = {"evidence.batches.1", "evidence.batches.2", "evidence.batches.3", "evidence.batches.5"}
    found = {re.sub(r"^b\.", "a.", key) for key in keys(json.loads(done.stdout)) - closed}
    assert found - described == set()


def test_models_of_the_pack_agree_with_themselves_on_drawn_lines(ocrd: Ocrd, onnxruntime: str) -> None:
    done = ocrd("verify", CLASSIFIER, f"{onnxruntime}={CLASSIFIER}", "--device", "cpu", "--json", "-")
    report = json.loads(done.stdout)
    assert (done.returncode, report["verdict"]) == (0, "agree")
    assert report["evidence"]["answers"] == report["evidence"]["drawn"] == 5
    assert report["evidence"]["batches"] == {"1": 5, "2": 1, "3": 1, "5": 1}


def test_the_first_node_that_differs_is_named(ocrd: Ocrd, folder: Path, onnxruntime: str) -> None:
    for name, last in (("a", 3.0), ("b", 3.1)):
        write_blur(folder / f"{name}.onnx", last)
    done = ocrd("verify", f"{onnxruntime}=a.onnx", f"{onnxruntime}=b.onnx", "--images", "lines", "--bisect", "--device", "cpu")
    assert done.returncode == 3
    assert "bisection  node 1 of 3, Conv /head/scale/Conv, of the module head.scale: what it takes agrees, " in done.stdout
    assert "its weights differ: last (by up to 0.1)" in done.stdout


def write_blur(path: Path, last: float) -> None:
    """Write a detector of two convolutions, the second of which scales by `last`."""
    image = InputSpec("x", ShortSide(32), pad_to=32, mean=(127.5,), std=(-127.5,))
    model = ModelSpec("blur", "dbnet", Task.DETECTION, image, ("maps",))
    weights = {"first": np.full((1, 3, 3, 3), 1 / 27, np.float32), "last": np.full((1, 1, 1, 1), last, np.float32)}
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "first"], ["mean"], name="/blur/Conv", pads=[1, 1, 1, 1]),
            helper.make_node("Conv", ["mean", "last"], ["logits"], name="/head/scale/Conv"),
            helper.make_node("Sigmoid", ["logits"], ["maps"], name="/head/Sigmoid"),
        ],
        "blur",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, "H", "W"])],
        [helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["N", 1, "H", "W"])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(made, {"ocrdeploy": json.dumps(asdict(model))})
    onnx.save(made, path)
