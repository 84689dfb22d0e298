"""What becomes of the file that a plugin exports: it is checked, flushed, described, and whole or not there at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ocrdeploy import artifact, export, hookimpl, models, spec
from ocrdeploy.errors import BadInput, BadPlugin, OcrdError, Unavailable, UnknownName
from ocrdeploy.export import Exported
from ocrdeploy.onnxgraph import metadata
from ocrdeploy.onnxgraph.checks import Signature
from ocrdeploy.plugins import Plugins
from ocrdeploy.vocabulary import Artifact, BackendInfo, ExportOptions, FamilyInfo, ModelSpec, Probe, Session, Task

Install: TypeAlias = Callable[..., Plugins]

# Bits: 1, 2, two denormal numbers, NaN.
WEIGHTS = np.array([0x3F80_0000, 0x4000_0000, 0x0001_16C2, 0x8000_0001, 0x7FC0_0000], np.uint32).view(np.float32)
NETWORK = {"architecture": "toy", "upsample": "nearest", "width": 8, "deep": True, "head": {"in": 1}, "config_sha256": "c0ff"}


def a_graph(
    *,
    opset: int = 17,
    inputs: Sequence[str] = ("x",),
    output: str = "maps",
    entries: Mapping[str, str] | None = None,
    shape: Sequence[int] = (5,),
) -> Any:
    add = helper.make_node("Add", [inputs[0], "w"], [output])
    graph = helper.make_graph(
        [add],
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 5]) for name in inputs],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", 5])],
        [numpy_helper.from_array(np.resize(WEIGHTS, shape), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    helper.set_model_props(model, dict(entries or {}))
    return model


class Exporter:
    """A backend that exports whatever it is given as the same graph."""

    ocrd_contract = 1

    def __init__(self, name: str = "exporter", model: Any = None, probe: Probe | None = None, rank: int = 0) -> None:
        self.name, self.model, self.probe, self.rank = name, model or a_graph(), probe or Probe("1.0"), rank
        self.asked: list[ExportOptions] = []
        self.networks: list[object] = []

    @hookimpl
    def ocrd_backend(self) -> BackendInfo:
        return BackendInfo(self.name, runs=("checkpoint",), options=("networks",), rank=self.rank)

    @hookimpl
    def ocrd_probe(self) -> Probe:
        return self.probe

    @hookimpl
    def ocrd_infer(self) -> Session:
        raise NotImplementedError

    @hookimpl
    def ocrd_export(self, model: ModelSpec, network: Any, checkpoint: Artifact, target: Path, options: ExportOptions) -> Artifact:
        self.asked.append(options)
        self.networks.append(network)
        target.write_bytes(self.model.SerializeToString())
        return Artifact(target, "onnx", "", model, checkpoint.sha256)


@pytest.fixture
def checkpoint(tmp_path: Path, detector: ModelSpec) -> Artifact:
    path = tmp_path / "epoch_1200.pth"
    path.write_bytes(b"trained")
    return Artifact(path, "checkpoint", artifact.sha256(path), replace(detector, network=NETWORK))


@pytest.fixture
def exported(install: Install, checkpoint: Artifact, tmp_path: Path) -> Callable[..., Exported]:
    def run(options: ExportOptions | None = None, **given: Any) -> Exported:
        plugins = install(exporter=Exporter(**given))
        return export.export(plugins, checkpoint, tmp_path / "made" / "model.onnx", options)

    return run


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_the_file_says_how_to_use_itself_and_how_it_was_made(
    exported: Callable[..., Exported], checkpoint: Artifact, install: Install
) -> None:
    own = {metadata.RECIPE: '{"exporter": "quick", "versions": {"runtime": "2.5"}}', "author": "me"}
    options = ExportOptions(size=(64, 96), extra={"networks": "theirs"})
    made = exported(options, model=a_graph(entries=own))
    found = metadata.read(made.artifact.path)
    assert spec.from_json(found[metadata.KEY], "made") == checkpoint.model
    assert found["author"] == "me"
    recipe = json.loads(found[metadata.RECIPE])
    assert recipe == made.recipe
    versions = recipe.pop("versions")
    assert (versions["runtime"], versions["onnx"]) == ("2.5", onnx.__version__)
    assert {"ocrdeploy"} < set(versions)
    assert recipe == {
        "exporter": "quick",
        "checkpoint_sha256": checkpoint.sha256,
        "config_sha256": "c0ff",
        "opset": 17,
        "dynamic": True,
        "batch": 0,
        "size": [64, 96],
        "device": "cpu",
        "options": {"networks": "theirs"},
        "denormal_weights": 2,
        "nan_weights": 1,
    }
    plugins = install(dbnet=Family())
    again = models.resolve(plugins, str(made.artifact.path), task=Task.DETECTION)
    assert (again.model, again.sha256) == (made.artifact.model, made.artifact.sha256)


class Family:
    """A model family that knows its network."""

    ocrd_contract = 1

    @hookimpl
    def ocrd_family(self) -> FamilyInfo:
        return FamilyInfo("dbnet", Task.DETECTION)

    @hookimpl
    def ocrd_network(self, model: ModelSpec) -> object:
        return f"the network of {model.name}"


def test_what_was_written_is_told(exported: Callable[..., Exported], checkpoint: Artifact, tmp_path: Path) -> None:
    made = exported()
    assert made.artifact == Artifact(
        tmp_path / "made" / "model.onnx", "onnx", artifact.sha256(made.artifact.path), checkpoint.model, checkpoint.sha256
    )
    assert (made.opset, made.nodes, made.size_bytes) == (17, 1, made.artifact.path.stat().st_size)
    assert made.inputs == (Signature("x", "float32", ("n", 5)),)
    assert made.outputs == (Signature("maps", "float32", ("n", 5)),)
    assert (made.denormal_weights, made.nan_weights) == (2, 1)


def test_denormal_weights_are_zero_and_nan_weights_are_kept(exported: Callable[..., Exported]) -> None:
    stored = numpy_helper.to_array(onnx.load(exported().artifact.path).graph.initializer[0])
    assert stored.view(np.uint32).tolist() == [0x3F80_0000, 0x4000_0000, 0, 0x8000_0000, 0x7FC0_0000]


def test_two_exports_of_one_checkpoint_are_the_same_bytes(exported: Callable[..., Exported]) -> None:
    assert exported().artifact.sha256 == exported().artifact.sha256


def test_an_exporter_gets_the_options_and_the_network_of_the_family(
    install: Install, checkpoint: Artifact, tmp_path: Path
) -> None:
    exporter, options = Exporter(), ExportOptions(opset=17, batch=3)
    export.export(install(exporter=exporter, dbnet=Family()), checkpoint, tmp_path / "a.onnx", options)
    export.export(install(exporter=exporter), checkpoint, tmp_path / "b.onnx")
    assert exporter.asked == [options, ExportOptions()]
    assert exporter.networks == ["the network of find", None]


@pytest.mark.parametrize(
    ("model", "options", "complaint"),
    [
        (a_graph(opset=18), ExportOptions(opset=11), "it is written in opset 18, and 11 was asked for"),
        (a_graph(inputs=("picture",)), ExportOptions(), r"it has no x, which .* \(it has: maps, picture\)"),
        (a_graph(output="y"), ExportOptions(), r"it has no maps, which .* \(it has: x, y\)"),
        (a_graph(shape=(7,)), ExportOptions(), "its shapes cannot be inferred"),
    ],
)
def test_a_file_that_is_not_what_was_asked_for_is_the_exporters_fault(
    exported: Callable[..., Exported], tmp_path: Path, model: Any, options: ExportOptions, complaint: str
) -> None:
    with pytest.raises(BadPlugin, match=rf"plugin 'exporter' .*while exporting .*epoch_1200.pth: .*{complaint}"):
        exported(options, model=model)
    assert files(tmp_path / "made") == []


def test_what_was_there_stays_until_the_new_file_is_whole(exported: Callable[..., Exported], tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "model.onnx").write_bytes(b"the old one")
    with pytest.raises(BadPlugin):
        exported(model=a_graph(output="y"))
    assert (tmp_path / "made" / "model.onnx").read_bytes() == b"the old one"
    exported()
    assert files(tmp_path / "made") == ["model.onnx"]
    assert metadata.read(tmp_path / "made" / "model.onnx")


def test_the_exporter_of_the_highest_rank_that_can_run_is_chosen(install: Install, checkpoint: Artifact) -> None:
    broken = Probe(problem="its runtime is not installed", fix="pip install runtime")
    plugins = install(low=Exporter("low"), high=Exporter("high", probe=broken, rank=9), middle=Exporter("middle", rank=5))
    assert export.choose(plugins, checkpoint) == "middle"
    with pytest.raises(Unavailable, match=r"no installed plugin can export .*: high cannot run here: its runtime") as caught:
        export.choose(install(high=Exporter("high", probe=broken)), checkpoint)
    assert caught.value.fix == "pip install runtime"
    with pytest.raises(Unavailable) as caught:
        export.choose(install(), checkpoint)
    assert "pip install ocrdeploy-pytorch" in caught.value.fix


def test_only_checkpoints_are_exported(install: Install, checkpoint: Artifact) -> None:
    with pytest.raises(BadInput, match=r"epoch_1200.pth is onnx, not a checkpoint"):
        export.choose(install(exporter=Exporter()), replace(checkpoint, format="onnx"))


def test_an_option_that_the_exporter_does_not_have_is_named(exported: Callable[..., Exported]) -> None:
    with pytest.raises(UnknownName, match=r"unknown option of backend 'exporter' 'network'.*did you mean 'networks'"):
        exported(ExportOptions(extra={"network": "mmocr"}))


def test_values_of_the_network_are_changed_and_keep_their_types(checkpoint: Artifact) -> None:
    given = {"upsample": "bilinear", "width": "16", "deep": "false"}
    changed = export.with_network_options(checkpoint.model, given)
    assert changed == replace(checkpoint.model, network={**NETWORK, "upsample": "bilinear", "width": 16, "deep": False})
    assert export.with_network_options(checkpoint.model, {}) is checkpoint.model


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("upsampel", "bilinear", "unknown option of the model 'find' 'upsampel' .did you mean 'upsample'"),
        ("head", "1", "unknown option"),
        ("config_sha256", "0", "unknown option"),
        ("width", "wide", "option width is 'wide', not a whole number"),
        ("width", "-1", "not a whole number"),
        ("deep", "1", "option deep is '1', not true or false"),
    ],
)
def test_a_value_that_cannot_be_is_a_sentence(checkpoint: Artifact, key: str, value: str, complaint: str) -> None:
    with pytest.raises(OcrdError, match=complaint):
        export.with_network_options(checkpoint.model, {key: value})
