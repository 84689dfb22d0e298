"""The backend that is tested: how the suite opens the tiny networks on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ocrdeploy import backend, chain
from ocrdeploy.errors import BadPlugin, OcrdError
from ocrdeploy.plugins import Plugins, discover
from ocrdeploy.testing import networks, tiny
from ocrdeploy.testing.networks import Network
from ocrdeploy.vocabulary import Artifact, BackendInfo, InferOptions, Session, Tensors


@dataclass(frozen=True, slots=True)
class Subject:
    """A backend, the device that it is to run on, and the networks that it is asked."""

    plugins: Plugins
    name: str
    device: str
    networks: Mapping[str, Network]

    @property
    def info(self) -> BackendInfo:
        """What the backend says of itself."""
        return self.plugins.backends[self.name]

    def options(self, **changed: Any) -> InferOptions:
        """Return how a session is opened, with what is changed."""
        return InferOptions(**{"device": self.device, **changed})

    def file(self, network: Network, precision: str = "fp32") -> Artifact:
        """Return the file that the backend opens, built where it has to be. Raises `OcrdError`."""
        return chain.reach(self.plugins, network.artifact, self.name, self.options(precision=precision), lambda _: None)

    def open(self, artifact: Artifact, **options: Any) -> Session:
        """Open a file. Raises `OcrdError`."""
        return backend.open_session(self.plugins, self.name, artifact, self.options(**options))

    @contextmanager
    def session(self, network: Network, **options: Any) -> Iterator[Session]:
        """Open a network for the block; whatever goes wrong fails the test in words."""
        try:
            opened = self.open(self.file(network, options.get("precision", "fp32")), **options)
        except OcrdError as error:
            pytest.fail(f"a user could not open {network.name}, a network of a few usual layers: {said(error)}", pytrace=False)
        try:
            yield opened
        finally:
            # A test of its own looks at what close does; here it would hide what the block has found.
            with suppress(OcrdError):
                opened.close()


def answer(session: Session, inputs: Tensors) -> Tensors:
    """Run one batch that the network takes; an error fails the test in words."""
    try:
        return session.run(inputs)
    except OcrdError as error:
        shapes = ", ".join(f"{name!r} {array.shape}" for name, array in inputs.items())
        pytest.fail(f"a user could not run a batch that the model takes, {shapes}: {said(error)}", pytrace=False)


def said(error: OcrdError) -> str:
    """Return an error's words, and what is behind them."""
    behind = f" (from {type(error.__cause__).__name__})" if isinstance(error, BadPlugin) and error.__cause__ else ""
    return f"{error.problem}{behind}"


def of(name: str, device: str, folder: Path) -> Subject:
    """Return the backend `name` with its networks: those that it brings, else the tiny ones in ONNX, written into `folder`."""
    maker = networks.brought_by(name) or tiny.networks
    return Subject(discover(), name, device, maker(folder))
