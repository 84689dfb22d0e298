"""The rows of all plugins, found in another process, and what is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points, version
from pathlib import Path

from ocrdeploy.doctor import children, loading
from ocrdeploy.doctor.findings import Finding, broken, warning
from ocrdeploy.doctor.packages import CORE, GROUP
from ocrdeploy.doctor.plugin_rows import PluginRow, State
from ocrdeploy.doctor.surroundings import DISABLED, TIMEOUT

INSTALL = "pip install 'ocrdeploy-onnxruntime[cpu]'"
_MOST = 5
"""So many plugins may end the process, one after another, before the search for what is left is given up."""


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What was found; `problem` says why nothing was, else it is ''."""

    rows: tuple[PluginRow, ...]
    problem: str = ""


def survey(limit_s: float, path: Sequence[str]) -> Surveyed:
    """Discover and probe all plugins, without those that end the process or hang, which have a row all the same."""
    culprits: list[PluginRow] = []
    while True:
        named = [row.name for row in culprits]
        end = children.run(Path(loading.__file__), [], limit_s, path, _without(named))
        found = next((answer["rows"] for answer in end.answers if "rows" in answer), None)
        if found is not None:
            rows = tuple(_row(each) for each in found if each["name"] not in named)
            return Surveyed((*rows, *culprits))
        if not end.unfinished or end.unfinished in named or len(culprits) == _MOST:
            return Surveyed(tuple(culprits), f"{end.problem} ({end.last_words})" if end.last_words else end.problem)
        culprits.append(_culprit(end.unfinished, end))


def _without(names: list[str]) -> dict[str, str]:
    """Return the environment that leaves out the plugins `names`, in which no variable keeps the others from being asked."""
    unusable = {} if _is_number(os.environ.get(TIMEOUT, "")) else {TIMEOUT: ""}
    left_out = ",".join(filter(None, [os.environ.get(DISABLED, ""), *names]))
    return {DISABLED: left_out, **unusable}


def _is_number(text: str) -> bool:
    try:
        return float(text) > 0
    except ValueError:
        return False


def _row(found: dict[str, object]) -> PluginRow:
    """Return a row as it was before it became JSON."""
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in found.items()}
    return PluginRow(**{**given, "state": State(str(given["state"]))})  # type: ignore[arg-type]


def _culprit(name: str, end: children.Ended) -> PluginRow:
    point = next((point for point in entry_points(group=GROUP) if point.name == name and point.dist), None)
    distribution = point.dist.name if point and point.dist else "an unknown distribution"
    problem = f"when it is loaded, {end.problem}" + (f" ({end.last_words})" if end.last_words else "")
    fix = f"upgrade or remove it: pip uninstall {distribution}   (or set {DISABLED}={name})"
    return PluginRow(name, distribution, version(distribution) if point else "", State.BROKEN, problem=problem, fix=fix)


def findings(found: Surveyed) -> Iterator[Finding]:
    """Find broken plugins, backends that cannot run here, and that there is nothing that can."""
    if found.problem:
        yield broken("plugins", f"the plugins could not be loaded: {found.problem}", f"pip install --force-reinstall {CORE}")
    backends = [row for row in found.rows if "backend" in row.kinds]
    for row in found.rows:
        who = f"plugin {row.name!r} ({row.distribution} {row.version})".replace(" )", ")")
        if row.state is State.BROKEN:
            yield broken(row.name, f"{who} is broken: {row.problem}", row.fix)
        elif row.state is State.CANNOT_RUN:
            yield warning(row.name, f"backend {row.name!r} cannot run here: {row.problem}", row.fix)
    if not found.problem and not backends:
        yield broken("backends", "no backend is installed, so no model can run", INSTALL)
    elif backends and not _ready(backends):
        yield broken("backends", "no backend can run here", f"mend one of those above, or {INSTALL}")


def _ready(backends: Iterable[PluginRow]) -> bool:
    return any(row.state is State.READY for row in backends)
