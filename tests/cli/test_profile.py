"""`ocrd profile`, on the fake backend's models and on models that are known by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from ocrdeploy_fake import stripes
from PIL import Image

from ocrdeploy import spec
from ocrdeploy.vocabulary import InputSpec, ModelSpec, ShortSide, Task

Ocrd = Callable[..., CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the test begins: a detector's specification beside a file, and a folder of three pictures of two sizes."""
    monkeypatch.chdir(tmp_path)
    image = InputSpec("x", ShortSide(64, 128), pad_to=32)
    model = ModelSpec("toy", stripes.DETECTOR.family, Task.DETECTION, image, ("y",), options=stripes.DETECTOR.options)
    stripes.write_onnx(stripes.RECOGNIZER, tmp_path / "rec.onnx")
    (tmp_path / "det.onnx").write_bytes((tmp_path / "rec.onnx").read_bytes())
    (tmp_path / "toy.json").write_text(spec.to_json(model), encoding="utf-8")
    (tmp_path / "photos").mkdir()
    for name, size in {"a": (64, 64), "b": (100, 64), "c": (100, 70)}.items():
        Image.new("RGB", size).save(tmp_path / "photos" / f"{name}.png")
    return tmp_path


TOY = ("profile", "det.onnx", "--spec", "toy.json")


@pytest.mark.usefixtures("folder")
def test_the_last_line_has_the_options_of_build(ocrd: Ocrd) -> None:
    done = ocrd(*TOY, "--images", "photos")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "toy (detection) on photos: 3 tensors of 3 sizes"
    assert lines[-1] == "--min-shape 1x3x64x64 --opt-shape 1x3x96x128 --max-shape 1x3x96x128"
    assert ocrd(*TOY, "--images", "photos", "--options").stdout == lines[-1] + "\n"


@pytest.mark.usefixtures("folder")
def test_a_dataset_is_measured_as_its_pictures_are(ocrd: Ocrd) -> None:
    of_images = json.loads(ocrd(*TOY, "--images", "photos", "--json").stdout)
    of_dataset = json.loads(ocrd(*TOY, "--dataset", "pictures:photos", "--json").stdout)
    assert of_dataset.pop("source") == "pictures:photos"
    assert of_images.pop("source") == "photos"
    assert of_dataset == of_images
    assert of_images["schema"] == 1
    assert of_images["sizes"] == [{"size": size, "pictures": 1} for size in ([64, 64], [64, 128], [96, 128])]
    own, opt, most = of_images["costs"]
    assert (own["tensor_pixels"], own["content_pixels"]) == (64 * 64 + 64 * 128 + 96 * 128, 64 * 64 + 64 * 100 + 70 * 100)
    assert opt["tensor_pixels"] == most["tensor_pixels"] == 3 * 96 * 128
    assert (of_images["multiples"], of_images["fit"], of_images["failed"]) == ([32, 64], 3, [])


@pytest.mark.usefixtures("folder")
def test_several_pictures_may_follow_images(ocrd: Ocrd) -> None:
    done = ocrd(*TOY, "--images", "photos/a.png", "photos/b.png", "--json")
    assert json.loads(done.stdout)["pictures"] == 2


@pytest.mark.usefixtures("folder")
def test_the_batch_is_that_of_the_largest_shape_and_for_lines_of_the_usual_one(ocrd: Ocrd) -> None:
    Image.new("L", (100, 32)).save("line.png")
    assert ocrd(*TOY, "--images", "photos", "--options", "--batch-size", 4).stdout == (
        "--min-shape 1x3x64x64 --opt-shape 1x3x96x128 --max-shape 4x3x96x128\n"
    )
    line = ("profile", "crnn_academic_dataset", "--images", "line.png", "--options")
    wanted = "--min-shape 1x1x32x96 --opt-shape {0}x1x32x96 --max-shape {0}x1x32x96\n"
    assert ocrd(*line).stdout == wanted.format(8)
    assert ocrd(*line, "--batch-size", 3).stdout == wanted.format(3)


@pytest.mark.usefixtures("folder")
def test_a_model_that_is_known_by_name_needs_no_weights(ocrd: Ocrd) -> None:
    done = ocrd("profile", "dbnet_r18_fpnc_1200e_icdar2015", "--images", "photos", "--options")
    assert done.stdout == "--min-shape 1x3x736x736 --opt-shape 1x3x736x1152 --max-shape 1x3x736x1152\n"


@pytest.mark.usefixtures("folder")
def test_the_largest_may_be_left_out(ocrd: Ocrd) -> None:
    done = ocrd(*TOY, "--images", "photos", "--cover", 0.6)
    assert "\n1 of 3 pictures do not fit into --max-shape:\n  photos/c.png\n" in done.stdout
    assert done.stdout.endswith("--max-shape 1x3x64x128\n")
    assert json.loads(ocrd(*TOY, "--images", "photos", "--cover", 0.6, "--json").stdout)["outside"] == ["photos/c.png"]


def test_pictures_that_cannot_be_measured_are_named_and_the_others_are_measured(ocrd: Ocrd, folder: Path) -> None:
    (folder / "photos" / "b.png").write_bytes(b"no picture")
    Image.new("L", (5, 100)).save("photos/d.png")
    done = ocrd(*TOY, "--images", "photos", "missing.png", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["pictures"]) == (1, 3)
    assert [each["picture"] for each in found["failed"]] == ["photos/b.png", "missing.png"]
    assert "error: 'photos/b.png' is not a picture" in done.stderr
    assert "error: 'missing.png' does not exist\nfix:   " in done.stderr


def test_without_a_picture_nothing_is_recommended(ocrd: Ocrd, folder: Path) -> None:
    (folder / "none").mkdir()
    done = ocrd(*TOY, "--images", "none")
    assert (done.returncode, done.stdout) == (1, "")
    assert "the folder 'none' holds no pictures" in done.stderr
    assert "error: none has no picture that could be measured\n" in done.stderr


WRONG = {
    "nothing to measure": (("profile", "m.onnx"), 2, "give --images, or --dataset"),
    "both": (("profile", "m.onnx", "--images", "a", "--dataset", "b"), 2, "give --images or --dataset, not both"),
    "two models": (("profile", "m.onnx", "n.onnx", "--dataset", "b"), 2, "'n.onnx' is a second model; pictures follow --images"),
    "two forms": ((*TOY, "--images", "photos", "--json", "--options"), 2, "--json and --options exclude each other"),
    "an unknown model": (("profile", "ppocr-v6-dett", "--images", "photos"), 1, "did you mean 'ppocr-v6-det'"),
    "a missing model": (("profile", "m.onnx", "--images", "photos"), 1, "there is no model file m.onnx"),
    "a missing dataset": ((*TOY, "--dataset", "nowhere"), 1, "'nowhere' does not exist"),
    "an unknown kind": ((*TOY, "--dataset", "icdra2015:photos"), 1, "did you mean 'icdar2015'"),
    "a share of nothing": ((*TOY, "--images", "photos", "--cover", "0"), 2, "--cover"),
    "no batch": ((*TOY, "--images", "photos", "--batch-size", "0"), 2, "--batch-size"),
}


@pytest.mark.parametrize(("arguments", "code", "problem"), WRONG.values(), ids=WRONG)
@pytest.mark.usefixtures("folder")
def test_what_cannot_be_is_said(ocrd: Ocrd, arguments: tuple[str, ...], code: int, problem: str) -> None:
    done = ocrd(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert problem in done.stderr


def test_help_fits_80_columns(ocrd: Ocrd) -> None:
    assert max(map(len, ocrd("profile", "--help").stdout.splitlines())) <= 80
