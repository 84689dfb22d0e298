"""docs/write-a-model-pack.md: its specifications and its code are a pack, and its commands print what it says."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ocrdeploy import spec
from ocrdeploy_ppocr import specs, weights

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "write-a-model-pack.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^(?:<!-- (?P<file>\S+) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
PACKAGE = "ocrdeploy-harbour/src/ocrdeploy_harbour"


def install(folder: Path, site: Path) -> None:
    """What `pip install -e` leaves behind, without the network and without touching the environment of the tests."""
    metadata = site / "ocrdeploy_harbour-0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: ocrdeploy-harbour\nVersion: 0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text("[ocrdeploy]\nharbour = ocrdeploy_harbour.hooks\n", encoding="utf-8")
    (site / "ocrdeploy_harbour").symlink_to(folder / PACKAGE)


def write(folder: Path, name: str, text: str) -> None:
    place = folder / PACKAGE if name.endswith(".py") else folder
    (place / name).write_text(text, encoding="utf-8")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    pytest.importorskip("rapidocr", reason="the page takes its models from the wheel of rapidocr: pip install rapidocr")
    pytest.importorskip("onnxruntime", reason="needs the runtime: pip install onnxruntime")
    shutil.copy(REPOSITORY / "docs" / "demo.png", tmp_path)
    site = tmp_path / "site"
    return {**os.environ, "PYTHONPATH": str(site), "OCRDEPLOY_CACHE": str(tmp_path / "cache"), "PYTHONUTF8": "1"}


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def test_the_steps_of_the_page_work(tmp_path: Path, environment: dict[str, str]) -> None:
    for block in BLOCK.finditer(PAGE):
        text = block["text"]
        if block["file"]:
            write(tmp_path, block["file"], text)
        elif block["kind"] == "python":
            run([sys.executable, "-c", text], tmp_path, environment)
        elif block["kind"] == "sh" and text.startswith("cp "):
            run(["sh", "-ec", text], tmp_path, environment)
        elif block["kind"] == "console":
            for shown in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                show(shown, tmp_path, environment)


def show(shown: str, folder: Path, environment: dict[str, str]) -> None:
    command, _, expected = shown.partition("\n")
    if command.startswith("pip install"):
        install(folder, folder / "site")
        return
    program, *arguments = shlex.split(command)
    assert program == "ocrd"
    printed = run([sys.executable, "-m", "ocrdeploy", *arguments], folder, environment)
    pattern = ".*?".join(re.escape(part) for part in expected.strip().split("..."))
    assert re.fullmatch(pattern, printed, re.DOTALL), printed


def test_the_page_says_of_the_models_what_their_pack_says() -> None:
    shown = next(block["text"] for block in BLOCK.finditer(PAGE) if block["file"] == "specs.py")
    module: dict[str, Any] = {}
    exec(shown, module)
    for name, known in (("DETECTOR", specs.DETECTOR), ("RECOGNIZER", specs.RECOGNIZER)):
        assert module[name].input == known.input
    digests = {digest for _, digest in weights.FILES.values()}
    assert set(re.findall(r"\b[0-9a-f]{64}\b", shown)) <= digests


def test_the_two_yaml_files_and_the_code_say_the_same(tmp_path: Path) -> None:
    blocks = {block["file"]: block["text"] for block in BLOCK.finditer(PAGE) if block["file"]}
    module: dict[str, Any] = {}
    exec(blocks["specs.py"], module)
    for name, constant in (("find.yaml", "DETECTOR"), ("read.yaml", "RECOGNIZER")):
        characters = "" if constant == "DETECTOR" else "charset: [a]\n"
        (tmp_path / name).write_text(blocks[name] + characters, encoding="utf-8")
        written, coded = spec.read_file(tmp_path / name), module[constant]
        assert written == replace(
            coded, input=replace(coded.input, shapes=None), rank=0, charset=written.charset, options=written.options
        )
        assert dict(written.options) == dict(coded.options)
