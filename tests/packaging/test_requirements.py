"""requirements-dev.txt installs everything, and constraints.txt pins everything that it installs."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[2]
IN_EVERY_ENVIRONMENT = {"pip", "setuptools"}
"""What a new environment has already, and `pip freeze` therefore leaves out."""


def lines(name: str) -> list[str]:
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def pinned() -> dict[str, str]:
    pairs = (line.split("==") for line in lines("constraints.txt"))
    return {canonicalize_name(name): version for name, version in pairs}


def editable() -> dict[Path, set[str]]:
    """The folders that requirements-dev.txt installs, with their extras."""
    found = {}
    for line in lines("requirements-dev.txt"):
        if match := re.fullmatch(r"-e \./(?P<folder>[\w/]+)(\[(?P<extras>[\w,]+)\])?", line):
            found[REPOSITORY / match["folder"]] = set((match["extras"] or "").split(",")) - {""}
    return found


def tools() -> list[Requirement]:
    return [Requirement(line) for line in lines("requirements-dev.txt") if not line.startswith("-")]


def needed_by(folder: Path, extras: set[str]) -> Iterator[Requirement]:
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = list(project["dependencies"])
    for extra in extras:
        named += project["optional-dependencies"][extra]
    yield from (needed for needed in map(Requirement, named) if not needed.name.startswith("ocrdeploy"))


def all_needed() -> set[str]:
    """The names of all that is installed, found by following what the installed distributions say they require."""
    waiting = [*tools(), *(needed for folder, extras in editable().items() for needed in needed_by(folder, extras))]
    seen: set[tuple[str, str]] = set()
    while waiting:
        current = waiting.pop()
        for extra in ("", *sorted(current.extras)):
            key = (canonicalize_name(current.name), extra)
            if key not in seen:
                seen.add(key)
                waiting += required_by(current.name, extra)
    return {name for name, _ in seen}


def required_by(name: str, extra: str) -> list[Requirement]:
    try:
        found = map(Requirement, requires(name) or [])
    except PackageNotFoundError:  # a tool that this environment lacks; its own name is checked all the same
        return []
    return [each for each in found if each.marker is None or each.marker.evaluate({"extra": extra})]


def test_every_distribution_is_installed_editable() -> None:
    found = {path.parent for pattern in ("core", "plugins/*", "tests/*") for path in REPOSITORY.glob(f"{pattern}/pyproject.toml")}
    assert set(editable()) == found


def test_the_constraints_apply() -> None:
    assert "-c constraints.txt" in lines("requirements-dev.txt")


def test_constraints_are_exact() -> None:
    assert [line for line in lines("constraints.txt") if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []


def test_everything_that_is_installed_is_pinned() -> None:
    assert all_needed() - set(pinned()) - IN_EVERY_ENVIRONMENT == set()


def test_nothing_is_pinned_that_is_not_installed() -> None:
    assert set(pinned()) - all_needed() == set()


def test_pins_satisfy_the_distributions() -> None:
    for folder, extras in editable().items():
        for needed in needed_by(folder, extras):
            version = pinned()[canonicalize_name(needed.name)]
            assert needed.specifier.contains(version), f"{folder.name} needs {needed}, constraints.txt has {version}"


def test_opencv_is_the_one_without_a_window_system() -> None:
    assert [name for name in pinned() if name.startswith("opencv")] == ["opencv-python-headless"]
