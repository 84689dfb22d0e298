"""The environment variables that ocrdeploy reads, and the folder that it writes to."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from importlib.machinery import PathFinder
from importlib.metadata import entry_points
from pathlib import Path

from ocrdeploy.doctor.findings import Finding, broken, warning
from ocrdeploy.doctor.packages import GROUP
from ocrdeploy.errors import nearest

PREFIX = "OCRDEPLOY_"
CACHE, DISABLED, FONTS, TIMEOUT = (PREFIX + name for name in ("CACHE", "DISABLED_PLUGINS", "FONTS", "PROBE_TIMEOUT"))
KNOWN = (CACHE, DISABLED, FONTS, TIMEOUT)
"""What the core reads."""
FOR_TESTS = (PREFIX + "TEST_", PREFIX + "SLOW_TESTS")
"""How the names begin that the project's own tests read."""


def cache(folder: Path) -> Iterator[Finding]:
    """Find that no file can be made in the cache folder, or, where it is not there yet, in what will hold it."""
    there = next((each for each in (folder, *folder.absolute().parents) if each.exists()), folder)
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        fix = f"set {CACHE} to a folder that can be written and has room"
        yield broken("cache", f"nothing can be written to the cache folder {folder}: {error.strerror or error}", fix)


def variables(given: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Find variables of ours that nobody reads, and values that mean nothing."""
    for name in sorted(given):
        if name.startswith(PREFIX) and name not in KNOWN and not name.startswith(FOR_TESTS) and not _read_by_a_plugin(name):
            near = nearest(name.removeprefix(PREFIX), [each.removeprefix(PREFIX).lower() for each in KNOWN])
            near = PREFIX + near.upper() if near else ""
            fix = f"write {near}, or unset it" if near else "unset it"
            yield warning(name, f"the environment variable {name} is set, and nothing that is installed reads it", fix)
    yield from _disabled(given.get(DISABLED, ""))
    yield from _timeout(given.get(TIMEOUT, ""))
    for font in filter(None, given.get(FONTS, "").split(os.pathsep)):
        if not Path(font).is_file():
            yield warning(FONTS, f"the environment variable {FONTS} names {font}, which is not a file", "correct it, or unset it")


def _disabled(value: str) -> Iterator[Finding]:
    names = {point.name for point in entry_points(group=GROUP)}
    for name in sorted({each.strip() for each in value.split(",")} - {""}):
        if name in names:
            yield warning(name, f"the plugin {name!r} is disabled by {DISABLED}", f"take it out of {DISABLED} to use it")
        else:
            near = nearest(name, names)
            hint = f"; did you mean {near!r}?" if near else ""
            yield warning(name, f"{DISABLED} names {name!r}, which is no plugin{hint}", f"take it out of {DISABLED}")


def _timeout(value: str) -> Iterator[Finding]:
    try:
        usable = not value or float(value) > 0
    except ValueError:
        usable = False
    if not usable:
        yield broken(TIMEOUT, f"the environment variable {TIMEOUT} is {value!r}", "set it to a number of seconds, or unset it")


def _read_by_a_plugin(variable: str) -> bool:
    """Whether the source of an installed plugin has the variable's name in it."""
    tops = {point.value.partition(":")[0].partition(".")[0] for point in entry_points(group=GROUP)}
    return any(variable in text for top in tops for text in _sources(top))


def _sources(package: str) -> Iterator[str]:
    spec = PathFinder.find_spec(package)
    places = list(spec.submodule_search_locations or []) if spec else []
    files = [Path(spec.origin)] if spec and spec.origin and not places else []
    for file in (*files, *(file for place in places for file in Path(place).rglob("*.py"))):
        try:
            yield file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
