"""What a tiny network is to the suite: a model's file, and the numbers that it should answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ocrdeploy.vocabulary import Artifact, Shapes, Tensors

GROUP = "ocrdeploy.testing"
"""The group of entry points through which a backend brings networks of its own: its name leads to a `Maker`."""

Reference: TypeAlias = Callable[[NDArray[np.float64]], Mapping[str, NDArray[np.float64]]]


@dataclass(frozen=True, slots=True)
class Network:
    """A model's file, and its outputs by name as a function of its image input, both in double precision.

    The spec in `artifact` has `shapes`, whose smallest, usual and largest sides the suite asks the network with; they
    take 1 to 5 rows; where the height is fixed, it is the same in all three.
    """

    artifact: Artifact
    reference: Reference

    @property
    def name(self) -> str:
        """The model's name."""
        return self.artifact.model.name

    @property
    def shapes(self) -> Shapes:
        """The shapes of the spec."""
        found = self.artifact.model.input.shapes
        assert found, f"the spec of {self.name} has no shapes"
        return found

    def sizes(self) -> Iterator[tuple[int, int]]:
        """Yield (height, width) up and down: usual, largest, smallest, flat and wide, narrow and high, usual."""
        shapes = self.shapes
        (least_h, least_w), (most_h, most_w) = shapes.min[2:], shapes.max[2:]
        usual = shapes.opt[2], shapes.opt[3]
        yield from (usual, (most_h, most_w), (least_h, least_w), (least_h, most_w), (most_h, least_w), usual)

    def batch(self, rows: int, size: tuple[int, int] | None = None, seed: int = 0) -> dict[str, NDArray[Any]]:
        """Return inputs, float32 in C order, for `rows` pictures of noise that differ, of the usual size or of `size`."""
        height, width = size or self.shapes.opt[2:]
        spec = self.artifact.model.input
        chance = np.random.default_rng((seed, rows, height, width))
        return {spec.name: chance.uniform(-1, 1, (rows, spec.channels, height, width)).astype(np.float32)}

    def expected(self, inputs: Tensors) -> dict[str, NDArray[np.float64]]:
        """Return what the network should answer, by the names of the spec's outputs."""
        answer = self.reference(inputs[self.artifact.model.input.name].astype(np.float64))
        return {name: answer[name] for name in self.artifact.model.outputs}


Maker: TypeAlias = Callable[[Path], Mapping[str, Network]]
"""Writes networks into a folder and returns them by their roles: "detector", "recognizer"."""


def brought_by(backend: str) -> Maker | None:
    """Return what makes the networks that the backend `backend` brings itself, or None."""
    found = [point for point in entry_points(group=GROUP) if point.name == backend]
    maker: Maker | None = found[0].load() if found else None
    return maker
