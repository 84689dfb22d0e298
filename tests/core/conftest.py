"""Plugins that are made in a test, and the model specifications that several tests start from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any, TypeAlias, cast

import pytest

from ocrdeploy.plugins import Plugins, discover
from ocrdeploy.vocabulary import Align, Exact, Height, InputSpec, ModelSpec, ShortSide, Task

Install: TypeAlias = Callable[..., Plugins]


@dataclass(frozen=True)
class ReadyPoint:
    """An entry point whose plugin is at hand: `discover` loads it as it loads every other."""

    name: str
    plugin: Any
    value: str = "made_in_a_test"
    dist: None = None

    def load(self) -> object:
        return self.plugin


@pytest.fixture
def install() -> Install:
    """Discover these plugins and no others, by keyword: the entry point's name and its plugin."""

    def discovered(**plugins: object) -> Plugins:
        found = discover(cast("list[EntryPoint]", [ReadyPoint(name, plugin) for name, plugin in plugins.items()]))
        assert not found.broken, found.broken
        return found

    return discovered


@pytest.fixture
def detector() -> ModelSpec:
    """A detector's specification in the manner of PP-OCR."""
    image = InputSpec("x", ShortSide(736, 2000), align=Align.STRETCH, pad_to=32, mean=(0.5,), std=(0.5,), scale=1 / 255)
    return ModelSpec("find", "dbnet", Task.DETECTION, image, ("maps",), options={"threshold": 0.3})


@pytest.fixture
def recognizer() -> ModelSpec:
    """A recognizer's specification in the manner of PP-OCR."""
    image = InputSpec("x", Height(48, width_multiple=32, min_width=320), mean=(0.5,), std=(0.5,), scale=1 / 255)
    return ModelSpec("read", "ctc", Task.RECOGNITION, image, ("logits",), charset=("a", "b", "é", "本"))


@pytest.fixture
def classifier() -> ModelSpec:
    """A line classifier's specification in the manner of PP-OCR."""
    image = InputSpec("x", Exact(48, 192), mean=(0.5,), std=(0.5,), scale=1 / 255)
    return ModelSpec("turn", "classifier", Task.CLASSIFICATION, image, ("scores",), options={"labels": ["0", "180"]})
