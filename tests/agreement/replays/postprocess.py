"""Post-processing: the boundaries that MMOCR's detection heads found in recorded maps, in the map and in the picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ocrdeploy import backend, plugins
from ocrdeploy.vocabulary import Batch, ModelSpec, Placement, Region
from ocrdeploy_pytorch.specs import SIX
from ocrdeploy_pytorch.specs.postprocessor import HEADS, family_of
from ocrdeploy_pytorch.specs.section import Section
from replays.comparison import Case, Comparison
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
                golden = _Golden(case, config, parameters, place)
                name = f"{case.get('map')}, {config}, {place}"
                yield Case(kind, name, partial(_check, golden=golden, arrays=arrays, found=found))


@dataclass(frozen=True, slots=True)
class _Golden:
    """What one config's post-processor made of one map."""

    case: Mapping[str, Any]
    config: str
    parameters: Mapping[str, Any]
    place: str

    @property
    def factors(self) -> Sequence[float] | None:
        return self.case["scale_factor"] if self.place == "rescaled" else None

    @property
    def boundaries(self) -> list[list[Boundary]]:
        """What each boundary may be: MMOCR's, and where newer libraries make another of it, that one, too."""
        listed = self.case["different_with_opencv5_numpy2"].get(self.config, {}).get(self.place, {})
        found = enumerate(self.case["results"][self.config][self.place])
        return [[boundary, listed.get(str(index), boundary)] for index, boundary in found]


def _check(comparison: Comparison, *, golden: _Golden, arrays: Mapping[str, NDArray[Any]], found: plugins.Plugins) -> None:
    quantised = arrays[golden.case["map"]].astype(np.uint8, casting="no")
    comparison.same("the shape of the map", list(quantised.shape), golden.case["map_shape"])
    model = _model(comparison, golden)
    maps = dequantised(quantised, model.family)
    maps.flags.writeable = False  # The session's arrays are not the family's to change, as MMOCR does.
    where = placement(maps.shape[-2:], golden.parameters["downsample_ratio"], golden.factors)
    (prediction,) = backend.postprocess(found, model, {model.outputs[0]: maps[None]}, Batch({}, (where,)))
    quads = model.options["representation"] == "quad"
    compare_boundaries(comparison, prediction.regions, golden.boundaries, quads=quads)


def _model(comparison: Comparison, golden: _Golden) -> ModelSpec:
    """Return the model that the parameters describe; where it is one of the six, they must agree with our own spec."""
    kind, ratio = golden.parameters["postprocessor"], golden.parameters["downsample_ratio"]
    chosen = {name: value for name, value in golden.parameters.items() if name not in {"postprocessor", "downsample_ratio"}}
    head = next(name for name, (_, postprocessor, _, _) in HEADS.items() if postprocessor == kind)
    described = {"type": head, "downsample_ratio": ratio, "postprocessor": {"type": kind, **chosen}}
    family, options = family_of(Section(described, "parameters", "give a folder of golden results of MMOCR 0.6.3"))
    if golden.config in SIX:
        model = SIX[golden.config]
        comparison.same("the family of our own spec", model.family, family)
        comparison.same("the options of our own spec", dict(model.options), options)
        return model
    like = next(model for model in SIX.values() if model.family == family)
    return replace(like, name=golden.config, options=options)


def dequantised(quantised: NDArray[np.uint8], family: str) -> NDArray[np.float32]:
    """Return the maps (C, H, W) that the head received, float32."""
    values = quantised.astype(np.float32)
    if family == "dbnet":
        values /= 255
        return values[None]
    values -= 128
    values /= 16
    if family == "panet":
        values[2:] /= 2  # the embedding has finer steps than the logits
    return values


def placement(size: tuple[int, ...], ratio: float, factors: Sequence[float] | None) -> Placement:
    """Return where the picture lies in the tensor of a map of `size` (h, w); without `factors` (x, y), the map is the picture.

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
    """Compare regions one to one, in order; `expected` gives for each what it may be."""
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
