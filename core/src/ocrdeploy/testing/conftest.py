"""What the tests of the suite are given. None of them writes to the user's cache folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from ocrdeploy.plugins import discover
from ocrdeploy.testing import subject as subjects
from ocrdeploy.testing.networks import Network
from ocrdeploy.testing.pack import Model
from ocrdeploy.testing.subject import Subject


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OCRDEPLOY_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """Return the backend that `--ocrd-backend` names."""
    option = request.config.getoption
    return subjects.of(option("ocrd_backend"), option("ocrd_device"), tmp_path_factory.mktemp("networks"))


@pytest.fixture(params=["detector", "recognizer"])
def network(request: pytest.FixtureRequest, subject: Subject) -> Network:
    """Return each of the networks that the backend is asked."""
    with suppress(KeyError):
        return subject.networks[request.param]
    pytest.skip(f"the backend {subject.name} brings no {request.param}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Ask every model of the plugin that `--ocrd-models` names."""
    if "model" in metafunc.fixturenames:
        name, device = (metafunc.config.getoption(option) for option in ("ocrd_models", "ocrd_device"))
        found = discover() if name else None
        plugin = found.installed.get(name) if found else None
        models = [Model(found, listed, device) for listed in plugin.models] if found and plugin else []
        metafunc.parametrize("model", models, ids=[model.listed.name for model in models])


@pytest.fixture
def pack(request: pytest.FixtureRequest) -> str:
    """Return the plugin that `--ocrd-models` names."""
    name: str = request.config.getoption("ocrd_models")
    return name
