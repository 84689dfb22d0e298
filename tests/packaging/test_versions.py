"""All distributions carry one version, and everything that names it agrees."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import ocrdeploy

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECTS = sorted(
    path for pattern in ("core", "plugins/*", "tests/fake_backend") for path in REPOSITORY.glob(f"{pattern}/pyproject.toml")
)


def project(path: Path) -> dict[str, Any]:
    settings: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    return settings


def test_all_distributions_are_found() -> None:
    assert len(PROJECTS) == 7


@pytest.mark.parametrize("path", PROJECTS, ids=lambda path: path.parent.name)
def test_a_distribution_has_the_version_of_the_core(path: Path) -> None:
    assert project(path)["version"] == ocrdeploy.__version__


@pytest.mark.parametrize("path", [path for path in PROJECTS if path.parent.name != "core"], ids=lambda path: path.parent.name)
def test_a_plugin_accepts_this_core_and_says_from_which_version_on(path: Path) -> None:
    (core,) = (each for each in map(Requirement, project(path)["dependencies"]) if each.name == "ocrdeploy")
    assert core.specifier.contains(ocrdeploy.__version__)


def test_the_changelog_begins_with_this_version() -> None:
    text = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    heading = re.search(r"^## \[(?P<version>[^]]+)\] - (?P<date>Unreleased|\d{4}-\d\d-\d\d)$", text, re.MULTILINE)
    assert heading
    assert heading["version"] == ocrdeploy.__version__
