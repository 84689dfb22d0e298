"""What the tensors of a graph hold, measured in parts; and that a planted overflow is found before it happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from ocrdeploy import conversion, hookimpl, range_guard
from ocrdeploy.errors import BadInput, OcrdError
from ocrdeploy.onnxgraph import precision, precision_emulation, ranges
from ocrdeploy.plugins import Plugins
from ocrdeploy.vocabulary import Artifact, BackendInfo, InferOptions, Loaded, ModelSpec, Probe, Session, Tensors

Install: TypeAlias = Callable[..., Plugins]


def planted(path: Path, channels: int = 3) -> Path:
    """maps = relu(x) * 1e5 * 1e-5: half precision holds what goes in and comes out, and not what is between."""
    nodes = [
        helper.make_node("Relu", ["x"], ["light"], name="relu"),
        helper.make_node("Mul", ["light", "up"], ["huge"], name="up"),
        helper.make_node("Add", ["huge", "huge"], ["double"], name="double"),
        helper.make_node("Mul", ["double", "down"], ["small"], name="down"),
        helper.make_node("Relu", ["small"], ["maps"], name="back"),
        helper.make_node("Shape", ["maps"], ["shape"], name="shape"),
    ]
    weights = [numpy_helper.from_array(np.array(each, np.float32), name) for name, each in (("up", 5e4), ("down", 1e-5))]
    shape: list[Any] = ["N", channels, "H", "W"]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info("maps", TensorProto.FLOAT, shape)]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", inputs, outputs, weights), ir_version=8), path)
    return path


def run(path: Path, names: Sequence[str], batches: Sequence[Tensors]) -> Iterator[Tensors]:
    evaluator = ReferenceEvaluator(str(path))
    assert evaluator.output_names == list(names)
    for batch in batches:
        yield dict(zip(names, map(np.asarray, evaluator.run(None, dict(batch))), strict=True))


def noise(*shape: int, scale: float = 1.0) -> Any:
    return np.random.default_rng([*shape]).uniform(-scale, scale, shape).astype(np.float32)


def test_the_largest_numbers_of_all_tensors_are_found(tmp_path: Path) -> None:
    batches = [{"x": noise(1, 3, 4, 5, scale=2)}, {"x": noise(2, 3, 8, 8)}]
    found = ranges.measure(planted(tmp_path / "a.onnx"), "fp16", batches, run)
    light = max(float(each["x"].max()) for each in batches)
    assert found.largest.keys() == {"x", "light", "huge", "double", "small", "maps"}
    assert found.largest["light"] == np.float32(light)
    assert found.largest["huge"] == pytest.approx(light * 5e4, rel=1e-6)
    assert found.losses["light"] == pytest.approx(2.0e-4, rel=0.3)


def test_a_tensor_that_is_not_a_number_is_found_wherever_it_comes(tmp_path: Path) -> None:
    x = noise(1, 3, 2, 2)
    x[0, 0, 0, 0] = np.nan
    for batches in ([x, noise(1, 3, 2, 2)], [noise(1, 3, 2, 2), x]):
        found = ranges.measure(planted(tmp_path / "a.onnx"), "fp16", [{"x": each} for each in batches], run)
        assert np.isnan(found.largest["x"])
        assert np.isnan(found.largest["huge"])


def test_numbers_that_are_too_small_are_a_loss(tmp_path: Path) -> None:
    found = ranges.measure(planted(tmp_path / "a.onnx"), "fp16", [{"x": noise(1, 3, 9, 9, scale=1e-7)}], run)
    assert found.losses["light"] > 0.1
    assert found.losses["huge"] < 1e-3
    bf16 = ranges.measure(planted(tmp_path / "a.onnx"), "bf16", [{"x": noise(1, 3, 9, 9, scale=1e-7)}], run)
    assert bf16.losses["light"] < 0.003


def test_no_more_tensors_are_in_memory_than_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Sequence[str]] = []

    def noted(path: Path, names: Sequence[str], batches: Sequence[Tensors]) -> Iterator[Tensors]:
        asked.append(names)
        return run(path, names, batches)

    batches = [{"x": noise(1, 3, 2, 2)}, {"x": noise(1, 3, 8, 8)}]
    monkeypatch.setattr(ranges, "MOST_BYTES", 3 * 8 * 8 * 4 * 2)
    ranges.measure(planted(tmp_path / "a.onnx"), "fp16", batches, noted)
    assert asked == [["light", "huge"], ["double", "small"], ["maps"]]
    asked.clear()
    monkeypatch.setattr(ranges, "MOST_BYTES", 1)
    found = ranges.measure(planted(tmp_path / "a.onnx"), "fp16", batches, noted)
    assert (len(asked), len(found.largest)) == (5, 6)


# ------------------------------------------------------------------------------------------------------------- the guard


class Evaluator:
    """A session on onnx's own evaluator."""

    def __init__(self, artifact: Artifact) -> None:
        self._artifact = artifact

    def run(self, inputs: Tensors) -> Tensors:
        (found,) = run(self._artifact.path, self._artifact.model.outputs, [inputs])
        return found

    def loaded(self) -> Loaded:
        return Loaded(version="1", device="cpu")

    def close(self) -> None:
        pass


class Reference:
    """A backend that runs ONNX files."""

    ocrd_contract = 1

    def __init__(self, problem: str = "") -> None:
        self._problem = problem

    @hookimpl
    def ocrd_backend(self) -> BackendInfo:
        return BackendInfo("reference", runs=("onnx",), precisions=("fp32", "fp16"), options=("keep_fp32", "range_images"))

    @hookimpl
    def ocrd_probe(self) -> Probe:
        return Probe(version="1.0", problem=self._problem)

    @hookimpl
    def ocrd_infer(self, artifact: Artifact) -> Session:
        return Evaluator(artifact)


@pytest.fixture
def source(tmp_path: Path, detector: ModelSpec) -> Artifact:
    return Artifact(planted(tmp_path / "find.onnx"), "onnx", "", detector)


def test_a_planted_overflow_is_caught_and_would_have_been_one(source: Artifact, install: Install, tmp_path: Path) -> None:
    plugins = install(reference=Reference())
    options = InferOptions(precision="fp16")
    plan = range_guard.plan(plugins, options)
    found = range_guard.measure(plugins, source, "fp16", plan)
    assert found.largest["double"] > 65504
    guarded, bare = tmp_path / "guarded.onnx", tmp_path / "bare.onnx"
    done = precision.convert(source.path, guarded, "{}", "fp16", ranges=found.largest, losses=found.losses)
    assert done.kept == {"up": "range 5.0e4", "double": "range 1.0e5", "down": "range 1.0e5"}
    precision.convert(source.path, bare, "{}", "fp16")
    x = noise(1, 3, 8, 8, scale=2)
    wanted = np.maximum(x, 0)
    for path in (guarded, bare):
        precision_emulation.emulate(path, tmp_path / f"{path.stem}-rounded.onnx")
    (good,) = ReferenceEvaluator(str(tmp_path / "guarded-rounded.onnx")).run(None, {"x": x})
    np.testing.assert_allclose(np.asarray(good), wanted, rtol=2e-3, atol=1e-4)
    with np.errstate(over="ignore"):
        (bad,) = ReferenceEvaluator(str(tmp_path / "bare-rounded.onnx")).run(None, {"x": x})
    assert np.isinf(np.asarray(bad)).any()


def test_drawn_pictures_are_used_where_none_are_given(source: Artifact, install: Install, tmp_path: Path) -> None:
    plugins = install(reference=Reference())
    plan = range_guard.plan(plugins, InferOptions())
    assert plan.recipe() == {"range_images": "drawn"}
    converted = tmp_path / "half.onnx"
    counts = conversion.convert(plugins, source, converted, InferOptions(precision="fp16"), plan)
    assert (counts["measured_tensors"], counts["fp32_nodes"]) == (6, 3)
    said = list(conversion.sentences(Artifact(converted, "onnx", "", source.model), plan))
    assert said[0] == "find: its ranges were measured on drawn pictures (range_images=PATH names better ones)"
    assert said[1].startswith("find: fp16: 3 nodes stay in fp32: double (range")


def test_given_pictures_are_used_and_belong_to_the_recipe(
    source: Artifact, install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cv2

    folder = tmp_path / "pictures"
    folder.mkdir()
    monkeypatch.setattr(range_guard, "MOST", 2)
    for number, shade in enumerate((0, 60, 140)):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((32, 32, 3), shade, np.uint8))
    plugins = install(reference=Reference())
    options = InferOptions(precision="fp16", extra={"range_images": str(folder)})
    plan = range_guard.plan(plugins, options)
    assert [path.name for path in plan.pictures] == ["0.png", "2.png"], "as many as are wanted, spread over all"
    found = range_guard.measure(plugins, source, "fp16", plan)
    assert found.largest["light"] == pytest.approx((140 / 255 - 0.5) / 0.5, rel=1e-4)
    before = plan.recipe()
    cv2.imwrite(str(folder / "2.png"), np.full((32, 32, 3), 141, np.uint8))
    assert range_guard.plan(plugins, options).recipe() != before


def test_what_cannot_be_measured_is_said(source: Artifact, install: Install, tmp_path: Path) -> None:
    plan = range_guard.plan(install(reference=Reference("no such thing here")), InferOptions())
    assert plan.why_not.startswith("no backend that runs ONNX can run here")
    assert range_guard.measure(install(), source, "fp16", plan).largest == {}
    off = range_guard.plan(install(reference=Reference()), InferOptions(extra={"range_images": "none"}))
    converted = Artifact(tmp_path / "half.onnx", "onnx", "", source.model)
    conversion.convert(install(), source, converted.path, InferOptions(precision="fp16"), off)
    assert next(conversion.sentences(converted, off)) == "find: its ranges were not measured: as was asked"


def test_pictures_that_are_not_there_are_an_error(install: Install, tmp_path: Path) -> None:
    plugins = install(reference=Reference())
    with pytest.raises(OcrdError, match="nowhere"):
        range_guard.plan(plugins, InferOptions(extra={"range_images": str(tmp_path / "nowhere")}))
    (tmp_path / "empty").mkdir()
    with pytest.raises(OcrdError, match="empty"):
        range_guard.plan(plugins, InferOptions(extra={"range_images": str(tmp_path / "empty")}))


def test_a_file_with_fixed_sizes_is_measured_at_them(source: Artifact, install: Install) -> None:
    model = onnx.load(source.path)
    for value in (*model.graph.input, *model.graph.output):
        for dim, size in zip(value.type.tensor_type.shape.dim, (2, 3, 20, 33), strict=True):
            dim.dim_value = size
    onnx.save(model, source.path)
    plugins = install(reference=Reference())
    assert range_guard.measure(plugins, source, "fp16", range_guard.plan(plugins, InferOptions())).largest["double"] > 65504


# --------------------------------------------------------------------------------------------------- what is converted


def test_a_file_that_is_in_the_precision_already_is_left_as_it_is(source: Artifact, tmp_path: Path) -> None:
    info = BackendInfo("reference", runs=("onnx",), precisions=("fp32", "fp16", "bf16"))
    half = Artifact(tmp_path / "half.onnx", "onnx", "", source.model)
    precision.convert(source.path, half.path, "{}", "fp16", keep=["Add"])
    assert conversion.wanted(source, info, InferOptions(precision="fp16"))
    assert not conversion.wanted(source, info, InferOptions())
    assert not conversion.wanted(half, info, InferOptions(precision="fp16"))
    with pytest.raises(BadInput, match="is in fp16, and bf16 was asked for"):
        conversion.wanted(half, info, InferOptions(precision="bf16"))
    model = onnx.load(half.path)
    del model.metadata_props[:]  # as others make it
    onnx.save(model, half.path)
    assert conversion.at_hand(half.path) == "fp16"
    assert not conversion.wanted(source, BackendInfo("b", runs=("onnx",)), InferOptions(precision="fp16"))
    assert not conversion.wanted(source, BackendInfo("b", runs=("plan",), precisions=("fp16",)), InferOptions(precision="fp16"))
