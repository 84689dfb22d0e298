"""Post-processing: the boundaries that MMOCR's detection heads found in recorded maps, in the map and in the picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ocrdeploy import backend, plugins
from ocrdeploy.vocabulary import Batch, ModelSpec, Placement, Region
from ocrdeploy_pytorch.specs import SIX
from ocrdeploy_pytorch.specs_postprocessor import HEADS, family_of
from ocrdeploy_pytorch.specs_section import Section
from replays.comparison import Case, Check, Comparison
from replays.goldens import Goldens

KINDS = ("postprocess_db", "postprocess_pse", "postprocess_pan")
PLACES = ("rescaled", "raw")
"""Boundaries in pixels of the picture, and in pixels of the map."""

CORNER, SCORE = 1e-3, 1e-5

Boundary: TypeAlias = Sequence[float]
"""x1, y1, x2, y2, ..., score, as MMOCR gives it."""


def cases(goldens: Goldens, kind: str) -> Iterator[Case]:
    """Yield a case for each map, config and place."""
    facts, arrays, found = goldens.facts(kind), goldens.arrays(kind), plugins.discover()
    for case in facts["cases"]:
        for config, parameters in facts["parameters"].items():
            for place in PLACES:
                name = f"{case.get('map')}, {config}, {place}"
                model = partial(_model, config=config, parameters=parameters)
                yield Case(kind, name, partial(_check, case=case, arrays=arrays, model=model, place=place, found=found))


def _check(
    case: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    config: str,
    parameters: Mapping[str, Any],
    place: str,
    found: plugins.Plugins,
) -> Check:
    quantised = arrays[case["map"]].astype(np.uint8, casting="no")
    comparison.same("the shape of the map", list(quantised.shape), case["map_shape"])
    model = _model(comparison, config, parameters)
    maps = dequantised(quantised, model.family)
    maps.flags.writeable = False  # The session's arrays are not the family's to change, as MMOCR does.
    where = placement(maps.shape[-2:], parameters["downsample_ratio"], case["scale_factor"] if place == "rescaled" else None)
    (prediction,) = backend.postprocess(found, model, {model.outputs[0]: maps[None]}, Batch({}, (where,)))
    listed = case.get("different_with_opencv5_numpy2", {}).get(config, {}).get(place, {})
    expected = [
        [boundary, *([listed[str(index)]] if str(index) in listed else [])]
        for index, boundary in enumerate(case["results"][config][place])
    ]
    compare_boundaries(comparison, prediction.regions, expected, quads=model.options["representation"] == "quad")


def _model(comparison: Comparison, config: str, parameters: Mapping[str, Any]) -> ModelSpec:
    """Return the model that a post-processor's `parameters` describe; where it is one of the six, they must agree with ours."""
    kind = parameters["postprocessor"]
    head = next(name for name, entry in HEADS.items() if entry[1] == kind)
    chosen = {name: value for name, value in parameters.items() if name not in {"postprocessor", "downsample_ratio"}}
    described = {"type": head, "downsample_ratio": parameters["downsample_ratio"], "postprocessor": {"type": kind, **chosen}}
    family, options = family_of(Section(described, "parameters", "give a folder of golden results of MMOCR 0.6.3"))
    if config in SIX:
        comparison.same("the family of our own spec", SIX[config].family, family)
        comparison.same("the options of our own spec", dict(SIX[config].options), options)
        return SIX[config]
    like = next(model for model in SIX.values() if model.family == family)
    return replace(like, name=config, options=options)


def dequantised(quantised: NDArray[np.uint8], family: str) -> NDArray[np.float32]:
    """Return the maps (C, H, W) that the head received, float32."""
    values = quantised.astype(np.float32)
    if family == "dbnet":
        return (values / np.float32(255))[None]
    maps = (values - 128) / 16
    if family == "panet":
        maps[2:] /= 2  # the embedding has finer steps than the logits
    return maps


def placement(size: tuple[int, ...], ratio: float, factors: Sequence[float] | None) -> Placement:
    """Return where the picture lies in the tensor of a map of `size` (h, w); without `factors` (x, y, ...), the map is the picture.

    The sizes are no real ones, but their quotients are exactly the factors that MMOCR was given.
    """
    height, width = size
    if factors is None:
        return Placement(0, (height, width), (height, width), (height, width))
    (content_x, size_x), (content_y, size_y) = (float(factor).as_integer_ratio() for factor in factors[:2])
    return Placement(0, (size_y, size_x), (content_y, content_x), (round(height / ratio), round(width / ratio)))


def compare_boundaries(
    comparison: Comparison, regions: Sequence[Region], expected: Sequence[Sequence[Boundary]], *, quads: bool
) -> None:
    """Compare regions one to one, in order. `expected` gives for each what it may be: MMOCR's libraries are of two generations."""
    if not comparison.same("the number of boundaries", len(regions), len(expected)):
        return
    for index, (region, choices) in enumerate(zip(regions, expected, strict=True)):
        where = f"boundary {index}: "
        nearest = min(choices, key=partial(_deviation, region, quads=quads))
        if comparison.same(f"{where}the number of corners", len(region.polygon), len(nearest) // 2):
            comparison.within("corner", distance(region, nearest, quads=quads), CORNER, where=where)
        comparison.close("score", (region.score, region.detection_score), (nearest[-1], nearest[-1]), SCORE, where=where)


def _deviation(region: Region, boundary: Boundary, *, quads: bool) -> float:
    """Return how far off a boundary is, in shares of what is allowed."""
    return max(distance(region, boundary, quads=quads) / CORNER, abs(region.score - boundary[-1]) / SCORE)


def distance(region: Region, boundary: Boundary, *, quads: bool) -> float:
    """Return how far the corner that is farthest off is from its counterpart, along x or y, in pixels.

    Quads may begin at any corner, as it depends on the version of OpenCV where theirs do. Infinite for other numbers of corners.
    """
    mine, theirs = np.array(region.polygon).reshape(-1, 2), np.array(boundary[:-1]).reshape(-1, 2)
    if mine.shape != theirs.shape:
        return np.inf
    turns = range(len(mine)) if quads else range(1)
    return float(min(np.abs(np.roll(mine, turn, axis=0) - theirs).max() for turn in turns))
