"""`ocrd export` with PyTorch and real checkpoints: what it writes runs, agrees, and needs nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ocrdeploy.onnxgraph import metadata

pytest.importorskip("torch", reason="needs PyTorch")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")

import torch

from ocrdeploy_pytorch.networks.build import build
from ocrdeploy_pytorch.specs import SIX

Ocrd = Callable[..., CompletedProcess[str]]

CRNN, DBNET = "crnn_academic_dataset", "dbnet_r18_fpnc_1200e_icdar2015"


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a CRNN as PyTorch initialises it."""
    path = tmp_path_factory.mktemp("untrained") / "crnn.pth"
    torch.manual_seed(0)
    torch.save({"state_dict": build(SIX[CRNN].network).state_dict()}, path)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def checkpoints(folder: Path, untrained: Path) -> Path:
    """A folder with a checkpoint, and with the first part of it."""
    whole = untrained.read_bytes()
    (folder / "whole.pth").write_bytes(whole)
    (folder / "short.pth").write_bytes(whole[:1_000_000])
    return folder


def test_a_recognizer_is_exported_the_same_twice(ocrd: Ocrd, folder: Path, untrained: Path) -> None:
    for name in ("a", "b"):
        done = ocrd("export", CRNN, untrained, "-o", f"{name}.onnx")
        assert (done.returncode, done.stderr) == (0, ""), "PyTorch's warnings are for -v"
    assert (folder / "a.onnx").read_bytes() == (folder / "b.onnx").read_bytes()
    recipe = json.loads(metadata.read(folder / "a.onnx")[metadata.RECIPE])
    assert (recipe["exporter"], recipe["opset"], recipe["checkpoint_sha256"]) == (
        "legacy",
        17,
        hashlib.sha256(untrained.read_bytes()).hexdigest(),
    )
    assert recipe["versions"]["torch"] == torch.__version__
    assert str(folder) not in json.dumps(recipe)
    assert str(untrained.parent) not in json.dumps(recipe)


def test_what_pytorch_says_is_for_those_who_ask(ocrd: Ocrd, folder: Path, untrained: Path) -> None:
    assert folder.is_dir()
    done = ocrd("export", CRNN, untrained, "-o", "a.onnx", "--static", "--verbose")
    assert done.returncode == 0
    assert "info: DeprecationWarning: You are using the legacy" in done.stderr
    assert "input: float32, 1 x 1 x 32 x 128\n" in done.stdout
    assert "Deprecation" not in done.stdout


def test_nan_weights_are_said(ocrd: Ocrd, folder: Path, untrained: Path) -> None:
    state = torch.load(untrained, weights_only=True)["state_dict"]
    state["decoder.decoder.1.embedding.bias"][:3] = float("nan")
    torch.save(state, folder / "nan.pth")
    done = ocrd("export", CRNN, "nan.pth", "-o", "a.onnx")
    assert done.returncode == 0
    assert "  NaN        3 weights are not a number" in done.stdout
    assert "warning: " in done.stderr
    assert "NaN" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint", "fix"),
    [
        ([CRNN, "whole.pth", "--opset", "10"], "cannot write opset 10: it writes opsets 11 to 23", "--opset from 11 to 23"),
        ([CRNN, "whole.pth", "--opset", "24"], "cannot write opset 24", "--opset from 11 to 23"),
        ([CRNN, "whole.pth", "--opset", "17", "--exporter", "dynamo"], "cannot write opset 17: it writes opsets 18 to", "legacy"),
        ([CRNN, "short.pth"], "short.pth", "copy"),
        ([DBNET, "whole.pth"], "whole.pth", "crnn"),
        (["dbnet_r18", "whole.pth"], f"unknown model 'dbnet_r18' (did you mean '{DBNET}'?)", "use one of"),
        ([CRNN], f"{CRNN} is a network without weights", f"{CRNN}::CHECKPOINT"),
        ([DBNET, "whole.pth", "--model-option", "upsampling=bilinear"], "did you mean 'upsample'", "upsample"),
        ([DBNET, "whole.pth", "--model-option", "upsample=cubic"], "'cubic'", ""),
        ([CRNN, "whole.pth", "--model-option", "upsample=bilinear"], "unknown option of the model", "num_classes"),
        ([CRNN, "whole.pth", "--device", "cuda:99"], "cuda:99", ""),
    ],
)
def test_what_cannot_be_exported_is_a_sentence(
    ocrd: Ocrd, checkpoints: Path, arguments: list[str], complaint: str, fix: str
) -> None:
    done = ocrd("export", *arguments, "-o", "a.onnx")
    assert (done.returncode, done.stdout) == (1, "")
    problem, remedy = done.stderr.splitlines()
    assert problem.startswith("error: ")
    assert complaint in problem
    assert fix in f"{problem} {remedy}"
    assert sorted(path.name for path in checkpoints.iterdir()) == ["short.pth", "whole.pth"]


def test_a_trained_recognizer_agrees_with_its_file_and_reads_from_it(ocrd: Ocrd, folder: Path, data_folder: Path) -> None:
    checkpoint = data_folder / "checkpoints" / "crnn_academic_selftrained.pth"
    done = ocrd("export", f"{CRNN}::{checkpoint}", "-o", "crnn.onnx", "--verify", "--show")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nAGREE\n" in done.stdout
    assert "crnn.onnx.show.png" in done.stderr
    with Image.open(folder / "crnn.onnx.show.png") as shown:
        assert shown.width > 2 * shown.height
    first = (data_folder / "checkpoints" / "predictions.tsv").read_text(encoding="utf-8").splitlines()[1].split("\t")
    done = ocrd("run", data_folder / "iiit5k" / first[0], "--task", "recognize", "--recognizer", "crnn.onnx", "-q")
    assert (done.returncode, done.stdout.strip()) == (0, first[1])


def test_a_file_that_differs_is_exit_code_3(ocrd: Ocrd, folder: Path, untrained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ocrdeploy.verification import compare

    given: list[Any] = []

    class Report:
        agree = False

        def __str__(self) -> str:
            return "DIFFER: by a mile\n"

    def verify(_: object, a: Any, b: Any, pictures: list[tuple[str, Any]], **__: object) -> Report:
        given.extend([a, b, *pictures])
        return Report()

    monkeypatch.setattr(compare, "verify", verify)
    Image.fromarray(np.full((40, 100), 200, np.uint8)).save(folder / "line.png")
    done = ocrd("export", CRNN, untrained, "-o", "a.onnx", "--verify", "--image", "line.png")
    assert done.returncode == 3
    assert done.stdout.endswith("\nDIFFER: by a mile\n")
    a, b, (name, pixels) = given
    assert (a.artifact.path, a.backend, b.artifact.path, b.backend) == (untrained, "pytorch", Path("a.onnx"), "auto")
    assert (name, pixels.shape) == ("line.png", (40, 100))


def test_the_chain_exports_the_same_file(ocrd: Ocrd, folder: Path, untrained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCRDEPLOY_CACHE", str(folder / "cache"))
    Image.fromarray(np.full((32, 64), 200, np.uint8)).save(folder / "line.png")
    arguments = ["--task", "recognize", "--recognizer", f"{CRNN}::{untrained}", "--backend", "onnxruntime"]
    done = ocrd("run", "line.png", *arguments)
    assert done.returncode == 0, done.stderr
    assert ocrd("export", CRNN, untrained, "-o", "a.onnx").returncode == 0
    (made,) = (folder / "cache").rglob("export.onnx")
    theirs, ours = ({**metadata.read(path)} for path in (made, folder / "a.onnx"))
    assert theirs[metadata.KEY] == ours[metadata.KEY]
    recipes = [json.loads(entries[metadata.RECIPE]) for entries in (theirs, ours)]
    assert recipes[0] == recipes[1]
    assert made.read_bytes() == (folder / "a.onnx").read_bytes()
