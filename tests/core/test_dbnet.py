"""DB-style detection: MMOCR's results and PP-OCR's, from one family with other options."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import cv2
import numpy as np
import pyclipper
import pytest
from numpy.typing import NDArray

from ocrdeploy import batching, contours
from ocrdeploy.errors import BadInput, UnknownName
from ocrdeploy.families import dbnet
from ocrdeploy.vocabulary import (
    Align,
    Batch,
    Colour,
    InputSpec,
    ModelSpec,
    Placement,
    Prediction,
    Region,
    ShortSide,
    Task,
)

Map = NDArray[np.float32]

PP_INPUT = InputSpec(
    "x", ShortSide(736, 2000), colour=Colour.BGR, scale=1 / 255, mean=(0.5,), std=(0.5,), align=Align.STRETCH, pad_to=32
)
PP_OPTIONS: dict[str, Any] = {
    "mask_threshold": 0.3,
    "dilation": 2,
    "max_candidates": 1000,
    "outline": "rectangle",
    "min_outline_side": 3,
    "score_threshold": 0.5,
    "unclip_ratio": 1.6,
    "min_side": 5,
    "min_side_inclusive": True,
    "snap": True,
    "min_picture_side": 4,
}


def detector(**options: Any) -> ModelSpec:
    return ModelSpec("a-detector", "dbnet", Task.DETECTION, PP_INPUT, ("map",), options)


def detect(model: ModelSpec, scores: NDArray[Any], placement: Placement) -> tuple[Region, ...]:
    (prediction,) = dbnet.ocrd_postprocess(model, {"map": scores[None, None]}, Batch({}, (placement,)))
    assert prediction.index == placement.index
    return prediction.regions


def whole(scores: NDArray[Any]) -> Placement:
    height, width = scores.shape
    return Placement(0, (height, width), (height, width), (height, width))


def blocks(*boxes: tuple[int, int, int, int], size: tuple[int, int] = (200, 300), probability: float = 0.9) -> Map:
    scores = np.zeros(size, np.float32)
    for left, top, width, height in boxes:
        scores[top : top + height, left : left + width] = probability
    return scores


def golden_maps(reference_folder: Path) -> dict[str, Map]:
    arrays = np.load(reference_folder / "open" / "postprocess_db.npz")
    return {name: arrays[name].astype(np.float32) / np.float32(255) for name in arrays}


def golden_placement(scores: Map, factors: list[float]) -> Placement:
    """Whole numbers of pixels whose quotient is the factor that MMOCR was given."""
    x, y = (Fraction(factor).limit_denominator(4000) for factor in factors)
    return Placement(0, (y.denominator, x.denominator), (y.numerator, x.numerator), (scores.shape[0], scores.shape[1]))


def expected_boundaries(case: dict[str, Any], config: str, kind: str) -> list[list[float]]:
    boundaries = list(case["results"][config][kind])
    for index, boundary in case["different_with_opencv5_numpy2"].get(config, {}).get(kind, {}).items():
        boundaries[int(index)] = boundary
    return boundaries


def distance(found: NDArray[np.float64], expected: NDArray[np.float64], *, turned: bool) -> float:
    shifts = range(len(found)) if turned else [0]
    return float(min(np.abs(np.roll(found, shift, axis=0) - expected).max() for shift in shifts))


@pytest.mark.parametrize(("config", "shape"), [("dbnet_r18_fpnc_1200e_icdar2015", "quad"), ("DBPostprocessor_poly", "poly")])
@pytest.mark.parametrize("kind", ["raw", "rescaled"])
def test_boundaries_are_those_of_mmocr(reference_folder: Path, config: str, shape: str, kind: str) -> None:
    cases = json.loads((reference_folder / "open" / "postprocess_db.json").read_text())["cases"]
    maps, model = golden_maps(reference_folder), detector(representation=shape)
    for case in cases:
        scores = maps[case["map"]]
        placement = whole(scores) if kind == "raw" else golden_placement(scores, case["scale_factor"][:2])
        regions = detect(model, scores, placement)
        boundaries = expected_boundaries(case, config, kind)
        assert len(regions) == len(boundaries), case["map"]
        for region, boundary in zip(regions, boundaries, strict=True):
            corners = np.array(boundary[:-1]).reshape(-1, 2)
            assert distance(np.array(region.polygon), corners, turned=shape == "quad") < 1e-3
            assert region.score == pytest.approx(boundary[-1], abs=1e-5)
            assert region.detection_score == region.score


def rapidocr_boxes(scores: Map, size: tuple[int, int]) -> tuple[NDArray[Any], list[float]]:
    utils = pytest.importorskip("rapidocr.ch_ppocr_det.utils", reason="compares with rapidocr, which is not installed")
    boxes, values = utils.DBPostProcess(0.3, 0.5, 1000, 1.6, "fast", use_dilation=True)(scores[None, None], size)
    return np.array(boxes, np.float64).reshape(-1, 4, 2), values


def assert_same_as_rapidocr(scores: Map, placement: Placement) -> int:
    boxes, values = rapidocr_boxes(scores, placement.size)
    regions = detect(detector(**PP_OPTIONS), scores, placement)
    assert [region.polygon for region in regions] == [tuple((x, y) for x, y in box) for box in boxes.tolist()]
    assert [region.score for region in regions] == pytest.approx(values, abs=1e-6)
    return len(regions)


@pytest.mark.parametrize("factor", [(1.0, 1.0), (0.8663, 0.8622), (2.13, 1.7)])
def test_boxes_are_those_of_rapidocr(reference_folder: Path, factor: tuple[float, float]) -> None:
    found = 0
    for scores in golden_maps(reference_folder).values():
        height, width = scores.shape
        size = (round(height * factor[0]), round(width * factor[1]))
        found += assert_same_as_rapidocr(scores, Placement(0, size, (height, width), (height, width)))
    assert found > 100


def test_boxes_of_a_photograph_are_those_of_rapidocr(data_folder: Path) -> None:
    package = pytest.importorskip("rapidocr", reason="compares with rapidocr, which is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="runs rapidocr's detector, which needs onnxruntime")
    file = Path(package.__file__).parent / "models" / "PP-OCRv6_det_small.onnx"
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    photograph = cv2.imread(str(min((data_folder / "icdar03_scene").rglob("*.jpg"), key=str)))
    assert photograph is not None
    pixels = np.ascontiguousarray(photograph[..., ::-1]).astype(np.uint8)
    (batch,) = batching.batches([pixels], PP_INPUT, 1)
    (maps,) = session.run(None, {session.get_inputs()[0].name: batch.inputs["x"]})
    assert assert_same_as_rapidocr(maps[0, 0], batch.placements[0]) > 0


def test_padding_and_a_smaller_map_are_mapped_back_to_the_picture() -> None:
    # The picture, 400 x 300, fills 200 x 150 of a tensor of 224 x 160; the map is half the tensor.
    placement = Placement(3, (300, 400), (150, 200), (160, 224))
    (region,) = detect(detector(unclip_ratio=1e-9), blocks((20, 10, 31, 11), size=(80, 112)), placement)
    assert region.polygon == ((80, 40), (200, 40), (200, 80), (80, 80))


def test_nothing_found_is_no_error_and_rows_do_not_mix() -> None:
    maps = np.stack([blocks(), blocks((20, 20, 60, 20)), blocks((20, 20, 60, 20), (20, 100, 90, 20))])[:, None]
    placements = tuple(Placement(index, (200, 300), (200, 300), (200, 300)) for index in (4, 7, 2))
    predictions = dbnet.ocrd_postprocess(detector(), {"map": maps}, Batch({}, placements))
    assert [(prediction.index, len(prediction.regions)) for prediction in predictions] == [(4, 0), (7, 1), (2, 2)]
    for row, placement, prediction in zip(maps, placements, predictions, strict=True):
        assert dbnet.ocrd_postprocess(detector(), {"map": row[None]}, Batch({}, (placement,))) == [prediction]


def test_maps_may_lack_the_channel_axis_and_be_of_another_float() -> None:
    scores = blocks((20, 20, 60, 20))
    batch = Batch({}, (whole(scores),))
    expected = dbnet.ocrd_postprocess(detector(), {"map": scores[None, None]}, batch)
    assert dbnet.ocrd_postprocess(detector(), {"map": scores[None]}, batch) == expected
    halves: list[Prediction] = dbnet.ocrd_postprocess(detector(), {"map": scores[None].astype(np.float16)}, batch)
    assert halves[0].regions[0].polygon == expected[0].regions[0].polygon


def test_only_plane_zero_is_read() -> None:
    planes = np.stack([blocks((20, 20, 60, 20)), blocks((90, 90, 60, 20))])[None]
    (prediction,) = dbnet.ocrd_postprocess(detector(), {"map": planes}, Batch({}, (whole(planes[0, 0]),)))
    assert [region.polygon[0][1] < 40 for region in prediction.regions] == [True]


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({}, 3),
        ({"mask_threshold": 0.95}, 0),
        ({"score_threshold": 0.95}, 0),
        ({"max_candidates": 2}, 2),
        ({"max_candidates": 0}, 3),
        ({"min_side": 40}, 2),
        ({"outline": "rectangle", "min_outline_side": 15}, 2),
        ({"min_picture_side": 40}, 2),
    ],
)
def test_options_do_what_they_say(options: dict[str, Any], count: int) -> None:
    scores = blocks((20, 20, 60, 20), (20, 80, 60, 10), (20, 140, 60, 20))
    assert len(detect(detector(**options), scores, whole(scores))) == count


def test_a_side_of_exactly_the_least_length_is_kept_only_if_inclusive() -> None:
    scores = blocks((20, 20, 60, 20))
    (region,) = detect(detector(unclip_ratio=1e-9), scores, whole(scores))
    side = region.polygon[3][1] - region.polygon[0][1]
    assert not detect(detector(unclip_ratio=1e-9, min_side=side), scores, whole(scores))
    assert detect(detector(unclip_ratio=1e-9, min_side=side, min_side_inclusive=True), scores, whole(scores))


def test_dilation_grows_to_the_right_and_down() -> None:
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = True
    (outline,) = contours.outlines(mask, dilation=2)
    assert sorted(map(tuple, outline.reshape(-1, 2).tolist())) == [(4, 4), (4, 5), (5, 4), (5, 5)]


@pytest.mark.parametrize("outline", ["polygon", "rectangle"])
def test_single_pixels_and_hair_lines_are_no_text(outline: str) -> None:
    scores = blocks((20, 20, 1, 1), (50, 50, 40, 1), (100, 20, 1, 40))
    assert not detect(detector(outline=outline), scores, whole(scores))


def test_snapped_corners_lie_inside_the_picture() -> None:
    scores = blocks((0, 0, 100, 20), (250, 180, 50, 20))
    corners = np.array([region.polygon for region in detect(detector(snap=True), scores, whole(scores))])
    assert np.array_equal(corners, corners.round())
    assert corners.min() == 0
    assert corners.reshape(-1, 2).max(axis=0).tolist() == [299, 199]


def test_parts_of_unequal_length_are_dropped_and_of_equal_length_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    square, triangle = [[0, 0], [9, 0], [9, 9], [0, 9]], [[0, 0], [9, 0], [9, 9]]
    offset = Mock()
    monkeypatch.setattr(pyclipper, "PyclipperOffset", lambda: offset)
    offset.Execute.return_value = [square, square]
    grown = contours.unclip(square, 1.5)
    assert grown is not None
    assert grown.tolist() == [*square, *square]
    for parts in ([square, triangle], []):
        offset.Execute.return_value = parts
        assert contours.unclip(square, 1.5) is None


def test_a_misspelled_option_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"option of the family 'dbnet' 'unclip_ration' \(did you mean 'unclip_ratio'\?\)"):
        detect(detector(unclip_ration=2), blocks(), whole(blocks()))


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"unclip_ratio": "1.5"}, "'unclip_ratio' of the model 'a-detector' is '1.5', and must be a number"),
        ({"dilation": 2.0}, "must be a whole number"),
        ({"dilation": True}, "must be a whole number"),
        ({"snap": 1}, "must be true or false"),
        ({"outline": "box"}, "must be one of: polygon, rectangle"),
        ({"outline": ["polygon"]}, "must be one of: polygon, rectangle"),
    ],
)
def test_an_option_of_another_type_is_a_sentence(options: dict[str, Any], wanted: str) -> None:
    with pytest.raises(BadInput, match=wanted):
        detect(detector(**options), blocks(), whole(blocks()))


@pytest.mark.parametrize(
    ("outputs", "problem"),
    [
        ({"other": np.zeros((1, 1, 8, 8))}, "gives no output 'map'"),
        ({"map": np.zeros((1, 8))}, r"has the shape \(1, 8\)"),
        ({"map": np.zeros((2, 1, 8, 8))}, "to 1 pictures"),
    ],
)
def test_an_output_that_is_no_map_is_a_sentence(outputs: dict[str, NDArray[Any]], problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        dbnet.ocrd_postprocess(detector(), outputs, Batch({}, (whole(blocks()),)))


def test_the_family_announces_its_options_and_their_defaults() -> None:
    info = dbnet.ocrd_family()
    assert (info.name, info.task) == ("dbnet", Task.DETECTION)
    assert info.options["unclip_ratio"] == 1.5
    assert PP_OPTIONS.keys() <= info.options.keys()


def test_announcing_the_families_imports_nothing_heavy() -> None:
    script = (
        "import sys; from ocrdeploy.families import classifier, ctc, dbnet\n"
        "for family in (classifier, ctc, dbnet): family.ocrd_family()\n"
        "print([name for name in ('cv2', 'pyclipper', 'shapely', 'PIL', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
