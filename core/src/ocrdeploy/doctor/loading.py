"""A program: discover the plugins, ask the backends whether they can run, and print a row for each plugin as JSON.

`plugin_survey` starts it, in a process of its own: an import can end the process or hang, and then the line that was printed
last says whose it was.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from importlib.metadata import EntryPoint, entry_points
from typing import Any


class _Told(EntryPoint):
    """An entry point that says so when it is loaded."""

    def load(self) -> Any:
        say(begin=self.name)
        return super().load()


_ANSWERS = 1


def say(**facts: Any) -> None:
    """Print a line of JSON where the starter reads it."""
    os.write(_ANSWERS, (json.dumps(facts) + "\n").encode())


def told(point: EntryPoint) -> EntryPoint:
    """Return the same entry point, of the same distribution, which says so when it is loaded."""
    copy = _Told(point.name, point.value, point.group)
    vars(copy).update(vars(point))
    return copy


def main() -> None:
    """Print the rows, from the `sys.path` that the command line gives as JSON."""
    global _ANSWERS  # noqa: PLW0603 - a program's standard output, moved out of others' way before anything else is loaded
    sys.path[:] = json.loads(sys.argv[1])
    _ANSWERS = os.dup(1)
    os.dup2(2, 1)

    from ocrdeploy.backend import probe_all
    from ocrdeploy.doctor.plugin_rows import rows
    from ocrdeploy.plugins import discover

    plugins = discover(told(point) for point in entry_points(group="ocrdeploy"))
    say(begin="")
    say(rows=[asdict(row) for row in rows(plugins, probe_all(plugins))])
    os._exit(0)  # a probe that hangs is a thread that never ends


if __name__ == "__main__":
    main()
