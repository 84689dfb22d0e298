from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from ocrdeploy.cli.tables import columns, table

Ocrd = Callable[..., CompletedProcess[str]]
Site = Callable[[str, str], Path]

BACKEND = """
from ocrdeploy import hookimpl
from ocrdeploy.vocabulary import BackendInfo, Probe
ocrd_contract = 1

@hookimpl
def ocrd_backend():
    names = {"runs": ("nova-plan",), "builds_from": ("onnx",), "precisions": ("fp32", "fp16"), "options": ("speed",)}
    return BackendInfo("nova", rank=-7, **names)

@hookimpl
def ocrd_probe():
    return Probe("9.1", "nova:0", "the sun is down", "wait for the morning", {"flavour": "red", "driver": "580.1"})

@hookimpl
def ocrd_infer(model):
    raise NotImplementedError
"""


def test_json_says_all_there_is_to_say(ocrd: Ocrd, site: Site) -> None:
    site("nova", BACKEND)
    done = ocrd("backends", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert set(found) == {"backends", "broken", "disabled"}
    (nova,) = (row for row in found["backends"] if row["name"] == "nova")
    assert nova == {
        "name": "nova",
        "distribution": "ocrdeploy-nova",
        "distribution_version": "1.0",
        "version": "9.1",
        "device": "nova:0",
        "runs": ["nova-plan"],
        "builds_from": ["onnx"],
        "precisions": ["fp32", "fp16"],
        "options": ["speed"],
        "session_options": [],
        "rank": -7,
        "ok": False,
        "problem": "the sun is down",
        "fix": "wait for the morning",
        "details": {"flavour": "red", "driver": "580.1"},
        "flavour": "red",
    }
    assert {row["flavour"] for row in found["backends"] if row["name"] in {"onnxruntime", "pytorch"}} <= {""}


def test_the_table_says_what_each_lacks(ocrd: Ocrd, site: Site) -> None:
    site("nova", BACKEND)
    done = ocrd("backends")
    assert (done.returncode, done.stderr) == (0, "")
    (row,) = (line for line in done.stdout.splitlines() if line.startswith("nova  "))
    assert row.split() == ["nova", "9.1", "nova:0", "nova-plan", "onnx", "fp32", "fp16", "cannot", "run"]
    assert "\nnova: flavour red, driver 580.1\n" in done.stdout
    assert "\nnova cannot run here: the sun is down\n  fix: wait for the morning\n" in done.stdout


def test_a_broken_plugin_is_named_with_its_distribution_and_remedy(ocrd: Ocrd, site: Site) -> None:
    site("nova", "import a_module_that_is_not_there\n")
    done = ocrd("backends")
    assert done.returncode == 0
    complaint, fix = done.stdout[done.stdout.index("nova is broken") :].splitlines()[:2]
    assert complaint == "nova is broken (ocrdeploy-nova): ModuleNotFoundError: No module named 'a_module_that_is_not_there'"
    assert "pip uninstall ocrdeploy-nova" in fix
    (broken,) = (row for row in json.loads(ocrd("backends", "--json").stdout)["broken"] if row["name"] == "nova")
    assert broken["distribution"] == "ocrdeploy-nova"
    assert "pip uninstall ocrdeploy-nova" in broken["fix"]


def test_a_disabled_plugin_is_named_and_not_imported(ocrd: Ocrd, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site("nova", "raise SystemExit('imported')\n")
    monkeypatch.setenv("OCRDEPLOY_DISABLED_PLUGINS", "nova")
    assert "disabled by OCRDEPLOY_DISABLED_PLUGINS: nova\n" in ocrd("backends").stdout
    found = json.loads(ocrd("backends", "--json").stdout)
    assert found["disabled"] == ["nova"]
    assert found["broken"] == []


def test_no_backend_at_all_says_which_command_installs_one(ocrd: Ocrd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocrdeploy.plugins.entry_points", lambda **_: [])
    done = ocrd("backends")
    assert done.returncode == 0
    assert done.stdout == "no backend is installed\n  fix: pip install 'ocrdeploy-onnxruntime[cpu]'\n"


def test_wide_characters_are_aligned() -> None:
    assert [columns(text) for text in ("abc", "文字", "e\N{COMBINING ACUTE ACCENT}", "\N{ZERO WIDTH SPACE}")] == [3, 4, 1, 0]
    lines = table(("name", "state"), [("文字認識", "ready"), ("é" + "e\N{COMBINING ACUTE ACCENT}", "ready")]).splitlines()
    assert [columns(line[: line.lower().index("ready" if index else "state")]) for index, line in enumerate(lines)] == [
        10,
        10,
        10,
    ]


def test_a_table_that_is_wider_than_the_terminal_becomes_blocks() -> None:
    rows = [("one", "1.0", ""), ("two", "2.0", "cannot run")]
    assert table(("name", "version", "state"), rows, room=30).startswith("NAME  VERSION  STATE\n")
    assert table(("name", "version", "state"), rows, room=20) == (
        "one\n  version  1.0\n\ntwo\n  version  2.0\n  state    cannot run\n"
    )
