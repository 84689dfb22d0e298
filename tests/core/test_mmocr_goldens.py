"""PSENet's and PANet's results are those of the real MMOCR 0.6.3, from a slim copy of its golden results and from all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ocrdeploy.families import panet, psenet
from ocrdeploy.vocabulary import Batch, Fit, InputSpec, ModelSpec, Placement, Region, Task

Map = NDArray[np.float32]

FAMILIES: dict[str, ModuleType] = {"pse": psenet, "pan": panet}
STRIDE = 4


@pytest.fixture(params=["slim", "all"])
def goldens(request: pytest.FixtureRequest) -> Path:
    if request.param == "slim":
        return Path(__file__).parent / "goldens"
    folder: Path = request.getfixturevalue("reference_folder")
    return folder / "open"


def logits(quantised: NDArray[np.uint8], family: str) -> Map:
    maps: Map = (quantised.astype(np.float32) - 128) / np.float32(16)
    if family == "pan":
        maps[2:] /= 2
    return maps


def placement(maps: Map, factors: list[float] | None) -> Placement:
    """Whole numbers of pixels whose quotient is the factor that MMOCR was given; none: results in pixels of the map."""
    height, width = maps.shape[1:]
    if factors is None:
        return Placement(0, (height, width), (height, width), (height, width))
    x, y = (Fraction(factor).limit_denominator(4000) for factor in factors[:2])
    return Placement(0, (y.denominator, x.denominator), (y.numerator, x.numerator), (STRIDE * height, STRIDE * width))


def detect(family: str, representation: str, maps: Map, where: Placement) -> tuple[Region, ...]:
    options = {"representation": representation}
    model = ModelSpec("a-detector", f"{family}net", Task.DETECTION, InputSpec("x", Fit(1, 1)), ("maps",), options)
    maps.flags.writeable = False  # The session's arrays are not the family's to change, as MMOCR does.
    predictions = FAMILIES[family].ocrd_postprocess(model, {"maps": maps[None]}, Batch({}, (where,)))
    assert [prediction.index for prediction in predictions] == [0]
    regions: tuple[Region, ...] = predictions[0].regions
    return regions


def expected(case: dict[str, Any], config: str, kind: str) -> list[list[float]]:
    boundaries = list(case["results"][config][kind])
    for index, boundary in case["different_with_opencv5_numpy2"].get(config, {}).get(kind, {}).items():
        boundaries[int(index)] = boundary
    return boundaries


def cases(folder: Path, family: str, kind: str) -> Iterator[tuple[str, list[list[float]], tuple[Region, ...], str]]:
    """What to call the case, MMOCR's boundaries, ours, and the representation."""
    text = json.loads((folder / f"postprocess_{family}.json").read_text())
    arrays = np.load(folder / f"postprocess_{family}.npz")
    for case in text["cases"]:
        maps = logits(arrays[case["map"]], family)
        where = placement(maps, case["scale_factor"] if kind == "rescaled" else None)
        for config, parameters in text["parameters"].items():
            shape = parameters["text_repr_type"]
            yield f"{case['map']} {config}", expected(case, config, kind), detect(family, shape, maps, where), shape


def distance(found: NDArray[np.float64], wanted: NDArray[np.float64], *, turned: bool) -> float:
    shifts = range(len(found)) if turned else [0]
    return float(min(np.abs(np.roll(found, shift, axis=0) - wanted).max() for shift in shifts))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["raw", "rescaled"])
def test_boundaries_are_those_of_mmocr(goldens: Path, family: str, kind: str) -> None:
    compared = 0
    for name, boundaries, regions, shape in cases(goldens, family, kind):
        assert len(regions) == len(boundaries), name
        for region, boundary in zip(regions, boundaries, strict=True):
            corners = np.array(boundary[:-1]).reshape(-1, 2)
            assert len(region.polygon) == len(corners), name
            assert distance(np.array(region.polygon), corners, turned=shape == "quad") < 1e-3, name
            assert region.score == pytest.approx(boundary[-1], abs=1e-5), name
            assert region.detection_score == region.score
            compared += 1
    assert compared > 50
