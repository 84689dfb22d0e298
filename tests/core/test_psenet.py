"""PSENet's family: what its options do, and what it reads. That its results are MMOCR's is shown by test_mmocr_goldens.py."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ocrdeploy.errors import BadInput, UnknownName
from ocrdeploy.families import psenet
from ocrdeploy.vocabulary import Batch, Fit, InputSpec, ModelSpec, Placement, Region, Task

Map = NDArray[np.float32]
Box = tuple[int, int, int, int]

SIZE = (60, 90)
TEXTS: tuple[Box, ...] = ((10, 5, 40, 12), (10, 25, 40, 12), (60, 5, 20, 40))


def detector(**options: Any) -> ModelSpec:
    return ModelSpec("a-detector", "psenet", Task.DETECTION, InputSpec("x", Fit(1, 1)), ("maps",), options)


def plane(*boxes: Box, margin: int = 0, logit: float = 4) -> Map:
    logits = np.full(SIZE, -6, np.float32)
    for left, top, width, height in boxes:
        logits[top + margin : top + height - margin, left + margin : left + width - margin] = logit
    return logits


def maps(*boxes: Box, planes: int = 7) -> Map:
    return np.stack([plane(*boxes, margin=min(index, 4)) for index in range(planes - 1)] + [plane(*boxes, margin=4)])


def whole(logits: NDArray[Any]) -> Placement:
    size = (logits.shape[1], logits.shape[2])
    return Placement(0, size, size, size)


def detect(model: ModelSpec, logits: NDArray[Any], placement: Placement | None = None) -> tuple[Region, ...]:
    placement = placement or whole(logits)
    (prediction,) = psenet.ocrd_postprocess(model, {"maps": logits[None]}, Batch({}, (placement,)))
    assert prediction.index == placement.index
    return prediction.regions


def extents(regions: tuple[Region, ...]) -> list[Box]:
    """Left, top, width and height, in pixels that the regions cover; a polygon runs through the middle of its pixels."""
    arrays = [np.array(region.polygon) for region in regions]
    lows, highs = [array.min(axis=0) for array in arrays], [array.max(axis=0) for array in arrays]
    return [(*map(round, low.tolist()), *map(round, (high - low + 1).tolist())) for low, high in zip(lows, highs, strict=True)]


@pytest.mark.parametrize("shape", ["quad", "poly"])
def test_texts_are_found_whole_in_the_order_of_their_kernels(shape: str) -> None:
    regions = detect(detector(representation=shape), maps(*TEXTS))
    assert extents(regions) == [TEXTS[0], TEXTS[2], TEXTS[1]]
    assert [region.score for region in regions] == pytest.approx([1 / (1 + np.exp(-4))] * 3)
    assert regions[0].polygon[0] == (10, 5)


def test_texts_that_touch_are_told_apart_by_their_kernels() -> None:
    assert extents(detect(detector(), maps((10, 5, 20, 20), (30, 5, 20, 20)))) == [(10, 5, 20, 20), (30, 5, 20, 20)]


def test_an_outline_follows_a_bend_and_a_box_does_not() -> None:
    bent = maps((10, 5, 40, 12), (10, 15, 12, 30))
    bent[-1] = plane((10, 5, 40, 12), margin=4)
    (outline,), (box,) = (detect(detector(representation=shape), bent) for shape in ("poly", "quad"))
    assert len(outline.polygon) > len(box.polygon) == 4
    assert extents((outline,)) == [(10, 5, 40, 40)]


@pytest.mark.parametrize("planes", [1, 2, 3, 9])
def test_heads_may_have_any_number_of_kernels(planes: int) -> None:
    assert len(detect(detector(), maps(*TEXTS, planes=planes))) == 3


def test_only_the_texts_and_the_smallest_kernels_count() -> None:
    full, odd = maps(*TEXTS), maps(*TEXTS)
    odd[1:-1] = np.random.default_rng(0).normal(size=odd[1:-1].shape)
    assert detect(detector(), odd) == detect(detector(), full)


def test_a_kernel_counts_only_where_there_is_text() -> None:
    logits = maps(*TEXTS)
    logits[-1, 50:55, 10:40] = 9
    assert len(detect(detector(), logits)) == 3


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({}, 3),
        ({"min_area": 480}, 3),
        ({"min_area": 481}, 1),
        ({"min_area": 801}, 0),
        ({"score_threshold": 0.98}, 3),
        ({"score_threshold": 0.983}, 0),
        ({"mask_threshold": 0.99}, 0),
        ({"min_kernel_area": 128}, 3),
        ({"min_kernel_area": 129}, 1),
    ],
)
def test_options_do_what_they_say(options: dict[str, Any], count: int) -> None:
    assert len(detect(detector(**options), maps(*TEXTS))) == count


def test_a_probability_of_exactly_the_threshold_is_no_text() -> None:
    assert detect(detector(score_threshold=0.4), np.stack([plane(*TEXTS, logit=0)] * 7)) == ()
    assert len(detect(detector(score_threshold=0.4), np.stack([plane(*TEXTS, logit=1e-3)] * 7))) == 3


def test_a_kernel_that_is_too_small_leaves_its_text_to_the_neighbour() -> None:
    logits = maps((10, 5, 20, 20), (30, 5, 30, 20))
    assert extents(detect(detector(min_kernel_area=200), logits)) == [(10, 5, 50, 20)]


def test_a_text_of_one_row_has_a_box_and_no_outline() -> None:
    logits = np.stack([plane((10, 5, 40, 1))] * 7)
    assert extents(detect(detector(representation="quad"), logits)) == [(10, 5, 40, 1)]
    assert detect(detector(representation="poly"), logits) == ()


@pytest.mark.parametrize("logit", [6, 1e30])
def test_a_map_that_is_all_text_is_one_text(logit: float) -> None:
    assert extents(detect(detector(), np.full((7, *SIZE), logit, np.float32))) == [(0, 0, 90, 60)]


def test_padding_and_a_smaller_map_are_mapped_back_to_the_picture() -> None:
    # The picture, 480 x 360, fills 240 x 180 of a tensor of 360 x 240; the map is a quarter of the tensor.
    placement = Placement(3, (360, 480), (180, 240), (240, 360))
    (region,) = detect(detector(representation="quad"), maps((10, 5, 41, 21)), placement)
    assert np.array(region.polygon) == pytest.approx(np.array([(80, 40), (400, 40), (400, 200), (80, 200)]), abs=1e-3)


def test_nothing_found_is_no_error_and_rows_do_not_mix() -> None:
    rows = np.stack([maps(), maps(TEXTS[0]), maps(*TEXTS)])
    placements = tuple(Placement(index, SIZE, SIZE, SIZE) for index in (4, 7, 2))
    predictions = psenet.ocrd_postprocess(detector(), {"maps": rows}, Batch({}, placements))
    assert [(prediction.index, len(prediction.regions)) for prediction in predictions] == [(4, 0), (7, 1), (2, 3)]
    for row, placement, prediction in zip(rows, placements, predictions, strict=True):
        assert detect(detector(), row, placement) == prediction.regions


def test_maps_may_be_of_another_float() -> None:
    assert extents(detect(detector(), maps(*TEXTS).astype(np.float16))) == extents(detect(detector(), maps(*TEXTS)))


def test_a_misspelled_option_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"option of the family 'psenet' 'min_aria' \(did you mean 'min_area'\?\)"):
        detect(detector(min_aria=2), maps())


def test_an_output_that_is_no_map_is_a_sentence() -> None:
    with pytest.raises(BadInput, match=r"has the shape \(1, 60, 90\), which is no answer of the family 'psenet' to 1 pictures"):
        psenet.ocrd_postprocess(detector(), {"maps": maps()[:1]}, Batch({}, (whole(maps()),)))


def test_the_family_announces_its_options_and_mmocrs_defaults() -> None:
    info = psenet.ocrd_family()
    assert (info.name, info.task) == ("psenet", Task.DETECTION)
    assert info.options == {
        "mask_threshold": 0.5,
        "min_kernel_area": 0,
        "min_area": 16,
        "score_threshold": 0.85,
        "representation": "poly",
    }


def test_announcing_the_families_imports_nothing_heavy() -> None:
    script = (
        "import sys; from ocrdeploy.families import panet, psenet\n"
        "for family in (panet, psenet): family.ocrd_family()\n"
        "print([name for name in ('cv2', 'pyclipper', 'shapely', 'PIL', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
