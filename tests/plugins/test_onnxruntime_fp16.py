"""ONNX Runtime in fp16: asked for, converted on the way, proved from the graph that was opened, and near to fp32 on real text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ocrdeploy import BadInput, Unavailable, artifact, backend, models
from ocrdeploy.onnxgraph import precision, precision_emulation, precision_reading
from ocrdeploy.pipeline import Pipeline
from ocrdeploy.plugins import Plugins, discover
from ocrdeploy.vocabulary import Artifact, Exact, InferOptions, InputSpec, ModelSpec, Pixels, Task

pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")

import onnxruntime

from ocrdeploy_onnxruntime import precision as proof
from ocrdeploy_onnxruntime import providers
from ocrdeploy_onnxruntime.session import open_session

MODEL = ModelSpec("tiny", "ctc", Task.RECOGNITION, InputSpec("x", Exact(4, 8)), ("y",), charset=tuple("abcdefg"))
CPU = InferOptions(device="cpu")
HALF = replace(CPU, precision="fp16")


@pytest.fixture
def tiny(tmp_path: Path) -> Artifact:
    """y = relu(x * w) + w."""
    nodes = [
        helper.make_node("Mul", ["x", "w"], ["a"], name="times"),
        helper.make_node("Relu", ["a"], ["b"], name="relu"),
        helper.make_node("Add", ["b", "w"], ["y"], name="plus"),
    ]
    shape: list[Any] = ["N", 3, 4, 8]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.linspace(0.1, 1, 8, dtype=np.float32), "w")],
    )
    path = tmp_path / "tiny.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return Artifact(path, "onnx", artifact.sha256(path), MODEL)


@pytest.fixture
def plugins() -> Plugins:
    return discover()


def in_half(source: Artifact, keep: tuple[str, ...] = ()) -> Artifact:
    path = source.path.with_name("half.onnx")
    precision.convert(source.path, path, "{}", "fp16", keep=keep)
    return replace(source, path=path)


def picture() -> NDArray[np.float32]:
    return np.random.default_rng(0).uniform(-1, 1, (2, 3, 4, 8)).astype(np.float32)


# ----------------------------------------------------------------------------------------------------------- the proof


@pytest.mark.parametrize("options", [CPU, HALF])
def test_the_precision_is_read_from_the_graph_and_not_from_the_option(tiny: Artifact, options: InferOptions) -> None:
    session = open_session(onnxruntime, in_half(tiny, ("relu",)), options)
    loaded = session.loaded()
    assert loaded.precision == "fp16"
    assert loaded.details["nodes_by_precision"] == "fp16 2, fp32 1"
    assert loaded.details["arithmetic"].startswith("weights are rounded")
    (answer,) = session.run({"x": picture()}).values()
    assert answer.dtype == np.float32


def test_a_graph_that_computes_in_fp32_does_not_open_as_fp16(tiny: Artifact) -> None:
    with pytest.raises(BadInput, match=r"tiny\.onnx was to run in fp16, and none of its nodes does"):
        open_session(onnxruntime, tiny, HALF)
    with pytest.raises(BadInput, match=r"half\.onnx was to run in fp16, and none of its nodes does"):
        open_session(onnxruntime, in_half(tiny, ("Mul", "Add", "Relu")), HALF)


def test_weights_that_are_only_stored_in_half_precision_prove_nothing(tiny: Artifact) -> None:
    model = onnx.load(tiny.path)
    (weight,) = model.graph.initializer
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), "stored"))
    model.graph.node.insert(0, helper.make_node("Cast", ["stored"], ["w"], to=TensorProto.FLOAT))
    onnx.save(model, tiny.path)
    assert precision_reading.holds_half(tiny.path)
    assert open_session(onnxruntime, tiny, CPU).loaded().precision == "fp32"
    with pytest.raises(BadInput, match="none of its nodes does"):
        open_session(onnxruntime, tiny, HALF)


@pytest.mark.parametrize("where", ["initializer", "constant", "cast", "branch"])
def test_half_precision_is_found_wherever_it_is_in_a_file(tiny: Artifact, where: str) -> None:
    model = onnx.load(tiny.path)
    assert not precision_reading.holds_half(tiny.path)
    half = numpy_helper.from_array(np.zeros(3, np.float16), "half")
    constant = helper.make_node("Constant", [], ["half"], value=half)
    if where == "initializer":
        model.graph.initializer.append(half)
    elif where == "constant":
        model.graph.node.append(constant)
    elif where == "cast":
        model.graph.node.append(helper.make_node("Cast", ["y"], ["half"], to=TensorProto.FLOAT16))
    else:
        out = helper.make_tensor_value_info("half", TensorProto.FLOAT16, [3])
        branch = helper.make_graph([constant], "branch", [], [out])
        model.graph.node.append(helper.make_node("If", ["c"], ["z"], then_branch=branch, else_branch=branch))
    onnx.save(model, tiny.path)
    assert precision_reading.holds_half(tiny.path)


def test_a_provider_that_says_nothing_of_its_arithmetic_promises_no_fp16(tiny: Artifact) -> None:
    half = in_half(tiny)
    with pytest.raises(Unavailable, match="OpenVINOExecutionProvider does not say in which precision it computes"):
        proof.prove(half, HALF, providers.Wish(providers.OPENVINO, "cpu", "fp32"))
    assert proof.prove(half, CPU, providers.Wish("DmlExecutionProvider", "dml"))[0] == "unknown"
    assert "arithmetic" not in proof.prove(half, HALF, providers.cuda(0, "heuristic"))[1]


# ----------------------------------------------------------------------------------------------------------- the chain


def test_the_chain_converts_on_the_way_and_says_so(tiny: Artifact, plugins: Plugins) -> None:
    notes: list[str] = []
    with Pipeline(plugins, tiny, "onnxruntime", replace(HALF, extra={"keep_fp32": "relu"}), notes.append) as pipeline:
        assert pipeline.loaded().precision == "fp16"
        assert [step.manifest.step for step in pipeline.steps][-1] == "convert-fp16"
        assert pipeline.steps[-1].manifest.findings["fp32_nodes"] == 1
        (answer,) = pipeline.infer({"x": picture()}).values()
    assert any(each.startswith("tiny: fp16: 1 node stays in fp32: relu (asked) (") for each in notes)
    with Pipeline(plugins, tiny, "onnxruntime", CPU) as pipeline:
        (exact,) = pipeline.infer({"x": picture()}).values()
    assert not np.array_equal(answer, exact)
    np.testing.assert_allclose(answer, exact, rtol=3e-3)


def test_another_list_of_what_to_keep_is_another_file(tiny: Artifact, plugins: Plugins) -> None:
    def opened(keep: str) -> tuple[bool, str]:
        options = replace(HALF, extra={"keep_fp32": keep} if keep else {})
        with Pipeline(plugins, tiny, "onnxruntime", options) as pipeline:
            return pipeline.steps[-1].fresh, pipeline.loaded().details["nodes_by_precision"]

    assert opened("") == (True, "fp16 3")
    assert opened("") == (False, "fp16 3")
    assert opened("relu, plus") == (True, "fp32 2, fp16 1")
    assert opened("plus,relu") == (False, "fp32 2, fp16 1")


def test_bf16_is_not_for_this_backend(tiny: Artifact, plugins: Plugins) -> None:
    with pytest.raises(Exception, match="unknown precision of backend 'onnxruntime' 'bf16'"):
        Pipeline(plugins, tiny, "onnxruntime", replace(CPU, precision="bf16"))


# ---------------------------------------------------------------------------------------------------------- emulation


def test_the_emulation_rounds_what_a_device_would_store(tiny: Artifact, tmp_path: Path, plugins: Plugins) -> None:
    """ONNX Runtime leaves out roundings on the CPU; numpy, in half precision, does not."""
    half = in_half(tiny)
    rounded = replace(tiny, path=tmp_path / "rounded.onnx")
    assert precision_emulation.emulate(half.path, rounded.path) == 4, "x and the three answers"
    assert precision_reading.computed(rounded.path) == {"fp32": 3}
    with closing(backend.open_session(plugins, "onnxruntime", rounded, CPU)) as session:
        (answer,) = session.run({"x": picture()}).values()
    x, w = picture().astype(np.float16), np.linspace(0.1, 1, 8, dtype=np.float32).astype(np.float16)
    np.testing.assert_array_equal(answer, (np.maximum(x * w, 0) + w).astype(np.float32))


def test_an_option_runs_the_emulation(tiny: Artifact) -> None:
    half = in_half(tiny)
    session = open_session(onnxruntime, half, replace(HALF, extra={"rounding": "stored"}))
    assert session.loaded().precision == "fp16"
    assert session.loaded().details["arithmetic"] == "every stored tensor is rounded; nodes compute in fp32"
    (stored,) = session.run({"x": picture()}).values()
    (free,) = open_session(onnxruntime, half, HALF).run({"x": picture()}).values()
    np.testing.assert_array_equal(stored, stored.astype(np.float16))
    assert not np.array_equal(free, stored)
    plain = open_session(onnxruntime, tiny, replace(CPU, extra={"rounding": "stored"})).loaded()
    assert (plain.precision, set(plain.details)) == ("fp32", {"nodes", "threads"})
    with pytest.raises(BadInput, match="rounding=stored shows on the CPU"):
        proof.rounding(half, replace(HALF, extra={"rounding": "stored"}), providers.cuda(0, "heuristic"))


# --------------------------------------------------------------------------------------------------------- real pictures


def crops(data_folder: Path, count: int) -> Iterator[tuple[str, Pixels]]:
    from ocrdeploy import images

    lines = (data_folder / "iiit5k" / "test_labels.tsv").read_text(encoding="utf-8").splitlines()
    for line in lines[:: len(lines) // count][:count]:
        path = data_folder / "iiit5k" / line.split("\t")[0]
        yield path.name, images.decode(path.read_bytes(), name=path.name)


def texts(plugins: Plugins, source: Artifact, options: InferOptions, pictures: list[Pixels]) -> list[str]:
    with Pipeline(plugins, source, "onnxruntime", options) as pipeline:
        return [each.regions[0].text for each in pipeline.predict(pictures, 8)]


@pytest.fixture(scope="module")
def words(data_folder: Path) -> list[Pixels]:
    return [pixels for _, pixels in crops(data_folder, 60)]


@pytest.fixture
def trained(data_folder: Path, plugins: Plugins, tmp_path: Path) -> Callable[[str, str], Artifact]:
    """A trained checkpoint as an ONNX file."""
    pytest.importorskip("torch", reason="needs PyTorch, to export")
    from ocrdeploy import export

    def get(name: str, checkpoint: str) -> Artifact:
        source = models.pair(plugins, name, data_folder / "checkpoints" / checkpoint)
        return export.export(plugins, source, tmp_path / f"{name}.onnx").artifact

    return get


def test_a_recognizer_reads_the_same_words_in_fp16(words: list[Pixels], plugins: Plugins) -> None:
    source = models.resolve(plugins, "ppocr-v6-rec", task=None)
    exact, half = (texts(plugins, source, options, words) for options in (CPU, HALF))
    assert sum(a == b for a, b in zip(exact, half, strict=True)) >= 59
    assert len(set(exact)) > 50


def test_a_trained_crnn_reads_the_same_words_in_fp16_also_as_a_device_stores_it(
    words: list[Pixels], plugins: Plugins, trained: Callable[[str, str], Artifact], tmp_path: Path
) -> None:
    source = trained("crnn_academic_dataset", "crnn_academic_selftrained.pth")
    half, rounded = (replace(source, path=tmp_path / name) for name in ("half.onnx", "rounded.onnx"))
    done = precision.convert(source.path, half.path, "{}", "fp16")
    assert done.kept == {}
    precision_emulation.emulate(half.path, rounded.path)
    exact = texts(plugins, source, CPU, words)
    for other in (half, rounded):
        assert sum(a == b for a, b in zip(exact, texts(plugins, other, CPU, words), strict=True)) >= 59


def test_a_detector_whose_variances_half_precision_does_not_hold_finds_the_same_boxes(
    data_folder: Path, plugins: Plugins, trained: Callable[[str, str], Artifact], tmp_path: Path
) -> None:
    from ocrdeploy import images

    source = trained("dbnet_r18_fpnc_1200e_icdar2015", "dbnet_r18_selftrained.pth")
    half, rounded = (replace(source, path=tmp_path / name) for name in ("half.onnx", "rounded.onnx"))
    done = precision.convert(source.path, half.path, "{}", "fp16", ranges={"/bbox_head/Exp_output_0": 1e9})
    assert done.folded == 2, "the exporter leaves those behind transposed convolutions"
    assert set(done.kept) == {"/bbox_head/Exp", "/bbox_head/Add"}
    precision_emulation.emulate(half.path, rounded.path)
    path = min((data_folder / "mmocr_det_toy").rglob("*.jpg"))
    pixels = images.decode(path.read_bytes(), name=path.name)
    exact, stored = (boxes(plugins, each, pixels) for each in (source, rounded))
    assert len(exact) == len(stored) > 2
    for one, other in zip(exact, stored, strict=True):
        np.testing.assert_allclose(one, other, atol=4)


def boxes(plugins: Plugins, source: Artifact, pixels: Pixels) -> list[NDArray[np.float64]]:
    """Return the corners of what a detector finds, each box from its own first corner on, from the top left to the right."""
    with Pipeline(plugins, source, "onnxruntime", CPU) as pipeline:
        (found,) = pipeline.predict([pixels])
    corners = [np.array(sorted(region.polygon)) for region in found.regions]
    return sorted(corners, key=lambda box: tuple(box.mean(axis=0).round()))
