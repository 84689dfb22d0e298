"""A program: import modules one after another, and print a line of JSON before and after each. `runtimes` starts it.

It is run in a process of its own, since an import can hang, end the process, or crash. It imports the standard library only.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module
from typing import Any


def main() -> None:
    """Import the modules that the command line names, from the `sys.path` that it gives first, as JSON."""
    sys.path[:] = json.loads(sys.argv[1])
    answers = os.dup(1)
    os.dup2(2, 1)  # what a runtime prints is no answer

    def say(**facts: Any) -> None:
        os.write(answers, (json.dumps(facts) + "\n").encode())

    for name in sys.argv[2:]:
        say(begin=name)
        say(name=name, **imported(name))
    os._exit(0)  # what a runtime does at the end, and whether that hangs, is not asked


def imported(name: str) -> dict[str, Any]:
    """Return what the module `name` says of itself, or why it cannot be imported."""
    started = time.perf_counter()
    try:
        module = import_module(name)
    except BaseException as error:  # noqa: BLE001 - SystemExit, too, and what extension modules throw
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        return {"error": f"{type(error).__name__}: {first}".removesuffix(": ")}
    seconds = round(time.perf_counter() - started, 3)
    version = str(getattr(module, "__version__", ""))
    return {"version": version, "file": getattr(module, "__file__", None), "seconds": seconds}


if __name__ == "__main__":
    main()
