"""`ocrd run` with nothing replaced: the real reader, on ONNX Runtime or, where that would only be slow, on the fake backend."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess, Popen
from typing import Any

import pytest
from ocrdeploy_fake import stripes
from PIL import Image, ImageDraw, ImageFont

Ocrd = Callable[..., CompletedProcess[str]]
Start = Callable[..., Popen[str]]

FAKE = ("--task", "detect", "--backend", "fake", "--detector", "find.onnx", "-q")
"""Boxes around what is dark, by a network that lies where the test begins."""


@pytest.fixture(autouse=True)
def _find(tmp_path: Path) -> None:
    stripes.write_onnx(stripes.DETECTOR, tmp_path / "find.onnx")


def draw(*lines: str) -> Image.Image:
    """Return a picture of black text on white."""
    picture = Image.new("RGB", (320, 20 + 60 * len(lines)), "white")
    for index, line in enumerate(lines):
        ImageDraw.Draw(picture).text((20, 20 + 60 * index), line, fill="black", font=ImageFont.load_default(32))
    return picture


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of 40 small pictures, in which the test begins."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(40):
        draw(f"{index}").save(folder / f"{index}.png")
    monkeypatch.chdir(tmp_path)
    return folder


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_text_is_read_from_a_file_and_from_standard_input(tmp_path: Path) -> None:
    draw("CAFE LUNA", "Station 42").save(tmp_path / "sign.png")
    command = [sys.executable, "-m", "ocrdeploy", "run", str(tmp_path / "sign.png"), "-", "--device", "cpu", "--format", "json"]
    encoded = io.BytesIO()
    draw("EXIT").save(encoded, "JPEG", quality=95)
    done = subprocess.run(command, input=encoded.getvalue(), capture_output=True, check=True)
    read = [[region["text"] for region in page["regions"]] for page in lines_of(done.stdout.decode())]
    assert read == [["CAFE LUNA", "Station 42"], ["EXIT"]]
    assert done.stderr.decode().count("note: backend auto: ") == 1


def test_bad_pictures_are_reported_and_the_others_read(ocrd: Ocrd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draw("fine").save("fine.png")
    Image.new("RGB", (1, 1)).save("dot.png")
    Image.new("RGB", (1, 4000)).save("strip.png")
    Image.new("RGB", (100, 60), "white").save("white.png")
    Image.new("RGB", (3000, 2000)).save("bomb.png")
    draw("photograph").save("photo.jpg")
    Path("empty.png").touch()
    Path("letter.jpg").write_text("Dear Sir or Madam", encoding="utf-8")
    for name in ("fine.png", "photo.jpg"):
        Path(f"cut-{name}").write_bytes(Path(name).read_bytes()[:600])
    Path("nothing").mkdir()
    good = ["dot.png", "strip.png", "white.png", "fine.png"]
    bad = ["missing.png", "empty.png", "letter.jpg", "cut-fine.png", "cut-photo.jpg", "bomb.png", "nothing"]
    named = [name for pair in zip(good, bad, strict=False) for name in pair] + bad[len(good) :]
    done = ocrd("run", *named, *FAKE, "--format", "json", "--max-pixels", 1_000_000, "-o", "read")
    pages = {page["image"]: page for page in lines_of(done.stdout)}
    assert list(pages) == named
    assert [name for name in named if "error" in pages[name]] == [name for name in named if name in bad]
    for name in bad:
        assert name in pages[name]["error"]["problem"]
        assert pages[name]["error"]["fix"]
    assert "--max-pixels" in pages["bomb.png"]["error"]["fix"]
    assert done.returncode == 1
    assert done.stderr == ""
    assert sorted(path.name for path in Path("read").iterdir()) == sorted(
        f"{Path(name).stem}{suffix}" for name in good for suffix in (".json", ".annotated.png")
    )


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read and write everything")
def test_without_permission_nothing_is_read_or_written(ocrd: Ocrd, pictures: Path) -> None:
    (pictures / "0.png").chmod(0)
    done = ocrd("run", pictures / "0.png", pictures / "1.png", *FAKE, "--format", "json")
    assert ["error" in page for page in lines_of(done.stdout)] == [True, False]
    pictures.chmod(0o500)
    assert "Permission denied" in ocrd("run", pictures / "1.png", *FAKE, "-o", pictures / "read").stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--backend", "fakee"], "unknown backend 'fakee' (did you mean 'fake'?)"),
        (["--detector", "ppocr-v6-dett"], "unknown model 'ppocr-v6-dett' (did you mean 'ppocr-v6-det'?)"),
        (["--detector", "ppocr-v6-rec"], "is a recognition model"),
        (["--detector", "nowhere/model.onnx"], "nowhere/model.onnx"),
        (["--backend-option", "delay=1"], "(did you mean 'delay_ms'?)"),
    ],
)
def test_what_nobody_knows_is_a_sentence(ocrd: Ocrd, pictures: Path, arguments: list[str], said: str) -> None:
    done = ocrd("run", pictures / "1.png", *FAKE, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr.splitlines()[0]
    assert done.stderr.splitlines()[1].startswith("fix:   ")


def test_lines_come_as_they_are_read_and_an_interrupt_leaves_whole_ones(start: Start, pictures: Path) -> None:
    process = start("run", pictures, *FAKE, "--backend-option", "delay_ms=100", "--format", "json", "-o", "read")
    assert process.stdout is not None
    first = process.stdout.readline() + process.stdout.readline()
    process.send_signal(signal.SIGINT)
    rest, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip() == ""
    pages = lines_of(first + rest)
    assert 2 <= len(pages) < 40
    written = sorted(path.name for path in Path("read").iterdir())
    assert {"0.annotated.png", "0.json"} <= set(written)
    assert [name for name in written if name.startswith(".")] == []
    for name in written:
        if name.endswith(".json"):
            json.loads((Path("read") / name).read_text(encoding="utf-8"))
        else:
            Image.open(Path("read") / name).load()


def test_a_reader_that_goes_away_ends_it_quietly(start: Start, pictures: Path) -> None:
    process = start("run", pictures, *FAKE, "--backend-option", "delay_ms=20", "--format", "json")
    assert process.stdout is not None
    assert process.stderr is not None
    assert json.loads(process.stdout.readline())["image"].endswith("0.png")
    process.stdout.close()
    assert process.wait(timeout=60) == 1
    assert process.stderr.read() == ""
