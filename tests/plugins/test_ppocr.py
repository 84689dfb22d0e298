from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import Distribution, PackageNotFoundError, requires
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ocrdeploy import BadInput, backend, plugins
from ocrdeploy.families import classifier, ctc, dbnet, options
from ocrdeploy.onnxgraph import metadata
from ocrdeploy.plugins import Plugins
from ocrdeploy.vocabulary import Artifact, Batch, InferOptions, ModelSpec, Placement, Task
from ocrdeploy_ppocr import hooks, weights

NAMES = ("ppocr-v6-det", "ppocr-v6-rec", "ppocr-v2-cls")


@pytest.fixture(scope="module")
def found() -> Plugins:
    return plugins.discover()


@pytest.fixture(scope="module")
def artifact_of(found: Plugins) -> Callable[[str], Artifact]:
    return lambda name: backend.artifact_of_model(found, found.models[name])


def test_the_three_models_are_known_by_name(found: Plugins) -> None:
    assert {name: found.models[name].task for name in NAMES} == {
        "ppocr-v6-det": Task.DETECTION,
        "ppocr-v6-rec": Task.RECOGNITION,
        "ppocr-v2-cls": Task.CLASSIFICATION,
    }


def test_listing_and_finding_import_no_runtime_and_not_the_package_with_the_weights() -> None:
    code = (
        "import sys; from ocrdeploy_ppocr import hooks; [hooks.ocrd_artifact(model=each) for each in hooks.ocrd_models()]; "
        "sys.exit(bool({'rapidocr', 'onnxruntime', 'cv2', 'onnx'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_weights_are_a_pinned_dependency() -> None:
    assert f"rapidocr=={weights.VERSION}" in (requires("ocrdeploy-ppocr") or [])


@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_the_one_whose_digest_is_known(artifact_of: Callable[[str], Artifact], name: str) -> None:
    artifact = artifact_of(name)
    assert artifact.format == "onnx"
    assert artifact.sha256 == weights.FILES[name][1]
    assert artifact.path.name == weights.FILES[name][0]


KINDS: tuple[type[Any], ...] = (dbnet.DbOptions, ctc.CtcOptions, classifier.ClassifierOptions)


@pytest.mark.parametrize(("name", "kind"), list(zip(NAMES, KINDS, strict=True)))
def test_the_options_are_the_familys(found: Plugins, name: str, kind: type[Any]) -> None:
    assert options.read(found.models[name], kind)


@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_the_one_that_the_specification_describes(
    found: Plugins, artifact_of: Callable[[str], Artifact], name: str
) -> None:
    artifact = artifact_of(name)
    shapes = artifact.model.input.shapes
    assert shapes
    session = backend.open_session(found, "onnxruntime", artifact, InferOptions(device="cpu"))
    outputs = session.run({artifact.model.input.name: np.zeros(shapes.min, np.float32)})
    session.close()
    assert tuple(outputs) == artifact.model.outputs


@pytest.mark.parametrize("name", NAMES)
def test_the_shapes_are_in_order_and_are_multiples_of_what_the_model_is_padded_to(found: Plugins, name: str) -> None:
    recipe = found.models[name].input
    assert recipe.shapes
    for low, usual, high in zip(recipe.shapes.min, recipe.shapes.opt, recipe.shapes.max, strict=True):
        assert low <= usual <= high
    for shape in (recipe.shapes.min, recipe.shapes.opt, recipe.shapes.max):
        assert shape[1] == recipe.channels
        assert all(side % recipe.pad_to == 0 for side in shape[2:])


def test_the_characters_come_with_the_file_and_not_with_the_list(found: Plugins, artifact_of: Callable[[str], Artifact]) -> None:
    assert found.models["ppocr-v6-rec"].charset == ()
    artifact = artifact_of("ppocr-v6-rec")
    charset = artifact.model.charset
    assert len(charset) == 18709
    assert charset[:3] == ("!", '"', "#")
    assert charset[-1] == " "
    assert all(len(character) == 1 for character in charset)
    assert len(set(charset)) == len(charset)
    assert "".join([*charset[:-1]]) == metadata.read(artifact.path)["character"].replace("\n", "")


def blank_classes(found: Plugins, artifact: Artifact) -> int:
    session = backend.open_session(found, "onnxruntime", artifact, InferOptions(device="cpu"))
    (scores,) = session.run({"x": np.zeros((1, 3, 48, 320), np.float32)}).values()
    session.close()
    np.testing.assert_allclose(scores.sum(axis=2), 1, atol=1e-4)
    return int(scores.shape[2])


def test_the_recognizer_tells_the_blank_and_each_character_apart_and_gives_probabilities(
    found: Plugins, artifact_of: Callable[[str], Artifact]
) -> None:
    artifact = artifact_of("ppocr-v6-rec")
    assert blank_classes(found, artifact) == len(artifact.model.charset) + 1


def test_the_blank_comes_first_and_the_space_last(found: Plugins, artifact_of: Callable[[str], Artifact]) -> None:
    model = artifact_of("ppocr-v6-rec").model
    scores = np.zeros((1, 5, 18710), np.float32)
    for step, index in enumerate((1, 0, 1, 18709, 0)):
        scores[0, step, index] = 1
    batch = Batch({}, (Placement(0, (48, 320), (48, 320), (48, 320)),))
    (answer,) = backend.postprocess(found, model, {"fetch_name_0": scores}, batch)
    assert answer.regions[0].text == "!! "


# ------------------------------------------------------------------------------------------- weights that are not there


class FakePackage:
    """The installed package with the weights, in a folder that a test fills."""

    version = "3.10.0"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def locate_file(self, path: str) -> Path:
        return self.folder / path


def test_without_the_package_the_command_that_brings_it_is_named(monkeypatch: pytest.MonkeyPatch, found: Plugins) -> None:
    def distribution(name: str) -> Distribution:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(weights, "distribution", distribution)
    with pytest.raises(BadInput, match=r"rapidocr 3\.10\.0, whose wheel holds the weights of 'ppocr-v6-det'") as raised:
        hooks.ocrd_artifact(found.models["ppocr-v6-det"])
    assert raised.value.fix == "pip install rapidocr==3.10.0"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "weights of 'ppocr-v2-cls' are missing from rapidocr 3.10.0"),
        (b"else", "weights of 'ppocr-v2-cls' in rapidocr 3.10.0 are not what they should be"),
    ],
)
def test_a_missing_or_another_file_comes_with_the_command_that_repairs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, found: Plugins, content: bytes | None, problem: str
) -> None:
    model: ModelSpec = found.models["ppocr-v2-cls"]
    monkeypatch.setattr(weights, "distribution", lambda _: FakePackage(tmp_path))
    if content is not None:
        file = tmp_path / "rapidocr/models" / weights.FILES[model.name][0]
        file.parent.mkdir(parents=True)
        file.write_bytes(content)
    with pytest.raises(BadInput, match=problem) as raised:
        hooks.ocrd_artifact(model)
    assert raised.value.fix == "pip install --force-reinstall --no-deps rapidocr==3.10.0"
