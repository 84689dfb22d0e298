"""Denormal weights become zero, wherever they stand; everything else keeps its bits, and so does every output."""

from __future__ import annotations

import math
import platform
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ocrdeploy.errors import BadInput
from ocrdeploy.onnxgraph import denormals, metadata
from ocrdeploy.onnxgraph.weights import tensors

Values = NDArray[Any]

# As bits: a library in the process of the tests may have told the processor to take denormals for zero.
PLANTED = np.array([0x0001_16C2, 0x8001_16C2, 0x007F_FFFF, 0x0000_0001, 0x8000_0001], np.uint32).view(np.float32)
KEPT = np.array(
    [0.0, -0.0, 1.5, -1e30, np.inf, -np.inf, np.nan, np.finfo(np.float32).smallest_normal, -np.finfo(np.float32).smallest_normal],
    np.float32,
)
MIXED = np.concatenate([PLANTED, KEPT])


def tensor_of_raw_data(values: Values) -> Any:
    return numpy_helper.from_array(values, "w")


def tensor_of_float_data(values: Values) -> Any:
    made = TensorProto(name="w", dims=values.shape, data_type=TensorProto.FLOAT)
    assert values.nbytes < 128, "its length is one byte of the wire format"
    made.MergeFromString(bytes([0x22, values.nbytes]) + values.tobytes())
    assert len(made.float_data) == values.size
    return made


def a_model(nodes: list[Any], initializers: list[Any], size: int) -> Any:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [size])],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def with_initializer(weight: Any) -> Any:
    return a_model([helper.make_node("Add", ["x", "w"], ["y"])], [weight], weight.dims[0])


def with_constant(weight: Any) -> Any:
    nodes = [helper.make_node("Constant", [], ["w"], value=weight), helper.make_node("Add", ["x", "w"], ["y"])]
    return a_model(nodes, [], weight.dims[0])


def with_branches(weight: Any) -> Any:
    """Return a model whose weight stands in a branch of an If inside a branch of another If."""
    add = helper.make_node("Add", ["x", "w"], ["inner"])
    out = helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)
    then = helper.make_graph([add], "then", [], [out], [weight])
    otherwise = helper.make_graph([helper.make_node("Identity", ["x"], ["inner"])], "else", [], [out])
    inner = helper.make_node("If", ["yes"], ["outer"], then_branch=then, else_branch=otherwise)
    outer_out = helper.make_tensor_value_info("outer", TensorProto.FLOAT, None)
    outer = helper.make_graph([inner], "outer then", [], [outer_out])
    outer_else = helper.make_graph([helper.make_node("Identity", ["x"], ["outer"])], "outer else", [], [outer_out])
    node = helper.make_node("If", ["yes"], ["y"], then_branch=outer, else_branch=outer_else)
    return a_model([node], [numpy_helper.from_array(np.array(True), "yes")], weight.dims[0])


def flushed(model: Any, folder: Path) -> tuple[int, Any]:
    """Return how many weights were flushed, and the model that was written."""
    source, target = folder / "source.onnx", folder / "target.onnx"
    onnx.save(model, source)
    count = denormals.flush(source, target, '{"name": "m"}')
    return count, onnx.load(target)


def weights(model: Any) -> Values:
    """Return the one float tensor of a model, wherever it stands."""
    (found,) = [each for each in tensors(model) if each.data_type in (TensorProto.FLOAT, TensorProto.DOUBLE)]
    return numpy_helper.to_array(found)


def same_bits(one: Values, other: Values) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


@pytest.mark.parametrize("stored", [tensor_of_raw_data, tensor_of_float_data])
@pytest.mark.parametrize("placed", [with_initializer, with_constant, with_branches])
def test_denormals_become_zero_wherever_they_stand(
    tmp_path: Path, stored: Callable[[Values], Any], placed: Callable[[Any], Any]
) -> None:
    count, model = flushed(placed(stored(MIXED)), tmp_path)
    assert count == len(PLANTED)
    onnx.checker.check_model(model)
    expected = np.concatenate([np.array([0.0, -0.0, 0.0, 0.0, -0.0], np.float32), KEPT])
    assert same_bits(weights(model), expected)


def test_a_payload_of_nan_is_kept(tmp_path: Path) -> None:
    odd = np.array([0x7FC0_1234, 0xFFC0_0001, 0x0000_0001], np.uint32).view(np.float32)
    count, model = flushed(with_initializer(tensor_of_raw_data(odd)), tmp_path)
    assert count == 1
    assert weights(model).view(np.uint32).tolist() == [0x7FC0_1234, 0xFFC0_0001, 0]


def test_doubles_may_be_stored_as_numbers_too(tmp_path: Path) -> None:
    model = with_initializer(tensor_of_raw_data(KEPT))
    values = np.array([5e-324, 1.0])
    stored = TensorProto(name="d", dims=[2], data_type=TensorProto.DOUBLE)
    stored.MergeFromString(bytes([0x52, 16]) + values.tobytes())
    assert len(stored.double_data) == 2
    model.graph.initializer.append(stored)
    count, made = flushed(model, tmp_path)
    assert count == 1
    assert numpy_helper.to_array(made.graph.initializer[1]).tolist() == [0.0, 1.0]


def test_doubles_have_their_own_limit(tmp_path: Path) -> None:
    values = np.array([5e-324, -1e-310, 1e-40, np.finfo(np.float64).smallest_normal, math.nan, -0.0, 3.0])
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, [7])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, [7])],
        [numpy_helper.from_array(values, "w")],
    )
    count, model = flushed(helper.make_model(graph), tmp_path)
    assert count == 2
    assert same_bits(weights(model), np.concatenate([[0.0, -0.0], values[2:]]))


def test_a_single_number_and_an_empty_tensor_are_weights_too(tmp_path: Path) -> None:
    model = with_initializer(tensor_of_raw_data(KEPT))
    model.graph.initializer.append(numpy_helper.from_array(PLANTED[0].reshape(()), "single"))
    model.graph.initializer.append(numpy_helper.from_array(np.empty((0, 3), np.float32), "empty"))
    count, made = flushed(model, tmp_path)
    assert count == 1
    single, empty = (numpy_helper.to_array(each) for each in made.graph.initializer[1:])
    assert (single.shape, float(single), empty.shape) == ((), 0.0, (0, 3))


def test_functions_and_sparse_weights_are_searched(tmp_path: Path) -> None:
    model = with_initializer(tensor_of_raw_data(KEPT))
    constant = helper.make_node("Constant", [], ["c"], value=tensor_of_raw_data(PLANTED[:2]))
    model.functions.append(helper.make_function("d", "F", [], ["c"], [constant], model.opset_import))
    values = numpy_helper.from_array(PLANTED[:3], "s")
    places = numpy_helper.from_array(np.array([0, 2, 4]), "places")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [5]))
    count, _ = flushed(model, tmp_path)
    assert count == 5


def test_other_types_are_left_alone(tmp_path: Path) -> None:
    # A float16 below 6e-5 is denormal and still a weight; the bits of the integers would be denormal floats.
    others: list[Values] = [
        np.array([6e-8, 1e-5], np.float16),
        np.array([1, 2, 3], np.int32),
        np.array([7], np.int64),
        np.array([1], np.uint8),
    ]
    model = with_initializer(tensor_of_raw_data(np.concatenate([PLANTED[:1], KEPT])))
    model.graph.initializer.extend(numpy_helper.from_array(each, f"other{index}") for index, each in enumerate(others))
    count, made = flushed(model, tmp_path)
    assert count == 1
    for before, after in zip(others, made.graph.initializer[1:], strict=True):
        assert same_bits(before, numpy_helper.to_array(after))


def test_everything_but_the_weights_stays(tmp_path: Path) -> None:
    before = with_initializer(tensor_of_raw_data(MIXED))
    helper.set_model_props(before, {"author": "someone", "ocrdeploy": "older"})
    before.doc_string = "text"
    count, after = flushed(before, tmp_path)
    assert count == len(PLANTED)
    assert metadata.read(tmp_path / "target.onnx") == {"author": "someone", "ocrdeploy": '{"name": "m"}'}
    for model in (before, after):
        model.graph.ClearField("initializer")
        model.ClearField("metadata_props")
    assert after == before


def test_a_file_without_a_specification_gets_one(tmp_path: Path) -> None:
    flushed(with_initializer(tensor_of_raw_data(PLANTED)), tmp_path)
    assert metadata.read(tmp_path / "target.onnx") == {metadata.KEY: '{"name": "m"}'}


def test_without_denormals_no_file_is_written(tmp_path: Path) -> None:
    source, target = tmp_path / "source.onnx", tmp_path / "target.onnx"
    onnx.save(with_initializer(tensor_of_raw_data(KEPT)), source)
    assert denormals.flush(source, target, "{}") == 0
    assert not target.exists()


def test_weights_in_another_file_are_flushed_into_one_file(tmp_path: Path) -> None:
    source, target = tmp_path / "source.onnx", tmp_path / "elsewhere" / "target.onnx"
    target.parent.mkdir()
    model = with_initializer(tensor_of_raw_data(MIXED))
    onnx.save(model, source, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert denormals.flush(source, target, "{}") == len(PLANTED)
    assert metadata.external_files(target) == []
    assert same_bits(weights(onnx.load(target))[len(PLANTED) :], KEPT)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(BadInput, match=r"weights\.bin") as caught:
        denormals.flush(source, target, "{}")
    assert "\n" not in caught.value.problem


def test_a_file_that_onnx_cannot_read_is_a_sentence(tmp_path: Path) -> None:
    whole = with_initializer(tensor_of_raw_data(MIXED)).SerializeToString()
    source = tmp_path / "model.onnx"
    for content in (whole[:-20], b"\xff\xd8\xff\xe0 a picture"):
        source.write_bytes(content)
        with pytest.raises(BadInput, match=r"model\.onnx is not an ONNX model, or is cut short"):
            denormals.flush(source, tmp_path / "target.onnx", "{}")
    with pytest.raises(BadInput, match="cannot read"):
        denormals.flush(tmp_path / "missing.onnx", tmp_path / "target.onnx", "{}")
    assert not (tmp_path / "target.onnx").exists()


def test_a_weight_with_too_few_bytes_is_a_sentence(tmp_path: Path) -> None:
    source = tmp_path / "model.onnx"
    for content in (b"\x01\x02\x03", b"\x01\x02\x03\x04", b""):
        model = with_initializer(tensor_of_raw_data(MIXED))
        model.graph.initializer[0].raw_data = content
        onnx.save(model, source)
        with pytest.raises(BadInput, match=r"model\.onnx holds a weight that cannot be read"):
            denormals.flush(source, tmp_path / "target.onnx", "{}")


def outputs(path: Path, inputs: dict[str, Values]) -> list[Values]:
    ort = pytest.importorskip("onnxruntime", reason="runs the models before and after")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return cast("list[Values]", session.run(None, inputs))


@pytest.mark.parametrize("placed", [with_initializer, with_constant, with_branches])
def test_a_small_model_computes_the_same(tmp_path: Path, placed: Callable[[Any], Any]) -> None:
    flushed(placed(tensor_of_raw_data(MIXED)), tmp_path)
    inputs = {"x": np.linspace(-2, 2, len(MIXED), dtype=np.float32)}
    before, after = (outputs(tmp_path / name, inputs)[0] for name in ("source.onnx", "target.onnx"))
    assert same_bits(before, after)


BLIND = """
import sys
from pathlib import Path
import numpy as np
import onnxruntime
from ocrdeploy.onnxgraph import denormals
options = onnxruntime.SessionOptions()
options.add_session_config_entry("session.set_denormal_as_zero", "1")
onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
print("blind" if float(np.array([1], np.uint32).view(np.float32)[0]) == 0 else "sees")
print(denormals.flush(Path(sys.argv[1]), Path(sys.argv[2]), "{}"))
"""


@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="elsewhere the option changes something else")
@pytest.mark.parametrize("stored", [tensor_of_raw_data, tensor_of_float_data])
def test_denormals_are_found_where_the_processor_takes_them_for_zero(tmp_path: Path, stored: Callable[[Values], Any]) -> None:
    pytest.importorskip("onnxruntime", reason="its option, in the first session of a process, is what makes the processor do so")
    source, target = tmp_path / "source.onnx", tmp_path / "target.onnx"
    onnx.save(with_initializer(stored(MIXED)), source)
    done = subprocess.run([sys.executable, "-c", BLIND, str(source), str(target)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["blind", str(len(PLANTED))]
    assert same_bits(weights(onnx.load(target))[len(PLANTED) :], KEPT)


@pytest.fixture(scope="module")
def real_detector() -> Path:
    """The detector in the wheel of rapidocr 3.10.0, in which many weights are denormal."""
    try:
        package = distribution("rapidocr")
    except PackageNotFoundError:
        pytest.skip("rapidocr, whose wheel holds the detector, is not installed")
    path = Path(str(package.locate_file("rapidocr/models/PP-OCRv6_det_small.onnx")))
    if not path.is_file():
        pytest.skip("this rapidocr brings another detector")
    return path


def test_a_real_detector_loses_its_denormals_and_not_a_bit_of_its_output(real_detector: Path, tmp_path: Path) -> None:
    target = tmp_path / "flushed.onnx"
    assert denormals.flush(real_detector, target, "{}") == 255_958
    sizes = [math.prod(each.dims) for each in tensors(onnx.load(target)) if each.data_type == TensorProto.FLOAT]
    assert sum(sizes) == 2_453_416
    assert denormals.flush(target, tmp_path / "again.onnx", "{}") == 0
    picture = np.random.default_rng(5).uniform(-1, 1, (1, 3, 160, 224)).astype(np.float32)
    before, after = (outputs(path, {"x": picture})[0] for path in (real_detector, target))
    assert same_bits(before, after)
