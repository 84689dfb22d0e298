"""docs/write-a-dataset-reader.md: its code is a plugin, and its commands, one after the other, print what it says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from PIL import Image

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "write-a-dataset-reader.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(block["kind"], block["text"]) for block in BLOCK.finditer(PAGE)]


def install(package: Path, site: Path) -> None:
    """What `pip install -e` leaves behind, without the network and without touching the environment of the tests."""
    metadata = site / "ocrdeploy_signs-0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: ocrdeploy-signs\nVersion: 0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text("[ocrdeploy]\nsigns = ocrdeploy_signs.hooks\n", encoding="utf-8")
    (site / "ocrdeploy_signs").symlink_to(package / "src" / "ocrdeploy_signs")


def test_the_steps_of_the_page_work(tmp_path: Path) -> None:
    (table,) = (text for kind, text in BLOCKS if kind == "text")
    (hooks,) = (text for kind, text in BLOCKS if kind == "python")
    package, site = tmp_path / "ocrdeploy-signs", tmp_path / "site"
    (tmp_path / "street").mkdir()
    (tmp_path / "street" / "signs.csv").write_text(table, encoding="utf-8")
    Image.new("RGB", (480, 160), "white").save(tmp_path / "street" / "corner.png")

    environment = {**os.environ, "PYTHONPATH": str(site), "OCRDEPLOY_CACHE": str(tmp_path / "cache")}
    shown = [each for kind, text in BLOCKS if kind == "console" for each in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]]
    for command, _, expected in (each.partition("\n") for each in shown):
        if command.startswith("pip install"):
            install(package, site)
            continue
        program, *arguments = shlex.split(command)
        assert program == "ocrd"
        done = subprocess.run(
            [sys.executable, "-m", "ocrdeploy", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        # A missing picture is what `ocrd datasets check` is to find here.
        assert done.returncode == (1 if "missing" in expected else 0), done.stdout + done.stderr
        pattern = ".*?".join(re.escape(part) for part in expected.strip().split("..."))
        assert re.fullmatch(pattern, done.stdout.strip(), re.DOTALL), done.stdout
        if arguments[:2] == ["plugin", "new"]:
            (package / "src" / "ocrdeploy_signs" / "hooks.py").write_text(hooks, encoding="utf-8")
    assert (tmp_path / "sheet.png").is_file()


def test_what_the_reader_refuses_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "hooks.py").write_text(next(text for kind, text in BLOCKS if kind == "python"), encoding="utf-8")
    for labels, sentence in (
        ("picture,text\n", "signs.csv:1: the columns are not picture,left,top,right,bottom,text"),
        ("picture,left,top,right,bottom,text\na.png,1,2,x,4,EXIT\n", "signs.csv:2: could not convert string to float: 'x'"),
        ("picture,left,top,right,bottom,text\na.png,1,2,3,4,EXIT,2\n", "signs.csv:2: there are more than 6 columns"),
        ("picture,left,top,right,bottom,text\na.png,1,2\n", "signs.csv:2: could not convert string to float: ''"),
    ):
        (tmp_path / "signs.csv").write_text(labels, encoding="utf-8")
        code = "from pathlib import Path; import hooks; list(hooks.ocrd_samples(Path()))"
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert sentence in done.stderr
