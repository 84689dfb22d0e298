"""PANet's family: what its options do, and what it reads. That its results are MMOCR's is shown by test_mmocr_goldens.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ocrdeploy.errors import BadInput
from ocrdeploy.families import panet
from ocrdeploy.vocabulary import Batch, Fit, InputSpec, ModelSpec, Placement, Region, Task

Map = NDArray[np.float32]

SIZE = (40, 60)
KERNELS = (slice(12, 28), slice(8, 20)), (slice(12, 28), slice(40, 52))


def detector(**options: Any) -> ModelSpec:
    return ModelSpec("a-detector", "panet", Task.DETECTION, InputSpec("x", Fit(1, 1)), ("maps",), options)


def maps(dimensions: int = 4) -> Map:
    """One area of text, 52 x 24 from (4, 8), with two kernels; the embedding is 0 left of column 30 and 1 from there on."""
    planes = np.full((2 + dimensions, *SIZE), -6, np.float32)
    planes[0, 8:32, 4:56] = 4
    for rows, columns in KERNELS:
        planes[1, rows, columns] = 4
    planes[2:] = 0
    planes[2, :, 30:] = 1
    return planes


def detect(model: ModelSpec, planes: NDArray[Any]) -> tuple[Region, ...]:
    size = (planes.shape[1], planes.shape[2])
    (prediction,) = panet.ocrd_postprocess(model, {"maps": planes[None]}, Batch({}, (Placement(5, size, size, size),)))
    assert prediction.index == 5
    return prediction.regions


def sides(regions: tuple[Region, ...]) -> list[tuple[float, float]]:
    """The leftmost and the rightmost column of each region."""
    return [(min(x for x, _ in region.polygon), max(x for x, _ in region.polygon)) for region in regions]


@pytest.mark.parametrize("shape", ["quad", "poly"])
@pytest.mark.parametrize("dimensions", [1, 4, 8])
def test_touching_texts_end_where_the_embedding_changes(shape: str, dimensions: int) -> None:
    assert sides(detect(detector(representation=shape), maps(dimensions))) == [(4, 29), (30, 55)]


def test_where_the_embedding_says_nothing_the_texts_meet_half_way() -> None:
    planes = maps()
    planes[2:] = 0
    assert sides(detect(detector(), planes)) == [(4, 29), (30, 55)]
    planes[1, :, 20:30] = planes[1, :, 19:20]
    assert sides(detect(detector(), planes)) == [(4, 34), (35, 55)]


@pytest.mark.parametrize(("threshold", "ends"), [(0.5, 28), (0.9, 35), (1.1, 36)])
def test_a_pixel_joins_a_kernel_whose_mean_embedding_is_closer_than_the_threshold(threshold: float, ends: int) -> None:
    planes = maps()
    planes[1, KERNELS[1][0], KERNELS[1][1]] = -6
    # The left kernel's mean is 0; farther right, the embedding goes away from it: 0.8, 1, and then 3.
    planes[2:] = 0
    planes[2, :, 29:36], planes[2, :, 36], planes[2, :, 37:] = 0.8, 1, 3
    assert sides(detect(detector(distance_threshold=threshold), planes)) == [(4, ends)]


def test_text_that_no_kernel_reaches_is_left_out() -> None:
    planes = maps()
    planes[0, :, 24:26] = -6
    planes[1, KERNELS[1][0], KERNELS[1][1]] = -6
    assert sides(detect(detector(), planes)) == [(4, 23)]


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({}, 2),
        ({"min_area": 624}, 2),
        ({"min_area": 625}, 0),
        ({"score_threshold": 0.983}, 0),
        ({"mask_threshold": 0.99}, 0),
        ({"kernel_threshold": 0.99}, 0),
    ],
)
def test_options_do_what_they_say(options: dict[str, Any], count: int) -> None:
    assert len(detect(detector(**options), maps())) == count


def test_the_models_output_is_left_as_it_was() -> None:
    planes = maps()
    detect(detector(), planes)
    assert np.array_equal(planes, maps())


def test_scores_of_large_texts_are_added_up_in_float32_as_mmocr_does() -> None:
    planes = np.zeros((6, 184, 320), np.float32)
    planes[:2] = 6
    (region,) = detect(detector(), planes)
    total = np.cumsum(np.full(184 * 320, 1 / (1 + np.exp(np.float32(-6))), np.float32))[-1]
    assert region.score == pytest.approx(float(total) / (184 * 320), abs=1e-7)
    assert region.score != pytest.approx(1 / (1 + np.exp(-6)), abs=1e-5)


def test_nothing_found_is_no_error() -> None:
    assert detect(detector(), np.full((6, *SIZE), -6, np.float32)) == ()


def test_an_output_without_an_embedding_is_a_sentence() -> None:
    with pytest.raises(BadInput, match=r"has the shape \(1, 2, 40, 60\), which is no answer of the family 'panet'"):
        detect(detector(), maps()[:2])


def test_the_family_announces_its_options_and_mmocrs_defaults() -> None:
    info = panet.ocrd_family()
    assert (info.name, info.task) == ("panet", Task.DETECTION)
    assert info.options == {
        "mask_threshold": 0.5,
        "kernel_threshold": 0.5,
        "distance_threshold": 0.85,
        "min_area": 16,
        "score_threshold": 0.85,
        "representation": "poly",
    }
