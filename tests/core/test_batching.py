"""Preprocessing: the sizes of every rule, the values of every pixel, and MMOCR's own pipelines as the measure."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ocrdeploy import batching
from ocrdeploy.errors import BadInput
from ocrdeploy.vocabulary import (
    Align,
    Colour,
    Exact,
    Fit,
    Height,
    InputSpec,
    Interpolation,
    Orientation,
    Pixels,
    Placement,
    Quantity,
    Resize,
    Rounding,
    ShortSide,
    SideInput,
)

IMAGENET: dict[str, Any] = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
PP: dict[str, Any] = {"scale": 1 / 255, "mean": (0.5,), "std": (0.5,), "colour": Colour.BGR}


def mmocr_detector(long: int, short: int) -> InputSpec:
    return InputSpec("input", Fit(long, short), pad_to=32, orientation=Orientation.IGNORE, **IMAGENET)


CRNN_HEIGHT = Height(32, width_multiple=16, rounding=Rounding.NEAREST, min_width=32)
MMOCR = {
    "dbnet_r18_fpnc_1200e_icdar2015": mmocr_detector(1333, 736),
    "psenet_r50_fpnf_600e_ctw1500": mmocr_detector(1280, 1280),
    "psenet_r50_fpnf_600e_icdar2015": mmocr_detector(2240, 2240),
    "panet_r18_fpem_ffm_600e_ctw1500": mmocr_detector(3000, 640),
    "panet_r18_fpem_ffm_600e_icdar2015": mmocr_detector(1333, 736),
    "crnn_academic_dataset": InputSpec(
        "input", CRNN_HEIGHT, colour=Colour.GRAY, align=Align.STRETCH, mean=(127.0,), std=(127.0,)
    ),
}
PP_DETECTOR = InputSpec("x", ShortSide(736, 2000), align=Align.STRETCH, pad_to=32, **PP)
PP_RECOGNIZER = InputSpec("x", Height(48, width_multiple=32, min_width=320, max_width=3200), **PP)
PP_CLASSIFIER = InputSpec("x", Exact(48, 192), **PP)


def picture(height: int, width: int, channels: int = 3) -> Pixels:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(height * width).integers(0, 256, shape, dtype=np.uint8)


def tensor_of(pixels: Pixels, spec: InputSpec) -> NDArray[np.float32]:
    (batch,) = batching.batches([pixels], spec, 1)
    row: NDArray[np.float32] = batch.inputs[spec.name][0]
    return row


@pytest.mark.parametrize(
    ("spec", "size", "content", "tensor"),
    [
        (mmocr_detector(1333, 736), (720, 1280), (736, 1308), (736, 1312)),
        (mmocr_detector(1280, 1280), (720, 1280), (720, 1280), (736, 1280)),
        (mmocr_detector(2240, 2240), (720, 1280), (1260, 2240), (1280, 2240)),
        (mmocr_detector(3000, 640), (720, 1280), (640, 1138), (640, 1152)),
        (mmocr_detector(1333, 736), (1, 4000), (1, 1333), (32, 1344)),
        (MMOCR["crnn_academic_dataset"], (70, 280), (32, 128), (32, 128)),
        (MMOCR["crnn_academic_dataset"], (31, 20), (32, 32), (32, 32)),
        (MMOCR["crnn_academic_dataset"], (32, 72), (32, 64), (32, 64)),  # a tie goes to the even multiple
        (MMOCR["crnn_academic_dataset"], (32, 73), (32, 80), (32, 80)),
        (PP_DETECTOR, (480, 640), (736, 992), (736, 992)),
        (PP_DETECTOR, (1000, 1500), (992, 1504), (992, 1504)),
        (PP_DETECTOR, (3000, 1000), (1984, 672), (1984, 672)),  # the long side wins
        (PP_DETECTOR, (1, 4000), (32, 1984), (32, 1984)),
        (PP_DETECTOR, (1, 1), (736, 736), (736, 736)),
        (PP_RECOGNIZER, (20, 50), (48, 120), (48, 320)),
        (PP_RECOGNIZER, (48, 321), (48, 321), (48, 352)),
        (PP_RECOGNIZER, (48, 352), (48, 352), (48, 352)),
        (PP_RECOGNIZER, (1, 4000), (48, 3200), (48, 3200)),
        (PP_CLASSIFIER, (48, 100), (48, 100), (48, 192)),
        (PP_CLASSIFIER, (48, 500), (48, 192), (48, 192)),
        (InputSpec("x", Exact(64, 200), align=Align.STRETCH), (48, 500), (64, 200), (64, 200)),
    ],
)
def test_a_picture_is_placed_as_the_rule_says(
    spec: InputSpec, size: tuple[int, int], content: tuple[int, int], tensor: tuple[int, int]
) -> None:
    assert batching.place(size, spec, 5) == Placement(5, size, content, tensor)


@pytest.mark.parametrize("spec", [PP_DETECTOR, PP_RECOGNIZER, PP_CLASSIFIER, *MMOCR.values()])
@pytest.mark.parametrize("size", [(0, 10), (10, 0), (0, 0)])
def test_a_picture_without_pixels_is_a_sentence(spec: InputSpec, size: tuple[int, int]) -> None:
    with pytest.raises(BadInput, match="has nothing in it"):
        batching.place(size, spec, 0)


@pytest.mark.parametrize("resize", [Height(48), ShortSide(736), Fit(30_000, 30_000), Exact(8192, 8192)])
def test_a_tensor_that_would_fill_the_memory_is_a_sentence(resize: Resize) -> None:
    with pytest.raises(BadInput, match="a picture of 4000 x 1 pixels would become a tensor of") as caught:
        batching.place((1, 4000), InputSpec("x", resize), 0)
    assert "max_width" in caught.value.fix


def expected(pixels: Pixels, size: tuple[int, int], mean: float, std: float) -> NDArray[np.float64]:
    resized = cv2.resize(pixels, (size[1], size[0])).astype(np.float64)
    return (resized / 255 - mean) / std


def test_values_are_resized_once_normalised_and_padded_on_the_right() -> None:
    pixels = picture(20, 50)
    row = tensor_of(pixels, PP_RECOGNIZER)
    planes = expected(pixels, (48, 120), 0.5, 0.5).transpose(2, 0, 1)[::-1]
    np.testing.assert_allclose(row[:, :, :120], planes, atol=1e-7)
    assert np.all(row[:, :, 120:] == 0)


@pytest.mark.parametrize("colour", list(Colour))
@pytest.mark.parametrize("channels", [1, 3])
def test_nhwc_holds_the_same_values_as_nchw(colour: Colour, channels: int) -> None:
    rule = Fit(60, 60)
    pixels = picture(37, 53, channels)
    planar = tensor_of(pixels, InputSpec("x", rule, colour=colour, mean=(3.0,), std=(7.0,), pad_to=32, pad_value=-1.0))
    other = InputSpec("x", rule, colour=colour, mean=(3.0,), std=(7.0,), pad_to=32, pad_value=-1.0, layout="NHWC")
    interleaved = tensor_of(pixels, other)
    assert np.array_equal(interleaved.transpose(2, 0, 1), planar)
    assert np.all(planar[:, 42:] == -1)
    assert np.all(planar[:, :, 60:] == -1)


def test_means_follow_the_order_of_the_colour() -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[..., 0] = 10
    row = tensor_of(pixels, InputSpec("x", Exact(8, 8), colour=Colour.BGR, mean=(1.0, 2.0, 3.0), std=(1.0, 1.0, 2.0)))
    assert [row[0].max(), row[1].max(), row[2].max()] == [-1.0, -2.0, 3.5]


def test_a_gray_model_converts_and_a_colour_model_repeats() -> None:
    coloured, gray = picture(16, 16), picture(16, 16, 1)
    converted = tensor_of(coloured, InputSpec("x", Exact(16, 16), colour=Colour.GRAY))
    assert np.array_equal(converted[0], cv2.cvtColor(coloured, cv2.COLOR_RGB2GRAY))
    repeated = tensor_of(gray, InputSpec("x", Exact(16, 16)))
    assert all(np.array_equal(plane, gray) for plane in repeated)


@pytest.mark.parametrize("interpolation", list(Interpolation))
def test_the_interpolation_is_the_one_asked_for(interpolation: Interpolation) -> None:
    pixels = picture(40, 40, 1)
    row = tensor_of(pixels, InputSpec("x", Exact(17, 23), Colour.GRAY, align=Align.STRETCH, interpolation=interpolation))
    flag = getattr(cv2, f"INTER_{interpolation.name}")
    assert np.array_equal(row[0], cv2.resize(pixels, (23, 17), interpolation=flag))


def test_views_with_gaps_and_turned_pictures_are_read_correctly() -> None:
    turned = np.rot90(picture(60, 40)[5:55, 3:33])
    assert np.array_equal(tensor_of(turned, PP_CLASSIFIER), tensor_of(np.ascontiguousarray(turned), PP_CLASSIFIER))


def test_a_wrong_number_of_means_is_a_sentence() -> None:
    with pytest.raises(BadInput, match="2 means and 1 standard deviations for 3 channels"):
        tensor_of(picture(8, 8), InputSpec("x", Exact(8, 8), mean=(1.0, 2.0)))


def test_padding_to_less_than_the_width_is_a_sentence() -> None:
    with pytest.raises(BadInput, match="pads lines to a width that may be less"):
        batching.place((8, 8), InputSpec("x", CRNN_HEIGHT), 0)


def test_batches_hold_one_shape_keep_the_order_and_the_size() -> None:
    widths = [100, 400, 120, 130, 401, 140, 90]
    pictures = [picture(48, width) for width in widths]
    made = list(batching.batches(pictures, PP_RECOGNIZER, 3))
    assert [[placement.index for placement in batch.placements] for batch in made] == [[0, 2, 3], [5, 6], [1, 4]]
    assert [batch.inputs["x"].shape for batch in made] == [(3, 3, 48, 320), (2, 3, 48, 320), (2, 3, 48, 416)]
    for batch in made:
        for placement, row in zip(batch.placements, batch.inputs["x"], strict=True):
            assert np.array_equal(row, tensor_of(pictures[placement.index], PP_RECOGNIZER))
    assert not list(batching.batches([], PP_RECOGNIZER, 3))


def test_side_inputs_say_where_the_picture_lies() -> None:
    sides = tuple(SideInput(quantity.value, quantity, "float64") for quantity in Quantity)
    spec = InputSpec("x", Exact(48, 192), side_inputs=(*sides, SideInput("shape", Quantity.PICTURE_SIZE, "int32")))
    (batch,) = batching.batches([picture(24, 50), picture(96, 96)], spec, 2)
    assert batch.inputs["picture_size"].tolist() == [[24, 50], [96, 96]]
    assert batch.inputs["content_size"].tolist() == [[48, 100], [48, 48]]
    assert batch.inputs["scale"].tolist() == [[2, 2], [0.5, 0.5]]
    assert batch.inputs["valid_ratio"].tolist() == [100 / 192, 0.25]
    assert batch.inputs["shape"].dtype == np.int32


def decode(data: NDArray[np.uint8], spec: InputSpec) -> Pixels:
    flags = cv2.IMREAD_GRAYSCALE if spec.colour is Colour.GRAY else cv2.IMREAD_COLOR
    if spec.orientation is Orientation.IGNORE:
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(data, flags)
    assert pixels is not None
    return pixels.astype(np.uint8, copy=False)


def source_picture(case: dict[str, Any], arrays: Any, data: Path, spec: InputSpec) -> Pixels:
    if case["source"] == "array":
        pixels = arrays[case["array"]]
        pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    elif case["source"] == "encoded":
        pixels = decode(arrays[case["array"]], spec)
    else:
        pixels = decode(np.fromfile(data / case["path"], np.uint8), spec)
    return pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[..., ::-1])


def recovered_crc(row: NDArray[np.float32], spec: InputSpec, placement: Placement) -> int:
    height, width = placement.content
    levels = row[:, :height, :width].transpose(1, 2, 0).astype(np.float64) * spec.std + spec.mean
    return zlib.crc32(np.ascontiguousarray(np.rint(levels).astype(np.uint8)).tobytes())


def test_mmocr_pipelines_give_the_same_tensors(reference_folder: Path, data_folder: Path) -> None:
    cases = json.loads((reference_folder / "open" / "preprocess.json").read_text())["cases"]
    arrays = np.load(reference_folder / "open" / "preprocess.npz")
    for case in cases:
        spec = MMOCR[case["config"]]
        (batch,) = batching.batches([source_picture(case, arrays, data_folder, spec)], spec, 1)
        row, (placement,) = batch.inputs["input"][0], batch.placements
        assert list(row.shape) == case["tensor_shape"]
        assert recovered_crc(row, spec, placement) == case["crc32_uint8"], case
        offset, stride = case["offset"], case["stride"]
        np.testing.assert_allclose(row[:, offset::stride, offset::stride], arrays[case["grid"]], atol=1e-6, rtol=0)
        np.testing.assert_allclose(row.mean((1, 2), np.float64), case["mean"], atol=1e-6)
        factors = case["img_metas"].get("scale_factor", {}).get("value", [*placement.scale])
        np.testing.assert_allclose(placement.scale, factors[:2], rtol=1e-7)
    assert len(cases) > 50
