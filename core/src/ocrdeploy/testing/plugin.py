"""The pytest plugin: the options that say what is tested, and what happens where they do not fit.

It is loaded into every pytest run of an environment that has ocrdeploy, so it imports nothing and does nothing there.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ocrdeploy.plugins import Plugins

HERE = Path(__file__).parent
USAGE = "the contract suite of ocrdeploy needs to know what it tests: give --ocrd-backend=NAME or --ocrd-models=NAME"
KINDS = {"test_contract_": "ocrd_backend", "test_models_": "ocrd_models"}
"""How the modules of tests begin, and the option that names what they test."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("ocrdeploy", "the contract suite of ocrdeploy (pytest --pyargs ocrdeploy.testing)")
    group.addoption("--ocrd-backend", default="", metavar="NAME", help="test the installed backend NAME")
    group.addoption("--ocrd-models", default="", metavar="NAME", help="test the models that the installed plugin NAME lists")
    group.addoption("--ocrd-device", default="auto", metavar="DEVICE", help="where the backend is to run (default: auto)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests that the options ask for. Raises `pytest.UsageError` where what they name cannot be tested."""
    own = [item for item in items if item.path.parent == HERE]
    if not own:
        return
    wanted = [item for item in own if config.getoption(_option(item))]
    if not wanted and len(own) == len(items):
        raise pytest.UsageError(USAGE)
    if wanted:
        _check(config)
    dropped = [item for item in own if item not in wanted]
    config.hook.pytest_deselected(items=dropped)
    items[:] = [item for item in items if item not in dropped]


def _option(item: pytest.Item) -> str:
    return next(option for start, option in KINDS.items() if item.path.name.startswith(start))


def _check(config: pytest.Config) -> None:
    from ocrdeploy.errors import OcrdError
    from ocrdeploy.plugins import discover

    found = discover()
    try:
        if name := config.getoption("ocrd_backend"):
            _check_backend(found, name)
        if name := config.getoption("ocrd_models"):
            _check_models(found, name)
    except OcrdError as error:
        raise pytest.UsageError(f"{error.problem} (fix: {error.fix})" if error.fix else error.problem) from None


def _check_backend(found: Plugins, name: str) -> None:
    from ocrdeploy import backend

    found.explain(name)
    answer = backend.probe(found, name)
    if not answer.ok:
        fix = f" (fix: {answer.fix})" if answer.fix else ""
        raise pytest.UsageError(f"--ocrd-backend: {name!r} cannot run here: {answer.problem}{fix}")


def _check_models(found: Plugins, name: str) -> None:
    found.require(name)
    if not found.installed[name].models:
        having = sorted(plugin.name for plugin in found.installed.values() if plugin.models)
        raise pytest.UsageError(f"--ocrd-models: {name!r} lists no models (those that do: {', '.join(having) or 'none'})")
