"""`ocrd plugin new`: what it makes installs, passes the contract suite as it is, and is whole or not there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from ocrdeploy.errors import OcrdError
from ocrdeploy.scaffold import package
from ocrdeploy.scaffold.package import Kind

Ocrd = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Kind, tuple[Path, Path]]:
    """A new plugin of each kind: its folder, and where pip installed it."""
    folder = tmp_path_factory.mktemp("new")

    def make(kind: Kind) -> tuple[Path, Path]:
        project = package.create(f"nova-{kind}", kind, folder)
        site = folder / f"{kind}-site"
        offline = ("--no-deps", "--no-index", "--no-build-isolation", "--no-compile", "--disable-pip-version-check")
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", *offline, "--target", site, project], check=True)
        return project, site

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(Kind, pool.map(make, Kind), strict=True))


@pytest.mark.parametrize("kind", Kind)
def test_its_own_tests_pass_once_it_is_installed(made: Mapping[Kind, tuple[Path, Path]], kind: Kind) -> None:
    project, site = made[kind]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d passed", done.stdout)


@pytest.mark.parametrize("kind", Kind)
def test_the_check_finds_its_folder_good_without_installing_it(
    made: Mapping[Kind, tuple[Path, Path]], ocrd: Ocrd, kind: Kind
) -> None:
    # That a new backend passes the suite, its own tests have shown; the suite takes a while.
    checked = ocrd("plugin", "check", made[kind][0], *(["--static"] if kind is Kind.BACKEND else []))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.endswith("  verdict: good\n")
    assert "broken:" not in checked.stdout


@pytest.mark.parametrize("kind", Kind)
def test_nothing_of_the_templates_is_left_to_fill_in(made: Mapping[Kind, tuple[Path, Path]], kind: Kind) -> None:
    project, _ = made[kind]
    files = {path.relative_to(project).as_posix(): path for path in project.rglob("*") if path.is_file()}
    assert {"pyproject.toml", "README.md", ".gitignore", ".github/workflows/test.yml", "tests/test_installed.py"} <= set(files)
    assert {f"src/ocrdeploy_nova_{kind}/{name}" for name in ("__init__.py", "hooks.py", "py.typed")} <= set(files)
    for path in files.values():
        if path.suffix not in {".onnx", ".pyc"}:
            assert not re.search(r"@[A-Z0-9_]+@|PACKAGE|\.template", path.read_text(encoding="utf-8")), path
    settings = tomllib.loads(files["pyproject.toml"].read_text(encoding="utf-8"))["project"]
    assert settings["name"] == f"ocrdeploy-nova-{kind}"
    assert settings["entry-points"]["ocrdeploy"] == {f"nova-{kind}": f"ocrdeploy_nova_{kind}.hooks"}
    assert "licence" in files["README.md"].read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", Kind)
def test_the_code_pleases_the_linter(made: Mapping[Kind, tuple[Path, Path]], kind: Kind) -> None:
    project, _ = made[kind]
    command = [sys.executable, "-m", "ruff"]
    rules = ["--isolated", "--no-cache", "--line-length=130"]
    subprocess.run([*command, "check", *rules, "--select=E,F,UP,B,SIM", project], check=True)
    subprocess.run([*command, "format", *rules, "--check", project], check=True)


def test_the_folder_stands_alone_on_the_last_line(ocrd: Ocrd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = ocrd("plugin", "new", "nova")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "ocrdeploy-nova"
    assert "  pytest --pyargs ocrdeploy.testing --ocrd-backend=nova\n" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["ocrdeploy-nova"]
    assert ocrd("plugin", "new", "vega", "-q").stdout == "ocrdeploy-vega\n"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("9lives", "'9lives' cannot be a plugin's name"),
        ("No-Va", "cannot be a plugin's name: it has to be a name in Python, too"),
        ("no va", "cannot be a plugin's name"),
        ("no--va", "cannot be a plugin's name"),
        ("../nova", "cannot be a plugin's name"),
        ("größe", "cannot be a plugin's name"),
        ("ocrdeploy-nova", "'ocrdeploy-nova' is a distribution's name"),
        ("auto", "it means something else to ocrdeploy"),
        ("ctc", "there is a plugin 'ctc' already, of ocrdeploy itself"),
        ("fake", "there is a plugin 'fake' already, of ocrdeploy-fake"),
    ],
)
def test_a_bad_name_is_a_sentence_and_leaves_nothing(
    ocrd: Ocrd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = ocrd("plugin", "new", name)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert "fix:" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_left_alone(ocrd: Ocrd, tmp_path: Path) -> None:
    (tmp_path / "ocrdeploy-nova").mkdir()
    (tmp_path / "ocrdeploy-nova" / "mine.txt").write_text("mine")
    done = ocrd("plugin", "new", "nova", "--into", tmp_path)
    assert done.returncode == 1
    assert "exists already" in done.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["ocrdeploy-nova", "mine.txt"]


def test_a_place_that_is_not_there_is_named(ocrd: Ocrd, tmp_path: Path) -> None:
    done = ocrd("plugin", "new", "nova", "--into", tmp_path / "nowhere")
    assert done.returncode == 1
    assert "nowhere is not a folder" in done.stderr


def test_what_fails_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, written = Path.write_bytes, 0

    def full(self: Path, content: bytes) -> int:
        nonlocal written
        written += 1
        if written > 4:
            raise OSError(28, "No space left on device")
        return write(self, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OcrdError, match="No space left on device"):
        package.create("nova", Kind.BACKEND, tmp_path)
    assert written > 4
    assert list(tmp_path.iterdir()) == []
