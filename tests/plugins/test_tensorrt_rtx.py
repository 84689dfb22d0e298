"""The builder with a real parser and a real builder: TensorRT-RTX has both, and needs no GPU for them.

All six of MMOCR's models, exported with open axes, and the three of PP-OCR; their weights are of no account here, and small
shapes keep a build at about a second.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from ocrdeploy import BadInput, artifact, backend, building, chain, headway, plugins, spec
from ocrdeploy.building import Built
from ocrdeploy.onnxgraph import metadata
from ocrdeploy.vocabulary import (
    Artifact,
    BuildOptions,
    ExportOptions,
    InferOptions,
    InputSpec,
    ModelSpec,
    Shapes,
    ShortSide,
    Task,
)
from ocrdeploy_tensorrt import builder, module, resizes
from ocrdeploy_tensorrt.devices import Gpu, Machine

pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX, to parse and build with: pip install tensorrt-rtx")
pytest.importorskip("torch", reason="needs PyTorch, to export MMOCR's models with")

import tensorrt_rtx as trt

from ocrdeploy_pytorch import exporter
from ocrdeploy_pytorch.networks.build import build as network_of
from ocrdeploy_pytorch.specs import SIX

CRNN, DBNET = "crnn_academic_dataset", "dbnet_r18_fpnc_1200e_icdar2015"
PPOCR = ("ppocr-v6-det", "ppocr-v6-rec", "ppocr-v2-cls")
RESIZES: Mapping[str, int] = {
    "dbnet": 6,
    "panet": 15,
    "psenet": 6,
    "crnn": 0,
    "ppocr-v6-det": 6,
    "ppocr-v6-rec": 0,
    "ppocr-v2-cls": 0,
}
"""How many Resize nodes there are, by how the model's name begins."""

PAGES = Shapes((1, 3, 32, 32), (1, 3, 64, 64), (2, 3, 128, 96))
SMALL: Mapping[str, Shapes] = {
    "crnn": Shapes((1, 1, 32, 32), (2, 1, 32, 64), (4, 1, 32, 128)),
    "ppocr-v6-rec": Shapes((1, 3, 48, 320), (2, 3, 48, 320), (4, 3, 48, 640)),
    "ppocr-v2-cls": Shapes((1, 3, 48, 192), (2, 3, 48, 192), (4, 3, 48, 192)),
}
TOY = ModelSpec("toy", "dbnet", Task.DETECTION, InputSpec("x", ShortSide(32), pad_to=32, shapes=PAGES), ("maps",))

Model = Callable[[str], Artifact]
Build = Callable[..., Built]


def of(table: Mapping[str, Any], name: str, otherwise: Any = None) -> Any:
    return next((value for start, value in table.items() if name.startswith(start)), otherwise)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """`model(name)`: its ONNX file. Two that differ in their datasets only are one network, and exported once."""
    folder = tmp_path_factory.mktemp("models")
    found = plugins.discover()
    exported: dict[str, Path] = {}

    def get(name: str) -> Artifact:
        if name in PPOCR:
            return backend.artifact_of_model(found, found.models[name])
        described = {key: value for key, value in SIX[name].network.items() if key != "config_sha256"}
        key = json.dumps(described, sort_keys=True)
        if key not in exported:
            exported[key] = folder / f"{name}.onnx"
            exporter.export(network_of(SIX[name].network).eval(), SIX[name], exported[key], ExportOptions())
        path = folder / f"{name}-described.onnx"
        if not path.exists():
            loaded = onnx.load(exported[key])
            metadata.describe(loaded, {metadata.KEY: spec.to_json(SIX[name])})
            onnx.save(loaded, path)
        return Artifact(path, "onnx", artifact.sha256(path), SIX[name])

    return get


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    """Build an engine on a machine that is taken to have no GPU."""
    found = plugins.discover()
    monkeypatch.setattr("ocrdeploy_tensorrt.module.installed", lambda: (module.RTX, trt.__version__))

    def run(source: Artifact, **options: Any) -> Built:
        extra = {"range_images": "none", **options.pop("extra", {})}
        given = BuildOptions(extra=extra, **options)
        return building.build(found, source, "tensorrt", tmp_path / "model.engine", given, overwrite=True)

    return run


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("name", [*SIX, *PPOCR])
def test_every_model_is_parsed_and_built(model: Model, build: Build, tmp_path: Path, name: str, precision: str) -> None:
    shapes = of(SMALL, name, PAGES)
    built = build(model(name), precision=precision, shapes=shapes)
    manifest = artifact.read_manifest(tmp_path / "model.engine")
    assert manifest is not None
    assert spec.to_dict(manifest.model) == spec.to_dict(built.manifest.model)
    assert replace(manifest, model=TOY) == replace(built.manifest, model=TOY)
    assert manifest.sha256 == artifact.sha256(tmp_path / "model.engine")
    assert manifest.model.name == name
    assert (manifest.format, manifest.step) == ("trt-engine", f"build-tensorrt-{precision}")
    assert manifest.parent_sha256 == artifact.sha256(built.source.path)
    assert manifest.options["precision"] == precision
    facts = manifest.facts
    assert (facts["flavour"], facts["tensorrt"], facts["device"]) == ("tensorrt-rtx", trt.__version__, "ampere+")
    assert facts["max_shape"] == "x".join(map(str, shapes.max))
    assert re.fullmatch(rf"{precision} \d+(, fp32 \d+)?", facts["layers"]), facts["layers"]


def test_tf32_and_bf16_are_built_too(model: Model, build: Build) -> None:
    crnn = model(CRNN)
    assert build(crnn, precision="tf32", shapes=SMALL["crnn"]).manifest.facts["layers"].startswith("fp32 ")
    assert build(crnn, precision="bf16", shapes=SMALL["crnn"]).manifest.facts["layers"].startswith("bf16 ")


def test_an_fp16_engine_is_half_the_size(model: Model, build: Build) -> None:
    crnn = model(CRNN)
    sizes = [build(crnn, precision=precision, shapes=SMALL["crnn"]).size_bytes for precision in ("fp32", "fp16")]
    assert 0.4 < sizes[1] / sizes[0] < 0.6


def test_nodes_that_are_kept_in_fp32_are_named(model: Model, build: Build) -> None:
    built = build(model(CRNN), precision="fp16", shapes=SMALL["crnn"], extra={"keep_fp32": "MaxPool"})
    assert re.fullmatch(r"fp16 \d+, fp32 \d+", built.manifest.facts["layers"])
    assert "MaxPool" in built.manifest.facts["layers_fp32"]
    assert built.manifest.facts["keep_fp32"] == "MaxPool"


@pytest.mark.parametrize("name", [*SIX, *PPOCR])
def test_nearest_upsampling_stays_nearest(model: Model, name: str) -> None:
    logger = module.logger(trt)
    # Each is kept in a name: what is used by another one from C++ has to live as long.
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    assert parser.parse_from_file(str(model(name).path))
    found = list(resizes.resizes(trt, network))
    assert len(found) == of(RESIZES, name)
    assert all(resizes.as_torch(trt, layer) for layer in found)
    nearest = [layer for layer in found if layer.resize_mode == trt.InterpolationMode.NEAREST]
    assert {(layer.coordinate_transformation.name, layer.nearest_rounding.name) for layer in nearest} <= {("ASYMMETRIC", "FLOOR")}
    assert bool(nearest) == bool(found)


# --------------------------------------------------------------------------------------------------------- small graphs


def toy(path: Path, *nodes: Any, weights: tuple[Any, ...] = (), opset: int = 19) -> Artifact:
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", channels, "H", "W"])
        for name, channels in (("x", 3), ("maps", None))
    ]
    graph = helper.make_graph(list(nodes), "toy", ends[:1], ends[1:], list(weights))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9), path)
    return Artifact(path, "onnx", artifact.sha256(path), TOY)


def resize(path: Path, **attributes: str) -> Artifact:
    scales = helper.make_tensor("s", TensorProto.FLOAT, [4], [1.0, 1.0, 2.0, 2.0])
    node = helper.make_node("Resize", ["x", "", "s"], ["maps"], name="/neck/up/Resize", **attributes)
    return toy(path, node, weights=(scales,))


def test_a_resize_of_other_pixels_is_refused(build: Build, tmp_path: Path) -> None:
    source = resize(tmp_path / "toy.onnx", mode="nearest", coordinate_transformation_mode="half_pixel")
    with pytest.raises(BadInput, match=r"the Resize '/neck/up/Resize' \(in neck\.up\) picks other pixels than PyTorch does"):
        build(source)
    assert build(source, extra={"resize": "any"}).size_bytes
    torch_like = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    assert build(resize(tmp_path / "toy.onnx", mode="nearest", **torch_like)).size_bytes


def test_an_operator_that_tensorrt_does_not_have_is_named_with_its_module(build: Build, tmp_path: Path) -> None:
    weights = [
        helper.make_tensor(name, TensorProto.FLOAT, shape, [0.0] * count) for name, shape, count in (("w", [4, 3, 1, 1], 12),)
    ]
    offsets = helper.make_node("Concat", ["x", "x"], ["o6"], axis=1, name="cat")
    two = helper.make_node("Slice", ["o6", "zero", "two", "one"], ["o"], name="cut")
    ends = [helper.make_tensor(name, TensorProto.INT64, [1], [value]) for name, value in (("zero", 0), ("two", 2), ("one", 1))]
    deform = helper.make_node(
        "DeformConv", ["x", "w", "o"], ["maps"], name="/backbone/layer2/layer2.0/conv2/DeformConv", kernel_shape=[1, 1]
    )
    source = toy(tmp_path / "toy.onnx", offsets, two, deform, weights=(*weights, *ends))
    with pytest.raises(BadInput) as raised:
        build(source)
    assert "'/backbone/layer2/layer2.0/conv2/DeformConv' in backbone.layer2.0.conv2" in raised.value.problem
    assert "DeformConv (1 node" in raised.value.problem


def test_a_workspace_that_does_not_suffice_is_named(model: Model, build: Build) -> None:
    with pytest.raises(BadInput, match=r"--workspace 0\.001 is too little to build crnn_academic_dataset .* GiB at once"):
        build(model(CRNN), workspace_gib=0.001)  # for the model's own shapes


def test_ctrl_c_ends_a_real_build(model: Model, build: Build, ctrl_c: Callable[[], None], tmp_path: Path) -> None:
    heard: list[float] = []

    def interrupt(_doing: str, share: float) -> None:
        if not heard:
            ctrl_c()
        heard.append(share)

    with headway.heard_by(interrupt), pytest.raises(KeyboardInterrupt):
        build(model(CRNN), shapes=SMALL["crnn"])
    assert len(heard) < 5, "it ends soon"
    assert [each.name for each in tmp_path.iterdir()] == []


def test_a_build_that_is_killed_leaves_no_engine(model: Model, tmp_path: Path) -> None:
    program = """
        import os, signal, sys
        from pathlib import Path
        from ocrdeploy import building, headway, models, plugins
        from ocrdeploy.vocabulary import BuildOptions
        found = plugins.discover()
        source = models.resolve(found, sys.argv[1], task=None)
        with headway.heard_by(lambda doing, share: os.kill(os.getpid(), signal.SIGKILL)):
            building.build(found, source, "tensorrt", Path(sys.argv[2]), BuildOptions())
    """
    command = [
        sys.executable,
        "-c",
        textwrap.dedent(program),
        str(model(CRNN).path),
        str(tmp_path / "m.engine"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (tmp_path / "m.engine").exists()
    assert not (tmp_path / "m.engine.json").exists()


def test_shapes_are_judged_before_tensorrt_sees_them(model: Model, build: Build) -> None:
    wrong = replace(SMALL["crnn"], max=(4, 1, 32, 32), opt=(2, 1, 32, 64))
    with pytest.raises(BadInput, match="the width of the shapes is min 32, opt 64, max 32"):
        build(model(CRNN), shapes=wrong)


def test_the_chain_builds_by_itself_and_keeps_what_fits(model: Model) -> None:
    found = plugins.discover()
    steps: list[chain.Step] = []
    extra = {"min_shape": "1x1x32x32", "opt_shape": "2x1x32x64", "max_shape": "4x1x32x128"}

    def reach(**more: str) -> Artifact:
        steps.clear()
        options = InferOptions(extra={**extra, **more})
        return chain.reach(found, model(CRNN), "tensorrt", options, lambda _: None, done=steps.append)

    first = reach()
    assert steps[-1].fresh
    assert (first.facts["flavour"], first.facts["max_shape"]) == ("tensorrt-rtx", "4x1x32x128")
    assert reach() == first
    assert not steps[-1].fresh
    assert reach(max_shape="2x1x32x128").facts["max_shape"] == "2x1x32x128"
    assert steps[-1].fresh, "another shape is another engine"


def test_for_a_turing_gpu_the_engine_is_built_for_turing(model: Model, tmp_path: Path) -> None:
    turing = Machine(gpus=(Gpu("NVIDIA GeForce RTX 2080 Ti", (7, 5)),))
    target = tmp_path / "model.engine"
    made = builder.build(trt, model(DBNET), target, BuildOptions(shapes=PAGES), turing)
    assert made.facts["device"] == "sm_75"
    others = builder.build(trt, model(DBNET), target, BuildOptions(shapes=PAGES), Machine())
    assert others.facts["device"] == "ampere+"
    assert others.sha256 != made.sha256
    with pytest.raises(BadInput, match="FP32 GEMM is not supported") as raised:
        builder.build(trt, model(CRNN), target, BuildOptions(shapes=SMALL["crnn"]), turing)
    assert raised.value.fix.startswith("give --precision fp16")
