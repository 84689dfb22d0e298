"""`ocrd plugin list`, `check`, `install` and `uninstall`, on plugins that are installed by their metadata only."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess, Popen
from typing import Any

import pytest

from ocrdeploy.cli import plugin
from ocrdeploy.doctor import suite
from ocrdeploy.scaffold.package import Kind

Ocrd = Callable[..., CompletedProcess[str]]
Start = Callable[..., Popen[str]]
Site = Callable[..., Path]

BACKEND = """
import logging
from ocrdeploy import hookimpl
from ocrdeploy.vocabulary import BackendInfo, Probe
ocrd_contract = 1

@hookimpl
def ocrd_backend():
    return BackendInfo({name!r}, runs=("onnx",), rank=-1000)

@hookimpl
def ocrd_probe():
    {probe}

@hookimpl
def ocrd_infer(model):
    raise AssertionError
"""
WRAPPER = """
from ocrdeploy import hookimpl
ocrd_contract = 1

@hookimpl(wrapper=True, specname="ocrd_infer")
def timed():
    return (yield)
"""
DATASET = """
from ocrdeploy import hookimpl
from ocrdeploy.vocabulary import DatasetInfo
ocrd_contract = 1

@hookimpl
def ocrd_dataset():
    return DatasetInfo({name!r}, sniff={sniff})

@hookimpl
def ocrd_samples(path):
    return iter(())
"""


def backend(name: str, probe: str = "return Probe(version='1', device='cpu')") -> str:
    return BACKEND.format(name=name, probe=probe)


def test_the_list_shows_hooks_wrappers_and_states(ocrd: Ocrd, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site("vega", backend("vega"))
    site("lacking", backend("lacking", "return Probe(problem='there is no card', fix='plug one in')"))
    site("timing", WRAPPER)
    site("faulty", "raise ImportError('no such thing')")
    monkeypatch.setenv("OCRDEPLOY_DISABLED_PLUGINS", "fake")
    listed = ocrd("plugin", "list", "--json")
    assert listed.returncode == 0
    rows: dict[str, dict[str, Any]] = {row["name"]: row for row in json.loads(listed.stdout)["plugins"]}
    assert {name: rows[name]["state"] for name in ("vega", "lacking", "timing", "faulty", "fake", "ctc")} == {
        "vega": "ready",
        "lacking": "cannot run",
        "timing": "ready",
        "faulty": "broken",
        "fake": "disabled",
        "ctc": "ready",
    }
    assert rows["vega"]["hooks"] == ["ocrd_backend", "ocrd_infer", "ocrd_probe"]
    assert (rows["timing"]["hooks"], rows["timing"]["wrappers"]) == ([], ["ocrd_infer"])
    assert (rows["faulty"]["distribution"], rows["faulty"]["version"]) == ("ocrdeploy-faulty", "1.0")
    assert rows["lacking"]["fix"] == "plug one in"
    shown = ocrd("plugin", "list").stdout
    assert "faulty, broken: ImportError: no such thing\n  fix: upgrade or remove it: pip uninstall ocrdeploy-faulty" in shown
    assert "fake, disabled: disabled\n  fix: take it out of the environment variable OCRDEPLOY_DISABLED_PLUGINS" in shown


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise ImportError('no such thing')", "ImportError: no such thing"),
        ("import os; os._exit(4)", "it cannot be loaded: it ends the process with exit code 4"),
        (backend("odd").replace("ocrd_contract = 1", ""), "it does not say which contract it speaks"),
        (backend("odd").replace("model)", "weights)"), "its ocrd_infer takes weights, which the hook does not have"),
        (backend("vega"), "its entry point is 'odd', and its backend calls itself 'vega'"),
        ("import cv2, yaml\n" + backend("odd"), "loading it imports cv2, yaml, and every ocrd command waits for that"),
        ("import time; time.sleep(0.7)\n" + backend("odd"), "loading it and asking its static hooks takes"),
        (backend("odd", "return Probe(problem='no card')"), "its probe names a problem and no remedy: no card"),
        (DATASET.format(name="odd", sniff="lambda path: True"), "it takes a path that does not exist for its own"),
        (DATASET.format(name="odd", sniff="lambda path: 1 / 0"), "it raises ZeroDivisionError for a path that does not exist"),
    ],
)
def test_what_is_wrong_is_said_and_found_wanting(ocrd: Ocrd, site: Site, source: str, said: str) -> None:
    site("odd", source)
    checked = ocrd("plugin", "check", "odd", "--static")
    assert checked.returncode == 3
    assert f"  broken: {said}" in checked.stdout or f"its DatasetInfo.sniff is wrong: {said}" in checked.stdout
    assert "verdict: found wanting" in checked.stdout


def test_what_is_only_odd_is_a_warning(ocrd: Ocrd, site: Site) -> None:
    site("odd", "print('hello')\n" + backend("odd"))
    checked = ocrd("plugin", "check", "odd", "--static")
    assert checked.returncode == 0
    assert "warning: plugin 'odd' (ocrdeploy-odd) prints: hello" in checked.stdout
    assert "warning: ocrdeploy-odd does not say which ocrdeploy it needs" in checked.stdout
    assert "warning: ocrdeploy-odd says nothing of a licence" in checked.stdout
    assert checked.stdout.endswith("  verdict: good\n")


def test_names_that_another_plugin_has_are_found(ocrd: Ocrd, site: Site) -> None:
    folder = site("odd", backend("odd"))
    (folder / "ocrdeploy_twin-1.0.dist-info").mkdir()
    (folder / "ocrdeploy_twin-1.0.dist-info" / "METADATA").write_text("Name: ocrdeploy-twin\nVersion: 1.0\n")
    (folder / "ocrdeploy_twin-1.0.dist-info" / "entry_points.txt").write_text("[ocrdeploy]\nodd = ocrdeploy_odd\n")
    checked = ocrd("plugin", "check", "odd", "--static")
    assert checked.returncode == 3
    assert "beside what is installed here it cannot be used: the name 'odd' is claimed more than once" in checked.stdout


def test_a_backend_that_cannot_run_here_is_not_judged(ocrd: Ocrd, site: Site) -> None:
    site("lacking", backend("lacking", "return Probe(problem='there is no card', fix='plug one in')"))
    checked = ocrd("plugin", "check", "lacking")
    assert checked.returncode == 1
    assert "contract suite: not run, the backend cannot run here: there is no card (fix: plug one in)" in checked.stdout
    assert "error: plugin 'lacking' could not be judged" in checked.stderr


def test_the_contract_suite_judges_a_backend(ocrd: Ocrd, site: Site) -> None:
    site("refuses", backend("refuses"))
    checked = ocrd("plugin", "check", "refuses")
    assert checked.returncode == 3
    assert "contract suite, --ocrd-backend=refuses: " in checked.stdout
    assert "0 failed" not in checked.stdout


def test_a_suite_without_pytest_names_what_brings_it(ocrd: Ocrd, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site("vega", backend("vega"))
    monkeypatch.setattr(suite, "find_spec", lambda _: None)
    checked = ocrd("plugin", "check", "vega")
    assert checked.returncode == 1
    assert "the contract suite needs pytest, which is not installed (fix: pip install 'ocrdeploy[testing]')" in checked.stdout


def project(folder: Path, text: str) -> Path:
    folder.mkdir()
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return folder


def test_a_folder_is_checked_without_being_installed(ocrd: Ocrd, tmp_path: Path) -> None:
    head = '[project]\nname = "far"\nversion = "3.1"\ndependencies = ["ocrdeploy>=99"]\n'
    text = head + '[project.entry-points.ocrdeploy]\nodd = "odd_plugin"\n'
    folder = project(tmp_path / "far", text)
    (folder / "odd_plugin.py").write_text(backend("odd"), encoding="utf-8")
    (folder / "LICENSE").write_text("yours", encoding="utf-8")
    checked = ocrd("plugin", "check", folder, "--static")
    assert checked.returncode == 3
    assert checked.stdout.startswith("odd (far 3.1): backend\n  broken: far refuses ocrdeploy ")
    assert "licence" not in checked.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[project]\nname = "far"\n', "names no plugin: it has no table [project.entry-points.ocrdeploy]"),
        ("[project\n", "is not TOML"),
    ],
)
def test_a_folder_that_is_no_plugins_is_an_error(ocrd: Ocrd, tmp_path: Path, text: str, said: str) -> None:
    checked = ocrd("plugin", "check", project(tmp_path / "far", text))
    assert (checked.returncode, checked.stdout) == (1, "")
    assert said in checked.stderr
    assert "fix:" in checked.stderr


def test_an_unknown_name_and_an_empty_folder_are_errors(ocrd: Ocrd, tmp_path: Path) -> None:
    unknown = ocrd("plugin", "check", "onxruntime")
    assert unknown.returncode == 1
    assert "unknown plugin 'onxruntime' (did you mean 'onnxruntime'?)" in unknown.stderr
    assert "cannot read" in ocrd("plugin", "check", tmp_path).stderr


def test_install_and_uninstall_hand_over_to_pip(ocrd: Ocrd, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site("faulty", "raise ImportError('no such thing')")
    commands: list[list[str]] = []

    def run(command: list[str], **_: object) -> CompletedProcess[str]:
        commands.append(command)
        return CompletedProcess(command, len(commands) // 3)

    monkeypatch.setattr(subprocess, "run", run)
    assert ocrd("plugin", "install", "-e", "./ocrdeploy-nova", "--no-deps").returncode == 0
    assert ocrd("plugin", "uninstall", "-y", "faulty").returncode == 0
    failed = ocrd("plugin", "uninstall", "no-such-thing")
    assert (failed.returncode, failed.stderr.splitlines()[0]) == (1, "error: 'pip uninstall no-such-thing' failed")
    pip = [sys.executable, "-m", "pip"]
    assert commands == [
        [*pip, "install", "-e", "./ocrdeploy-nova", "--no-deps"],
        [*pip, "uninstall", "-y", "ocrdeploy-faulty"],
        [*pip, "uninstall", "no-such-thing"],
    ]


def test_a_part_of_the_core_is_not_uninstalled(ocrd: Ocrd) -> None:
    refused = ocrd("plugin", "uninstall", "ctc")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: 'ctc' is part of ocrdeploy itself\n")


def test_help_fits_80_columns(ocrd: Ocrd) -> None:
    for arguments in ([], ["list"], ["new"], ["check"], ["install"], ["uninstall"]):
        shown = ocrd("plugin", *arguments, "--help").stdout
        assert shown.startswith("Usage: ocrd plugin")
        assert max(map(len, shown.splitlines())) <= 80
    assert max(map(len, ocrd("doctor", "--help").stdout.splitlines())) <= 80


def test_without_a_command_the_help_is_shown_as_a_usage_error(ocrd: Ocrd) -> None:
    assert ocrd("plugin").returncode == 2


@pytest.mark.parametrize("arguments", [["doctor"], ["plugin"], ["plugin", "new"], ["plugin", "check"], ["plugin", "install"]])
def test_help_imports_click_and_the_standard_library_only(arguments: list[str]) -> None:
    program = f"""
import json, sys
before = set(sys.modules)
from ocrdeploy.cli import main
try:
    main({[*arguments, "--help"]!r})
finally:
    json.dump(sorted({{name.partition(".")[0] for name in set(sys.modules) - before}} - sys.stdlib_module_names), sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stderr) == ["click", "ocrdeploy"]


def test_the_kinds_of_the_command_are_those_that_there_are() -> None:
    assert [str(kind) for kind in Kind] == list(plugin.KINDS)
