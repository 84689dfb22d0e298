"""Cutting out lines of text, and padding strips."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ocrdeploy import lines, quads
from ocrdeploy.vocabulary import Pixels

Polygon = list[tuple[float, float]]


def smooth(height: int = 200, width: int = 300) -> Pixels:
    noise = np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 3).astype(np.uint8)


def turned_box(centre: tuple[float, float], width: float, height: float, degrees: float) -> Polygon:
    along = np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))])
    down = np.array([-along[1], along[0]])
    spots = [centre + x * along * width / 2 + y * down * height / 2 for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    return [(float(x), float(y)) for x, y in spots]


def distance(one: Pixels, other: NDArray[np.uint8]) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other).max())


@pytest.mark.parametrize("degrees", [-44, -20, 0, 3, 30, 44])
@pytest.mark.parametrize("shape", [(80.0, 10.0), (10.0, 6.0)])
def test_corners_begin_at_the_top_left_whatever_their_order(degrees: float, shape: tuple[float, float]) -> None:
    corners = turned_box((50, 50), *shape, degrees)
    for shift in range(4):
        rolled = corners[shift:] + corners[:shift]
        assert quads.clockwise(rolled) == corners
        assert quads.clockwise(rolled[::-1]) == corners


def test_a_steep_line_begins_at_its_left_side() -> None:
    corners = turned_box((50, 50), 80, 10, -70)  # rises from the lower left to the upper right
    assert quads.clockwise(corners[2:] + corners[:2]) == corners


def test_corners_never_mirror_the_text() -> None:
    skewed = [(794.0, 579.0), (801.0, 737.0), (810.0, 737.0), (786.0, 580.0)]
    (x0, y0), (x1, y1), _, (x3, y3) = quads.clockwise(skewed)
    assert (x1 - x0) * (y3 - y0) - (x3 - x0) * (y1 - y0) > 0


def test_corners_of_a_vertical_diamond_begin_at_the_top() -> None:
    assert quads.clockwise([(0, 5), (5, 10), (10, 5), (5, 0)]) == [(5, 0), (10, 5), (5, 10), (0, 5)]


def test_an_upright_box_of_whole_pixels_is_cut_without_a_copy() -> None:
    picture = smooth()
    crop = lines.cut_line(picture, [(10, 20), (110, 20), (110, 50), (10, 50)])
    assert np.array_equal(crop, picture[20:50, 10:110])
    assert np.shares_memory(crop, picture)


def test_a_shortcut_gives_what_the_warp_gives() -> None:
    picture = smooth()
    quad = [(10.0, 20.0), (110.0, 20.0), (110.0, 50.0), (10.0, 50.0)]
    assert np.array_equal(lines._warped(picture, quad), lines._slice(picture, quad))


def test_a_line_is_warped_as_if_from_the_whole_picture() -> None:
    picture = smooth()
    polygon = turned_box((150, 100), 90, 30, 20)
    matrix = cv2.getPerspectiveTransform(
        np.array(polygon, np.float32), np.array([[0, 0], [90, 0], [90, 30], [0, 30]], np.float32)
    )
    whole = cv2.warpPerspective(picture, matrix, (90, 30), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    assert distance(lines.cut_line(picture, polygon), whole.astype(np.uint8)) <= 1


@pytest.mark.parametrize(("height", "expected"), [(149, (149, 100)), (150, (100, 150)), (151, (100, 151))])
def test_a_crop_half_as_high_again_as_wide_is_turned_to_the_left(height: int, expected: tuple[int, int]) -> None:
    picture = smooth()
    crop = lines.cut_line(picture, [(10, 10), (110, 10), (110, 10 + height), (10, 10 + height)])
    assert crop.shape[:2] == expected
    if expected[0] == 100:
        assert np.array_equal(crop, np.rot90(picture[10 : 10 + height, 10:110]))


def test_a_polygon_of_many_corners_is_cut_by_the_box_around_it() -> None:
    picture = smooth()
    polygon: Polygon = [(10, 20), (40, 22), (110, 20), (110, 50), (60, 47), (10, 50)]
    assert np.array_equal(lines.cut_line(picture, polygon), picture[20:50, 10:110])


def test_a_concave_quad_is_cut_by_the_box_around_it() -> None:
    picture = smooth()
    assert lines.cut_line(picture, [(10, 20), (110, 20), (60, 25), (10, 60)]).size > 0


def test_an_overhanging_box_loses_what_is_outside() -> None:
    picture = smooth()
    crop = lines.cut_line(picture, [(-40, -7), (60, -7), (60, 20), (-40, 20)])
    assert np.array_equal(crop, picture[:20, :60])
    crop = lines.cut_line(picture, [(250, 180), (340, 180), (340, 999), (250, 999)])
    assert np.array_equal(crop, picture[180:, 250:])


def test_an_overhanging_slanted_line_keeps_its_slant() -> None:
    picture = smooth()
    whole = lines.cut_line(picture, turned_box((150, 100), 120, 30, 30))
    crop = lines.cut_line(picture[:, 120:], turned_box((30, 100), 120, 30, 30))
    lost = whole.shape[1] - crop.shape[1]
    assert crop.shape[0] == whole.shape[0] == 30
    assert 15 < lost < 35
    # The corner at the lower left is outside the picture; what lies right of it shows the same line, to a pixel.
    assert distance(crop[:, 25:], whole[:, lost + 25 :]) < 10


@pytest.mark.parametrize(
    "polygon",
    [
        [(5, 5)] * 4,
        [(5, 5), (50, 5), (50, 5), (5, 5)],
        [(0, 0), (10, 10), (20, 20), (30, 30)],
        [(5, 5)],
        [(5, 5), (9, 9)],
        [(-50, -50), (-10, -50), (-10, -20), (-50, -20)],
        [(900, 900), (950, 900), (950, 920), (900, 920)],
        [(300, 200), (310, 200), (310, 210), (300, 210)],
        [(5, 5), (5.2, 5), (5.2, 5.2), (5, 5.2)],
    ],
)
def test_a_polygon_with_nothing_inside_gives_one_pixel(polygon: Polygon) -> None:
    assert lines.cut_line(smooth(), polygon).shape == (1, 1, 3)


def test_hair_lines_and_single_pixels_can_be_cut() -> None:
    assert lines.cut_line(smooth(), [(5, 5), (50, 5), (50, 5.3), (5, 5.3)]).shape == (1, 45, 3)
    assert lines.cut_line(smooth(1, 1), [(0, 0), (1, 0), (1, 1), (0, 1)]).shape == (1, 1, 3)
    assert lines.cut_line(smooth(1, 1), [(-9, -3), (9, -4), (9, 4), (-9, 5)]).shape[:2] == (1, 1)


def test_gray_pictures_and_whole_pictures_can_be_cut() -> None:
    gray = np.ascontiguousarray(smooth()[..., 0])
    assert lines.cut_line(gray, turned_box((150, 100), 90, 30, 20)).ndim == 2
    assert lines.cut_line(gray, []) is gray


@pytest.mark.parametrize(
    ("size", "rows"),
    [
        ((20, 100), 20),  # low: 60 rows in all
        ((30, 30), 15),
        ((31, 248), 0),  # exactly eight times as wide
        ((31, 249), 15),  # 2 * 31 rows
        ((1, 4000), 499),
        ((100, 2000), 200),
        ((480, 640), 0),
    ],
)
def test_low_and_wide_pictures_get_black_rows(size: tuple[int, int], rows: int) -> None:
    picture = np.full((*size, 3), 9, np.uint8)
    padded, added = lines.pad_strip(picture)
    assert added == rows
    assert padded.shape == (size[0] + 2 * rows, size[1], 3)
    assert np.array_equal(padded[rows : rows + size[0]], picture)
    assert padded.sum() == picture.sum()


def test_padding_does_not_fill_the_memory() -> None:
    padded, added = lines.pad_strip(np.zeros((1, 60_000), np.uint8))
    assert added > 0
    assert padded.size <= lines.MAX_PADDED_AREA
