"""What the tests of the suite are given. None of them writes to the user's cache folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from ocrdeploy.testing import subject as subjects
from ocrdeploy.testing.networks import Network
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
