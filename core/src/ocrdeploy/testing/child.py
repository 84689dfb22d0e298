"""What the suite has done in processes of their own: `python -m ocrdeploy.testing.child TASK FOLDER`.

The folder holds what is asked, order.pickle, and gets the answer, answer.pickle. Nothing is imported here before it is needed,
since one task is to see what a plugin imports.
"""

from __future__ import annotations

import pickle
import re
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution, EntryPoint, distribution, entry_points, packages_distributions
from pathlib import Path
from time import perf_counter
from typing import Any

GROUP = "ocrdeploy"


def announce(name: str) -> dict[str, Any]:
    """Load the plugin `name` and ask its static hooks; return how long it took, and which modules it imported."""
    from ocrdeploy.plugins import discover

    point = _point(name)
    import numpy as np  # every command that does something has it

    assert np
    before, started = set(sys.modules), perf_counter()
    found = discover([point])
    took = perf_counter() - started
    files = {module: str(getattr(sys.modules[module], "__file__", "")) for module in set(sys.modules) - before}
    # Matters of the standard library are nobody's runtime.
    compiled = [module for module, file in files.items() if Path(file).suffix in (".so", ".pyd")]
    strange = {module.partition(".")[0] for module in compiled} - set(sys.stdlib_module_names) - {"numpy"}
    return {"took_s": took, "compiled": sorted(strange), "broken": [broken.why for broken in found.broken]}


def probe(name: str, hidden: bool) -> dict[str, Any]:
    """Ask the probe itself, as it is or with all that the plugin requires hidden; return the answer, or what it raised."""
    from ocrdeploy.plugins import discover

    point = _point(name)
    found = discover([point])
    names = _required(point) if hidden else frozenset()
    if hidden:
        _hide(names)
    started = perf_counter()
    try:
        answer = found.call(name, "ocrd_probe")
    except BaseException as error:  # noqa: BLE001 - that it raises is the finding, whatever it is
        return {"raised": f"{type(error).__name__}: {error}", "hidden": sorted(names)}
    return {"answer": answer, "took_s": perf_counter() - started, "hidden": sorted(names)}


def answer(name: str, device: str, asked: Sequence[tuple[Any, Mapping[str, Any]]], most_bytes: int) -> list[Any]:
    """Reach, open and run each of the artifacts; return the outputs.

    Where `most_bytes` is not 0, writing more than that into one file kills the process at once, as a full disk or a user would.
    """
    from ocrdeploy import backend, chain
    from ocrdeploy.plugins import discover
    from ocrdeploy.vocabulary import InferOptions

    if most_bytes:
        import resource

        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    plugins, options, found = discover(), InferOptions(device=device), []
    for artifact, inputs in asked:
        file = chain.reach(plugins, artifact, name, options, lambda _: None)
        session = backend.open_session(plugins, name, file, options)
        found.append(dict(session.run(inputs)))
        session.close()
    return found


def _point(name: str) -> EntryPoint:
    return next(point for point in entry_points(group=GROUP) if point.name == name)


def _required(point: EntryPoint) -> frozenset[str]:
    """Return what the plugin's distribution requires, with all its extras, beyond what ocrdeploy itself requires."""
    assert point.dist
    return frozenset(_names(point.dist)) - set(_names(distribution(GROUP), "extra ==")) - {GROUP, "numpy"}


def _names(dist: Distribution, without: str = "\0") -> list[str]:
    found = (re.match(r"[\w.-]+", line) for line in dist.requires or () if without not in line)
    return [_normal(match[0]) for match in found if match]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _hide(distributions: frozenset[str]) -> None:
    """Let no module and no metadata of these distributions be found any more, as if they were not installed."""
    owners = packages_distributions()
    modules = {module for module, names in owners.items() if distributions & set(map(_normal, names))}
    for module in [each for each in sys.modules if each.partition(".")[0] in modules]:
        del sys.modules[module]
    sys.meta_path[:] = [Hiding(finder, modules, distributions) for finder in sys.meta_path]


class Hiding:
    """A finder of modules and distributions that does not find some."""

    def __init__(self, finder: Any, modules: set[str], distributions: frozenset[str]) -> None:
        self._finder, self._modules, self._distributions = finder, modules, distributions

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return what the finder finds, but for what is hidden."""
        hidden = name.partition(".")[0] in self._modules
        found: ModuleSpec | None = None if hidden else self._finder.find_spec(name, path, target)
        return found

    def find_distributions(self, *context: Any) -> Iterable[Distribution]:
        """Return the distributions that the finder finds, but for what is hidden."""
        find: Callable[..., Iterable[Distribution]] = getattr(self._finder, "find_distributions", lambda *_: ())
        return [each for each in find(*context) if _normal(each.metadata["Name"]) not in self._distributions]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)


TASKS: Mapping[str, Callable[..., Any]] = {"announce": announce, "probe": probe, "answer": answer}


def main(task: str, folder: Path) -> None:
    """Do what the folder asks for."""
    order = pickle.loads((folder / "order.pickle").read_bytes())  # noqa: S301 - the suite has just written it
    found = TASKS[task](**order)
    (folder / "answer.pickle").write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
