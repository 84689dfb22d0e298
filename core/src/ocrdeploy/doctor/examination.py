"""The whole examination of an environment, in one value. Nothing that is broken stops it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ocrdeploy import __version__
from ocrdeploy.doctor import machine, packages, plugin_survey, requirements, runtimes, shadows, surroundings
from ocrdeploy.doctor.findings import Finding, Severity, attempt, attempt_findings
from ocrdeploy.doctor.plugin_rows import PluginRow
from ocrdeploy.doctor.runtimes import Imported

LIMIT_S = 60.0
"""How long an import, and the loading of all plugins, may take."""


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found. `machine` holds facts by name; `findings` has the worst first."""

    machine: dict[str, Any]
    runtimes: tuple[Imported, ...] = ()
    libraries: tuple[Imported, ...] = ()
    plugins: tuple[PluginRow, ...] = ()
    findings: tuple[Finding, ...] = ()
    took_s: float = 0.0
    ocrdeploy: str = field(default=__version__)

    @property
    def broken(self) -> int:
        """How many things are broken."""
        return sum(each.severity is Severity.BROKEN for each in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"ok": not self.broken, **asdict(self)}


def examine(limit_s: float = LIMIT_S) -> Examination:
    """Examine this environment: imports and plugins in processes of their own, side by side, for up to `limit_s` seconds each."""
    started = time.perf_counter()
    path = list(sys.path)
    here, failed = attempt("the list of distributions", packages.installed, packages.Packages({}))
    none: dict[str, str] = {}
    modules, lost = attempt("the list of runtimes", lambda: runtimes.installed_modules(here), none)
    nothing = plugin_survey.Surveyed((), "they could not be examined")
    with ThreadPoolExecutor() as pool:
        imported = pool.submit(attempt, "the runtimes", lambda: runtimes.import_all(modules, here, limit_s, path), [])
        surveyed = pool.submit(attempt, "the plugins", lambda: plugin_survey.survey(limit_s, path), nothing)
        libraries = pool.submit(attempt, "the libraries", lambda: runtimes.import_libraries(here, limit_s, path), [])
        known = pool.submit(attempt, "the machine", lambda: machine.facts(here), {})
        facts, *failures = known.result()
        found = [*failed, *lost, *failures[0], *_static(here, path, facts)]
    rows, libs, plugins = imported.result(), libraries.result(), surveyed.result()
    # Of what is hidden, it is said already, and to install it again would not help.
    hidden = {each.about for each in found}
    imported_here = [row for row in (*rows[0], *libs[0]) if row.module not in hidden]
    found += [*rows[1], *libs[1], *plugins[1], *runtimes.findings(imported_here), *plugin_survey.findings(plugins[0])]
    ordered = sorted(dict.fromkeys(found), key=lambda each: each.severity is not Severity.BROKEN)
    took_s = round(time.perf_counter() - started, 2)
    return Examination(facts, tuple(rows[0]), tuple(libs[0]), plugins[0].rows, tuple(ordered), took_s)


def _static(here: packages.Packages, path: list[str], facts: dict[str, Any]) -> list[Finding]:
    """Make the checks that only read, each on its own: one that fails is a finding, and the others go on."""
    checks: dict[str, Callable[[], Any]] = {
        "whether distributions overwrite each other": partial(packages.rivals, here),
        "what interrupted installations left": partial(packages.leftovers, here),
        "what distributions require": partial(requirements.mismatches, here),
        "whether modules are hidden": partial(shadows.shadows, here, path),
        "whether the standard library is hidden": partial(shadows.standard_library, path),
        "the libraries of CUDA": partial(machine.too_new_for_the_driver, facts),
        "the environment variables": surroundings.variables,
        "the cache folder": lambda: surroundings.cache(_cache_folder()),
    }
    return [finding for what, check in checks.items() for finding in attempt_findings(what, check)]


def _cache_folder() -> Path:
    # The core's own answer needs numpy and pydantic to be whole; this one is the same, and needs nothing.
    import os

    chosen = os.environ.get(surroundings.CACHE)
    if chosen:
        return Path(chosen)
    import platformdirs

    return Path(platformdirs.user_cache_dir("ocrdeploy", appauthor=False))
