"""What is checked in an exported graph, and that a graph which breaks a rule is told so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from ocrdeploy.onnxgraph import checks, metadata, weights
from ocrdeploy.onnxgraph.checks import InvalidGraphError, Signature


def a_model(nodes: Sequence[Any], *, opset: int = 17, shape: Sequence[str | int] = ("n", 3, "h", "w"), extra: Any = ()) -> Any:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"), *extra],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def resize(**settings: str) -> Any:
    return a_model([helper.make_node("Resize", ["x", "", "scales"], ["y"], name="up", **settings)])


def in_a_branch(model: Any) -> Any:
    """Return a model that has the nodes of `model` in both branches of an If."""
    value = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    branch = helper.make_graph(model.graph.node, "branch", [], [value])
    node = helper.make_node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch)
    return a_model([node], extra=[numpy_helper.from_array(np.array(True), "yes")])


TORCH = [
    {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
    {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
]
NOT_TORCH = [
    {"mode": "nearest"},
    {"mode": "nearest", "coordinate_transformation_mode": "asymmetric"},
    {"mode": "nearest", "coordinate_transformation_mode": "half_pixel", "nearest_mode": "floor"},
    {"mode": "linear", "coordinate_transformation_mode": "asymmetric"},
    {"mode": "cubic"},
]


@pytest.mark.parametrize("settings", TORCH)
@pytest.mark.parametrize("placed", [lambda model: model, in_a_branch])
def test_the_pixels_that_pytorch_picks_pass(settings: dict[str, str], placed: Callable[[Any], Any]) -> None:
    checks.require_torch_resize(placed(resize(**settings)))


@pytest.mark.parametrize("settings", NOT_TORCH)
@pytest.mark.parametrize("placed", [lambda model: model, in_a_branch])
def test_other_pixels_do_not(settings: dict[str, str], placed: Callable[[Any], Any]) -> None:
    with pytest.raises(
        InvalidGraphError, match=f"the Resize 'up' picks other pixels than PyTorch does .*mode={settings['mode']}"
    ):
        checks.require_torch_resize(placed(resize(**settings)))


def test_the_opset_is_the_one_that_was_asked_for() -> None:
    model = a_model([helper.make_node("Relu", ["x"], ["y"])], opset=18)
    assert checks.opset(model) == 18
    checks.require_opset(model, 18)
    with pytest.raises(InvalidGraphError, match="it is written in opset 18, and 11 was asked for"):
        checks.require_opset(model, 11)
    del model.opset_import[:]
    with pytest.raises(InvalidGraphError, match="does not say which opset"):
        checks.opset(model)


def test_operators_of_others_are_named() -> None:
    checks.require_plain_operators(a_model([helper.make_node("Relu", ["x"], ["y"])]))
    model = a_model([helper.make_node("Magic", ["x"], ["y"], domain="com.example")])
    with pytest.raises(InvalidGraphError, match=r"not ONNX's own \(com\.example\)"):
        checks.require_plain_operators(model)


def test_shapes_are_inferred_with_their_names() -> None:
    conv = [helper.make_node("Relu", ["x"], ["inner"]), helper.make_node("Transpose", ["inner"], ["y"], perm=[0, 2, 3, 1])]
    model = checks.inferred(a_model(conv))
    checks.check(model)
    assert [value.name for value in model.graph.value_info] == ["inner"]
    assert checks.inputs(model) == (Signature("x", "float32", ("n", 3, "h", "w")),)
    assert checks.outputs(model) == (Signature("y", "float32", ("n", "h", "w", 3)),)


def test_weights_that_are_listed_as_inputs_are_none() -> None:
    model = a_model([helper.make_node("Relu", ["x"], ["y"])])
    model.graph.input.append(helper.make_tensor_value_info("scales", TensorProto.FLOAT, [4]))
    assert [each.name for each in checks.inputs(model)] == ["x"]


@pytest.mark.parametrize("judge", [checks.inferred, checks.check])
def test_a_graph_that_contradicts_itself_is_refused_in_one_line(judge: Callable[[Any], object]) -> None:
    weight = numpy_helper.from_array(np.ones((5, 1, 1), np.float32), "per_channel")
    model = a_model([helper.make_node("Add", ["x", "per_channel"], ["y"])], extra=[weight])
    with pytest.raises(InvalidGraphError, match=r"shapes cannot be inferred|checker does not accept it") as caught:
        judge(model)
    assert "\n" not in str(caught.value)


def test_an_axis_is_as_open_or_as_fixed_as_it_should_be() -> None:
    found = Signature("x", "float32", ("n", 3, "", 32))
    checks.require_dims(found, ("batch", 3, "height", 32))
    for wanted, complaint in (
        ((1, 3, "height", 32), "axis 0 of 'x' is open, and should be 1"),
        (("batch", "channels", "height", 32), r"axis 1 of 'x' is 3, and should be open \(channels\)"),
        (("batch", 3, "height", 48), "axis 3 of 'x' is 32, and should be 48"),
        (("batch", 3, "height"), "'x' has 4 axes, and 3 were expected"),
    ):
        with pytest.raises(InvalidGraphError, match=complaint):
            checks.require_dims(found, wanted)


def test_weights_that_are_not_a_number_are_counted() -> None:
    odd = np.array([0x7FC0_0000, 0xFFC0_0001, 0x7F80_0001, 0x7F80_0000, 0xFF80_0000, 0x3F80_0000, 1], np.uint32).view(np.float32)
    double = np.array([np.nan, np.inf, 1.0], np.float64)
    model = a_model([], extra=[numpy_helper.from_array(odd, "f"), numpy_helper.from_array(double, "d")])
    assert weights.nan_count(model) == 4


def test_metadata_are_replaced_by_name_and_others_are_kept() -> None:
    model = a_model([helper.make_node("Relu", ["x"], ["y"])])
    helper.set_model_props(model, {"ocrdeploy": "old", "author": "me"})
    metadata.describe(model, {"ocrdeploy": "new", "ocrdeploy.recipe": "{}"})
    assert {entry.key: entry.value for entry in model.metadata_props} == {
        "ocrdeploy": "new",
        "author": "me",
        "ocrdeploy.recipe": "{}",
    }
    checks.check(checks.inferred(model))
