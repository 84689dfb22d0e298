"""Find the installed plugins, one entry point at a time, and address one of them by name.

This and hookspecs.py are the only modules that know pluggy. A plugin that cannot be used becomes a `Broken`, a fact that
`ocrd backends` shows; it never breaks anything else.
"""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

import pluggy

from ocrdeploy import announcements, deprecations, hookspecs
from ocrdeploy.errors import BadPlugin, OcrdError, UnknownName, unknown
from ocrdeploy.overhearing import overheard
from ocrdeploy.vocabulary import BackendInfo, DatasetInfo, FamilyInfo, ModelSpec, Probe

_LOG = logging.getLogger(__name__)

DISABLE = "OCRDEPLOY_DISABLED_PLUGINS"
"""Environment variable: names of entry points, separated by commas, that are skipped before they are imported."""


CORE = "ocrdeploy"
"""The distribution whose plugins are built in."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A plugin that was found and cannot be used: why, and what mends it."""

    name: str
    distribution: str
    why: str
    fix: str


class Hooks:
    """A part of a plugin as pluggy wants it: an object whose attributes are hook functions, told from others by identity."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """One registered plugin: where it comes from, what it implements itself, its wrappers, and what it announces."""

    name: str
    distribution: str
    version: str
    routed: Hooks
    wrappers: Hooks
    backend: BackendInfo | None = None
    family: FamilyInfo | None = None
    dataset: DatasetInfo | None = None
    models: tuple[ModelSpec, ...] = ()

    @property
    def hooks(self) -> frozenset[str]:
        """The hooks that the plugin answers itself."""
        return frozenset(vars(self.routed))


@dataclass(frozen=True)
class Plugins:
    """What `discover` found: an immutable value that is passed on, never a global."""

    manager: pluggy.PluginManager
    installed: Mapping[str, Plugin] = field(default_factory=dict)
    broken: tuple[Broken, ...] = ()
    disabled: tuple[str, ...] = ()
    probed: dict[str, Probe] = field(default_factory=dict, compare=False, repr=False)
    """What the probes answered, kept by `ocrdeploy.backend`: a machine does not change while a process looks at it."""

    @property
    def backends(self) -> Mapping[str, BackendInfo]:
        """The backends by name, the highest rank first."""
        found = [plugin.backend for plugin in self.installed.values() if plugin.backend]
        return {info.name: info for info in sorted(found, key=lambda info: (-info.rank, info.name))}

    @property
    def families(self) -> Mapping[str, FamilyInfo]:
        """The model families by name."""
        return {name: plugin.family for name, plugin in self.installed.items() if plugin.family}

    @property
    def datasets(self) -> Mapping[str, DatasetInfo]:
        """The kinds of dataset by name."""
        return {name: plugin.dataset for name, plugin in self.installed.items() if plugin.dataset}

    @property
    def models(self) -> Mapping[str, ModelSpec]:
        """The models known by name, the highest rank first."""
        found = [model for plugin in self.installed.values() for model in plugin.models]
        return {model.name: model for model in sorted(found, key=lambda model: (-model.rank, model.name))}

    def owner_of_model(self, name: str) -> str:
        """Return the plugin that lists the model `name`."""
        for plugin in self.installed.values():
            if any(model.name == name for model in plugin.models):
                return plugin.name
        raise unknown("model", name, self.models)

    def distribution(self, name: str) -> str:
        """Return "distribution version" of the plugin `name`."""
        plugin = self.installed[name]
        return f"{plugin.distribution} {plugin.version}".strip()

    def implements(self, name: str, hook: str) -> bool:
        """Whether the plugin `name` implements `hook` itself."""
        return name in self.installed and hook in self.installed[name].hooks

    def call(self, name: str, hook: str, **arguments: Any) -> Any:
        """Call `hook` of the plugin `name`, inside the wrappers of all plugins. Raises what `require` raises."""
        self.require(name)
        if not self.implements(name, hook):
            raise BadPlugin(f"plugin {name!r} does not implement {hook}", f"ask the authors of {self.distribution(name)}")
        others = [plugin.routed for plugin in self.installed.values() if plugin.name != name]
        return self.manager.subset_hook_caller(hook, others)(**arguments)

    def require(self, name: str) -> None:
        """Raise `OcrdError` unless the plugin `name` is there and usable."""
        self.explain(name)
        if name not in self.installed:
            raise unknown("plugin", name, self.installed)

    def explain(self, name: str) -> None:
        """Raise `OcrdError` where the plugin `name` was found and cannot be used, saying why."""
        for broken in self.broken:
            if broken.name == name and name not in self.installed:
                raise BadPlugin(f"plugin {name!r} ({broken.distribution}) is broken: {broken.why}", broken.fix)
        if name in self.disabled:
            raise UnknownName(f"plugin {name!r} is disabled", f"take it out of the environment variable {DISABLE}")


def discover(points: Iterable[EntryPoint] | None = None) -> Plugins:
    """Load every entry point of the group `ocrdeploy`; what one of them throws or prints concerns no other."""
    found = list(entry_points(group=hookspecs.PROJECT) if points is None else points)
    skipped = {name.strip() for name in os.environ.get(DISABLE, "").split(",")} - {""}
    by_name: dict[str, list[EntryPoint]] = defaultdict(list)
    for point in found:
        if point.name not in skipped:
            by_name[point.name].append(point)
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    installed: dict[str, Plugin] = {}
    broken: list[Broken] = []
    # In the order of their names, so that the order of installation decides nothing, not even which wrapper is the outermost.
    for name, same in sorted(by_name.items()):
        rightful = _rightful(same)
        broken += [_twice(point, same) for point in same if point is not rightful]
        plugin = _load(manager, rightful) if rightful else None
        if isinstance(plugin, Broken):
            broken.append(plugin)
        elif plugin:
            installed[name] = plugin
    clashes = _same_model_twice(installed)
    for clash in clashes:
        installed.pop(clash.name)
        _unregister(manager, clash.name)
    disabled = tuple(sorted(skipped & {point.name for point in found}))
    return Plugins(manager, MappingProxyType(installed), (*broken, *clashes), disabled)


def _load(manager: pluggy.PluginManager, point: EntryPoint) -> Plugin | Broken:
    try:
        with overheard(lambda printed: _report(point, printed)):
            return _register(manager, point)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - an import can throw anything, SystemExit too
        _LOG.debug("plugin %r is broken", point.name, exc_info=True)
        _unregister(manager, point.name)
        return Broken(point.name, distribution_of(point), _in_words(error), _remedy(point))


def _report(point: EntryPoint, printed: str) -> None:
    if printed.strip():
        _LOG.warning("plugin %r (%s) prints: %s", point.name, distribution_of(point), printed.strip())


def _register(manager: pluggy.PluginManager, point: EntryPoint) -> Plugin:
    if not EntryPoint.pattern.match(point.value):
        raise BadPlugin(f"its entry point names {point.value!r}, which is neither a module nor an object in one")
    loaded = point.load()
    announcements.check_contract(loaded, hookspecs.CONTRACT)
    routed, wrappers = _split(manager, loaded)
    announced = announcements.ask(point.name, vars(routed))
    for part in (routed, wrappers):
        for said in deprecations.used(vars(part)):
            _LOG.warning("plugin %r (%s): %s", point.name, distribution_of(point), said)
    manager.register(routed, name=point.name)
    manager.register(wrappers, name=f"{point.name}:wrappers")
    dist = point.dist
    return Plugin(
        name=point.name,
        distribution=distribution_of(point),
        version=dist.version if dist else "",
        routed=routed,
        wrappers=wrappers,
        backend=announced.backend,
        family=announced.family,
        dataset=announced.dataset,
        models=announced.models,
    )


def _split(manager: pluggy.PluginManager, plugin: object) -> tuple[Hooks, Hooks]:
    """Separate the implementations, which are called by the plugin's name, from the wrappers, which run around every call."""
    routed, wrappers = Hooks(), Hooks()
    for attribute in dir(plugin):
        options = manager.parse_hookimpl_opts(plugin, attribute)
        if options is None:
            announcements.check_unmarked(plugin, attribute)
            continue
        hook = options.get("specname") or attribute
        function = getattr(plugin, attribute)
        announcements.check_signature(hook, function)
        part = wrappers if options.get("wrapper") or options.get("hookwrapper") else routed
        if hook in vars(part):
            raise BadPlugin(f"it implements {hook} twice, the second time as {attribute}")
        setattr(part, hook, function)
    return routed, wrappers


def _unregister(manager: pluggy.PluginManager, name: str) -> None:
    """Take out whatever of the plugin `name` is registered, so that no half of a broken plugin answers a call."""
    for part in (name, f"{name}:wrappers"):
        if manager.has_plugin(part):
            manager.unregister(name=part)


def _same_model_twice(installed: Mapping[str, Plugin]) -> list[Broken]:
    owners: dict[str, list[Plugin]] = defaultdict(list)
    for plugin in installed.values():
        for model in plugin.models:
            owners[model.name].append(plugin)
    clashes: dict[str, Broken] = {}
    for name, plugins in owners.items():
        if len(plugins) > 1:
            names = ", ".join(sorted({plugin.name for plugin in plugins}))
            why = f"the model name {name!r} is claimed more than once, by: {names}"
            for plugin in plugins:
                clashes[plugin.name] = Broken(plugin.name, plugin.distribution, why, f"pip uninstall {plugin.distribution}")
    return list(clashes.values())


def distribution_of(point: EntryPoint) -> str:
    """Return the name of the distribution that brings `point`."""
    return point.dist.name if point.dist else "an unknown distribution"


def _rightful(same: list[EntryPoint]) -> EntryPoint | None:
    """Return which of the entry points of one name has it: the only one, or the core's own, whose names nobody can take."""
    if len(same) == 1:
        return same[0]
    return next((point for point in same if distribution_of(point) == CORE), None)


def _twice(point: EntryPoint, same: list[EntryPoint]) -> Broken:
    distributions = sorted({distribution_of(each) for each in same})
    why = f"the name {point.name!r} is claimed more than once, by: {', '.join(distributions)}"
    removable = [name for name in distributions if name != CORE]
    return Broken(point.name, distribution_of(point), why, f"keep one: pip uninstall {' or '.join(removable)}")


def _in_words(error: BaseException) -> str:
    if isinstance(error, OcrdError):
        return error.problem
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg} ({error.filename}, line {error.lineno})"
    if isinstance(error, SystemExit):
        return f"it calls sys.exit({error.code!r}) when it is imported"
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _remedy(point: EntryPoint) -> str:
    name = distribution_of(point)
    if name == CORE:
        return f"install it again: pip install --force-reinstall {name}"
    return f"upgrade or remove it: pip uninstall {name}   (or set {DISABLE}={point.name})"
