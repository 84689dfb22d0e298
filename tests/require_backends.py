"""`-p tests.require_backends --require-backends=NAME,...`: a backend that cannot run is a failure, not a reason to skip tests."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption(
        "--require-backends",
        default="",
        metavar="NAME,...",
        help="end at once where one of these backends cannot run, instead of skipping what needs it",
    )


def pytest_sessionstart(session: pytest.Session) -> None:
    """Ask every required backend whether it can run here. Raises `pytest.UsageError`, which says why one cannot."""
    from ocrdeploy import backend, plugins

    required = [name.strip() for name in session.config.getoption("--require-backends").split(",") if name.strip()]
    found = plugins.discover()
    for name in required:
        if name not in found.backends:
            broken = "; ".join(f"{each.why} ({each.fix})" for each in found.broken if each.name == name)
            raise pytest.UsageError(f"--require-backends: {name!r} cannot run here: {broken or 'no installed plugin has it'}")
        probe = backend.probe(found, name)
        if not probe.ok:
            raise pytest.UsageError(f"--require-backends: {name!r} cannot run here: {probe.problem} ({probe.fix})")
