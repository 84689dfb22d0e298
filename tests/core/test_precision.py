"""Graphs in half precision: float32 outside, one Cast where a tensor passes over, the same answers, no number too large."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from ocrdeploy.errors import BadInput, UnknownName
from ocrdeploy.onnxgraph import metadata, precision
from ocrdeploy.onnxgraph.precision import Converted

Values: TypeAlias = NDArray[Any]
FLOAT, HALF, BFLOAT = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16


def chance(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng([*shape]).standard_normal(shape, dtype=np.float32)


def weight(name: str, values: Any) -> Any:
    return numpy_helper.from_array(np.asarray(values, np.float32), name)


def value(name: str, shape: Sequence[Any] | None, kind: int = FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def node(operator: str, inputs: str, outputs: str, name: str = "", **attributes: Any) -> Any:
    """Make a node; names are separated by blanks, "-" is one left out."""
    taken = ["" if each == "-" else each for each in inputs.split()]
    return helper.make_node(operator, taken, outputs.split(), name=name, **attributes)


def a_model(
    nodes: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    weights: Sequence[Any] = (),
    opset: int = 17,
    **more: Any,
) -> Any:
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    domains = [helper.make_opsetid("", opset), *[helper.make_opsetid(name, 1) for name in more.pop("domains", ())]]
    return helper.make_model(graph, opset_imports=domains, **{"ir_version": 8, **more})


@pytest.fixture
def convert(tmp_path: Path) -> Callable[..., tuple[Any, Converted]]:
    """Convert a model that is in memory; return the new one, and what was done."""

    def run(model: Any, kind: str = "fp16", **wishes: Any) -> tuple[Any, Converted]:
        source, target = tmp_path / "source.onnx", tmp_path / "target.onnx"
        onnx.save(model, source)
        done = precision.convert(source, target, '{"a": 1}', kind, **wishes)
        made = onnx.load(target)
        onnx.checker.check_model(made, full_check=True)
        assert [each.type.tensor_type.elem_type for each in (*made.graph.input, *made.graph.output)] == [
            each.type.tensor_type.elem_type for each in (*model.graph.input, *model.graph.output)
        ], "what goes in and comes out has the types that it had"
        assert [each.name for each in made.graph.output] == [each.name for each in model.graph.output]
        return made, done

    return run


Convert: TypeAlias = Callable[..., tuple[Any, Converted]]


def answers(model: Any, **inputs: Values) -> list[Values]:
    return [np.asarray(each) for each in ReferenceEvaluator(model).run(None, inputs)]


def near(model: Any, made: Any, far: float = 4e-3, **inputs: Values) -> None:
    for before, after in zip(answers(model, **inputs), answers(made, **inputs), strict=True):
        assert before.dtype == after.dtype
        np.testing.assert_allclose(after, before, rtol=far, atol=far * max(1.0, float(np.abs(before).max(initial=0))))


def operators(model: Any) -> Counter[str]:
    return Counter(each.op_type for each in model.graph.node)


def kinds(model: Any) -> dict[str, int]:
    """The element types of all tensors that the file describes."""
    known = (*model.graph.value_info, *model.graph.input, *model.graph.output)
    return {each.name: each.type.tensor_type.elem_type for each in known} | {
        each.name: each.data_type for each in model.graph.initializer
    }


def named(model: Any, name: str) -> Any:
    (found,) = [each for each in model.graph.node if each.name == name]
    return found


def taken(model: Any, name: str) -> list[int]:
    known = kinds(model)
    return [known[each] for each in named(model, name).input if each]


def two_branches() -> Any:
    """x -> a = x * w, b = x + v -> y = a @ b."""
    nodes = [node("Mul", "x w", "a", "times"), node("Add", "x v", "b", "plus"), node("MatMul", "a b", "y", "product")]
    return a_model(nodes, [value("x", ["N", 4, 4])], [value("y", None)], [weight("w", chance(4)), weight("v", chance(4))])


# -------------------------------------------------------------------------------------------------------------- borders


def test_a_graph_has_one_cast_at_each_border_and_none_between(convert: Convert) -> None:
    model = two_branches()
    made, done = convert(model)
    assert operators(made) == operators(model) + Counter(Cast=2)
    assert [each.op_type for each in made.graph.node] == ["Cast", "Mul", "Add", "MatMul", "Cast"]
    assert done == Converted({}, weights=8, vanished=0, folded=0)
    assert {each.data_type for each in made.graph.initializer} == {HALF}
    near(model, made, x=chance(2, 4, 4))


def test_an_output_that_is_used_inside_too_is_cast_once(convert: Convert) -> None:
    nodes = [node("Relu", "x", "y", "relu"), node("Mul", "y y", "z", "square"), node("Shape", "y", "s", "shape")]
    model = a_model(nodes, [value("x", ["N", 4])], [value("y", None), value("z", None), value("s", None, TensorProto.INT64)])
    made, _ = convert(model)
    assert operators(made)["Cast"] == 3
    assert taken(made, "square") == [HALF, HALF]
    near(model, made, x=chance(3, 4))


def test_an_output_that_is_wanted_in_fp32_inside_is_taken_as_it_goes_out(convert: Convert) -> None:
    nodes = [node("Relu", "x", "y", "relu"), node("Exp", "y", "z", "exp")]
    made, done = convert(a_model(nodes, [value("x", ["N", 4])], [value("y", None), value("z", None)]), keep=["exp"])
    assert done.kept == {"exp": "asked"}
    assert named(made, "exp").input == ["y"]
    assert operators(made)["Cast"] == 2


def test_casts_between_kept_and_converted_nodes_are_not_repeated(convert: Convert) -> None:
    nodes = [
        node("Relu", "x", "a", "relu"),
        node("Exp", "a", "b", "exp"),
        node("Mul", "a a", "c", "square"),
        node("Add", "b c", "d", "plus"),
        node("Sub", "b d", "y", "minus"),
    ]
    model = a_model(nodes, [value("x", ["N", 4])], [value("y", None)])
    made, done = convert(model, keep=["exp", "Mul"])
    assert done.kept == {"exp": "asked", "square": "asked"}
    assert taken(made, "square") == [FLOAT, FLOAT]
    # x, a for two that are kept, b and c for those that are not, y.
    assert operators(made)["Cast"] == 5
    near(model, made, x=chance(3, 4))


def test_what_only_moves_numbers_stays_with_the_node_that_is_kept(convert: Convert) -> None:
    nodes = [
        node("Exp", "x", "a", "exp"),
        node("Transpose", "a", "b", "turn"),
        node("Log", "b", "c", "log"),
        node("Relu", "c", "y", "relu"),
    ]
    made, _ = convert(a_model(nodes, [value("x", [3, 4])], [value("y", None)]), keep=["Exp", "Log"])
    assert [each.op_type for each in made.graph.node] == ["Exp", "Transpose", "Log", "Cast", "Relu", "Cast"]


def test_an_input_that_is_an_output_is_left_alone(convert: Convert) -> None:
    model = a_model([node("Identity", "x", "y"), node("Relu", "x", "z")], [value("x", [4])], [value("y", None), value("z", None)])
    made, _ = convert(model)
    near(model, made, x=chance(4))


# -------------------------------------------------------------------------------------------------------------- weights


def test_a_weight_that_kept_and_converted_nodes_share_is_there_twice(convert: Convert) -> None:
    nodes = [node("Mul", "x w", "a", "times"), node("Add", "a w", "y", "plus")]
    exact = chance(4)
    made, _ = convert(a_model(nodes, [value("x", [4])], [value("y", None)], [weight("w", exact)]), keep=["plus"])
    found = {each.name: numpy_helper.to_array(each) for each in made.graph.initializer}
    assert found.keys() == {"w", "w.fp16"}
    np.testing.assert_array_equal(found["w"], exact)
    np.testing.assert_array_equal(found["w.fp16"], exact.astype(np.float16))


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([7e4, 1, 1, 1], "range 7.0e4 of its weights"),
        ([65504, -65504, np.inf, -np.inf], ""),
        ([1e-12, 0, 0, 0], "loses 100.0% of its weights"),
        ([1, 1e-12, 0, 0], ""),
        ([np.nan, 1, 1, 1], ""),
    ],
)
def test_a_node_with_weights_that_half_precision_does_not_hold_is_kept(convert: Convert, values: list[float], why: str) -> None:
    model = a_model([node("Add", "x w", "y", "plus")], [value("x", [4])], [value("y", None)], [weight("w", values)])
    made, done = convert(model)
    assert done.kept == ({"plus": why} if why else {})
    assert kinds(made)["w"] == (FLOAT if why else HALF)


def test_weights_that_become_zero_are_counted(convert: Convert) -> None:
    values = [1, 1e-9, -1e-9, 0]
    _, done = convert(a_model([node("Add", "x w", "y")], [value("x", [4])], [value("y", None)], [weight("w", values)]))
    assert (done.weights, done.vanished) == (4, 2)


def test_weights_in_a_file_of_their_own_are_taken_in(tmp_path: Path) -> None:
    model = two_branches()
    source, target = tmp_path / "source.onnx", tmp_path / "elsewhere" / "target.onnx"
    target.parent.mkdir()
    onnx.save(model, source, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert (tmp_path / "weights.bin").is_file()
    precision.convert(source, target, "{}", "fp16")
    near(two_branches(), onnx.load(target), x=chance(2, 4, 4))
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(BadInput, match="that holds its weights"):
        precision.convert(source, target, "{}", "fp16")


def test_weights_that_are_listed_as_inputs_are_weights(tmp_path: Path) -> None:
    inputs = [value("x", [4]), value("w", [4])]
    model = a_model([node("Add", "x w", "y")], inputs, [value("y", None)], [weight("w", chance(4))], opset=8, ir_version=3)
    onnx.save(model, tmp_path / "old.onnx")
    precision.convert(tmp_path / "old.onnx", tmp_path / "new.onnx", "{}", "fp16")
    made = onnx.load(tmp_path / "new.onnx")
    onnx.checker.check_model(made, full_check=True)
    assert ([each.name for each in made.graph.input], kinds(made)["w"]) == (["x"], HALF)


def test_constants_and_copies_of_weights_are_weights(convert: Convert) -> None:
    exact = chance(4)
    nodes = [
        node("Constant", "", "c", value=weight("", exact)),
        node("Constant", "", "f", value_float=2.5),
        node("Identity", "c", "copy"),
        node("Constant", "", "shape", value_ints=[2, 2]),
        node("Reshape", "copy shape", "square"),
        node("Mul", "x square", "a", "times"),
        node("Add", "a f", "b", "plus"),
        node("Sub", "b square", "y", "minus"),
    ]
    model = a_model(nodes, [value("x", [2, 2])], [value("y", None)])
    made, _ = convert(model, keep=["minus"])
    found = {each.name: numpy_helper.to_array(each) for each in made.graph.initializer}
    np.testing.assert_array_equal(found["square"].ravel(), exact, "a node that is kept has the exact weights")
    assert (taken(made, "times"), taken(made, "minus")) == ([HALF, HALF], [FLOAT, FLOAT])
    assert found["f"].dtype == np.float16
    near(model, made, x=chance(2, 2))


# ------------------------------------------------------------------------------------------------------------ operators


@pytest.mark.parametrize("opset", [10, 11, 13, 19])
def test_the_factors_of_a_resize_stay_exact(convert: Convert, opset: int) -> None:
    scales = weight("scales", [1, 1, 2.0003, 2.0003])
    inputs = "x scales" if opset == 10 else "x roi scales"
    settings = {} if opset == 10 else {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    nodes = [node("Resize", inputs, "a", "resize", mode="nearest", **settings), node("Relu", "a", "y")]
    weights = [scales, weight("roi", np.zeros(0))][: 1 if opset == 10 else 2]
    made, done = convert(a_model(nodes, [value("x", [1, 1, 4, 4])], [value("y", None)], weights, opset=opset))
    assert done.kept == {}
    assert taken(made, "resize") == [HALF, *[FLOAT] * len(weights)]
    assert numpy_helper.to_array(made.graph.initializer[0])[2] == np.float32(2.0003)


def test_sizes_that_are_computed_with_floats_are_exact(convert: Convert) -> None:
    """4099 is no half-precision number: an upsampled picture would miss a row."""
    nodes = [
        node("Shape", "x", "shape"),
        node("Cast", "shape", "floats", to=FLOAT),
        node("Mul", "floats factors", "larger", "larger"),
        node("Floor", "larger", "floor"),
        node("Cast", "floor", "sizes", to=TensorProto.INT64),
        node("Resize", "x - - sizes", "a", "resize", mode="nearest", nearest_mode="floor"),
        node("Relu", "a", "y"),
    ]
    model = a_model(nodes, [value("x", [1, 1, "H", 1])], [value("y", None)], [weight("factors", [1, 1, 1, 1])])
    made, done = convert(model)
    assert taken(made, "larger") == [FLOAT, FLOAT]
    assert (done.kept, answers(made, x=chance(1, 1, 4099, 1))[0].shape) == ({}, (1, 1, 4099, 1))


def test_what_casts_and_fills_answers_in_half_precision(convert: Convert) -> None:
    nodes = [
        node("Cast", "n", "floats", "cast", to=FLOAT),
        node("Shape", "n", "shape"),
        node("ConstantOfShape", "shape", "zeros", "zeros"),
        node("ConstantOfShape", "shape", "twos", "twos", value=weight("", [2])),
        node("Mul", "floats twos", "a", "times"),
        node("Add", "a zeros", "b", "plus"),
        node("Cast", "b", "y", to=TensorProto.INT64),
    ]
    model = a_model(nodes, [value("n", [3], TensorProto.INT64)], [value("y", None, TensorProto.INT64)])
    made, _ = convert(model)
    assert operators(made) == operators(model), "no cast is needed"
    assert (taken(made, "times"), taken(made, "plus")) == ([HALF, HALF], [HALF, HALF])
    assert answers(made, n=np.array([1, 20, 300]))[0].tolist() == [2, 40, 600]


def test_random_numbers_are_those_of_the_fp32_graph(convert: Convert) -> None:
    nodes = [node("RandomNormalLike", "x", "r", "random", seed=1.0), node("Add", "x r", "y", "plus")]
    made, done = convert(a_model(nodes, [value("x", [4])], [value("y", None)]))
    assert done.kept == {"random": "operator (RandomNormalLike: random numbers)"}
    assert taken(made, "random") == [FLOAT]
    assert taken(made, "plus") == [HALF, HALF]


def test_numbers_that_are_not_float32_are_left_alone(convert: Convert) -> None:
    double = numpy_helper.from_array(np.array([1e300, 1.0]), "d")
    nodes = [node("Add", "x d", "a"), node("Cast", "a", "y", to=FLOAT), node("Add", "n n", "m")]
    inputs = [value("x", [2], TensorProto.DOUBLE), value("n", [2], TensorProto.INT32)]
    model = a_model(nodes, inputs, [value("y", None), value("m", None, TensorProto.INT32)], [double])
    made, done = convert(model)
    assert (kinds(made)["d"], done.weights, done.kept) == (TensorProto.DOUBLE, 0, {})


def test_a_recurrent_layer_is_converted_with_all_that_it_takes(convert: Convert) -> None:
    weights = [
        weight("w", chance(2, 12, 5) * 0.3),
        weight("r", chance(2, 12, 3) * 0.3),
        weight("b", chance(2, 24) * 0.3),
    ]
    lstm = node("LSTM", "x w r b - h h", "y last", "lstm", hidden_size=3, direction="bidirectional")
    fill = [
        node("Shape", "x", "shape"),
        node("Gather", "shape one", "batch", axis=0),
        node("Concat", "two batch three", "states", axis=0),
        node("ConstantOfShape", "states", "h"),
    ]
    numbers = [numpy_helper.from_array(np.array([n]), name) for n, name in ((1, "one"), (2, "two"), (3, "three"))]
    model = a_model([*fill, lstm], [value("x", ["T", "N", 5])], [value("y", None), value("last", None)], [*weights, *numbers])
    made, done = convert(model)
    assert done.kept == {}
    assert taken(made, "lstm") == [HALF] * 6
    near(model, made, x=chance(7, 1, 5))
    kept, done = convert(model, keep=["LSTM"])
    assert (done.kept, operators(kept)["Cast"]) == ({"lstm": "asked"}, 0)


def test_operators_that_onnx_does_not_know_stay_in_fp32(convert: Convert) -> None:
    nodes = [
        node("Relu", "x", "a", "relu"),
        helper.make_node("Twist", ["a"], ["b"], name="twist", domain="elsewhere"),
        node("Relu", "b", "c", "after"),
        node("NonMaxSuppression", "boxes scores", "n", "nms"),
    ]
    inputs = [value("x", [4]), value("boxes", [1, 5, 4]), value("scores", [1, 1, 5])]
    outputs = [value("c", [4]), value("n", None, TensorProto.INT64)]
    made, done = convert(a_model(nodes, inputs, outputs, domains=["elsewhere"]))
    assert done.kept == {
        "twist": "operator (Twist: a type is not known)",
        "after": "operator (Relu: a type is not known)",
    }
    assert taken(made, "nms") == [FLOAT, FLOAT], "ONNX has it in fp32 only"
    assert named(made, "twist").input == ["a.fp32"]


def test_normalizations_are_folded_into_convolutions_or_kept(convert: Convert) -> None:
    """The variances of a trained detector go up to 1.4e7, which half precision does not hold; their quotients it does."""
    variance = np.array([1.4e7, 0.3, 1, 2], np.float32)
    statistics = [weight("gamma", chance(4)), weight("beta", chance(4)), weight("mean", chance(4) * 100), weight("var", variance)]
    names = "gamma beta mean var"
    nodes = [
        node("Conv", "x k", "a", "conv", kernel_shape=[3, 3]),
        node("BatchNormalization", f"a {names}", "b", "folded", epsilon=1e-3),
        node("Relu", "b", "c"),
        node("ConvTranspose", "c t bias", "d", "deconv"),
        node("BatchNormalization", f"d {names}", "e", "folded too"),
        node("BatchNormalization", f"e {names}", "y", "alone"),
    ]
    weights = [weight("k", chance(4, 2, 3, 3) * 30), weight("t", chance(4, 4, 2, 2)), weight("bias", chance(4))]
    model = a_model(nodes, [value("x", ["N", 2, 6, 6])], [value("y", None)], [*weights, *statistics])
    made, done = convert(model)
    assert done.folded == 2
    assert done.kept == {"alone": "operator (BatchNormalization: statistics)"}
    assert operators(made)["BatchNormalization"] == 1
    near(model, made, x=chance(2, 2, 6, 6))


def test_a_convolution_that_others_take_from_keeps_its_weights(convert: Convert) -> None:
    statistics = [weight(name, np.abs(chance(4)) + 1) for name in ("gamma", "beta", "mean", "var")]
    nodes = [
        node("Conv", "x k", "a", "conv"),
        node("BatchNormalization", "a gamma beta mean var", "b", "norm"),
        node("Add", "a b", "y", "plus"),
    ]
    model = a_model(nodes, [value("x", [1, 2, 3, 3])], [value("y", None)], [weight("k", chance(4, 2, 1, 1)), *statistics])
    made, done = convert(model)
    assert (done.folded, [*done.kept]) == (0, ["norm"])
    near(model, made, x=chance(1, 2, 3, 3))


# ------------------------------------------------------------------------------------------------------- graphs in graphs


def branches() -> Any:
    """y = (relu(x) * w + 1 if c else relu(x)) * w: the branches take a tensor and a weight from around them."""
    inside = [node("Mul", "a w", "b", "inner"), node("Add", "b one", "t", "inner plus")]
    then = helper.make_graph(inside, "then", [], [value("t", ["N", 4])], [weight("one", [1])])
    otherwise = helper.make_graph([node("Identity", "a", "e")], "else", [], [value("e", ["N", 4])])
    nodes = [
        node("Relu", "x", "a", "relu"),
        node("If", "c", "d", "if", then_branch=then, else_branch=otherwise),
        node("Mul", "d w", "y", "outer"),
    ]
    return a_model(nodes, [value("x", ["N", 4]), value("c", [], TensorProto.BOOL)], [value("y", None)], [weight("w", chance(4))])


@pytest.mark.parametrize("c", [True, False])
@pytest.mark.parametrize("keep", [[], ["inner"], ["relu"], ["outer", "inner plus"], ["Mul", "Relu"]])
def test_the_branches_of_an_if_are_converted(convert: Convert, keep: list[str], c: bool) -> None:
    model = branches()
    made, done = convert(model, keep=keep)
    assert set(done.kept) == ({"inner", "outer", "relu"} if keep == ["Mul", "Relu"] else set(keep))
    near(model, made, x=chance(3, 4), c=np.array(c))
    (then,) = (each.g for each in named(made, "if").attribute if each.name == "then_branch")
    (inner,) = (each for each in then.node if each.name == "inner")
    home = kinds(made)["a"]
    assert inner.input[0] == ("a" if ("inner" in done.kept) == (home == FLOAT) else "a.fp32" if home == HALF else "a.fp16")


def test_the_body_of_a_loop_is_converted_and_its_state_is_not(convert: Convert) -> None:
    body = helper.make_graph(
        [
            node("Mul", "state w", "more", "inner"),
            node("Add", "more x", "next", "inner plus"),
            node("Identity", "go", "on"),
            node("Relu", "next", "each", "inner relu"),
        ],
        "body",
        [value("i", [], TensorProto.INT64), value("go", [], TensorProto.BOOL), value("state", [4])],
        [value("on", [], TensorProto.BOOL), value("next", [4]), value("each", [4])],
    )
    numbers = [numpy_helper.from_array(np.array(5), "n"), numpy_helper.from_array(np.array(True), "t")]
    loop = node("Loop", "n t x", "y all", "loop", body=body)
    outputs = [value("y", [4]), value("all", [5, 4])]
    model = a_model([loop], [value("x", [4])], outputs, [weight("w", chance(4) * 0.3), *numbers])
    made, done = convert(model)
    inner = named(made, "loop").attribute[0].g
    assert done.kept == {}
    assert [each.op_type for each in inner.node].count("Cast") == 3, "state in, and two out"
    assert [each.op_type for each in made.graph.node] == ["Cast", "Loop"], "x, for the body, and the weights are rounded"
    near(model, made, x=chance(4))


def test_functions_of_a_models_own_are_converted_too(convert: Convert) -> None:
    function = helper.make_function("mine", "Twice", ["a"], ["b"], [node("Add", "a a", "b")], [helper.make_opsetid("", 17)])
    nodes = [helper.make_node("Twice", ["x"], ["y"], domain="mine", name="twice")]
    model = a_model(nodes, [value("x", [4])], [value("y", None)], domains=["mine"], functions=[function])
    made, _ = convert(model)
    assert operators(made) == Counter(Cast=2, Add=1)
    near(model, made, x=chance(4))


# ---------------------------------------------------------------------------------------------------------------- ranges


def test_nodes_beside_a_tensor_that_is_too_large_are_kept(convert: Convert) -> None:
    nodes = [
        node("Relu", "x", "a", "relu"),
        node("Mul", "a up", "b", "up"),
        node("Mul", "b down", "c", "down"),
        node("Relu", "c", "y", "after"),
    ]
    model = a_model(nodes, [value("x", [4])], [value("y", None)], [weight("up", 1e5), weight("down", [1e-5])])
    made, done = convert(model, ranges={"a": 3.0, "b": 3e5, "c": 3.0})
    assert done.kept == {"up": "range 1.0e5 of its weights", "down": "range 3.0e5"}
    assert "range" not in str(convert(model, "bf16", ranges={"b": 3e5})[1].kept), "bf16 has the range of fp32"
    near(model, made, x=chance(4))


@pytest.mark.parametrize(
    ("largest", "why"), [(16376.0, ""), (16377.0, "range 1.6e4"), (np.inf, "range inf"), (np.nan, "range nan")]
)
def test_a_range_has_a_margin_of_four(convert: Convert, largest: float, why: str) -> None:
    model = a_model([node("Relu", "x", "y", "relu")], [value("x", [4])], [value("y", None)])
    assert convert(model, ranges={"y": largest})[1].kept == ({"relu": why} if why else {})


def test_nodes_beside_a_tensor_that_loses_too_much_are_kept(convert: Convert) -> None:
    nodes = [node("Relu", "x", "a", "relu"), node("Exp", "a", "b", "exp"), node("Neg", "b", "y", "neg")]
    model = a_model(nodes, [value("x", [4])], [value("y", None)])
    _, done = convert(model, losses={"a": 0.0321, "b": 0.009})
    assert done.kept == {"relu": "loses 3.2%", "exp": "loses 3.2%"}


# ----------------------------------------------------------------------------------------------------------- what is said


def test_a_file_says_what_it_is(convert: Convert) -> None:
    made, _ = convert(two_branches(), keep=["times"])
    entries = {each.key: each.value for each in made.metadata_props}
    assert entries == {metadata.KEY: '{"a": 1}', precision.KEY: '{"kept": {"times": "asked"}, "precision": "fp16"}'}


def test_nodes_without_a_name_get_one_and_no_two_have_the_same(convert: Convert) -> None:
    nodes = [
        node("Relu", "x", "a"),
        node("Relu", "a", "b", "Relu_0"),
        node("Relu", "b", "c", "twin"),
        node("Exp", "c", "y", "twin"),
    ]
    made, done = convert(a_model(nodes, [value("x", [4])], [value("y", None)]), keep=["Relu"])
    assert len({each.name for each in made.graph.node}) == len(made.graph.node)
    assert [*done.kept] == ["Relu_0_", "Relu_0", "twin"]


def test_a_name_to_keep_that_is_nowhere_is_an_error(convert: Convert) -> None:
    convert(two_branches(), keep=["LSTM"])  # another model of a pair may have one
    with pytest.raises(UnknownName, match=r"unknown node or operator 'tims' \(did you mean 'times'\?\)"):
        convert(two_branches(), keep=["tims"])
    with pytest.raises(UnknownName, match="unknown half precision 'fp8'"):
        convert(two_branches(), "fp8")


def test_the_same_file_gives_the_same_bytes_and_they_are_sorted(tmp_path: Path) -> None:
    model = two_branches()
    model.graph.node.insert(0, model.graph.node[2])
    del model.graph.node[3]
    assert model.graph.node[0].name == "product", "the source is in no order"
    onnx.save(model, tmp_path / "source.onnx")
    made = []
    for name in ("a.onnx", "b.onnx"):
        precision.convert(tmp_path / "source.onnx", tmp_path / name, "{}", "fp16", keep=["times"])
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1]
    near(two_branches(), onnx.load(tmp_path / "a.onnx"), x=chance(1, 4, 4))


def test_a_file_that_is_no_graph_is_refused_in_a_sentence(tmp_path: Path) -> None:
    source = tmp_path / "source.onnx"
    source.write_bytes(b"\x00\x01 no model")
    with pytest.raises(BadInput, match="is not an ONNX model, or is cut short"):
        precision.convert(source, tmp_path / "target.onnx", "{}", "fp16")
    loop = [node("Relu", "b", "a"), node("Relu", "a", "b"), node("Add", "a x", "y")]
    onnx.save(a_model(loop, [value("x", [4])], [value("y", None)]), source)
    with pytest.raises(BadInput, match="cannot be converted to fp16: its nodes take each other's tensors in a circle"):
        precision.convert(source, tmp_path / "target.onnx", "{}", "fp16")
    assert not (tmp_path / "target.onnx").exists()


# ---------------------------------------------------------------------------------------------------------------- bf16


def test_bf16_takes_the_opset_that_it_needs(convert: Convert) -> None:
    nodes = [node("Conv", "x k", "a", "conv"), node("MaxPool", "a", "b", "pool", kernel_shape=[2, 2]), node("Relu", "b", "y")]
    model = a_model(nodes, [value("x", [1, 2, 4, 4])], [value("y", None)], [weight("k", chance(4, 2, 1, 1))], opset=11)
    made, done = convert(model, "bf16")
    assert (made.opset_import[0].version, done.kept, taken(made, "conv")) == (22, {}, [BFLOAT, BFLOAT])
    half, _ = convert(model)
    assert half.opset_import[0].version == 11


# ------------------------------------------------------------------------------------------------------- graphs by chance


def a_random_graph(seed: int) -> Any:
    """Thirty nodes of many kinds, each taking tensors that came before, some of which are answers."""
    dice = np.random.default_rng(seed)
    nodes, names = [], ["x"]
    weights = [
        weight(f"w{index}", dice.standard_normal(4).astype(np.float32) * 10.0 ** dice.integers(-1, 2)) for index in range(4)
    ]
    for index in range(30):
        operator = str(dice.choice(["Add", "Mul", "Relu", "Sigmoid", "Tanh", "Reshape", "Identity", "Weighted", "Turn", "Neg"]))
        first, second = (str(dice.choice(names)) for _ in range(2))
        made = f"t{index}"
        if operator == "Weighted":
            nodes.append(node(str(dice.choice(["Add", "Mul"])), f"{first} w{dice.integers(4)}", made))
        elif operator == "Turn":
            nodes.append(node("Transpose", first, made, perm=[1, 0]))
        elif operator == "Reshape":
            nodes.append(node("Reshape", f"{first} shape", made))
        elif operator == "Mul":
            nodes += [node("Mul", f"{first} {second}", f"{made}m"), node("Tanh", f"{made}m", made)]
        else:
            nodes.append(node(operator, f"{first} {second}" if operator == "Add" else first, made))
        names.append(made)
    outputs = [value(str(name), [4, 4]) for name in {names[-1], *dice.choice(names[1:], 3)}]
    shape = numpy_helper.from_array(np.array([4, 4]), "shape")
    return a_model(nodes, [value("x", [4, 4])], outputs, [*weights, shape])


@pytest.mark.parametrize("seed", range(12))
def test_graphs_by_chance_keep_their_answers_whatever_is_kept(convert: Convert, seed: int) -> None:
    model = a_random_graph(seed)
    dice = np.random.default_rng(seed)
    wanted: Mapping[str, float] = {each.output[0]: 1e6 for each in model.graph.node if dice.random() < 0.2}
    for keep in ([], ["Relu", "Add"], ["Mul", "Tanh", "Identity"]):
        made, _ = convert(model, keep=keep, ranges=wanted)
        casts = Counter((each.input[0], each.attribute[0].i) for each in made.graph.node if each.op_type == "Cast")
        assert max(casts.values()) == 1, "no tensor is cast to the same twice"
        near(model, made, 0.05, x=chance(4, 4))
