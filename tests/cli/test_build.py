"""`ocrd build`, on the fake backend, and with TensorRT-RTX where that is installed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess, Popen

import pytest
from ocrdeploy_fake import stripes
from PIL import Image

from ocrdeploy import artifact, building, plugins
from ocrdeploy.errors import BadInput
from ocrdeploy.vocabulary import Shapes

Ocrd = Callable[..., CompletedProcess[str]]

FAKE = ("--backend", "fake")
OCRD = (sys.executable, "-m", "ocrdeploy")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the test begins: the fake recognizer as a file, and a picture in its script."""
    monkeypatch.chdir(tmp_path)
    stripes.write_onnx(stripes.RECOGNIZER, tmp_path / "rec.onnx")
    Image.fromarray(stripes.draw(["abc"])).save(tmp_path / "abc.png")
    return tmp_path


def test_a_file_is_built_with_a_manifest_beside_it(ocrd: Ocrd, folder: Path) -> None:
    done = ocrd("build", "rec.onnx", "-o", "rec.fake", *FAKE)
    assert (done.returncode, done.stderr) == (0, "")
    manifest = artifact.read_manifest(folder / "rec.fake")
    assert manifest is not None
    assert manifest.sha256 == artifact.sha256(folder / "rec.fake")
    assert manifest.parent_sha256 == artifact.sha256(folder / "rec.onnx")
    assert (manifest.format, manifest.step) == ("fake", "build-fake-fp32")
    assert manifest.options == {"precision": "fp32"}
    assert {"ocrdeploy", "fake", "runtime"} == set(manifest.versions)
    lines = done.stdout.splitlines()
    assert lines[0] == "rec.fake"
    assert "  model      stripes-rec (recognition, family ctc)" in lines
    assert f"  sha256     {manifest.sha256}" in lines
    assert sorted(each.name for each in folder.iterdir()) == ["abc.png", "rec.fake", "rec.fake.json", "rec.onnx"]


@pytest.mark.usefixtures("folder")
def test_what_was_built_runs_without_being_told_anything(ocrd: Ocrd) -> None:
    ocrd("build", "rec.onnx", "-o", "rec.fake", *FAKE)
    done = ocrd("verify", "fake=rec.onnx", "fake=rec.fake", "--images", "abc.png")
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_replaced_unasked(ocrd: Ocrd, folder: Path) -> None:
    (folder / "rec.fake").write_text("mine")
    done = ocrd("build", "rec.onnx", "-o", "rec.fake", *FAKE)
    assert done.returncode == 1
    assert "rec.fake exists already" in done.stderr
    assert (folder / "rec.fake").read_text() == "mine"
    assert ocrd("build", "rec.onnx", "-o", "rec.fake", *FAKE, "--overwrite").returncode == 0
    assert artifact.read_manifest(folder / "rec.fake") is not None


def test_a_second_build_of_one_target_waits_and_says_so(start: Callable[..., Popen[str]], folder: Path) -> None:
    lock = building._lock(folder / "rec.fake")
    with artifact.locked(folder / "rec.fake", lock):
        process = start("build", folder / "rec.onnx", "-o", folder / "rec.fake", *FAKE)
        assert process.stderr is not None
        assert "waiting for another process, which is making" in process.stderr.readline()
        assert not (folder / "rec.fake").exists()
    assert process.wait(timeout=60) == 0
    assert (folder / "rec.fake").exists()


def test_the_second_of_two_does_not_replace_the_first(folder: Path) -> None:
    lock = building._lock(folder / "rec.fake")
    command = [*OCRD, "build", str(folder / "rec.onnx"), "-o", str(folder / "rec.fake"), *FAKE]
    with artifact.locked(folder / "rec.fake", lock):
        waiting = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert waiting.stderr is not None
        assert "waiting" in waiting.stderr.readline()
        (folder / "rec.fake").write_text("the first one's")
    _, errors = waiting.communicate(timeout=60)
    assert (waiting.returncode, (folder / "rec.fake").read_text()) == (1, "the first one's")
    assert "exists already" in errors


def test_the_lock_is_one_for_all_ways_to_write_a_path(folder: Path) -> None:
    assert building._lock(Path("rec.fake")) == building._lock(folder / "rec.fake")
    assert building._lock(Path("rec.fake")) != building._lock(Path("det.fake"))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("rec.onnx", "-o", ".", *FAKE), 1, ". is a folder"),
        (("no.onnx", "-o", "a.fake", *FAKE), 1, "there is no model file no.onnx"),
        (("rec.onnx", "-o", "a.fake", "--backend", "fakes"), 1, "unknown backend 'fakes' (did you mean 'fake'?)"),
        (("rec.onnx", "-o", "a.fake", "--backend", "pytorch"), 1, "backend 'pytorch' builds nothing"),
        (("rec.onnx", "-o", "a.fake", *FAKE, "--precision", "fp16"), 1, "unknown precision of backend 'fake' 'fp16'"),
        (("rec.onnx", "-o", "a.fake", *FAKE, "--precision", "half"), 1, "unknown precision 'half'"),
        (("rec.onnx", "-o", "a.fake", *FAKE, "--keep-fp32", "LSTM"), 1, "--keep-fp32 goes with half precision"),
        (("rec.onnx", "-o", "a.fake", *FAKE, "--timing-cache", "t"), 1, "unknown option of backend 'fake' 'timing_cache'"),
        (("rec.onnx", "-o", "a.fake", *FAKE, "--max-shape", "1x3xW"), 1, "--max-shape is '1x3xW', which is no shape"),
        (("rec.onnx", "-o", "a.fake", *FAKE, "--max-shape", "1x3x48x640"), 1, "stripes-rec has no shapes of its own"),
        (("rec.onnx", "-o", "a.fake", *FAKE, "--verify", "--images", "no.png"), 1, "'no.png' does not exist"),
        (("rec.onnx", "-o", "a.fake", *FAKE, "--images", "abc.png"), 2, "--images goes with --verify, --show"),
        (("rec.onnx", "abc.png", "-o", "a.fake", *FAKE), 2, "'abc.png' is a second model"),
        (("rec.onnx", *FAKE), 2, "Missing option '-o'"),
        (("rec.onnx", "-o", "a.fake", *FAKE, "--workspace", "-1"), 2, "Invalid value for '--workspace'"),
    ],
)
def test_what_cannot_be_built_is_a_sentence_and_no_file(
    ocrd: Ocrd, folder: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = ocrd("build", *arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert not (folder / "a.fake").exists()


# -------------------------------------------------------------------------------------------------------------- shapes


@pytest.mark.parametrize("text", ["1x3x736x1312", "1,3,736,1312", "1 3 736 1312", "1X3X736X1312"])
def test_a_shape_is_written_in_any_of_these_ways(text: str) -> None:
    assert building.shape("--max-shape", text) == (1, 3, 736, 1312)


def test_four_words_are_a_shape_too(ocrd: Ocrd, folder: Path) -> None:
    shapes = ("--min-shape", "1", "3", "48", "32", "--opt-shape", "1x3x48x64", "--max-shape", "2,3,48,640")
    assert ocrd("build", *shapes, "rec.onnx", "-o", "rec.fake", *FAKE).returncode == 0
    manifest = artifact.read_manifest(folder / "rec.fake")
    assert manifest is not None
    assert manifest.options["min_shape"] == "1x3x48x32"
    assert manifest.options["max_shape"] == "2x3x48x640"


def test_shapes_that_are_not_given_are_the_models_own() -> None:
    model = plugins.discover().models["crnn_academic_dataset"]
    own = model.input.shapes
    assert own is not None
    assert building.shapes(model, {"min": None, "opt": None, "max": None}) is None
    found = building.shapes(model, {"min": None, "opt": None, "max": (4, 1, 32, 64)})
    assert found == Shapes(own.min, (4, 1, 32, 64), (4, 1, 32, 64)), "the usual one is cut to the largest"
    assert building.shapes(model, {"min": None, "opt": (2, 1, 32, 64), "max": None}) == Shapes(own.min, (2, 1, 32, 64), own.max)
    with pytest.raises(BadInput, match="stripes-rec has no shapes of its own, and --min-shape is not given"):
        building.shapes(stripes.RECOGNIZER, {"min": None, "opt": None, "max": (1, 3, 48, 64)})


# ------------------------------------------------------------------------------------------------------------ checking


@pytest.mark.usefixtures("folder")
def test_verify_and_show_compare_it_with_the_model(ocrd: Ocrd, backend: Callable[..., str]) -> None:
    backend("reads", rank=99)  # another backend than the fake one, which runs the same networks
    done = ocrd("build", "rec.onnx", "-o", "rec.fake", *FAKE, "--verify", "--show", "--images", "abc.png")
    assert done.returncode in {0, 3}, done.stderr
    assert "A  stripes-rec on reads 1.0 (cpu, fp32): rec.onnx" in done.stdout
    assert "B  stripes-rec on fake" in done.stdout
    with Image.open("rec.fake.show.png") as drawing:
        assert drawing.width > drawing.height
    assert "rec.fake.show.png: rec.onnx on reads 1.0: 'abc'; rec.fake on fake" in done.stderr


@pytest.mark.usefixtures("folder")
def test_where_it_cannot_run_checking_is_refused_before_the_build(ocrd: Ocrd, site: Callable[..., Path]) -> None:
    site(
        "lame",
        "from ocrdeploy import hookimpl\n"
        "from ocrdeploy.vocabulary import BackendInfo, Probe\n"
        "ocrd_contract = 1\n"
        "@hookimpl\n"
        "def ocrd_backend():\n"
        "    return BackendInfo('lame', runs=('lame',), builds_from=('onnx',))\n"
        "@hookimpl\n"
        "def ocrd_probe():\n"
        "    return Probe(problem='no leg was found', fix='get one')\n"
        "@hookimpl\n"
        "def ocrd_infer():\n"
        "    return None\n"
        "@hookimpl\n"
        "def ocrd_build():\n"
        "    raise AssertionError\n",
    )
    done = ocrd("build", "rec.onnx", "-o", "rec.lame", "--backend", "lame", "--verify", "--show")
    assert done.returncode == 1
    assert "what is built cannot be run here, and --verify and --show would: no leg was found" in done.stderr
    assert "get one; or leave --verify and --show out" in done.stderr


# ------------------------------------------------------------------------------------------------------------ TensorRT


@pytest.fixture
def tensorrt_rtx() -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX, to build with: pip install tensorrt-rtx")


CLASSIFIER = "ppocr-v2-cls"
SMALL = ("--min-shape", "1x3x48x192", "--opt-shape", "2x3x48x192", "--max-shape", "4x3x48x192")


@pytest.mark.usefixtures("tensorrt_rtx")
def test_an_engine_is_built_without_a_gpu(ocrd: Ocrd, folder: Path) -> None:
    done = ocrd("build", CLASSIFIER, "-o", "cls.engine", *SMALL)
    assert done.returncode == 0, done.stderr
    facts = json.loads((folder / "cls.engine.json").read_text())["facts"]
    assert facts["flavour"] == "tensorrt-rtx"
    assert facts["opt_shape"] == "2x3x48x192"
    assert "  layers     fp32 " in done.stdout
    assert "  max shape  4x3x48x192" in done.stdout


@pytest.mark.usefixtures("tensorrt_rtx")
def test_ctrl_c_ends_a_build_and_leaves_nothing(start: Callable[..., Popen[str]], folder: Path) -> None:
    process = start("build", CLASSIFIER, "-o", folder / "cls.engine", *SMALL, "-v")
    assert process.stderr is not None
    while "is built for" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert sorted(each.name for each in folder.iterdir()) == ["abc.png", "rec.onnx"]


@pytest.mark.usefixtures("tensorrt_rtx")
def test_a_disk_without_room_is_a_sentence(folder: Path) -> None:
    # The cache is filled first, so that the engine is the one large file that is left to write.
    subprocess.run([*OCRD, "build", CLASSIFIER, "-o", "cls.engine", *SMALL], check=True, capture_output=True)
    limited = "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (100_000, 100_000)); from ocrdeploy.cli import main; main()"
    command = [sys.executable, "-c", limited, "build", CLASSIFIER, "-o", "full.engine", *SMALL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "error: cannot write the engine to .: File too large" in done.stderr
    assert not list(folder.glob("*full*"))
