"""The folder of a plugin's package, which need not be installed: Python can be shown it as if it were."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import Distribution, entry_points
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ocrdeploy.doctor.packages import CORE, GROUP
from ocrdeploy.errors import BadInput, unknown


@dataclass(frozen=True, slots=True)
class Candidate:
    """Plugins of one distribution, by their entry points' names: what is checked.

    `path` goes before `sys.path` for them to be found; it is empty for what is installed. `licensed`: whether anything says
    under which licence the distribution may be used.
    """

    distribution: str
    version: str
    names: tuple[str, ...]
    requires: tuple[str, ...]
    licensed: bool
    path: tuple[str, ...] = ()
    entry_points: Mapping[str, str] = field(default_factory=dict)


def find(reference: str) -> Candidate:
    """Return the plugin that `reference` means: a folder with a pyproject.toml, else the name of an installed plugin.

    Raises `OcrdError` where there is neither, or the folder is not a plugin's.
    """
    folder = Path(reference)
    if folder.is_dir():
        return _project(folder.resolve())
    found = {point.name: point.dist for point in entry_points(group=GROUP)}
    if reference not in found:
        raise unknown("plugin", reference, found, "name an installed plugin ('ocrd plugin list'), or the folder of one")
    return _installed(reference, found[reference])


def _installed(name: str, distribution: Distribution | None) -> Candidate:
    if distribution is None:
        return Candidate("an unknown distribution", "", (name,), (CORE,), licensed=True)
    licensed = any(distribution.metadata.get_all(key) for key in ("License-Expression", "License", "License-File"))
    return Candidate(distribution.name, distribution.version, (name,), tuple(distribution.requires or ()), licensed)


def _project(folder: Path) -> Candidate:
    project = _read(folder / "pyproject.toml")
    points = project.get("entry-points", {}).get(GROUP, {})
    if not isinstance(points, dict) or not points:
        problem = f"{folder / 'pyproject.toml'} names no plugin: it has no table [project.entry-points.{GROUP}]"
        raise BadInput(problem, 'add it, with a line such as: nova = "ocrdeploy_nova.hooks"')
    source = folder / "src"
    licence = any((*folder.glob("LICEN[CS]E*"), *folder.glob("COPYING*"), project.get("license")))
    return Candidate(
        distribution=str(project.get("name", folder.name)),
        version=str(project.get("version", "0")),
        names=tuple(points),
        requires=tuple(_requirements(project)),
        licensed=licence,
        path=(str(source if source.is_dir() else folder),),
        entry_points={str(name): str(value) for name, value in points.items()},
    )


def _requirements(project: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a project requires as its metadata will have it: for an extra, with the extra as a condition."""
    yield from map(str, project.get("dependencies", ()))
    for extra, lines in project.get("optional-dependencies", {}).items():
        for line in map(str, lines):
            requirement, _, marker = line.partition(";")
            condition = f"({marker.strip()}) and extra == '{extra}'" if marker.strip() else f"extra == '{extra}'"
            yield f"{requirement.strip()}; {condition}"


def _read(path: Path) -> dict[str, Any]:
    try:
        project = tomllib.loads(path.read_text(encoding="utf-8")).get("project", {})
    except OSError as error:
        fix = "name the folder of a plugin's package, or an installed plugin ('ocrd plugin list')"
        raise BadInput(f"cannot read {path}: {error.strerror}", fix) from None
    except ValueError as error:
        raise BadInput(f"{path} is not TOML: {error}", "correct it") from None
    return project if isinstance(project, dict) else {}


@contextmanager
def shown(candidate: Candidate) -> Iterator[tuple[str, ...]]:
    """Yield what goes before `sys.path` for the candidate to be found: a stand-in for its metadata, and its source."""
    if not candidate.path:
        yield ()
        return
    with TemporaryDirectory(prefix="ocrdeploy-check-") as site:
        facts = Path(site) / f"{candidate.distribution.replace('-', '_')}-{candidate.version}.dist-info"
        facts.mkdir()
        lines = [f"Name: {candidate.distribution}", f"Version: {candidate.version}"]
        lines += [f"Requires-Dist: {line}" for line in candidate.requires]
        (facts / "METADATA").write_text("Metadata-Version: 2.1\n" + "\n".join(lines) + "\n", encoding="utf-8")
        points = "".join(f"{name} = {value}\n" for name, value in candidate.entry_points.items())
        (facts / "entry_points.txt").write_text(f"[{GROUP}]\n{points}", encoding="utf-8")
        yield (site, *candidate.path)
