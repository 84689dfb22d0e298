"""What every test may need: where the research data lie, and a cache folder of its own."""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def _folder(variable: str, name: str) -> Path:
    folder = Path(os.environ.get(variable) or REPOSITORY.parent / "shared" / name)
    if not folder.is_dir():
        pytest.skip(f"needs the research data: set {variable} to its folder ({folder} does not exist)")
    return folder


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Real pictures with ground truth, which are not part of the project."""
    return _folder("OCRDEPLOY_TEST_DATA", "data")


@pytest.fixture(scope="session")
def reference_folder() -> Path:
    """Golden results of MMOCR 0.6.3, which are not part of the project."""
    return _folder("OCRDEPLOY_TEST_REFERENCE", "reference")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c_is_heard() -> None:
    """A shell starts background jobs with SIGINT ignored, which children inherit; tests that interrupt one need it heard."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test writes to the user's cache folder."""
    os.environ["OCRDEPLOY_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def _log_as_at_first() -> None:
    """A command that ran in this process, for a test or a fixture, has set the log's level and handler: begin without them."""
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    for handler in [each for each in root.handlers if type(each).__module__ == "ocrdeploy.cli.messages"]:
        root.removeHandler(handler)
