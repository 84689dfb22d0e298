"""Parts of ONNX graphs, and the search for the first node whose answer differs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from ocrdeploy import artifact, hookimpl
from ocrdeploy.errors import BadInput
from ocrdeploy.families import dbnet
from ocrdeploy.onnxgraph import subgraph
from ocrdeploy.plugins import Plugins
from ocrdeploy.verification import Candidate, Report, verify
from ocrdeploy.verification.bisection import PROBES
from ocrdeploy.vocabulary import (
    Artifact,
    BackendInfo,
    InputSpec,
    Loaded,
    ModelSpec,
    Pixels,
    Probe,
    Session,
    ShortSide,
    Task,
    Tensors,
)

Install = Callable[..., Plugins]

IMAGE = InputSpec("x", ShortSide(32), pad_to=32, mean=(127.5,), std=(127.5,))
DETECTOR = ModelSpec("find", "dbnet", Task.DETECTION, IMAGE, ("maps",))
DEPTH = 10


def weights(depth: int = DEPTH) -> dict[str, Any]:
    chance = np.random.default_rng(3)
    made = {f"w{index}": chance.normal(0, 0.05, (4, 4, 3, 3)) for index in range(depth)}
    made |= {"first": np.full((4, 3, 1, 1), -0.4), "last": np.ones((1, 4, 1, 1))}
    return {name: value.astype(np.float32) for name, value in made.items()}


def write(path: Path, values: Mapping[str, Any], *, rows: int | str = "N", side: int | str = "") -> Artifact:
    """Write a network of residual blocks: x + relu(conv(x)); its tensors are c0, r0, s0, c1, ..."""
    nodes = [helper.make_node("Conv", ["x", "first"], ["s"], name="/stem/Conv", kernel_shape=[1, 1])]
    before = "s"
    for index in range(len(values) - 2):
        here = f"/body/body.{index}"
        taken = [before, f"w{index}"]
        nodes += [
            helper.make_node("Conv", taken, [f"c{index}"], name=f"{here}/conv/Conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", [f"c{index}"], [f"r{index}"], name=f"{here}/Relu"),
            helper.make_node("Add", [f"r{index}", before], [f"s{index}"], name=f"{here}/Add"),
        ]
        before = f"s{index}"
    nodes += [
        helper.make_node("Conv", [before, "last"], ["logits"], name="/head/Conv", kernel_shape=[1, 1]),
        helper.make_node("Sigmoid", ["logits"], ["maps"], name="/head/Sigmoid"),
    ]
    dims = [rows, side or "H", side or "W"]
    graph = helper.make_graph(
        nodes,
        "blocks",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [dims[0], 3, *dims[1:]])],
        [helper.make_tensor_value_info("maps", TensorProto.FLOAT, [dims[0], 1, *dims[1:]])],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return Artifact(path, "onnx", artifact.sha256(path), DETECTOR)


@dataclass
class Interpreter:
    """A backend that runs ONNX with onnx's own reference code, and notes how many outputs each of its files has."""

    name: str
    change: Callable[[dict[str, Any]], None] = lambda _: None
    outputs: list[int] = field(default_factory=list)
    ocrd_contract = 1

    @hookimpl
    def ocrd_backend(self) -> BackendInfo:
        return BackendInfo(self.name, runs=("onnx",))

    @hookimpl
    def ocrd_probe(self) -> Probe:
        return Probe(version="1.0")

    @hookimpl
    def ocrd_infer(self, artifact: Artifact) -> Session:
        self.outputs.append(len(artifact.model.outputs))
        return Interpreted(artifact, self.change)


class Interpreted(Session):
    def __init__(self, source: Artifact, change: Callable[[dict[str, Any]], None]) -> None:
        self.model, self.change = source.model, change
        self.evaluator = ReferenceEvaluator(str(source.path))

    def run(self, inputs: Tensors) -> Tensors:
        found = dict(zip(self.model.outputs, self.evaluator.run(list(self.model.outputs), dict(inputs)), strict=True))
        self.change(found)
        return found

    def loaded(self) -> Loaded:
        return Loaded("1.0", "cpu")

    def close(self) -> None:
        pass


@pytest.fixture
def picture() -> tuple[str, Pixels]:
    pixels = np.full((32, 64, 3), 235, np.uint8)
    pixels[8:20, 10:50] = 20
    return "sign.png", pixels


@pytest.fixture
def bisect(install: Install, picture: tuple[str, Pixels]) -> Callable[..., Report]:
    def run(a: Artifact, b: Artifact, backends: tuple[Interpreter, Interpreter] | None = None, **settings: Any) -> Report:
        first, second = backends or (Interpreter("first"), Interpreter("second"))
        plugins = install(first=first, second=second, dbnet=dbnet)
        return verify(
            plugins, Candidate(a, "first"), Candidate(b, "second"), [picture], **{"batches": (1,), "bisect": True, **settings}
        )

    return run


def test_a_changed_weight_is_found_by_name(bisect: Callable[..., Report], tmp_path: Path) -> None:
    changed = weights()
    changed["w6"][1, 2, 0, 0] += 0.05
    first, second = Interpreter("first"), Interpreter("second")
    found = bisect(write(tmp_path / "a.onnx", weights()), write(tmp_path / "b.onnx", changed), (first, second))
    assert not found.agree
    where = found.bisection
    assert where is not None
    assert (where.node, where.operator, where.tensor, where.module) == ("/body/body.6/conv/Conv", "Conv", "c6", "body.6.conv")
    assert (where.index, where.nodes) == (19, 3 * DEPTH + 3)
    assert where.weights == ("w6 (by up to 0.05)",)
    assert where.deviation is not None
    assert where.deviation.max_abs > 0.001
    assert where.tested < 15
    assert "bisection  node 19 of 33, Conv /body/body.6/conv/Conv, of the module body.6.conv: what it takes agrees" in str(found)
    assert found.to_dict()["bisection"]["node"] == "/body/body.6/conv/Conv"


def test_never_more_than_a_few_tensors_are_answered_at_a_time_and_no_file_stays(
    bisect: Callable[..., Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "parts").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "parts"))
    changed = weights()
    changed["w1"] *= 1.1
    backends = Interpreter("first"), Interpreter("second")
    found = bisect(write(tmp_path / "a.onnx", weights()), write(tmp_path / "b.onnx", changed), backends)
    assert found.bisection is not None
    assert found.bisection.tensor == "c1"
    assert max(backends[0].outputs) == PROBES
    assert len(backends[0].outputs) <= 8
    assert list((tmp_path / "parts").iterdir()) == []


@pytest.mark.parametrize("block", [0, 3, 9])
def test_a_difference_that_fades_and_returns_is_followed_to_a_node_whose_inputs_agree(
    bisect: Callable[..., Report], tmp_path: Path, block: int
) -> None:
    # Tensors that follow the wrong one lie on another branch (x of x + relu(conv(x))), and agree.
    def spoil(tensors: dict[str, Any]) -> None:
        for name in tensors:
            if name == "maps" or (name[0] in "rs" and name[1:].isdigit() and int(name[1:]) >= block):
                tensors[name] += 0.01

    source = write(tmp_path / "a.onnx", weights())
    found = bisect(source, source, (Interpreter("first"), Interpreter("second", spoil)))
    assert found.bisection is not None
    assert found.bisection.operator == "Relu"
    assert int(found.bisection.tensor[1:]) >= block
    assert found.bisection.weights == ()


def test_half_precision_weights_of_one_node_are_found(bisect: Callable[..., Report], tmp_path: Path) -> None:
    rounded = weights()
    rounded["w4"] = rounded["w4"].astype(np.float16).astype(np.float32)
    a, b = write(tmp_path / "a.onnx", weights()), write(tmp_path / "b.onnx", rounded)
    found = bisect(a, b, atol=1e-6, rtol=0)
    assert found.bisection is not None
    assert found.bisection.node == "/body/body.4/conv/Conv"


def test_what_is_gone_when_looked_at_is_said(bisect: Callable[..., Report], tmp_path: Path) -> None:
    source = write(tmp_path / "a.onnx", weights())
    calls: list[int] = []

    def once(tensors: dict[str, Any]) -> None:
        calls.append(1)
        if len(calls) == 1:
            tensors["maps"] += 0.1

    found = bisect(source, source, (Interpreter("first"), Interpreter("second", once)))
    assert found.bisection is not None
    assert found.bisection.node == ""
    assert "no node was found: with tensors from inside the graph as outputs" in str(found)


def test_without_a_difference_nothing_is_searched(bisect: Callable[..., Report], tmp_path: Path) -> None:
    source = write(tmp_path / "a.onnx", weights())
    assert bisect(source, source).bisection is None


def test_only_two_onnx_files_of_one_graph_can_be_bisected(bisect: Callable[..., Report], tmp_path: Path) -> None:
    a = write(tmp_path / "a.onnx", weights())
    with pytest.raises(BadInput, match="only ONNX files can be bisected"):
        bisect(a, Artifact(a.path, "checkpoint", a.sha256, DETECTOR))
    model = onnx.load(a.path)
    for node in model.graph.node:
        node.input[:] = [f"{name}_" if name not in {"x", *weights()} else name for name in node.input]
        node.output[:] = [f"{name}_" for name in node.output]
    model.graph.output[0].name = "maps_"
    last = next(each for each in model.graph.initializer if each.name == "last")
    last.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(last) * 2, "last"))
    onnx.save(model, tmp_path / "b.onnx")
    other = Artifact(tmp_path / "b.onnx", "onnx", "", ModelSpec("b", "dbnet", Task.DETECTION, IMAGE, ("maps_",)))
    with pytest.raises(BadInput, match="no tensors of the same names"):
        bisect(a, other)


@pytest.mark.parametrize(("rows", "side"), [(1, ""), (4, ""), ("N", 64), (2, 64)])
def test_a_file_with_fixed_dims_is_compared_at_what_it_takes_and_that_is_said(
    bisect: Callable[..., Report], tmp_path: Path, rows: int | str, side: int | str
) -> None:
    free, fixed = write(tmp_path / "a.onnx", weights(1)), write(tmp_path / "b.onnx", weights(1), rows=rows, side=side)
    for a, b, label in ((free, fixed, "B"), (fixed, free, "A")):
        found = bisect(a, b, batches=(1, 2), bisect=False)
        assert found.agree, str(found)
        if rows != "N":
            assert f"{label} takes batches of {rows} only, so it was given no others" in found.limits
            assert label == "A" or set(found.evidence.batches) == {rows}
        if side:
            assert found.evidence.sizes == {(64, 64)}
            assert f"{label} takes tensors of 64 x 64 only, so it was given no others" in found.limits


def test_a_part_has_the_nodes_and_weights_that_it_needs_and_no_others(tmp_path: Path) -> None:
    model = subgraph.load(write(tmp_path / "a.onnx", weights()).path)
    part = subgraph.cut(model, ["r1", "s0"])
    onnx.checker.check_model(subgraph.cut(model, ["maps"]))
    assert [node.output[0] for node in part.graph.node] == ["s", "c0", "r0", "s0", "c1", "r1"]
    assert [each.name for each in part.graph.initializer] == ["w0", "w1", "first"]
    assert [each.name for each in part.graph.output] == ["r1", "s0"]
    inputs = {"x": np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32)}
    whole, again = (ReferenceEvaluator(each).run(["maps"], inputs) for each in (model, subgraph.cut(model, ["s9", "maps"])))
    np.testing.assert_array_equal(np.stack(list(whole)), np.stack(list(again)))


def test_what_inner_graphs_take_from_outside_is_kept() -> None:
    def branch(name: str, operator: str) -> Any:
        nodes = [helper.make_node(operator, ["a", "w"], [name])]
        return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2])])

    def returning(name: str) -> Any:
        return helper.make_graph([], "direct", [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2])])

    scalar = helper.make_tensor_value_info("yes", TensorProto.BOOL, [])
    vector = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])
    result = helper.make_tensor_value_info("z", TensorProto.FLOAT, [2])
    model = helper.make_model(
        helper.make_graph(
            [
                helper.make_node("Neg", ["x"], ["a"]),
                helper.make_node("Abs", ["x"], ["b"]),
                helper.make_node("If", ["yes"], ["y"], then_branch=branch("p", "Add"), else_branch=branch("q", "Mul")),
                helper.make_node("If", ["yes"], ["z"], then_branch=returning("b"), else_branch=returning("y")),
            ],
            "g",
            [scalar, vector],
            [result],
            [numpy_helper.from_array(np.array([1, 2], np.float32), "w")],
        )
    )
    assert subgraph.nodes(model)[2].inputs == ("yes", "a", "w")
    assert [node.op_type for node in subgraph.cut(model, ["y"]).graph.node] == ["Neg", "If"]
    assert len(subgraph.cut(model, ["y"]).graph.initializer) == 1
    assert [node.op_type for node in subgraph.cut(model, ["z"]).graph.node] == ["Neg", "Abs", "If", "If"]


@pytest.mark.parametrize(
    ("name", "metadata", "module"),
    [
        ("/backbone/layer1/layer1.0/conv1/Conv", {}, "backbone.layer1.0.conv1"),
        ("/layers/layers.1/layers.1.2/Relu", {}, "layers.1.2"),
        ("/Concat_3", {}, ""),
        ("node_conv2d_4", {subgraph.SCOPES: "['', 'neck', 'neck.lateral.0', 'conv2d_4']"}, "neck.lateral.0"),
        ("node_add", {subgraph.SCOPES: "['', 'add_1']"}, ""),
        ("node_add", {subgraph.SCOPES: "not a list"}, ""),
        ("Conv_12", {}, ""),
    ],
)
def test_the_module_is_read_from_what_exporters_write(name: str, metadata: dict[str, str], module: str) -> None:
    assert subgraph.module_of(name, metadata) == module
