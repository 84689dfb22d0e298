"""Each distribution builds a wheel and an sdist that hold all they should, and the wheels work where no checkout is near."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DISTRIBUTIONS = (
    "core",
    "plugins/onnxruntime",
    "plugins/openvino",
    "plugins/ppocr",
    "plugins/pytorch",
    "plugins/tensorrt",
    "tests/fake_backend",
)
PUBLISHED = DISTRIBUTIONS[:-1]
RUNTIMES = ("onnxruntime", "onnxruntime_gpu", "openvino", "rapidocr", "tensorrt", "tensorrt_rtx", "torch")

BUILD = """
import os, pathlib, sys, tarfile
from hatchling import build

out = pathlib.Path(sys.argv[1])
for folder in ("wheel", "sdist", "again"):
    (out / folder).mkdir(parents=True)
build.build_wheel(str(out / "wheel"))
sdist = build.build_sdist(str(out / "sdist"))
with tarfile.open(out / "sdist" / sdist) as archive:
    archive.extractall(out / "unpacked", filter="data")
os.chdir(out / "unpacked" / sdist.removesuffix(".tar.gz"))
build.build_wheel(str(out / "again"))
"""
"""Calls the build backend as pip does, without the network; the second wheel is made from the sdist."""

IMPORT = """
import importlib, sys

for name in sys.argv[2:]:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in sys.argv[1].split(","):
            raise
"""
"""Imports the modules it is given; only a runtime may be missing."""


@dataclass(frozen=True)
class Built:
    """What was built from one folder."""

    source: Path
    wheel: Path
    sdist: Path
    wheel_of_sdist: Path

    def project(self) -> dict[str, Any]:
        settings: dict[str, Any] = tomllib.loads((self.source / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        return settings

    def files(self) -> dict[str, bytes]:
        with zipfile.ZipFile(self.wheel) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    def in_dist_info(self, name: str) -> bytes:
        (found,) = (content for path, content in self.files().items() if path.endswith(f".dist-info/{name}"))
        return found

    def metadata(self) -> Message:
        return message_from_bytes(self.in_dist_info("METADATA"))


def build(source: Path, out: Path) -> Built:
    subprocess.run([sys.executable, "-c", BUILD, str(out)], cwd=source, check=True, stdout=subprocess.DEVNULL)
    made = [next((out / folder).iterdir()) for folder in ("wheel", "sdist", "again")]
    return Built(source, *made)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Built]:
    pytest.importorskip("hatchling", reason="building a distribution without the network needs hatchling: pip install hatchling")
    out = tmp_path_factory.mktemp("built")
    with ThreadPoolExecutor(max_workers=2) as pool:
        made = pool.map(lambda name: build(REPOSITORY / name, out / Path(name).name), DISTRIBUTIONS)
        return dict(zip(DISTRIBUTIONS, made, strict=True))


def test_every_distribution_of_the_checkout_is_built_here() -> None:
    found = {path.parent for pattern in ("*", "*/*") for path in REPOSITORY.glob(f"{pattern}/pyproject.toml")}
    assert {path.relative_to(REPOSITORY).as_posix() for path in found} == set(DISTRIBUTIONS)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_wheel_holds_the_whole_source_and_nothing_else(built: Mapping[str, Built], name: str) -> None:
    source = REPOSITORY / name / "src"
    expected = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    packed = {path for path in built[name].files() if ".dist-info/" not in path}
    assert packed == expected
    assert any(path.endswith("/py.typed") for path in packed)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_metadata_say_what_the_project_says(built: Mapping[str, Built], name: str) -> None:
    made, project = built[name], built[name].project()
    metadata = made.metadata()
    assert metadata["Name"] == project["name"]
    assert metadata["Version"] == project["version"]
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Summary"]
    assert set(metadata.get_all("Provides-Extra", [])) == set(project.get("optional-dependencies", {}))
    entry_points = made.in_dist_info("entry_points.txt").decode()
    for point, target in project["entry-points"]["ocrdeploy"].items():
        assert f"{point} = {target}\n" in entry_points


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_wheel_carries_the_licence_and_a_description(built: Mapping[str, Built], name: str) -> None:
    assert built[name].in_dist_info("licenses/LICENSE") == (REPOSITORY / "LICENSE").read_bytes()
    description = built[name].metadata().get_payload()
    assert isinstance(description, str)
    assert description.strip() == (REPOSITORY / name / "README.md").read_text(encoding="utf-8").strip()


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_sdist_builds_the_same_wheel(built: Mapping[str, Built], name: str) -> None:
    assert built[name].wheel_of_sdist.name == built[name].wheel.name
    assert built[name].wheel_of_sdist.read_bytes() == built[name].wheel.read_bytes()


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_sdist_holds_no_more_than_is_needed(built: Mapping[str, Built], name: str) -> None:
    with tarfile.open(built[name].sdist) as archive:
        top = {Path(member).parts[1] for member in archive.getnames()}
    assert top <= {"src", "pyproject.toml", "PKG-INFO", "README.md", "LICENSE", ".gitignore"}


@pytest.fixture(scope="module")
def environment(built: Mapping[str, Built], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the published wheels, and of this one's packages all but ocrdeploy's and the runtimes."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False, symlinks=os.name == "posix")
    python = folder / "bin" / "python"
    wheels = [str(built[name].wheel) for name in PUBLISHED]
    install = ["install", "--quiet", "--no-index", "--no-deps", "--no-compile", "--disable-pip-version-check", *wheels]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), *install], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    others = folder / "others"
    others.mkdir()
    for entry in sys.path:
        if entry.endswith("site-packages"):
            borrow(Path(entry), others)
    (site / "others.pth").write_text(f"{others}\n", encoding="utf-8")
    return folder


def borrow(site: Path, others: Path) -> None:
    unwanted = tuple(f"{name}{end}" for name in RUNTIMES for end in ("-", "/"))
    for path in site.iterdir():
        is_ours = "ocrdeploy" in path.name or path.suffix == ".pth"
        if not is_ours and not f"{path.name}/".startswith(unwanted) and not (others / path.name).exists():
            (others / path.name).symlink_to(path)


def run(environment: Path, *command: str) -> str:
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "OCRDEPLOY_"))}
    program = environment / "bin" / command[0]
    done = subprocess.run(
        [program, *command[1:]], cwd=environment, env=variables, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_installed_module_can_be_imported_without_a_runtime(built: Mapping[str, Built], environment: Path) -> None:
    paths = [path for name in PUBLISHED for path in built[name].files() if path.endswith(".py")]
    modules = {path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in paths}
    modules.discard("ocrdeploy.__main__")
    assert len(modules) > len(PUBLISHED)
    run(environment, "python", "-W", "error", "-c", IMPORT, ",".join(RUNTIMES), *sorted(modules))


def test_the_installed_package_is_the_wheel_not_the_checkout(environment: Path) -> None:
    where = run(environment, "python", "-c", "import ocrdeploy; print(ocrdeploy.__file__)")
    assert Path(where.strip()).is_relative_to(environment)


@pytest.mark.parametrize("command", [("ocrd",), ("ocrdeploy",), ("python", "-m", "ocrdeploy")])
def test_the_installed_commands_answer(environment: Path, command: tuple[str, ...]) -> None:
    assert "run" in run(environment, *command, "--help")


def test_installed_backends_have_a_row_each_even_without_their_runtimes(environment: Path) -> None:
    found = json.loads(run(environment, "ocrd", "backends", "--json"))
    assert {row["name"] for row in found["backends"]} == {"onnxruntime", "openvino", "pytorch", "tensorrt"}
    assert all(row["problem"] and row["fix"] for row in found["backends"])
    assert found["broken"] == []
