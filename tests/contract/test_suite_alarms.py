"""The contract suite raises no false alarm on what is right, and does not disturb who does not ask for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ocrdeploy import backend, plugins


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=600)


@pytest.mark.parametrize("name", ["fake", "onnxruntime", "openvino", "pytorch"])
def test_a_backend_that_is_right_passes(tmp_path: Path, name: str) -> None:
    found = plugins.discover()
    if name not in found.backends:
        pytest.skip(f"needs the backend {name}: pip install ocrdeploy-{name}")
    if problem := backend.probe(found, name).problem:
        pytest.skip(f"needs the backend {name}: {problem}")
    done = run(tmp_path, "--pyargs", "ocrdeploy.testing", f"--ocrd-backend={name}")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["ppocr", "pytorch"])
def test_models_that_are_right_pass(tmp_path: Path, name: str) -> None:
    if name not in plugins.discover().installed:
        pytest.skip(f"needs the plugin {name}: pip install ocrdeploy-{name}")
    done = run(tmp_path, "--pyargs", "ocrdeploy.testing", f"--ocrd-models={name}")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "give --ocrd-backend=NAME or --ocrd-models=NAME"),
        (("--ocrd-backend=fakee",), "unknown backend 'fakee' (did you mean 'fake'?)"),
        (("--ocrd-models=ppocrr",), "unknown plugin 'ppocrr' (did you mean 'ppocr'?)"),
        (("--ocrd-models=fake",), "'fake' lists no models"),
    ],
)
def test_what_cannot_be_tested_is_a_usage_error(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    done = run(tmp_path, "--pyargs", "ocrdeploy.testing", *options)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert said in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def install(folder: Path, name: str, source: str) -> None:
    facts = folder / f"ocrdeploy_{name}-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: ocrdeploy-{name}\nVersion: 1.0\n", encoding="utf-8")
    (facts / "entry_points.txt").write_text(f"[ocrdeploy]\n{name} = ocrdeploy_{name}\n", encoding="utf-8")
    (folder / f"ocrdeploy_{name}.py").write_text(source, encoding="utf-8")


ABSENT = """
from ocrdeploy import hookimpl
from ocrdeploy.vocabulary import BackendInfo, Probe

ocrd_contract = 1


@hookimpl
def ocrd_backend():
    return BackendInfo("absent", runs=("onnx",))


@hookimpl
def ocrd_probe():
    return Probe(problem="the runtime is not installed", fix="pip install absent-runtime")


@hookimpl
def ocrd_infer():
    raise AssertionError
"""


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (ABSENT, "'absent' cannot run here: the runtime is not installed (fix: pip install absent-runtime)"),
        ("raise RuntimeError('half installed')", "'absent' (ocrdeploy-absent) is broken: RuntimeError: half installed"),
    ],
    ids=["absent", "broken"],
)
def test_a_backend_that_cannot_run_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, said: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    install(tmp_path, "absent", source)
    done = run(tmp_path, "--pyargs", "ocrdeploy.testing", "--ocrd-backend=absent")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert said in done.stderr


def test_other_runs_of_pytest_are_not_disturbed(tmp_path: Path) -> None:
    suite = Path(plugins.__file__).parent / "testing"
    (tmp_path / "test_other.py").write_text(
        "import sys\n\n\ndef test_other():\n"
        "    assert not {'numpy', 'onnx', 'cv2', 'PIL', 'torch', 'ocrdeploy.plugins'} & set(sys.modules)\n",
        encoding="utf-8",
    )
    done = run(tmp_path, "test_other.py", "--ocrd-backend=fakee")
    assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "test_other.py").write_text("def test_other():\n    pass\n", encoding="utf-8")
    done = run(tmp_path, "test_other.py", str(suite))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_a_backend_and_models_are_tested_in_one_run(tmp_path: Path) -> None:
    done = run(tmp_path, "--pyargs", "ocrdeploy.testing", "--ocrd-backend=fake", "--ocrd-models=pytorch", "--collect-only")
    assert "test_contract_values.py" in done.stdout
    assert "test_models_specs.py" in done.stdout
