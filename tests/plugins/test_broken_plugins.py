"""Plugins that are broken, each in its own way, installed for real: none of them harms anybody else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

BACKEND = """
import time
from ocrdeploy import hookimpl
from ocrdeploy.vocabulary import BackendInfo, Probe

ocrd_contract = 1

@hookimpl
def ocrd_backend():
    return BackendInfo({name!r}, runs=("onnx",), rank={rank})

@hookimpl
def ocrd_probe():
    {probe}

@hookimpl
def ocrd_infer(model, artifact):
    raise AssertionError("nobody asked for it")
"""

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{distribution}"
version = "6.6.6"

[project.entry-points.ocrdeploy]
{plugin} = "{value}"

[tool.hatch.build.targets.wheel]
packages = ["{package}"]
"""


def backend(name: str, probe: str = "return Probe()", *, rank: int = 1000) -> str:
    """A whole backend, which "auto" would like best."""
    return BACKEND.format(name=name, probe=probe, rank=rank)


def static(announcement: str) -> str:
    return backend("unused").replace("return BackendInfo('unused', runs=(\"onnx\",), rank=1000)", announcement)


@dataclass(frozen=True)
class Defect:
    """A plugin, and what `ocrd backends` says of it."""

    source: str
    why: str
    plugin: str = ""
    attribute: str = ""


DEFECTS: Mapping[str, Defect] = {
    "import-error": Defect("import a_module_that_nobody_has", "No module named 'a_module_that_nobody_has'"),
    "syntax-error": Defect("def ocrd_backend(:", "SyntaxError: invalid syntax"),
    "exits": Defect("import sys\nsys.exit(3)", "it calls sys.exit(3) when it is imported"),
    "leads-nowhere": Defect("", "no attribute 'hooks'", attribute=":hooks"),
    "unknown-hook": Defect(
        backend("unknown-hook") + "ocrd_predict = hookimpl(lambda: None)", "it implements ocrd_predict, which is no hook"
    ),
    "wrong-arguments": Defect(
        backend("wrong-arguments").replace("model, artifact", "model, weights"), "its ocrd_infer takes weights"
    ),
    "raises": Defect(static("return 1 / 0"), "its ocrd_backend raised ZeroDivisionError"),
    "wrong-type": Defect(static("return {'name': 'wrong-type'}"), "its ocrd_backend returned dict, not BackendInfo"),
    "other-name": Defect(backend("onnxruntime"), "its entry point is 'other-name', and its backend calls itself 'onnxruntime'"),
    "twin-one": Defect(backend("twin"), "'twin' is claimed more than once, by: broken-twin-one, broken-twin-two", plugin="twin"),
    "twin-two": Defect(backend("twin"), "'twin' is claimed more than once, by: broken-twin-one, broken-twin-two", plugin="twin"),
    "probe-raises": Defect(backend("probe-raises", "raise OSError('no such card')"), "OSError: no such card"),
    "probe-sleeps": Defect(backend("probe-sleeps", "time.sleep(60)"), "its probe did not answer within 1 seconds"),
    "prints": Defect(
        "import os, subprocess\nprint('hello')\nos.write(1, b'from below')\nsubprocess.run(['echo', 'from a child'])\n"
        + backend("prints", "print('I am asked'); return Probe()", rank=-1000),
        "",
    ),
}
"""The issue's twelve ways to be broken; a name that is taken twice takes two."""

TOGETHER = {"twin-one": ("twin-one", "twin-two"), "twin-two": ("twin-two", "twin-one")}


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Every broken plugin in a folder of its own, where pip installed it."""
    folder = tmp_path_factory.mktemp("broken")

    def install(name: str) -> Path:
        defect, package, project = DEFECTS[name], f"broken_{name.replace('-', '_')}", folder / name
        (project / package).mkdir(parents=True)
        (project / package / "__init__.py").write_text(defect.source, encoding="utf-8")
        (project / "pyproject.toml").write_text(
            PYPROJECT.format(
                distribution=f"broken-{name}", plugin=defect.plugin or name, value=package + defect.attribute, package=package
            ),
            encoding="utf-8",
        )
        target = folder / f"{name}-site"
        offline = ("--no-deps", "--no-index", "--no-build-isolation", "--no-compile", "--disable-pip-version-check")
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", *offline, "--target", target, project], check=True)
        return target

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(DEFECTS, pool.map(install, DEFECTS), strict=True))


@pytest.fixture(scope="session")
def sign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sign") / "sign.png"
    picture = Image.new("RGB", (320, 80), "white")
    ImageDraw.Draw(picture).text((30, 18), "PLATFORM 9", fill="black", font=ImageFont.load_default(36))
    picture.save(path)
    return path


def ocrd(*arguments: str | Path, plugins: tuple[Path, ...]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, plugins)), "OCRDEPLOY_PROBE_TIMEOUT": "1"}
    command = [sys.executable, "-m", "ocrdeploy", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("name", [name for name in DEFECTS if name != "prints"])
def test_a_broken_plugin_is_named_with_why_and_what_to_uninstall(installed: Mapping[str, Path], name: str) -> None:
    present = tuple(installed[each] for each in TOGETHER.get(name, (name,)))
    help_page = ocrd("--help", plugins=present)
    assert (help_page.returncode, help_page.stderr) == (0, "")
    listed = ocrd("backends", "--json", plugins=present)
    assert listed.returncode == 0, listed.stderr
    found = json.loads(listed.stdout)
    plugin = DEFECTS[name].plugin or name
    rows: list[dict[str, Any]] = [*found["broken"], *(row for row in found["backends"] if not row["ok"])]
    (row,) = [row for row in rows if row["name"] == plugin and row["distribution"] == f"broken-{name}"]
    assert DEFECTS[name].why in row["problem"]
    assert f"broken-{name}" in row["fix"]
    assert "pip uninstall" in row["fix"]
    assert "onnxruntime" in {row["name"] for row in found["backends"]}


def test_what_a_plugin_prints_stays_off_standard_output_and_has_its_name(installed: Mapping[str, Path]) -> None:
    listed = ocrd("backends", "--json", plugins=(installed["prints"],))
    assert listed.returncode == 0, listed.stderr
    assert "prints" in {row["name"] for row in json.loads(listed.stdout)["backends"]}
    assert "plugin 'prints' (broken-prints) prints: hello" in listed.stderr
    for printed in ("from below", "from a child", "I am asked"):
        assert printed in listed.stderr


def test_people_are_told_the_same_in_words(installed: Mapping[str, Path]) -> None:
    listed = ocrd("backends", plugins=tuple(installed.values()))
    assert listed.returncode == 0, listed.stderr
    for name, defect in DEFECTS.items():
        assert defect.why in listed.stdout
        assert name == "prints" or f"broken-{name}" in listed.stdout


def test_with_all_of_them_present_a_picture_is_read(installed: Mapping[str, Path], sign: Path) -> None:
    read = ocrd("run", sign, plugins=tuple(installed.values()))
    assert (read.returncode, read.stdout) == (0, "PLATFORM 9\n"), read.stderr


def test_with_all_of_them_present_models_are_listed(installed: Mapping[str, Path]) -> None:
    listed = ocrd("models", "--json", plugins=tuple(installed.values()))
    assert listed.returncode == 0, listed.stderr
    assert "ppocr-v6-rec" in listed.stdout
    json.loads(listed.stdout)


@pytest.mark.parametrize("name", ["exits", "prints", "probe-sleeps"])
def test_with_one_of_the_nastiest_present_a_picture_is_read(installed: Mapping[str, Path], sign: Path, name: str) -> None:
    read = ocrd("run", sign, "--format", "json", plugins=(installed[name],))
    assert read.returncode == 0, read.stderr
    (line,) = read.stdout.splitlines()
    assert [region["text"] for region in json.loads(line)["regions"]] == ["PLATFORM 9"]


def test_who_asks_for_a_broken_plugin_is_told_what_mends_it(installed: Mapping[str, Path], sign: Path) -> None:
    read = ocrd("run", sign, "--backend", "import-error", plugins=(installed["import-error"],))
    assert (read.returncode, read.stdout) == (1, "")
    assert "error: plugin 'import-error' (broken-import-error) is broken: ModuleNotFoundError" in read.stderr
    assert "pip uninstall broken-import-error" in read.stderr
    assert "Traceback" not in read.stderr
