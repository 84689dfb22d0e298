"""docs/write-a-backend.md shows the code that is there, and its commands print what it says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "write-a-backend.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^(?:<!-- (?P<file>\S+) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = list(BLOCK.finditer(PAGE))
QUOTED = [block for block in BLOCKS if block["file"]]


def test_the_page_quotes_every_hook_of_the_stranger() -> None:
    hooks = (REPOSITORY / "tests/fake_backend/src/ocrdeploy_fake/hooks.py").read_text(encoding="utf-8")
    shown = "".join(block["text"] for block in QUOTED)
    assert set(re.findall(r"^def (ocrd_\w+)", shown, re.MULTILINE)) == set(re.findall(r"^def (ocrd_\w+)", hooks, re.MULTILINE))


@pytest.mark.parametrize("block", QUOTED, ids=[block["file"].rpartition("/")[2] for block in QUOTED])
def test_a_quotation_is_in_the_file_that_it_is_from(block: re.Match[str]) -> None:
    assert block["text"] in (REPOSITORY / block["file"]).read_text(encoding="utf-8")


def test_the_steps_of_the_page_work(tmp_path: Path) -> None:
    environment = {**os.environ, "OCRDEPLOY_CACHE": str(tmp_path / "cache")}
    for block in BLOCKS:
        if block["file"]:
            continue
        if block["kind"] == "python":
            subprocess.run([sys.executable, "-c", block["text"]], cwd=tmp_path, env=environment, check=True)
            continue
        # Of two commands the first installs something, which is there in the environment of the tests.
        command, *expected = block["text"].rpartition("$ ")[2].splitlines()
        program, *arguments = shlex.split(command)
        done = subprocess.run(
            [sys.executable, "-m", {"ocrd": "ocrdeploy", "pytest": "pytest"}[program], *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert expected in ([], done.stdout.splitlines())
    assert list((tmp_path / "cache").rglob("*.fake"))
