from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from ocrdeploy import BadInput, OcrdError, Unavailable, UnknownName, backend, chain, plugins
from ocrdeploy.vocabulary import Artifact, Colour, Exact, InferOptions, InputSpec, ModelSpec, Session, Task, Threads

openvino = pytest.importorskip("openvino", reason="needs the runtime: pip install openvino")

from ocrdeploy_openvino import precision, settings  # noqa: E402 - these need the runtime
from ocrdeploy_openvino.session import OpenVinoSession, open_session  # noqa: E402

MODEL = ModelSpec("tiny", "ctc", Task.RECOGNITION, InputSpec("x", Exact(16, 32)), ("mean", "map"))
CHANNELS = 32


def write_tiny(path: Path, *, edit: Callable[[onnx.ModelProto], None] = lambda _: None) -> Path:
    """x (N, 3, ?, ?) -> two convolutions -> map (N, 32, ?, ?); mean (N, 32, 1, 1). The graph lists its outputs the other way."""
    chance = np.random.default_rng(0)
    shapes = {"w1": (CHANNELS, 3, 3, 3), "w2": (CHANNELS, CHANNELS, 3, 3)}
    weights = [onnx.numpy_helper.from_array(chance.standard_normal(s).astype(np.float32) / 6, n) for n, s in shapes.items()]
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["c1"], name="first", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["map"], name="second", pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["map"], ["mean"]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, "H", "W"])]
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", CHANNELS, None, None]) for n in ("map", "mean")]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    edit(model)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def tiny(tmp_path: Path) -> Artifact:
    return Artifact(write_tiny(tmp_path / "tiny.onnx"), "onnx", "0", MODEL)


@pytest.fixture
def open_tiny(tiny: Artifact) -> Callable[..., OpenVinoSession]:
    def open_it(*, model: ModelSpec = MODEL, **options: Any) -> OpenVinoSession:
        return open_session(replace(tiny, model=model), InferOptions(**options))

    return open_it


@pytest.fixture(scope="session")
def bfloat16() -> None:
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("needs a processor with bfloat16 arithmetic")


def picture(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(sum(shape)).standard_normal(shape, dtype=np.float32)


def expected(tiny: Artifact, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What the file computes, by onnx's own reference, in numpy."""
    from onnx.reference import ReferenceEvaluator

    (answer,) = ReferenceEvaluator(str(tiny.path)).run(["map"], {"x": x})
    return np.asarray(answer)


# ------------------------------------------------------------------------------------------------------------- running


def test_the_core_opens_a_session_through_the_hook(tiny: Artifact) -> None:
    session = backend.open_session(plugins.discover(), "openvino", tiny, InferOptions(device="cpu"))
    assert isinstance(session, Session)
    assert session.run({"x": picture(1, 3, 8, 8)})["map"].shape == (1, CHANNELS, 8, 8)
    session.close()


def test_outputs_come_by_name_in_the_order_of_the_specification(
    tiny: Artifact, open_tiny: Callable[..., OpenVinoSession]
) -> None:
    x = picture(2, 3, 8, 12)
    outputs = open_tiny().run({"x": x})
    assert list(outputs) == ["mean", "map"]
    np.testing.assert_allclose(outputs["map"], expected(tiny, x), atol=1e-4)
    np.testing.assert_allclose(outputs["mean"], expected(tiny, x).mean(axis=(2, 3), keepdims=True), atol=1e-4)
    assert all(array.flags.c_contiguous and array.dtype == np.float32 for array in outputs.values())


@pytest.mark.parametrize("options", [{}, {"extra": {"shape_memory": "release"}}, {"extra": {"hint": "throughput"}}])
def test_sizes_may_change_up_and_down(tiny: Artifact, open_tiny: Callable[..., OpenVinoSession], options: dict[str, Any]) -> None:
    session = open_tiny(**options)
    for shape in [(1, 3, 8, 8), (3, 3, 8, 8), (1, 3, 40, 24), (3, 3, 8, 8), (1, 3, 5, 7), (1, 3, 40, 24)]:
        x = picture(*shape)
        np.testing.assert_allclose(session.run({"x": x})["map"], expected(tiny, x), atol=1e-4)


def test_outputs_stay_the_callers_after_other_runs_and_the_close(open_tiny: Callable[..., OpenVinoSession]) -> None:
    session, x = open_tiny(), picture(1, 3, 16, 16)
    kept = session.run({"x": x})["map"]
    before = kept.copy()
    for _ in range(5):
        session.run({"x": x * 0})
    session.close()
    np.testing.assert_array_equal(kept, before)
    kept += 1  # and they may be written to


def test_an_input_is_not_modified_and_may_be_read_only_or_in_another_order(open_tiny: Callable[..., OpenVinoSession]) -> None:
    session, x = open_tiny(), picture(1, 16, 8, 3).transpose(0, 3, 1, 2)
    before = x.copy()
    plain = session.run({"x": before})["map"]
    before.flags.writeable = False
    for each in (x, before):
        np.testing.assert_array_equal(session.run({"x": each})["map"], plain)
    np.testing.assert_array_equal(x, before)


def test_an_output_without_axes_keeps_its_shape(tiny: Artifact, open_tiny: Callable[..., OpenVinoSession]) -> None:
    def with_total(model: onnx.ModelProto) -> None:
        model.graph.node.append(helper.make_node("ReduceSum", ["map"], ["total"], keepdims=0))
        model.graph.output.append(helper.make_tensor_value_info("total", TensorProto.FLOAT, []))

    write_tiny(tiny.path, edit=with_total)
    x = picture(1, 3, 8, 8)
    total = open_tiny(model=replace(MODEL, outputs=("total",))).run({"x": x})["total"]
    assert total.shape == ()
    np.testing.assert_allclose(total, expected(tiny, x).sum(), rtol=1e-3)


@pytest.mark.parametrize("extra", [{}, {"hint": "throughput"}, {"shape_memory": "release"}])
def test_four_threads_may_run_at_a_time(open_tiny: Callable[..., OpenVinoSession], extra: dict[str, str]) -> None:
    session = open_tiny(extra=extra)
    assert session.loaded().threads is Threads.ANY
    inputs = [picture(1, 3, 8, 8 + index % 7) + index for index in range(60)]
    alone = [session.run({"x": x})["map"] for x in inputs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda x: session.run({"x": x})["map"], inputs))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_a_closed_session_says_so_and_closes_twice(open_tiny: Callable[..., OpenVinoSession]) -> None:
    session = open_tiny()
    session.run({"x": picture(1, 3, 8, 8)})
    session.close()
    session.close()
    with pytest.raises(OcrdError, match="'tiny' is closed") as raised:
        session.run({"x": picture(1, 3, 8, 8)})
    assert raised.value.fix
    assert session.loaded().device == "cpu"


@pytest.mark.parametrize(
    ("inputs", "given"),
    [
        ({}, "nothing"),
        ({"y": picture(1, 3, 8, 8)}, "'y': float32"),
        ({"x": picture(1, 3, 8, 8), "z": picture(1)}, "'z': float32"),
        ({"x": picture(1, 3, 8, 8).astype(np.float64)}, r"float64 \(1, 3, 8, 8\)"),
        ({"x": picture(3, 8, 8)}, r"\(3, 8, 8\)"),
        ({"x": picture(1, 1, 8, 8)}, r"\(1, 1, 8, 8\)"),
        ({"x": picture(1, 3, 8, 0)}, r"\(1, 3, 8, 0\)"),
    ],
)
def test_inputs_that_the_model_does_not_take_are_named(
    open_tiny: Callable[..., OpenVinoSession], inputs: dict[str, Any], given: str
) -> None:
    with pytest.raises(BadInput, match=rf"model 'tiny' takes 'x': float32 \(\?, 3, \?, \?\), and was given .*{given}"):
        open_tiny().run(inputs)


def test_a_failure_inside_the_runtime_names_model_and_shapes_and_the_next_run_works(
    open_tiny: Callable[..., OpenVinoSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    session, x = open_tiny(), picture(1, 3, 8, 8)
    plain = session.run({"x": x})["map"]
    with monkeypatch.context() as patch:
        text = "Exception from src/a/b.cpp:7:\nCheck 'a == b' failed at src/c.cpp:9:\nFailed to allocate 9 GB\n"
        patch.setattr(openvino.InferRequest, "infer", lambda *_, **__: (_ for _ in ()).throw(RuntimeError(text)))
        with pytest.raises(OcrdError, match=r"'tiny' on 'x' \(1, 3, 8, 8\): Failed to allocate 9 GB$") as raised:
            session.run({"x": x})
    assert "smaller batch" in raised.value.fix
    np.testing.assert_array_equal(session.run({"x": x})["map"], plain)


def test_nothing_is_printed_whatever_happens(open_tiny: Callable[..., OpenVinoSession], tiny: Artifact, capfd: Any) -> None:
    open_tiny().run({"x": picture(1, 3, 8, 8)})
    tiny.path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(300))
    with pytest.raises(OcrdError):
        open_tiny()
    assert capfd.readouterr() == ("", "")


# ----------------------------------------------------------------------------------------------------------- precision


def test_fp32_is_fp32_in_every_kernel_and_in_the_numbers(tiny: Artifact, open_tiny: Callable[..., OpenVinoSession]) -> None:
    session = open_tiny()
    assert session.loaded().precision == "fp32"
    assert session.loaded().details["kernels"].startswith("fp32 ")
    assert "," not in session.loaded().details["kernels"]
    x = picture(1, 3, 32, 32)
    np.testing.assert_allclose(session.run({"x": x})["map"], expected(tiny, x), atol=2e-5)


@pytest.mark.usefixtures("bfloat16")
def test_left_alone_openvino_would_take_bfloat16_and_that_is_noticed(
    open_tiny: Callable[..., OpenVinoSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unasked(*arguments: Any) -> settings.Wish:
        wish = settings.Wish("CPU", {}, release=False)
        assert "INFERENCE_PRECISION_HINT" in asked(*arguments).properties
        return wish

    asked = settings.wished
    monkeypatch.setattr(settings, "wished", unasked)
    with pytest.raises(OcrdError, match=r"OpenVINO computes .*tiny\.onnx in bf16, and fp32 was asked for"):
        open_tiny()


@pytest.fixture
def halved(tiny: Artifact) -> Callable[..., Artifact]:
    """The tiny network as the core converts it when bf16 is asked for."""

    def convert(**extra: str) -> Artifact:
        options = InferOptions(precision="bf16", extra=extra)
        return chain.prepare(plugins.discover(), tiny, "openvino", options, note=lambda _: None)

    return convert


@pytest.mark.usefixtures("bfloat16")
def test_bf16_is_bf16_and_says_so(tiny: Artifact, halved: Callable[..., Artifact]) -> None:
    session = open_session(halved(), InferOptions(precision="bf16"))
    assert session.loaded().precision == "bf16"
    x = picture(1, 3, 32, 32)
    answer, exact = session.run({"x": x})["map"], expected(tiny, x)
    assert answer.dtype == np.float32
    assert 1e-4 < np.abs(answer - exact).max() < 0.1 * np.abs(exact).max()


@pytest.mark.usefixtures("bfloat16")
def test_what_is_kept_in_fp32_runs_in_fp32(halved: Callable[..., Artifact]) -> None:
    session = open_session(halved(keep_fp32="second"), InferOptions(precision="bf16", extra={"keep_fp32": "second"}))
    graph = session._compiled.get_runtime_model().get_ops()
    kinds = [node.get_rt_info()["runtimePrecision"].astype(str) for node in graph if layer(node) == "Convolution"]
    assert sorted(kinds) == ["bf16", "f32"]
    assert session.loaded().precision == "bf16"


def layer(node: Any) -> str:
    kind: str = node.get_rt_info()["layerType"].astype(str)
    return kind


@pytest.mark.usefixtures("bfloat16")
def test_a_file_in_bf16_may_be_opened_without_asking_and_says_what_it_is(halved: Callable[..., Artifact]) -> None:
    assert open_session(halved(), InferOptions()).loaded().precision == "bf16"


def test_a_file_in_fp16_is_computed_in_fp32(tiny: Artifact, tmp_path: Path) -> None:
    from ocrdeploy import spec
    from ocrdeploy.onnxgraph import precision as graphs

    graphs.convert(tiny.path, tmp_path / "half.onnx", spec.to_json(MODEL), "fp16")
    assert open_session(replace(tiny, path=tmp_path / "half.onnx"), InferOptions()).loaded().precision == "fp32"


def test_bf16_on_a_processor_without_it_is_refused(halved: Callable[..., Artifact]) -> None:
    # oneDNN, which computes for OpenVINO, can be told to keep to an older processor's instructions, in a process of its own.
    file = halved()
    code = (
        "from pathlib import Path; from ocrdeploy import Unavailable\n"
        "from ocrdeploy.vocabulary import *; from ocrdeploy_openvino.session import open_session\n"
        "model = ModelSpec('tiny', 'ctc', Task.RECOGNITION, InputSpec('x', Exact(16, 32)), ('mean', 'map'))\n"
        f"file = Artifact(Path({str(file.path)!r}), 'onnx', '', model)\n"
        "try: open_session(file, InferOptions(precision='bf16'))\n"
        "except Unavailable as error: print(error.problem, '|', error.fix)"
    )
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "in fp32 on this processor" in done.stdout
    assert "and not in bf16 | use --precision fp32" in done.stdout


def test_a_graph_without_a_bf16_node_is_not_called_bf16(open_tiny: Callable[..., OpenVinoSession]) -> None:
    with pytest.raises(BadInput, match="was to run in bf16, and none of its nodes does"):
        open_tiny(precision="bf16")


def test_fp16_is_not_offered_and_refused(open_tiny: Callable[..., OpenVinoSession]) -> None:
    assert "fp16" not in plugins.discover().backends["openvino"].precisions
    with pytest.raises(UnknownName, match="fp16"):
        open_tiny(precision="fp16")


class Node:
    """A kernel of an execution graph."""

    def __init__(self, kind: str, precision: str) -> None:
        self._facts = {"layerType": kind, "runtimePrecision": precision}

    def get_rt_info(self) -> dict[str, Any]:
        return {key: Text(value) for key, value in self._facts.items()}


class Text(str):
    __slots__ = ()

    def astype(self, _: type) -> str:
        return str(self)


@pytest.mark.parametrize(
    ("kernels", "counts", "lowest"),
    [
        ([("Convolution", "f32"), ("Math", "f32"), ("Const", "bf16")], {"fp32": 2}, "fp32"),
        ([("Convolution", "bf16"), ("Eltwise", "f32"), ("Softmax", "f32")], {"fp32": 2, "bf16": 1}, "bf16"),
        ([("FullyConnected", "u8"), ("Eltwise", "f16")], {"int8": 1, "fp16": 1}, "int8"),
        ([("Eltwise", "u8"), ("Gather", "i32")], {}, "fp32"),
    ],
)
def test_the_least_exact_kernel_counts(kernels: list[tuple[str, str]], counts: dict[str, int], lowest: str) -> None:
    class Graph:
        def get_runtime_model(self) -> Graph:
            return self

        def get_ops(self) -> list[Node]:
            return [Node(*each) for each in kernels]

    assert precision.computed(Graph()) == counts
    assert precision.lowest(counts) == lowest


# ------------------------------------------------------------------------------------------------------------- opening


def test_what_was_loaded_is_read_from_the_runtime(open_tiny: Callable[..., OpenVinoSession]) -> None:
    loaded = open_tiny(threads=1).loaded()
    assert (loaded.device, loaded.provider, loaded.precision, loaded.chosen) == ("cpu", "CPU", "fp32", "")
    assert openvino.get_version().startswith(loaded.version)
    assert loaded.details["threads"] == "1"
    assert loaded.details["streams"] == "1"


def test_the_default_number_of_threads_is_not_more_than_this_process_may_use(open_tiny: Callable[..., OpenVinoSession]) -> None:
    assert 1 <= int(open_tiny().loaded().details["threads"]) <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("options", "kind", "problem", "fix"),
    [
        ({"device": "cuda"}, Unavailable, "cannot run on cuda", "--device cpu"),
        ({"device": "cuda:1"}, Unavailable, "cannot run on cuda:1", "--device cpu"),
        ({"device": "nonesuch"}, Unavailable, "cannot run on nonesuch", "--device cpu"),
        ({"provider": "NPU9"}, Unavailable, "has no device 'NPU9' here", "CPU"),
        ({"provider": "AUTO"}, Unavailable, "has no device 'AUTO' here", "CPU"),
        ({"provider": "HETERO:CPU"}, Unavailable, "has no device 'HETERO:CPU' here", "CPU"),
        ({"threads": -1}, BadInput, "-1 threads cannot be", "1 or more"),
        ({"threads": 4096}, Unavailable, "takes [0-9]+ threads here, and 4096 were asked for", "--threads"),
        ({"custom_ops": (Path("ops.so"),)}, Unavailable, "no custom operators", "--custom-ops"),
        ({"extra": {"hint": "speed"}}, UnknownName, "hint=speed", "hint=latency"),
        ({"extra": {"streams": "2"}}, UnknownName, "streams", "hint"),
    ],
)
def test_what_cannot_be_had_is_an_error_with_a_remedy(
    open_tiny: Callable[..., OpenVinoSession], options: dict[str, Any], kind: type[OcrdError], problem: str, fix: str
) -> None:
    with pytest.raises(kind, match=problem) as raised:
        open_tiny(**options)
    assert fix in raised.value.fix


def test_the_device_may_be_named_as_openvino_does(open_tiny: Callable[..., OpenVinoSession]) -> None:
    assert open_tiny(provider="cpu", device="cpu").loaded().provider == "CPU"


@pytest.mark.parametrize("pinning", ["off", "on"])
def test_threads_are_pinned_only_where_that_was_asked_for(open_tiny: Callable[..., OpenVinoSession], pinning: str) -> None:
    session = open_tiny(extra={"pinning": pinning} if pinning == "on" else {})
    assert session._compiled.get_property("ENABLE_CPU_PINNING") is (pinning == "on")


def test_a_compiled_model_is_kept_where_that_was_asked_for_and_mended_when_it_is_cut(
    tiny: Artifact, open_tiny: Callable[..., OpenVinoSession], tmp_path: Path
) -> None:
    folder, x = tmp_path / "kept", picture(1, 3, 8, 8)
    for _ in range(2):
        session = open_tiny(extra={"cache": str(folder)})
        np.testing.assert_allclose(session.run({"x": x})["map"], expected(tiny, x), atol=1e-4)
        assert session.loaded().precision == "fp32"
    (blob,) = folder.glob("*.blob")
    blob.write_bytes(blob.read_bytes()[:100])
    np.testing.assert_allclose(open_tiny(extra={"cache": str(folder)}).run({"x": x})["map"], expected(tiny, x), atol=1e-4)


def test_nothing_is_written_by_default(open_tiny: Callable[..., OpenVinoSession], tiny: Artifact, tmp_path: Path) -> None:
    open_tiny().run({"x": picture(1, 3, 8, 8)})
    assert list(tmp_path.iterdir()) == [tiny.path]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"input": replace(MODEL.input, name="image")}, "has other inputs .* 'x': float32 .* expected 'image'"),
        ({"outputs": ("map", "logits")}, "has other outputs .*'mean'.* expected 'map', 'logits'"),
        ({"input": replace(MODEL.input, colour=Colour.GRAY)}, "takes pictures as 'x'.* says NCHW with 1 channels"),
    ],
)
def test_a_file_that_is_not_the_specifications_is_refused(
    open_tiny: Callable[..., OpenVinoSession], change: dict[str, Any], problem: str
) -> None:
    with pytest.raises(BadInput, match=problem) as raised:
        open_tiny(model=replace(MODEL, **change))
    assert "specification that belongs to this file" in raised.value.fix


@pytest.mark.parametrize("content", ["cut", "empty", "text", "picture"])
def test_a_cut_or_foreign_file_is_refused(tiny: Artifact, open_tiny: Callable[..., OpenVinoSession], content: str) -> None:
    whole = tiny.path.read_bytes()
    contents = {"cut": whole[:-7], "empty": b"", "text": b"not a model\n" * 40, "picture": b"\x89PNG\r\n\x1a\n" + bytes(300)}
    tiny.path.write_bytes(contents[content])
    with pytest.raises(BadInput, match=r"tiny\.onnx is not an ONNX model, or is cut short"):
        open_tiny()


def test_a_missing_file_is_named(tiny: Artifact, open_tiny: Callable[..., OpenVinoSession]) -> None:
    tiny.path.unlink()
    with pytest.raises(BadInput, match=r"there is no file .*tiny\.onnx"):
        open_tiny()


@pytest.mark.parametrize("name", ["модель 模型.onnx", "a b'c.onnx", "no suffix"])
def test_a_file_may_have_any_unicode_name(tiny: Artifact, name: str) -> None:
    path = tiny.path.rename(tiny.path.with_name(name))
    assert open_session(replace(tiny, path=path), InferOptions()).loaded().device == "cpu"


def test_a_name_that_is_not_utf_8_is_refused(tiny: Artifact) -> None:
    path = tiny.path.rename(tiny.path.with_name("\udcff.onnx"))
    with pytest.raises(BadInput, match="the name is not UTF-8"):
        open_session(replace(tiny, path=path), InferOptions())


def with_custom_operator(model: onnx.ModelProto) -> None:
    model.graph.node[1].op_type, model.graph.node[1].domain = "Foo", "my.ops"
    model.opset_import.append(helper.make_opsetid("my.ops", 1))


def with_lost_weights(model: onnx.ModelProto) -> None:
    weight = onnx.TensorProto(name="lost", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    weight.external_data.append(onnx.StringStringEntryProto(key="location", value="weights.bin"))
    model.graph.initializer.append(weight)
    model.graph.node[1].op_type = "Mul"
    model.graph.node[1].input.append("lost")


@pytest.mark.parametrize(
    ("edit", "problem", "fix"),
    [
        (with_custom_operator, r"operations: my\.ops\.Foo", "--backend onnxruntime"),
        (with_lost_weights, r"weights\.bin", "files that hold the model's weights"),
    ],
)
def test_a_model_that_openvino_refuses_comes_with_a_remedy(
    tiny: Artifact, open_tiny: Callable[..., OpenVinoSession], edit: Callable[[onnx.ModelProto], None], problem: str, fix: str
) -> None:
    write_tiny(tiny.path, edit=edit)
    with pytest.raises(BadInput, match=problem) as raised:
        open_tiny()
    assert fix in raised.value.fix
    assert ".cpp" not in raised.value.problem
