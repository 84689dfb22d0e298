"""The contract suite finds what is wrong, each defect by the test that is there for it, and nothing where nothing is wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from ocrdeploy import testing

HERE = Path(__file__).parent
SUITE = Path(testing.__file__).parent
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def _load(path: Path) -> ModuleType:
    spec = spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DEFECTS: Mapping[str, tuple[str, str]] = _load(HERE / "defective_backend" / "ocrdeploy_defective.py").DEFECTS
FLAWS: Mapping[str, tuple[str, str]] = _load(HERE / "defective_backend" / "ocrdeploy_flawed.py").DEFECTS
MODULES = {
    name: path.name
    for path in SUITE.glob("test_*.py")
    for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
}
"""Every test of the suite, and the module that it is in."""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which both are installed as pip would: with metadata and entry points."""
    folder = tmp_path_factory.mktemp("site")
    for name in ("defective", "flawed"):
        facts = folder / f"ocrdeploy_{name}-1.0.dist-info"
        facts.mkdir()
        requires = "Requires-Dist: iniconfig\nRequires-Dist: numpy\n"
        metadata = f"Metadata-Version: 2.1\nName: ocrdeploy-{name}\nVersion: 1.0\n{requires}"
        (facts / "METADATA").write_text(metadata, encoding="utf-8")
        (facts / "entry_points.txt").write_text(f"[ocrdeploy]\n{name} = ocrdeploy_{name}\n", encoding="utf-8")
    return folder


@pytest.fixture
def suite(site: Path, tmp_path: Path) -> Run:
    """`suite(defect, *arguments)`: run the contract suite in a process of its own, with this switch."""

    def run(defect: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(site), str(HERE / "defective_backend"), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": path, "OCRDEPLOY_DEFECT": defect, "OCRDEPLOY_CACHE": str(tmp_path / "cache")}
        options = ("-q", "-p", "no:cacheprovider", "-W", "error")
        command = [sys.executable, "-m", "pytest", *options, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300)

    return run


def assert_found(done: subprocess.CompletedProcess[str], what: str, test: str) -> None:
    failed = re.findall(r"^FAILED \S+::(\w+)", done.stdout, re.MULTILINE)
    assert test in failed, f"{what}: {done.stdout}{done.stderr}"
    assert done.returncode == 1
    assert "Traceback" not in done.stdout
    assert not re.search(r"^E  ", done.stdout, re.MULTILINE), "a failure is a sentence, and no traceback"


def test_there_are_twenty_five_defects_at_least_and_each_has_a_test() -> None:
    assert len(DEFECTS) >= 25
    assert {test for _, test in (*DEFECTS.values(), *FLAWS.values())} <= MODULES.keys()


@pytest.mark.parametrize("option", ["--ocrd-backend=defective", "--ocrd-models=flawed"])
def test_nothing_is_found_where_nothing_is_wrong(suite: Run, option: str) -> None:
    done = suite("", "--pyargs", "ocrdeploy.testing", option)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_found_by_the_test_that_is_there_for_it(suite: Run, defect: str) -> None:
    what, test = DEFECTS[defect]
    assert_found(suite(defect, f"{SUITE / MODULES[test]}::{test}", "--ocrd-backend=defective"), what, test)


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_flaw_of_a_model_pack_is_found_by_the_test_that_is_there_for_it(suite: Run, flaw: str) -> None:
    what, test = FLAWS[flaw]
    assert_found(suite(flaw, f"{SUITE / MODULES[test]}::{test}", "--ocrd-models=flawed"), what, test)


@pytest.mark.parametrize(("defects", "heading"), [(DEFECTS, "| half |"), (FLAWS, "| pack-heavy |")], ids=["backend", "models"])
def test_the_table_in_the_documents_is_the_one_that_is_tested(
    repository: Path, defects: Mapping[str, tuple[str, str]], heading: str
) -> None:
    page = (repository / "docs" / "contract-suite.md").read_text(encoding="utf-8")
    rows = [f"| {name} | {what} | `{test}` |" for name, (what, test) in defects.items()]
    assert rows[0].startswith(heading)
    assert "\n".join(["|---|---|---|", *rows, ""]) + "\n" in page + "\n"
