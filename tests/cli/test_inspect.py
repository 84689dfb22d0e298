"""`ocrd inspect` says what a model file is: of ONNX files from the graph itself, of others from what their backend tells."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ocrdeploy import artifact, spec
from ocrdeploy.artifact import Manifest
from ocrdeploy.onnxgraph import metadata, oddities, precision
from ocrdeploy.vocabulary import Fit, InputSpec, ModelSpec, Task

Ocrd = Callable[..., CompletedProcess[str]]
Site = Callable[[str, str], Path]

MODEL = ModelSpec("find", "dbnet", Task.DETECTION, InputSpec("x", Fit(640, 640)), ("maps",))


def numbers(name: str, values: Any) -> Any:
    return numpy_helper.from_array(np.asarray(values, np.float32), name)


def odd_weights() -> Any:
    """(4, 3, 1, 1): a channel with a NaN, a dead one, a constant one, a plain one."""
    bits = np.random.default_rng(0).uniform(1, 2, (4, 3, 1, 1)).astype(np.float32).view(np.uint32)
    bits[0, 0] = 0x7FC0_0000  # NaN
    bits[1] = [[[0x8000_0000]], [[0]], [[0]]]
    bits[2] = 0x4000_0000
    bits[3, 1:] = [[[0x0000_0001]], [[0x47C3_5000]]]  # a denormal, 1e5
    return numpy_helper.from_array(bits.view(np.float32), "k")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    nodes = [
        helper.make_node("Identity", ["k"], ["copy"]),
        helper.make_node("Conv", ["x", "copy", "b"], ["a"], name="/neck/neck.0/conv/Conv"),
        helper.make_node("Relu", ["a"], ["maps"], name="/neck/relu/Relu"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, "H", 32])],
        [helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["N", 4, "H", 32])],
        [odd_weights(), numbers("b", [0, 1, np.inf, 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="a test")
    recipe = {"exporter": "legacy", "checkpoint_sha256": "c" * 64, "versions": {"torch": "9.9"}}
    metadata.describe(model, {metadata.KEY: spec.to_json(MODEL), metadata.RECIPE: json.dumps(recipe)})
    onnx.save(model, tmp_path / "find.onnx")
    return tmp_path / "find.onnx"


def test_a_graph_is_described_for_people(ocrd: Ocrd, file: Path) -> None:
    done = ocrd("inspect", file)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == str(file)
    for line in (
        "  model      find (detection, family dbnet)",
        "  input      x: float32, N x 3 x H x 32",
        "  output     maps: float32, N x 4 x H x 32",
        "  opset      17, IR version 8, by a test",
        "  operators  Identity 1, Conv 1, Relu 1",
        "  nodes      3; that compute in fp32 2",
        "  weights    16 numbers: fp32 100.0%",
        "  exported   by the legacy exporter from the checkpoint cccccccccccc",
        "  versions   torch 9.9",
        f"  sha256     {artifact.sha256(file)}",
        "odd weights: 6",
        "  1 of 12 numbers are NaN: k (Conv /neck/neck.0/conv/Conv, module neck.0.conv)",
        "  1 of 12 numbers are denormal: k (Conv /neck/neck.0/conv/Conv, module neck.0.conv)",
        "  1 of 12 numbers are too large for fp16: k (Conv /neck/neck.0/conv/Conv, module neck.0.conv)",
        "  1 of 4 dead channels: k (Conv /neck/neck.0/conv/Conv, module neck.0.conv)",
        "  1 of 4 constant channels: k (Conv /neck/neck.0/conv/Conv, module neck.0.conv)",
        "  1 of 4 numbers are infinite: b (Conv /neck/neck.0/conv/Conv, module neck.0.conv)",
    ):
        assert line in lines


def test_machines_get_all_of_it(ocrd: Ocrd, file: Path) -> None:
    found = json.loads(ocrd("inspect", file, "--json").stdout)
    assert found["model"] == json.loads(json.dumps(spec.to_dict(MODEL)))
    assert found["inputs"] == [{"name": "x", "dtype": "float32", "dims": ["N", 3, "H", 32]}]
    assert (found["opset"], found["weights"], found["nodes_by_precision"]) == ({"ai.onnx": 17}, {"float": 16}, {"fp32": 2})
    assert (found["manifest"], found["conversion"], found["external_files"]) == (None, None, [])
    assert len(found["odd_weights"]) == 6
    page = (Path(__file__).resolve().parents[2] / "docs" / "inspect.md").read_text(encoding="utf-8")
    undocumented = [key for key in (*found, *found["odd_weights"][0]) if f"`{key}`" not in page]
    assert undocumented == []


def test_what_was_converted_says_what_it_kept(ocrd: Ocrd, file: Path) -> None:
    half = file.with_name("half.onnx")
    precision.convert(file, half, spec.to_json(MODEL), "fp16", ranges={"maps": 7.1e4})
    made = Manifest(MODEL, "onnx", artifact.sha256(half), "p" * 64, "convert-fp16", {"keep_fp32": ""}, findings={"fp32_nodes": 2})
    artifact.write_manifest(half, made)
    out = ocrd("inspect", half).stdout
    assert "  nodes      2; that compute in fp32 2" in out
    assert "converted to fp16; nodes that stay in fp32: 2\n" in out
    assert "\n  /neck/relu/Relu: range 7.1e4\n" in out
    assert "  made       by the step convert-fp16 from pppppppppppp, for any\n  options    keep_fp32 none\n" in out
    half.write_bytes(file.read_bytes())
    assert "for any; THE FILE HAS CHANGED SINCE" in ocrd("inspect", half).stdout


@pytest.mark.parametrize("weights", ["initializer", "constant"])
def test_nothing_odd_is_none(weights: str, tmp_path: Path, ocrd: Ocrd) -> None:
    tensor = numbers("w", [[1, 2], [3, 4]])
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    if weights == "constant":
        nodes.insert(0, helper.make_node("Constant", [], ["w"], value=tensor))
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 2]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", value[:1], value[1:], [tensor] if weights == "initializer" else [])
    model = helper.make_model(graph, ir_version=8)
    assert oddities.oddities(model) == []
    tensor.CopyFrom(numbers("w", [[1, 0], [3, 0]]))
    if weights == "constant":
        model.graph.node[0].attribute[0].t.CopyFrom(tensor)
    else:
        model.graph.initializer[0].CopyFrom(tensor)
    assert [(each.kind, each.count, each.of, each.weight) for each in oddities.oddities(model)] == [("dead channels", 1, 2, "w")]
    onnx.save(model, tmp_path / "a.onnx")
    assert "  model      none: the file carries no specification\n" in ocrd("inspect", tmp_path / "a.onnx").stdout


ENGINES = """
from ocrdeploy import Unavailable, hookimpl
from ocrdeploy.vocabulary import BackendInfo, Probe
ocrd_contract = 1

@hookimpl
def ocrd_backend():
    return BackendInfo("nova", runs=("nova-plan",))

@hookimpl
def ocrd_probe():
    return Probe(version="1.0")

@hookimpl
def ocrd_infer():
    raise Unavailable("no", "none")

@hookimpl
def ocrd_inspect(path):
    if not path.read_bytes():
        raise Unavailable("the engine is empty", "build it again")
    return {"layers": 3, "precisions": {"fp16": 2, "fp32": 1}, "names": ["a", "b"]}
"""


@pytest.fixture
def engine(tmp_path: Path, site: Site) -> Path:
    site("nova", ENGINES)
    path = tmp_path / "find.plan"
    path.write_bytes(b"plan")
    digest = artifact.sha256(path)
    made = Manifest(MODEL, "nova-plan", digest, "p" * 64, "build", device="GPU A", facts={"flavour": "x"})
    artifact.write_manifest(path, made)
    return path


def test_of_an_engine_its_backend_tells(ocrd: Ocrd, engine: Path) -> None:
    out = ocrd("inspect", engine).stdout
    assert "  format     nova-plan, 0.0 MB\n  model      find (detection, family dbnet)\n" in out
    assert "  layers     3\n  precisions  fp16 2, fp32 1\n  names      a, b\n" in out
    assert "  made       by the step build from pppppppppppp, for GPU A\n  facts      flavour x\n" in out
    assert json.loads(ocrd("inspect", engine, "--json").stdout)["backends"]["nova"]["layers"] == 3


def test_what_a_backend_cannot_tell_is_said_beside_the_rest(ocrd: Ocrd, engine: Path) -> None:
    engine.write_bytes(b"")
    done = ocrd("inspect", engine)
    assert done.returncode == 0
    assert "  nova       cannot tell: the engine is empty\n  fix        build it again\n" in done.stdout


def test_a_file_that_is_no_model_is_an_error(ocrd: Ocrd, tmp_path: Path) -> None:
    assert "there is no model file" in ocrd("inspect", tmp_path / "nowhere.onnx").stderr
    (tmp_path / "a.txt").write_text("a", encoding="utf-8")
    assert "is in no model format that is known here" in ocrd("inspect", tmp_path / "a.txt").stderr
    (tmp_path / "a.onnx").write_bytes(b"\x00\x01\x02")
    done = ocrd("inspect", tmp_path / "a.onnx")
    assert (done.returncode, "is not an ONNX model, or is cut short" in done.stderr) == (1, True)


def test_weights_that_lie_beside_the_file_are_looked_at(ocrd: Ocrd, file: Path) -> None:
    onnx.save(onnx.load(file), file, save_as_external_data=True, location="weights.bin", size_threshold=0)
    found = json.loads(ocrd("inspect", file, "--json").stdout)
    assert (found["external_files"], len(found["odd_weights"])) == (["weights.bin"], 6)


def test_kinds_are_found_in_doubles_and_halves() -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])
    nan, large = np.array([np.nan, 1]), np.array([1e300, 1])
    weights = [numpy_helper.from_array(nan.astype(np.float16), "h"), numpy_helper.from_array(large, "d")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value], [], weights)
    found = oddities.oddities(helper.make_model(graph))
    assert [(each.kind, each.weight, each.node) for each in found] == [("NaN", "h", ""), ("too large for fp16", "d", "")]
