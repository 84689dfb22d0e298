"""`ocrd doctor` in environments that are broken in many ways at once."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from subprocess import CompletedProcess, Popen
from typing import Any

import pytest

from ocrdeploy.doctor import examination
from ocrdeploy.doctor.examination import Examination
from ocrdeploy.doctor.findings import warning
from ocrdeploy.doctor.runtimes import Imported

Ocrd = Callable[..., CompletedProcess[str]]
Start = Callable[..., Popen[str]]
Site = Callable[..., Path]

BACKEND = """
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


def distribution(folder: Path, name: str, version: str, *requires: str) -> None:
    facts = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    facts.mkdir(parents=True)
    lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {line}" for line in requires)]
    (facts / "METADATA").write_text("Metadata-Version: 2.1\n" + "\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def without_torch(tmp_path: Path) -> Path:
    """A folder in which modules stand in for the runtimes that take long to import."""
    folder = tmp_path / "quick"
    for name in ("torch", "onnxscript"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("", encoding="utf-8")
    return folder


def examined(start: Start, *folders: Path, code: int, **variables: str) -> dict[str, Any]:
    path = os.pathsep.join([*map(str, folders), *filter(None, [os.environ.get("PYTHONPATH")])])
    out, err = start("doctor", "--json", PYTHONPATH=path, **variables).communicate(timeout=100)
    assert "Traceback" not in err
    found: dict[str, Any] = json.loads(out)
    seen = [(each["severity"], each["problem"]) for each in found["findings"]]
    assert found["ok"] == (not any(severity == "broken" for severity, _ in seen)) == (code == 0), seen
    return found


def problems(found: dict[str, Any], severity: str) -> str:
    return "\n".join(
        f"{each['about']}: {each['problem']} -> {each['fix']}" for each in found["findings"] if each["severity"] == severity
    )


def test_everything_that_is_wrong_at_once_is_found(start: Start, site: Site, without_torch: Path, tmp_path: Path) -> None:
    folder = site("raises", "raise ImportError('no such thing')")
    site("crashes", "import os; os._exit(7)")
    site("lacks", BACKEND.format(name="lacks", probe="return Probe(problem='there is no card', fix='plug one in')"))
    site("other", BACKEND.format(name="other", probe="return Probe()"))
    distribution(folder, "onnxruntime-gpu", "1.9")
    distribution(folder, "ocrdeploy-needy", "2.0", "numpy<1.5", "nothing-like-this")
    (folder / "ocrdeploy_needy-2.0.dist-info" / "entry_points.txt").write_text("[ocrdeploy]\nother2 = ocrdeploy_other\n")
    work = tmp_path / "work"
    (work / "tensorrt").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    variables = {
        "OCRDEPLOY_CASHE": "1",
        "OCRDEPLOY_CACHE": str(tmp_path / "file" / "cache"),
        "OCRDEPLOY_DISABLED_PLUGINS": "fake",
        "OCRDEPLOY_PROBE_TIMEOUT": "never",
    }
    found = examined(start, work, without_torch, code=1, **variables)
    broken = problems(found, "broken")
    for part in (
        "plugin 'raises' (ocrdeploy-raises 1.0) is broken: ImportError: no such thing",
        "plugin 'crashes' (ocrdeploy-crashes 1.0) is broken: when it is loaded, it ends the process with exit code 7",
        "pip uninstall ocrdeploy-crashes   (or set OCRDEPLOY_DISABLED_PLUGINS=crashes)",
        "are installed together, and overwrite each other's files",
        "ocrdeploy-needy 2.0 needs numpy<1.5, and numpy ",
        "ocrdeploy-needy 2.0 needs nothing-like-this, which is not installed",
        "nothing can be written to the cache folder",
        "OCRDEPLOY_PROBE_TIMEOUT is 'never'",
        *(["hides the installed torch"] if find_spec("torch") else []),
        "plugin 'other2' (ocrdeploy-needy 2.0) is broken: its entry point is 'other2'",
    ):
        assert part in broken, broken
    warnings = problems(found, "warning")
    for part in (
        "backend 'lacks' cannot run here: there is no card -> plug one in",
        "the plugin 'fake' is disabled",
        "OCRDEPLOY_CASHE is set, and nothing that is installed reads it",
        "can be imported as 'tensorrt', which is not installed",
    ):
        assert part in warnings, warnings
    states = {row["name"]: row["state"] for row in found["plugins"]}
    wanted = {"raises": "broken", "crashes": "broken", "lacks": "cannot run", "other": "ready", "fake": "disabled"}
    assert wanted.items() <= states.items()
    assert all(each["fix"] for each in found["findings"])


def test_it_goes_on_where_numpy_itself_is_broken(start: Start, without_torch: Path, tmp_path: Path) -> None:
    (tmp_path / "numpy").mkdir()
    (tmp_path / "numpy" / "__init__.py").write_text("raise ImportError('numpy was compiled for another Python')")
    found = examined(start, tmp_path, without_torch, code=1)
    broken = problems(found, "broken")
    assert f"{tmp_path / 'numpy'} hides the installed numpy" in broken
    assert [row["problem"] for row in found["libraries"] if row["module"] == "numpy"] == [
        "ImportError: numpy was compiled for another Python"
    ]
    assert "the plugins could not be loaded: it ends the process with exit code 1" in broken
    assert found["machine"]["python"]


def test_a_page_has_its_parts(start: Start, site: Site, without_torch: Path) -> None:
    folder = site("raises", "raise ImportError('no such thing')")
    process = start("doctor", PYTHONPATH=os.pathsep.join(map(str, (folder, without_torch))))
    out, err = process.communicate(timeout=100)
    assert err == ""
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[:8]] == ["python", "ocrdeploy", "system", "cpu", "memory", "gpu", "driver", "cuda"]
    assert " built in" in out
    assert "\nbroken: plugin 'raises' (ocrdeploy-raises 1.0) is broken: ImportError: no such thing\n  fix: " in out
    assert process.returncode == 1
    assert re.fullmatch(r"\d broken, \d warnings? \(in [\d.]+ s\)", lines[-1])


def test_warnings_alone_are_exit_code_0(ocrd: Ocrd, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = warning("tensorrt", "the folder ./tensorrt can be imported", "rename it")
    rows = (Imported("torch", "torch", "2.13", 1.25), Imported("openvino", "openvino", "2026.4", problem="it crashes"))
    monkeypatch.setattr(examination, "examine", lambda _: Examination({"python": "3.11"}, rows, findings=(odd,), took_s=1.5))
    done = ocrd("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert "torch     2.13     torch         1.2 s\nopenvino  2026.4   openvino      fails\n" in done.stdout
    assert done.stdout.endswith(
        "\nwarning: the folder ./tensorrt can be imported\n  fix: rename it\n\nnothing is broken, 1 warning (in 1.5 s)\n"
    )
