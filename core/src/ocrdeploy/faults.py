"""Whose fault it is: what a plugin throws that is no `OcrdError`, or returns that is no answer, is named as that plugin's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from ocrdeploy.errors import BadPlugin, OcrdError
from ocrdeploy.plugins import Plugins

T = TypeVar("T")


@contextmanager
def blame(plugins: Plugins, name: str, doing: str) -> Iterator[None]:
    """Turn what the plugin `name`, or a wrapper around it, throws into an error that names it; an `OcrdError` passes."""
    try:
        yield
    except (OcrdError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        what = f"failed while {doing}: {type(error).__name__}: {error}"
        raise fault(plugins, culprit(plugins, name, error), what) from error


def expect(answer: Any, kind: type[T], plugins: Plugins, name: str, hook: str) -> T:
    """Return the `answer` of the plugin `name`. Raises `BadPlugin` unless it is of this `kind`."""
    if isinstance(answer, kind):
        return answer
    raise fault(plugins, name, f"returned {type(answer).__name__} from {hook}, not {kind.__name__}")


def fault(plugins: Plugins, name: str, what: str) -> BadPlugin:
    """Return the error for something that the plugin `name` did wrong."""
    remove = f"pip uninstall {plugins.installed[name].distribution}"
    return BadPlugin(
        f"plugin {name!r} ({plugins.distribution(name)}) {what}", f"report it to its authors, or remove it: {remove}"
    )


def culprit(plugins: Plugins, name: str, error: BaseException) -> str:
    """Return the plugin to blame for `error`, which came out of a call of the plugin `name`.

    That is the one whose hook function stands nearest to where the error was raised: a wrapper of another plugin may have
    raised it.
    """
    owners: dict[object, set[str]] = defaultdict(set)
    for plugin in plugins.installed.values():
        for function in (*vars(plugin.routed).values(), *vars(plugin.wrappers).values()):
            owners[getattr(function, "__code__", None)].add(plugin.name)
    found = name
    trace = error.__traceback__
    while trace:
        here = owners.get(trace.tb_frame.f_code)
        if here:
            # One factory may have made the functions of several plugins.
            found = name if name in here else min(here)
        trace = trace.tb_next
    return found
