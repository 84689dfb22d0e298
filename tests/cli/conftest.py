"""How the command line is run in tests: in this process where that will do, else in one of its own."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import DEVNULL, PIPE, CompletedProcess, Popen

import pytest

from ocrdeploy.cli import main


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
