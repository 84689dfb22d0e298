"""Strangers that do not get on with each other, installed with pip: each does its own work, and none harms the others."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import venv
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from ocrdeploy_fake import stripes
from PIL import Image

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "stranger-{name}"
version = "2.5"

[project.entry-points.ocrdeploy]
{name} = "stranger_{name}"

[tool.hatch.build.targets.wheel]
packages = ["stranger_{name}"]
"""

BACKEND = """
import hashlib
from dataclasses import replace
from ocrdeploy import BadInput, hookimpl
from ocrdeploy.vocabulary import BackendInfo, Probe

ocrd_contract = 1
MARK = b"{name} "

@hookimpl
def ocrd_backend():
    return BackendInfo("{name}", runs=("star",), builds_from=("onnx",), rank={rank})

@hookimpl
def ocrd_probe():
    return Probe(version="2.5", device="cpu")

@hookimpl
def ocrd_build(source, target):
    content = MARK + source.path.read_bytes()
    target.write_bytes(content)
    made = hashlib.sha256(content).hexdigest()
    return replace(source, path=target, format="star", sha256=made, parent_sha256=source.sha256)

@hookimpl
def ocrd_infer(model, artifact, options):
    from pathlib import Path
    import tempfile
    from ocrdeploy_fake import hooks
    content = artifact.path.read_bytes()
    if not content.startswith(MARK):
        raise BadInput("{name} was given a file of somebody else's", "report it")
    with tempfile.TemporaryDirectory() as folder:
        graph, network = Path(folder) / "x.onnx", Path(folder) / "x.fake"
        graph.write_bytes(content.removeprefix(MARK))
        built = hooks.ocrd_build(replace(artifact, path=graph), network)
        return hooks.ocrd_infer(model, built, options)
"""

TIMING = """
import logging, time
from ocrdeploy import hookimpl

ocrd_contract = 1

def timed(hook):
    def wrapper(model):
        started = time.perf_counter()
        try:
            return (yield)
        finally:
            took_ms = 1000 * (time.perf_counter() - started)
            logging.getLogger("stranger_timing").info("timed %s of %s: %.1f ms", hook, model.name, took_ms)
    return hookimpl(wrapper=True, specname=hook)(wrapper)

infer = timed("ocrd_infer")
build = timed("ocrd_build")
postprocess = timed("ocrd_postprocess")
"""

SOURCES = {
    "vega": BACKEND.format(name="vega", rank=200),
    "orion": BACKEND.format(name="orion", rank=200),
    "timing": TIMING,
    "faulty": "import a_module_that_nobody_has\n" + TIMING,
}
"""Two backends of one rank that both claim the format "star", one that times all calls, and one that is installed but broken."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip installed all four."""
    folder = tmp_path_factory.mktemp("strangers")

    def wheel(name: str) -> Path:
        project = folder / name
        (project / f"stranger_{name}").mkdir(parents=True)
        (project / f"stranger_{name}" / "__init__.py").write_text(SOURCES[name], encoding="utf-8")
        (project / "pyproject.toml").write_text(PYPROJECT.format(name=name), encoding="utf-8")
        return project

    offline = ("--no-deps", "--no-index", "--no-build-isolation", "--no-compile", "--disable-pip-version-check")
    command = [sys.executable, "-m", "pip", "install", "-q", *offline, "--target", str(folder / "site")]
    subprocess.run([*command, *(str(wheel(name)) for name in SOURCES)], check=True)
    return folder / "site"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a picture and two models."""
    folder = tmp_path_factory.mktemp("page")
    Image.fromarray(stripes.draw(["abcd", "dada"])).save(folder / "page.png")
    stripes.write_onnx(stripes.DETECTOR, folder / "find.onnx")
    stripes.write_onnx(stripes.RECOGNIZER, folder / "read.onnx")
    return folder


def ocrd(site: Path, *arguments: str, cwd: Path) -> CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-m", "ocrdeploy", *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=100, check=False)


def read(site: Path, page: Path, backend: str, *options: str) -> CompletedProcess[str]:
    models = ("--detector", "find.onnx", "--recognizer", "read.onnx", "--backend", backend)
    return ocrd(site, "run", "page.png", *models, *options, cwd=page)


def test_all_four_are_listed_each_in_its_state(site: Path, page: Path) -> None:
    listed = ocrd(site, "plugin", "list", "--json", cwd=page)
    assert listed.returncode == 0, listed.stderr
    rows: Mapping[str, dict[str, Any]] = {row["name"]: row for row in json.loads(listed.stdout)["plugins"]}
    assert {name: rows[name]["state"] for name in SOURCES} == {
        "vega": "ready",
        "orion": "ready",
        "timing": "ready",
        "faulty": "broken",
    }
    assert rows["timing"]["wrappers"] == ["ocrd_build", "ocrd_infer", "ocrd_postprocess"]
    assert rows["timing"]["hooks"] == []
    assert (rows["faulty"]["distribution"], rows["faulty"]["version"]) == ("stranger-faulty", "2.5")


def test_each_of_two_that_claim_one_format_opens_its_own_files_and_all_calls_are_timed(site: Path, page: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        vega, orion = pool.map(lambda name: read(site, page, name, "-v"), ("vega", "orion"))
    for done in (vega, orion):
        assert (done.returncode, done.stdout) == (0, "abcd\ndada\n"), done.stderr
        for hook in ("ocrd_build", "ocrd_infer", "ocrd_postprocess"):
            assert re.search(rf"^info: timed {hook} of stripes-det: [\d.]+ ms$", done.stderr, re.MULTILINE), done.stderr
        assert "faulty" not in done.stderr


def test_auto_does_not_choose_between_two_of_one_rank(site: Path, page: Path) -> None:
    done = read(site, page, "auto")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.search(r"error: backends (orion and vega|vega and orion) have the same rank", done.stderr)


def test_who_asks_for_the_broken_one_is_told_how_to_be_rid_of_it(site: Path, page: Path) -> None:
    done = read(site, page, "faulty")
    assert done.returncode == 1
    assert "plugin 'faulty' (stranger-faulty) is broken: ModuleNotFoundError" in done.stderr
    assert "pip uninstall stranger-faulty" in done.stderr


def test_a_broken_one_is_installed_and_uninstalled_for_real(site: Path, tmp_path: Path) -> None:
    # An environment of its own, which sees all packages of this one behind its own.
    venv.create(tmp_path / "venv", with_pip=False, symlinks=os.name == "posix")
    (own,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    behind = [entry for entry in sys.path if entry.endswith("site-packages")]
    (own / "behind.pth").write_text("".join(f"import site; site.addsitedir({entry!r})\n" for entry in behind), encoding="utf-8")

    def plugin(*arguments: str) -> CompletedProcess[str]:
        command = [str(tmp_path / "venv" / "bin" / "python"), "-m", "ocrdeploy", "plugin", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)

    folder = site.parent / "faulty"
    done = plugin("install", "-q", "--no-deps", "--no-index", "--no-build-isolation", str(folder))
    assert done.returncode == 0, done.stderr
    assert list(own.glob("stranger_faulty-2.5.dist-info"))
    assert "faulty, broken: ModuleNotFoundError" in plugin("list").stdout
    assert plugin("uninstall", "-q", "-y", "faulty").returncode == 0
    assert not list(own.glob("stranger_faulty*"))
    assert "faulty" not in plugin("list").stdout


def test_the_check_names_what_is_wrong_with_the_broken_one_and_passes_the_timing_one(site: Path, page: Path) -> None:
    faulty = ocrd(site, "plugin", "check", "faulty", cwd=page)
    assert faulty.returncode == 3
    assert "broken: ModuleNotFoundError: No module named 'a_module_that_nobody_has'" in faulty.stdout
    timing = ocrd(site, "plugin", "check", "timing", cwd=page)
    assert timing.returncode == 0, timing.stdout + timing.stderr
