"""Every plugin in a row: where it comes from, which hooks it has, and in which state it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ocrdeploy.plugins import Plugin, Plugins
    from ocrdeploy.vocabulary import Probe


class State(StrEnum):
    """What can be done with a plugin."""

    READY = "ready"
    CANNOT_RUN = "cannot run"
    """A backend that is whole, and lacks something on this machine."""
    BROKEN = "broken"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class PluginRow:
    """One entry point. `kinds`: of what it announces, backend, family, dataset and models; `version` of the distribution.

    `hooks` are those that it answers itself, `wrappers` those that it wraps, both in alphabetical order. `runtime` and
    `device` are a backend's, as its probe tells; `problem` and `fix` say why the state is not `ready`.
    """

    name: str
    distribution: str
    version: str
    state: State
    kinds: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    wrappers: tuple[str, ...] = ()
    runtime: str = ""
    device: str = ""
    problem: str = ""
    fix: str = ""


def rows(plugins: Plugins, probes: dict[str, Probe]) -> list[PluginRow]:
    """Return a row for each entry point, the usable ones first, each part in alphabetical order."""
    usable = [_usable(plugins, name, probes.get(name)) for name in sorted(plugins.installed)]
    broken = [
        PluginRow(each.name, each.distribution, _version(each.distribution), State.BROKEN, problem=each.why, fix=each.fix)
        for each in plugins.broken
    ]
    return [*usable, *broken, *disabled(plugins.disabled)]


def disabled(names: Iterable[str]) -> list[PluginRow]:
    """Return a row for each disabled entry point, as its metadata tell: it was not imported."""
    from ocrdeploy.plugins import DISABLE, distribution_of

    points = {point.name: point for point in entry_points(group="ocrdeploy")}
    fix = f"take it out of the environment variable {DISABLE}"
    return [
        PluginRow(name, distribution_of(points[name]), _point_version(points[name]), State.DISABLED, fix=fix)
        for name in names
        if name in points
    ]


def _usable(plugins: Plugins, name: str, probe: Probe | None) -> PluginRow:
    plugin = plugins.installed[name]
    ready = probe is None or probe.ok
    return PluginRow(
        name=name,
        distribution=plugin.distribution,
        version=plugin.version,
        state=State.READY if ready else State.CANNOT_RUN,
        kinds=_kinds(plugin),
        hooks=tuple(sorted(plugin.hooks)),
        wrappers=tuple(sorted(vars(plugin.wrappers))),
        runtime=probe.version if probe else "",
        device=probe.device if probe else "",
        problem=probe.problem if probe else "",
        fix=probe.fix if probe else "",
    )


def _kinds(plugin: Plugin) -> tuple[str, ...]:
    has = {
        "backend": plugin.backend is not None,
        "family": plugin.family is not None,
        "dataset": plugin.dataset is not None,
        "models": bool(plugin.models),
        "wrappers": bool(vars(plugin.wrappers)),
    }
    return tuple(kind for kind, there in has.items() if there)


def _point_version(point: EntryPoint) -> str:
    return point.dist.version if point.dist else ""


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
