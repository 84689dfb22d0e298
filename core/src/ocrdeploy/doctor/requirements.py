"""Whether what is installed fits together: what each distribution requires, against what is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution
from typing import TYPE_CHECKING

from ocrdeploy.doctor.findings import Finding, Severity, warning
from ocrdeploy.doctor.packages import Packages, canonical

if TYPE_CHECKING:
    from packaging.requirements import Requirement


@dataclass(frozen=True, slots=True)
class Need:
    """What a distribution requires; `extra` says for which of its extras, '' for all uses."""

    by: Distribution
    of: Requirement
    extra: str = ""


def mismatches(packages: Packages) -> Iterator[Finding]:
    """Find requirements that are not met.

    What the core and the plugins need, and what that needs in turn, is broken then; of the rest of the environment it is worth
    a warning. What only an extra asks for may be missing; where it is there, its version has to fit.
    """
    try:
        import packaging.requirements  # noqa: F401 - whether it is there
    except ImportError:
        yield warning("packaging", "requirements were not compared, since packaging is not installed", "pip install packaging")
        return
    ours = _needed(packages)
    for name, same in sorted(packages.found.items()):
        for need in _needs(packages, same[0]):
            problem = _unmet(packages, need)
            if problem:
                severity = Severity.BROKEN if name in ours and not need.extra else Severity.WARNING
                yield Finding(severity, name, problem, f"pip install '{_plain(need.of)}'")


def _needs(packages: Packages, distribution: Distribution) -> Iterator[Need]:
    """Yield what applies here: what is always required, and of plugins also what their extras ask for."""
    from packaging.requirements import InvalidRequirement, Requirement

    name = canonical(distribution.metadata["Name"])
    extras = distribution.metadata.get_all("Provides-Extra") or [] if name in packages.bringing_plugins else []
    for line in distribution.requires or []:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield Need(distribution, requirement)
            continue
        for extra in extras:
            if requirement.marker.evaluate({"extra": extra}):
                yield Need(distribution, requirement, extra)
                break


def _needed(packages: Packages) -> set[str]:
    """Return the distributions that the core and the plugins need, themselves included, and runtimes that extras name."""
    waiting = list(packages.bringing_plugins)
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in packages.found:
            continue
        seen.add(name)
        waiting += [canonical(need.of.name) for need in _needs(packages, packages.found[name][0])]
    return seen


def _unmet(packages: Packages, need: Need) -> str:
    """Return what is wrong, in a sentence; '' where the requirement is met."""
    name = need.by.metadata["Name"]
    who = f"{name}[{need.extra}]" if need.extra else f"{name} {need.by.version}"
    version = packages.version(need.of.name)
    if not version:
        return "" if need.extra else f"{who} needs {_plain(need.of)}, which is not installed"
    if need.of.url or need.of.specifier.contains(version, prereleases=True):
        return ""
    return f"{who} needs {_plain(need.of)}, and {need.of.name} {version} is installed"


def _plain(requirement: Requirement) -> str:
    """Return a requirement without the conditions under which it holds."""
    return f"{requirement.name}{requirement.specifier}"
