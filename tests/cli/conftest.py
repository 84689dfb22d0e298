"""How the command line is run in tests: in this process where that will do, else in one of its own."""

from __future__ import annotations

import logging
import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import DEVNULL, PIPE, CompletedProcess, Popen

import cv2
import pytest
from ocrdeploy_fake import stripes

from ocrdeploy.cli import main

PICTURES, WIDEST = 60, 37
"""How many words the list of `words` has, and which of them is wider than the others."""


@pytest.fixture
def ocrd(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., CompletedProcess[str]]]:
    """Run `ocrd ARGUMENTS...` in this process."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)

    def run(*arguments: object) -> CompletedProcess[str]:
        argv = [str(each) for each in arguments]
        with pytest.raises(SystemExit) as ended:
            main(argv)
        printed = capsys.readouterr()
        return CompletedProcess(argv, int(ended.value.code or 0), printed.out, printed.err)

    yield run
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.fixture
def start() -> Iterator[Callable[..., Popen[str]]]:
    """Start `python -m ocrdeploy ARGUMENTS...`, with environment variables as keywords; it ends with the test."""
    started: list[Popen[str]] = []

    def begin(*arguments: str | Path, **variables: str) -> Popen[str]:
        command = [sys.executable, "-m", "ocrdeploy", *map(str, arguments)]
        environment = {**os.environ, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "", **variables}
        process = Popen(command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, text=True, encoding="utf-8", env=environment)
        started.append(process)
        return process

    yield begin
    for process in started:
        with process:
            process.kill()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Install a plugin of one module, given its source, as pip would: with metadata and an entry point. Returns the folder."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)

    def install(name: str, source: str) -> Path:
        (folder / f"ocrdeploy_{name}.py").write_text(source, encoding="utf-8")
        facts = folder / f"ocrdeploy_{name}-1.0.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: ocrdeploy-{name}\nVersion: 1.0\n", encoding="utf-8")
        (facts / "entry_points.txt").write_text(f"[ocrdeploy]\n{name} = ocrdeploy_{name}\n", encoding="utf-8")
        return folder

    yield install
    for module in folder.glob("ocrdeploy_*.py"):
        sys.modules.pop(module.stem, None)


MEASURED = """
import os
import signal
import sys
import time
import zlib
from ocrdeploy import BadInput, hookimpl
from ocrdeploy.vocabulary import BackendInfo, Loaded, Probe

ocrd_contract = 1
FAULT = {fault!r}


@hookimpl
def ocrd_backend():
    return BackendInfo({name!r}, runs=("onnx",), precisions=("fp32", "fp16"), options=("delay_ms", "log"), rank={rank})


@hookimpl
def ocrd_probe():
    return Probe(version="1.0", device="cpu")


@hookimpl
def ocrd_infer(model, options):
    return Session(model, options)


def asked():
    # Which request of the row's process this run belongs to: warm, read or together.
    frame = sys._getframe()
    while not (frame.f_code.co_filename.endswith("child.py") and frame.f_code.co_name in ("warm", "read", "together")):
        frame = frame.f_back
    return frame.f_code.co_name


class Session:
    def __init__(self, model, options):
        self.model, self.options, self.kept, self.runs = model, options, [], 0

    def run(self, inputs):
        import numpy as np
        from ocrdeploy_fake.stripes import detect, recognize

        pixels = inputs[self.model.input.name]
        self.runs += 1
        time.sleep(int(self.options.extra.get("delay_ms", "0")) / 1000)
        if log := self.options.extra.get("log"):
            with open(log, "a") as file:
                file.write("{name} " + asked() + " " + str(zlib.crc32(pixels.tobytes())) + chr(10))
        if FAULT == "crash" and pixels.shape[-1] > 300:
            os.kill(os.getpid(), signal.SIGSEGV)
        if FAULT == "refuse" and pixels.shape[-1] > 300:
            raise BadInput("the line is too long for it", "cut the line")
        if FAULT == "raise":
            raise RuntimeError("no luck")
        if FAULT == "leak":
            self.kept.append(np.ones(1 << 17))
        if FAULT == "one" and len(pixels) > 1:
            raise BadInput("it takes one picture at a time", "use --batch-size 1")
        ink = pixels.mean(axis=1) < -0.25
        if self.model.task == "detection":
            return dict.fromkeys(self.model.outputs, detect(ink))
        scores = recognize(ink, len(self.model.charset) + 1)
        phases = np.arange(scores[0].size) * (1 + pixels.mean(axis=(1, 2, 3))[:, None])
        scores = (0.9 * scores + 0.01 * np.sin(phases).reshape(scores.shape)).astype(np.float32)
        if FAULT == "swap":
            scores = np.ascontiguousarray(scores[::-1])
        if FAULT == "half":
            scores = scores.astype(np.float16).astype(np.float32)
        if FAULT == "noise":
            scores += np.float32(0.05) * np.cos(np.arange(scores.size, dtype=np.float32)).reshape(scores.shape)
        if FAULT == "moody" and self.runs % 7 == 0:
            scores = np.roll(scores, 1, axis=2)
        return {{self.model.outputs[0]: scores}}

    def loaded(self):
        return Loaded(version="1.0", device="cpu", provider="numpy", precision=self.options.precision)

    def close(self):
        self.kept = []
"""


@pytest.fixture
def backend(site: Callable[..., Path]) -> Callable[..., str]:
    """Install a backend with this fault; returns its name."""

    def install(name: str, fault: str = "", rank: int = -10) -> str:
        site(name, MEASURED.format(name=name, fault=fault, rank=rank))
        return name

    return install


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """A list of pictures of one word each; picture 37 is wider than all others."""
    chance = random.Random(5)
    folder = tmp_path / "words"
    folder.mkdir()
    lines: list[str] = []
    texts = {"".join(chance.choices(stripes.CHARSET, k=chance.randint(3, 6))): None for _ in range(2 * PICTURES)}
    for number, text in enumerate(list(texts)[:PICTURES], start=1):
        if number == WIDEST:
            text = "abcdabcda"  # noqa: PLW2901 - this one is special
        cv2.imwrite(str(folder / f"{number:02}.png"), stripes.draw([text])[37:85])
        lines.append(f"{number:02}.png\t{text}\n")
    (folder / "labels.tsv").write_text("".join(lines))
    return folder


@pytest.fixture
def read_model(tmp_path: Path) -> Path:
    """A recognizer for these words."""
    return stripes.write_onnx(stripes.RECOGNIZER, tmp_path / "read.onnx")
