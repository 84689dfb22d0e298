"""Reading order: rows from top to bottom, each from left to right."""

from __future__ import annotations

import numpy as np
import pytest

from ocrdeploy import order
from ocrdeploy.vocabulary import Region


def box(left: float, top: float, width: float, height: float, slope: float = 0.0) -> Region:
    corners = ((left, top), (left + width, top), (left + width, top + height), (left, top + height))
    return Region(tuple((x, y + slope * x) for x, y in corners))


def test_nothing_has_no_rows() -> None:
    assert order.rows([]) == []


def test_one_region_is_one_row_even_without_a_polygon() -> None:
    assert order.rows([box(5, 5, 10, 4)]) == [[0]]
    assert order.rows([Region()]) == [[0]]


def test_two_lines_are_read_from_top_to_bottom_and_left_to_right() -> None:
    assert order.rows([box(120, 52, 80, 20), box(10, 10, 90, 20), box(10, 50, 90, 20), box(110, 13, 90, 18)]) == [[1, 3], [2, 0]]


def test_words_of_unlike_height_on_one_line_stay_together() -> None:
    assert order.rows([box(100, 20, 60, 14), box(0, 10, 90, 30)]) == [[1, 0]]


def test_lines_that_overlap_a_little_stay_apart() -> None:
    assert order.rows([box(0, 0, 200, 20), box(210, 13, 200, 20), box(0, 26, 200, 20)]) == [[0], [1], [2]]


@pytest.mark.parametrize("slope", [-0.2, -0.05, 0.05, 0.2])
def test_a_slanted_page_has_the_rows_of_a_straight_one(slope: float) -> None:
    # Over 1200 pixels a slope of 0.2 is 240 pixels: eight rows.
    words = [box(x, y, 150, 20, slope) for y in range(0, 300, 30) for x in range(0, 1200, 170)]
    shuffled = np.random.default_rng(1).permutation(len(words))
    rows = order.rows([words[index] for index in shuffled])
    assert [[int(shuffled[index]) for index in row] for row in rows] == np.arange(len(words)).reshape(10, -1).tolist()


def test_short_words_take_the_slant_of_the_long_ones() -> None:
    words = [box(0, 0, 300, 20, 0.15), box(310, 0, 20, 20, 0.15), box(900, 0, 18, 20, 0.15), box(0, 40, 300, 20, 0.15)]
    assert order.rows(words) == [[0, 1, 2], [3]]


def test_a_tall_upright_line_is_a_row_of_its_own() -> None:
    lines = [box(60, top, 200, 20) for top in (0, 30, 60, 90, 120)]
    assert order.rows([*lines, box(0, 5, 20, 140)]) == [[0], [5], [1], [2], [3], [4]]


def test_equal_places_keep_their_order() -> None:
    assert order.rows([box(0, 0, 50, 20)] * 3) == [[0, 1, 2]]


def test_corners_may_come_in_any_order_and_number() -> None:
    first, second = box(0, 0, 50, 20), box(60, 1, 50, 20)
    turned = Region(second.polygon[2:] + second.polygon[:2])
    many = Region(((0, 0), (25, 0), (50, 0), (50, 20), (0, 20)))
    assert order.rows([turned, first]) == [[1, 0]]
    assert order.rows([turned, many]) == [[1, 0]]


def test_every_region_comes_exactly_once() -> None:
    generator = np.random.default_rng(2)
    places = [*generator.uniform(1, 300, (100, 4))]
    regions = [box(x, y, width, height, generator.uniform(-1, 1)) for x, y, width, height in places]
    assert sorted(index for row in order.rows(regions) for index in row) == list(range(100))
