"""MODEL as users write it: a name, a file, or CONFIG::CHECKPOINT; where its specification comes from; which is the default."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ocrdeploy import artifact, hookimpl, models, spec
from ocrdeploy.artifact import Manifest
from ocrdeploy.errors import BadInput, OcrdError, UnknownName
from ocrdeploy.onnxgraph import metadata
from ocrdeploy.plugins import Plugins
from ocrdeploy.vocabulary import Artifact, Batch, FamilyInfo, ModelSpec, Prediction, Task, Tensors

Install: TypeAlias = Callable[..., Plugins]
DETECTION, RECOGNITION, CLASSIFICATION = Task.DETECTION, Task.RECOGNITION, Task.CLASSIFICATION


@dataclass
class Family:
    """A model family, which is never asked for an answer here."""

    name: str
    task: Task
    ocrd_contract = 1

    @hookimpl
    def ocrd_family(self) -> FamilyInfo:
        return FamilyInfo(self.name, self.task)

    @hookimpl
    def ocrd_postprocess(self, model: ModelSpec, outputs: Tensors, batch: Batch) -> list[Prediction]:
        raise NotImplementedError


class Pack:
    """A model pack; the weights of a model are at hand where there is a file of its name."""

    ocrd_contract = 1

    def __init__(self, folder: Path, *listed: ModelSpec) -> None:
        self.folder, self.listed = folder, listed

    @hookimpl
    def ocrd_models(self) -> Sequence[ModelSpec]:
        return self.listed

    @hookimpl
    def ocrd_artifact(self, model: ModelSpec) -> Artifact:
        path = self.folder / f"{model.name}.onnx"
        if not path.is_file():
            raise OcrdError(f"the weights of {model.name} are not here", f"pip install {model.name}-weights")
        return Artifact(path, "onnx", artifact.sha256(path), model)


class Describer:
    """A plugin that understands configs, and checkpoints that begin with `detector`."""

    ocrd_contract = 1

    def __init__(self, model: ModelSpec) -> None:
        self.model = model

    @hookimpl
    def ocrd_describe(self, path: Path) -> ModelSpec | None:
        return self.model if path.suffix == ".py" or path.read_bytes().startswith(b"detector") else None


@pytest.fixture
def plugins(install: Install, tmp_path: Path, detector: ModelSpec, recognizer: ModelSpec) -> Plugins:
    """Three families, and a pack of two models whose weights are at hand."""
    pack = Pack(tmp_path / "pack", replace(detector, name="pack-det"), replace(recognizer, name="pack-rec"))
    pack.folder.mkdir()
    for model in pack.listed:
        (pack.folder / f"{model.name}.onnx").write_bytes(b"weights of " + model.name.encode())
    return install(
        dbnet=Family("dbnet", DETECTION),
        ctc=Family("ctc", RECOGNITION),
        classifier=Family("classifier", CLASSIFICATION),
        pack=pack,
        describer=Describer(replace(detector, name="described")),
    )


def write_onnx(path: Path, **entries: str) -> Path:
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
        [numpy_helper.from_array(np.ones(2, np.float32), "w")],
    )
    model = helper.make_model(graph)
    helper.set_model_props(model, entries)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def write_manifest(path: Path, model: ModelSpec, form: str = "trt-engine") -> Path:
    artifact.write_manifest(path, Manifest(model, form, artifact.sha256(path), "0" * 64, "build"))
    return path


def test_a_name_is_the_file_of_the_plugin_that_knows_it(plugins: Plugins, tmp_path: Path) -> None:
    found = models.resolve(plugins, "pack-det", task=DETECTION)
    assert (found.path, found.model.name) == (tmp_path / "pack" / "pack-det.onnx", "pack-det")
    assert found.sha256 == artifact.sha256(found.path)


def test_a_file_that_carries_its_specification_needs_nothing_else(plugins: Plugins, tmp_path: Path, detector: ModelSpec) -> None:
    path = write_onnx(tmp_path / "my.onnx", ocrdeploy=spec.to_json(detector))
    found = models.resolve(plugins, str(path), task=DETECTION)
    assert found == Artifact(path, "onnx", artifact.sha256(path), detector)


def test_the_specification_comes_from_the_first_place_that_has_one(plugins: Plugins, tmp_path: Path, detector: ModelSpec) -> None:
    def name() -> str:
        return models.resolve(plugins, str(path), task=DETECTION, spec_file=asked).model.name

    def called(name: str) -> str:
        return spec.to_json(replace(detector, name=name))

    path = write_onnx(tmp_path / "my.onnx", ocrdeploy=called("its own"))
    beside = tmp_path / "my.onnx.json"
    beside.write_text(called("beside"))
    asked: Path | None = tmp_path / "asked.yaml"
    assert asked is not None
    asked.write_text(called("asked for"))
    assert name() == "asked for"
    asked = None
    assert name() == "its own"
    write_onnx(path)
    assert name() == "beside"
    write_manifest(path, replace(detector, name="manifest"), "onnx")
    assert name() == "manifest"
    beside.unlink()
    with pytest.raises(BadInput, match="carries no model specification"):
        name()


def test_a_specification_that_is_asked_for_serves_a_name_and_a_pair_too(
    plugins: Plugins, tmp_path: Path, detector: ModelSpec
) -> None:
    asked = tmp_path / "asked.json"
    asked.write_text(spec.to_json(replace(detector, name="asked for")))
    checkpoint = tmp_path / "weights.bin"
    checkpoint.write_bytes(b"x")
    for reference in ("pack-det", f"{asked}::{checkpoint}"):
        assert models.resolve(plugins, reference, task=DETECTION, spec_file=asked).model.name == "asked for"


def test_a_manifest_says_the_format_whatever_the_suffix(plugins: Plugins, tmp_path: Path, detector: ModelSpec) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"an engine")
    found = models.resolve(plugins, str(write_manifest(path, detector)), task=DETECTION)
    assert (found.format, found.model) == ("trt-engine", detector)


def test_a_manifest_of_another_file_is_not_believed(plugins: Plugins, tmp_path: Path, detector: ModelSpec) -> None:
    path = tmp_path / "model.engine"
    path.write_bytes(b"an engine")
    write_manifest(path, detector)
    path.write_bytes(b"another engine")
    with pytest.raises(BadInput, match=r"model\.engine is not the file that model\.engine\.json beside it was written for"):
        models.resolve(plugins, str(path), task=DETECTION)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("m.engine", "trt-engine"),
        ("m.PLAN", "trt-engine"),
        ("m.trt", "trt-engine"),
        ("m.pth", "checkpoint"),
        ("m.pt", "checkpoint"),
    ],
)
def test_the_usual_suffixes_say_the_format(plugins: Plugins, tmp_path: Path, detector: ModelSpec, name: str, form: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"content")
    (tmp_path / f"{name}.json").write_text(spec.to_json(detector))
    assert models.resolve(plugins, str(path), task=DETECTION).format == form


def test_a_plugin_may_know_whose_file_it_is(plugins: Plugins, tmp_path: Path) -> None:
    path = tmp_path / "epoch_1200.pth"
    path.write_bytes(b"detector")
    found = models.resolve(plugins, str(path), task=DETECTION)
    assert (found.format, found.model.name) == ("checkpoint", "described")


def test_a_pair_of_config_and_checkpoint_is_described_by_its_config(plugins: Plugins, tmp_path: Path) -> None:
    config, checkpoint = tmp_path / "dbnet.py", tmp_path / "weights.anything"
    config.write_text("model = dict()")
    checkpoint.write_bytes(b"x")
    found = models.resolve(plugins, f"{config}::{checkpoint}", task=DETECTION)
    assert (found.path, found.format, found.model.name) == (checkpoint, "checkpoint", "described")
    assert found.sha256 == artifact.sha256(checkpoint)


def test_a_file_whose_name_holds_the_separator_is_a_file(plugins: Plugins, tmp_path: Path, detector: ModelSpec) -> None:
    path = write_onnx(tmp_path / "odd::name.onnx", ocrdeploy=spec.to_json(detector))
    assert models.resolve(plugins, str(path), task=DETECTION).path == path


def test_a_config_may_hold_the_separator_since_the_last_one_counts(plugins: Plugins, tmp_path: Path) -> None:
    config, checkpoint = tmp_path / "odd::config.py", tmp_path / "weights.pth"
    config.write_text("")
    checkpoint.write_bytes(b"x")
    assert models.resolve(plugins, f"{config}::{checkpoint}", task=DETECTION).path == checkpoint


@pytest.mark.parametrize(
    ("reference", "missing"),
    [
        ("nothing.py::weights.pth", "'nothing.py'"),
        (r"C:\configs\dbnet.py::D:\weights.pth", r"'C:\\configs\\dbnet.py'"),
        ("::weights.pth", "''"),
        ("::", "''"),
    ],
)
def test_a_pair_with_a_missing_half_names_it(plugins: Plugins, reference: str, missing: str) -> None:
    with pytest.raises(BadInput) as caught:
        models.resolve(plugins, reference, task=DETECTION)
    assert caught.value.problem == f"there is no file {missing}"
    assert caught.value.fix.endswith("CONFIG::CHECKPOINT or NAME::CHECKPOINT")


def test_a_pair_without_a_checkpoint_and_one_that_nobody_understands(plugins: Plugins, tmp_path: Path) -> None:
    config = tmp_path / "config.txt"
    config.write_text("not ours")
    with pytest.raises(BadInput, match="there is no file ''"):
        models.resolve(plugins, f"{config}::", task=DETECTION)
    with pytest.raises(BadInput, match="no installed plugin understands the config") as caught:
        models.resolve(plugins, f"{config}::{config}", task=DETECTION)
    assert "pip install ocrdeploy-pytorch" in caught.value.fix


def test_a_checkpoint_may_go_with_a_name(plugins: Plugins, tmp_path: Path) -> None:
    weights = tmp_path / "epoch_1200.pth"
    weights.write_bytes(b"trained")
    found = models.resolve(plugins, f"pack-det::{weights}", task=DETECTION)
    assert found == Artifact(weights, "checkpoint", artifact.sha256(weights), plugins.models["pack-det"])
    assert models.pair(plugins, "pack-det", weights) == found
    with pytest.raises(UnknownName, match="did you mean 'pack-det'"):
        models.pair(plugins, "pack-dett", weights)
    with pytest.raises(BadInput, match=r"there is no file '.*folder'"):
        models.pair(plugins, "pack-det", tmp_path / "folder")


def test_a_model_of_any_task_may_be_asked_for(plugins: Plugins) -> None:
    for name in ("pack-det", "pack-rec"):
        assert models.resolve(plugins, name, task=None).model.name == name


def test_a_config_is_told_what_else_it_may_refer_to(install: Install, tmp_path: Path, detector: ModelSpec) -> None:
    class Reading:
        ocrd_contract = 1

        @hookimpl
        def ocrd_describe(self, path: Path, root: Path | None) -> ModelSpec | None:
            return replace(detector, name=f"{path.name} of {root}")

    config = tmp_path / "config.py"
    config.write_text("bases elsewhere")
    plugins = install(dbnet=Family("dbnet", DETECTION), reading=Reading())
    assert models.pair(plugins, str(config), config, root=Path("bases")).model.name == "config.py of bases"
    assert models.resolve(plugins, f"{config}::{config}", task=DETECTION).model.name == "config.py of None"


@pytest.mark.parametrize(("reference", "near"), [("pack-dett", "pack-det"), ("Pack-Rec", "pack-rec"), ("pck-det", "pack-det")])
def test_an_unknown_name_gets_the_nearest_one(plugins: Plugins, reference: str, near: str) -> None:
    with pytest.raises(UnknownName) as caught:
        models.resolve(plugins, reference, task=DETECTION)
    assert caught.value.problem == f"unknown model {reference!r} (did you mean {near!r}?)"
    assert caught.value.fix == "use one of: pack-det, pack-rec, or name a model file"


@pytest.mark.parametrize("reference", ["", "zzz", "\0"])
def test_a_name_that_is_like_no_other_gets_the_list(plugins: Plugins, reference: str) -> None:
    with pytest.raises(UnknownName) as caught:
        models.resolve(plugins, reference, task=DETECTION)
    assert caught.value.problem == f"unknown model {reference!r}"


def test_without_any_model_the_remedy_is_to_install_some(install: Install) -> None:
    with pytest.raises(UnknownName) as caught:
        models.resolve(install(), "ppocr-v6-det", task=DETECTION)
    assert "pip install ocrdeploy-ppocr" in caught.value.fix


@pytest.mark.parametrize("reference", ["nothing.onnx", "models/nothing", "./nothing", r"models\nothing", "nothing.ENGINE"])
def test_a_missing_file_is_called_missing(plugins: Plugins, reference: str) -> None:
    with pytest.raises(BadInput) as caught:
        models.resolve(plugins, reference, task=DETECTION)
    assert caught.value.problem == f"there is no model file {reference}"


def test_a_folder_and_a_name_that_is_too_long_are_sentences(plugins: Plugins, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is a folder, not a model file"):
        models.resolve(plugins, str(tmp_path), task=DETECTION)
    with pytest.raises(BadInput, match=r"cannot read x+: File name too long"):
        models.resolve(plugins, "x" * 5000, task=DETECTION)


def test_a_file_of_no_known_format_is_a_sentence(plugins: Plugins, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"x")
    with pytest.raises(BadInput, match=r"model\.tflite is in no model format that is known here") as caught:
        models.resolve(plugins, str(path), task=DETECTION)
    assert ".onnx" in caught.value.fix


def test_a_file_without_a_specification_says_how_to_give_one(plugins: Plugins, tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "bare.onnx")
    with pytest.raises(BadInput, match="carries no model specification") as caught:
        models.resolve(plugins, str(path), task=DETECTION)
    assert all(hint in caught.value.fix for hint in ("bare.onnx.json", "--detector-spec", "ocrd models show"))


def test_a_file_that_is_cut_short_is_a_sentence_even_with_a_specification(
    plugins: Plugins, tmp_path: Path, detector: ModelSpec
) -> None:
    path = write_onnx(tmp_path / "cut.onnx")
    asked = tmp_path / "asked.json"
    asked.write_text(spec.to_json(detector))
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(BadInput, match="is not an ONNX model, or is cut short"):
        models.resolve(plugins, str(path), task=DETECTION, spec_file=asked)


def test_a_broken_specification_in_a_file_or_beside_it_is_named(plugins: Plugins, tmp_path: Path) -> None:
    inside = write_onnx(tmp_path / "inside.onnx", ocrdeploy="{")
    with pytest.raises(BadInput, match=r"inside\.onnx \(metadata 'ocrdeploy'\): not JSON"):
        models.resolve(plugins, str(inside), task=DETECTION)
    beside = write_onnx(tmp_path / "beside.onnx")
    (tmp_path / "beside.onnx.json").write_text(json.dumps({"name": "x"}))
    with pytest.raises(BadInput, match=r"beside\.onnx\.json: family: Field required"):
        models.resolve(plugins, str(beside), task=DETECTION)


def test_a_model_for_another_task_is_refused_with_those_that_serve(plugins: Plugins) -> None:
    with pytest.raises(BadInput) as caught:
        models.resolve(plugins, "pack-rec", task=DETECTION)
    assert caught.value.problem == "pack-rec is a recognition model, not a detection model"
    assert caught.value.fix == "use one of: pack-det"
    with pytest.raises(BadInput) as caught:
        models.resolve(plugins, "pack-rec", task=CLASSIFICATION)
    assert caught.value.fix == "use one of: none here"


def test_a_family_that_is_not_installed_is_unknown(plugins: Plugins, tmp_path: Path, detector: ModelSpec) -> None:
    path = write_onnx(tmp_path / "my.onnx", ocrdeploy=spec.to_json(replace(detector, family="dbnett")))
    with pytest.raises(UnknownName, match=r"unknown model family 'dbnett' \(did you mean 'dbnet'\?\)"):
        models.resolve(plugins, str(path), task=DETECTION)


Rank: TypeAlias = Callable[..., Plugins]


@pytest.fixture
def ranked(install: Install, tmp_path: Path, detector: ModelSpec, recognizer: ModelSpec) -> Rank:
    """Install detectors by name and rank, of which those in `here` have weights."""

    def installed(here: str = "", **ranks: int) -> Plugins:
        for name in here.split():
            (tmp_path / f"{name}.onnx").write_bytes(b"weights")
        listed = [replace(detector, name=name, rank=rank) for name, rank in ranks.items()]
        packs = {f"pack{index}": Pack(tmp_path, model) for index, model in enumerate(listed)}
        other = Pack(tmp_path, replace(recognizer, name="other", rank=1000))
        return install(dbnet=Family("dbnet", DETECTION), other=other, **packs)

    return installed


def test_the_default_is_the_highest_rank_of_its_task(ranked: Rank) -> None:
    assert models.default(ranked("low high", low=-1, high=5), DETECTION).model.name == "high"


def test_the_default_is_the_next_one_where_the_best_has_no_weights(ranked: Rank) -> None:
    assert models.default(ranked("low", low=-1, high=5), DETECTION).model.name == "low"


def test_two_models_of_one_rank_are_an_error_that_names_both(ranked: Rank) -> None:
    with pytest.raises(OcrdError) as caught:
        models.default(ranked("a b c", a=5, b=5, c=1), DETECTION)
    assert caught.value.problem == "detection models a and b have the same rank"
    assert caught.value.fix == "name the one you want"


def test_a_default_that_is_not_the_best_says_why(ranked: Rank) -> None:
    said: list[str] = []
    assert models.default(ranked("low", low=1, high=5), DETECTION, said.append).model.name == "low"
    assert said == ["detection model low is taken, since a better one cannot be: the weights of high are not here"]
    said.clear()
    models.default(ranked("high", low=1, high=5), DETECTION, said.append)
    assert said == [], "what is worse is not missed"


def test_a_model_without_weights_is_no_rival(ranked: Rank) -> None:
    assert models.default(ranked("b", a=5, b=5), DETECTION).model.name == "b"


def test_below_the_best_a_tie_does_not_matter(ranked: Rank) -> None:
    assert models.default(ranked("a b c", a=1, b=1, c=5), DETECTION).model.name == "c"


def test_without_weights_the_error_says_what_the_best_lacks(ranked: Rank) -> None:
    with pytest.raises(OcrdError) as caught:
        models.default(ranked(low=1, high=5), DETECTION)
    assert caught.value.problem == "no detection model has weights here: the weights of high are not here"
    assert caught.value.fix == "pip install high-weights, or install a model pack (pip install ocrdeploy-ppocr)"


def test_without_models_the_error_says_what_to_install(ranked: Rank) -> None:
    with pytest.raises(BadInput, match="no classification model is installed") as caught:
        models.default(ranked(), CLASSIFICATION)
    assert "pip install ocrdeploy-ppocr" in caught.value.fix


def test_a_default_of_a_family_that_is_not_installed_is_an_error(install: Install, tmp_path: Path, detector: ModelSpec) -> None:
    (tmp_path / "find.onnx").write_bytes(b"weights")
    with pytest.raises(UnknownName, match="unknown model family 'dbnet'"):
        models.default(install(pack=Pack(tmp_path, detector)), DETECTION)


def test_the_specification_of_a_file_is_kept_under_the_projects_own_key() -> None:
    assert metadata.KEY == "ocrdeploy"
