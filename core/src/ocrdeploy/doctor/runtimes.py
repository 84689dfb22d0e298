"""Whether the runtimes, and what the core computes with, can be imported: each runtime in a process of its own, side by side."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ocrdeploy.doctor import children, importing
from ocrdeploy.doctor.findings import Finding, broken, warning
from ocrdeploy.doctor.packages import CORE, Packages, canonical
from ocrdeploy.doctor.shadows import LIBRARIES, RUNTIMES

PROGRAM = Path(importing.__file__)

OF_A_DRIVER = ("libcuda.so", "libnvidia", "nvcuda.dll", "libnvcuvid")
"""Libraries that come with a driver: a runtime that lacks one has no GPU to run on, and is whole."""


FOR_DEVELOPERS = re.compile(r"extra\s*==\s*['\"](dev|develop|doc|docs|lint|test|tests|testing)['\"]")
"""Extras whose requirements are no runtimes."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A module, the distribution that brings it, and what became of its import; `problem` is '' where it went well."""

    module: str
    distribution: str
    version: str
    seconds: float | None = None
    file: str = ""
    problem: str = ""

    def finding(self) -> Iterator[Finding]:
        """Say what is wrong with it, if anything is."""
        if not self.problem:
            return
        name = f"{self.distribution} {self.version}".strip() or self.module
        problem = f"{name} is installed, and 'import {self.module}' fails: {self.problem}"
        if any(library in self.problem for library in OF_A_DRIVER):
            yield warning(self.module, problem, "install the driver of the GPU, or use another backend")
        else:
            pinned = f"{self.distribution}=={self.version}" if self.version else self.distribution
            yield broken(self.module, problem, f"pip install --force-reinstall --no-deps {pinned}")


def installed_modules(packages: Packages) -> dict[str, str]:
    """Return the modules of the runtimes that are here, each with its distribution.

    They are those that are known, and for plugins that require none of those, in an extra or always, what they require.
    """
    found = {module: here[0] for module, names in RUNTIMES.items() if (here := packages.among(names))}
    runtimes, libraries = ({canonical(name) for names in known.values() for name in names} for known in (RUNTIMES, LIBRARIES))
    for name in packages.bringing_plugins:
        if name == CORE:
            continue  # what it requires are the libraries
        lines = packages.found[name][0].requires or []
        required = {canonical(_name(line)) for line in lines if not FOR_DEVELOPERS.search(line)}
        for each in sorted(required - libraries if required.isdisjoint(runtimes) else ()):
            if each in packages.found and not each.startswith(CORE):
                found.update(dict.fromkeys(_modules(packages, each), each))
    return found


def _name(requirement: str) -> str:
    """Return the name at the beginning of a requirement."""
    end = next((index for index, letter in enumerate(requirement) if not (letter.isalnum() or letter in "-_.")), None)
    return requirement[:end]


def _modules(packages: Packages, name: str) -> Iterator[str]:
    """Yield the package that has the name of its distribution, if there is one: the others are a distribution's own affair."""
    distribution = packages.first(name)
    wanted = name.replace("-", "_")
    tops = {str(file).partition("/")[0].removesuffix(".py") for file in (distribution.files if distribution else None) or []}
    yield from (top for top in sorted(tops) if top.lower() == wanted)


def import_all(modules: Mapping[str, str], packages: Packages, limit_s: float, path: Sequence[str]) -> list[Imported]:
    """Import each module in a process of its own, all at once, so that the slowest decides how long it takes."""
    if not modules:
        return []
    with ThreadPoolExecutor(len(modules)) as pool:
        ended = list(pool.map(lambda module: children.run(PROGRAM, [module], limit_s, path), modules))
    return [_row(module, name, packages, end) for (module, name), end in zip(modules.items(), ended, strict=True)]


def import_libraries(packages: Packages, limit_s: float, path: Sequence[str]) -> list[Imported]:
    """Import what the core computes with, in one process, one after another; what comes after a crash in a next one."""
    wanted = {module: here[0] for module, names in LIBRARIES.items() if (here := packages.among(names))}
    rows: list[Imported] = []
    while wanted:
        end = children.run(PROGRAM, list(wanted), limit_s, path)
        done = {answer["name"] for answer in end.answers if "name" in answer}
        tried = [module for module in wanted if module in done or module == end.unfinished] or list(wanted)
        rows += [_row(module, wanted.pop(module), packages, end) for module in tried]
    return rows


def _row(module: str, distribution: str, packages: Packages, end: children.Ended) -> Imported:
    version = packages.version(distribution)
    said: Mapping[str, Any] = next((answer for answer in end.answers if answer.get("name") == module), {})
    if not said:
        problem = end.problem or "it ends the process"
        problem += f" ({end.last_words})" if end.last_words else ""
        return Imported(module, distribution, version, problem=problem)
    if "error" in said:
        return Imported(module, distribution, version, problem=said["error"])
    return Imported(module, distribution, version or said["version"], said["seconds"], said["file"] or "")


def findings(rows: Iterable[Imported]) -> Iterator[Finding]:
    """Find what cannot be imported."""
    for row in rows:
        yield from row.finding()
