"""Boxes matched one to one, and what is said of boxes, text, labels and scores that differ."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ocrdeploy import matching
from ocrdeploy.verification import tasks, tolerance
from ocrdeploy.vocabulary import Region

FP32 = tolerance.of("fp32")
Polygon = tuple[tuple[float, float], ...]


def box(left: float, top: float, width: float = 40, height: float = 20) -> Polygon:
    return ((left, top), (left + width, top), (left + width, top + height), (left, top + height))


def region(left: float, top: float, score: float = 0.9) -> Region:
    return Region(box(left, top), score=score, detection_score=score)


def test_overlaps_are_intersection_over_union() -> None:
    found = matching.ious([box(0, 0), box(100, 0)], [box(0, 0), box(20, 0), box(300, 300)])
    np.testing.assert_allclose(found, np.array([[1, 1 / 3, 0], [0, 0, 0]]))
    assert matching.ious([], [box(0, 0)]).shape == (0, 1)


def test_a_polygon_that_crosses_itself_counts_with_its_inside() -> None:
    bow_tie = ((0.0, 0.0), (10.0, 10.0), (10.0, 0.0), (0.0, 10.0))
    assert 0 < matching.ious([bow_tie], [bow_tie])[0, 0] <= 1


@pytest.mark.parametrize("flat", [((0.0, 0.0), (5.0, 5.0)), ((0.0, 0.0), (5.0, 5.0), (9.0, 9.0)), ((3.0, 3.0),)])
def test_polygons_without_area_overlap_only_their_equals(flat: Polygon) -> None:
    found = matching.ious([flat, box(0, 0)], [flat, ((0.0, 1.0), (5.0, 6.0))])
    np.testing.assert_array_equal(found, [[1, 0], [0, 0]])


def test_a_box_at_no_number_overlaps_nothing() -> None:
    lost = ((math.nan, 0.0), (1.0, 0.0), (1.0, 1.0))
    assert not matching.ious([lost], [box(0, 0)]).any()


def test_the_best_overlaps_are_matched_first_and_each_box_once() -> None:
    overlaps = np.array([[0.6, 0.9, 0.0], [0.8, 0.85, 0.0]])
    assert matching.pairs(overlaps, 0.5) == [(0, 1, 0.9), (1, 0, 0.8)]
    assert matching.pairs(overlaps, 0.85) == [(0, 1, 0.9)]
    assert matching.pairs(np.zeros((2, 2)), 0) == []


def test_the_order_of_boxes_does_not_matter() -> None:
    a = [region(0, 0), region(100, 0), region(0, 100)]
    found = tasks.compare(a, a[::-1], FP32)
    assert found.differences == []
    assert found.overlaps == [1, 1, 1]


def test_a_missing_and_an_extra_box_are_named() -> None:
    found = tasks.compare([region(0, 0), region(100, 0, 0.31)], [region(0, 0)], FP32)
    assert found.differences == [
        ("boxes", "A finds 2 boxes, B finds 1 box: only A has the box 100,0 to 140,20 (score 0.310)"),
    ]
    kind, words = tasks.compare([], [region(8, 9)], FP32).differences[0]
    assert (kind, words) == ("boxes", "A finds 0 boxes, B finds 1 box: only B has the box 8,9 to 48,29 (score 0.900)")


def test_as_many_boxes_elsewhere_are_a_difference() -> None:
    ((kind, words),) = tasks.compare([region(0, 0)], [region(200, 200)], FP32).differences
    assert kind == "boxes"
    assert "only A has the box 0,0 to 40,20" in words
    assert "only B has the box 200,200 to 240,220" in words


def test_many_missing_boxes_are_counted() -> None:
    ((_, words),) = tasks.compare([region(0, 30 * index) for index in range(9)], [], FP32).differences
    assert words.endswith("and 6 more")


def test_a_box_that_moved_is_a_difference_beyond_the_tolerance() -> None:
    assert tasks.compare([region(0, 0)], [region(0.5, 0)], FP32).differences == []
    ((kind, words),) = tasks.compare([region(0, 0)], [region(8, 0)], FP32).differences
    assert kind == "box"
    assert words == "the box 0,0 to 40,20 is the box 8,0 to 48,20 in B, an IoU of 0.667 (0.95 is asked)"


def test_a_score_may_differ_by_the_tolerance_and_the_share_of_the_box_that_differs() -> None:
    assert tasks.compare([region(0, 0, 0.9)], [region(0, 0, 0.9005)], FP32).differences == []
    ((kind, words),) = tasks.compare([region(0, 0, 0.9)], [region(0, 0, 0.88)], FP32).differences
    assert (kind, words) == ("score", "the box 0,0 to 40,20: the score is 0.9000 in A and 0.8800 in B (0.001 is allowed)")
    assert tasks.compare([region(0, 0, 0.9)], [region(0.9, 0, 0.88)], FP32).differences == []


def test_texts_must_be_equal() -> None:
    a, b = Region(text="EXIT", score=0.9), Region(text="EXIT1", score=0.9)
    assert tasks.compare([a], [b], FP32).differences == [("text", "A reads 'EXIT', B reads 'EXIT1'")]


def test_scores_of_equal_texts_and_of_their_characters_are_compared() -> None:
    a = Region(text="ab", score=0.9, char_scores=(0.8, 1.0))
    assert tasks.compare([a], [a], FP32).differences == []
    ((_, words),) = tasks.compare([a], [Region(text="ab", score=0.7, char_scores=(0.8, 1.0))], FP32).differences
    assert words == "both read 'ab', the score is 0.9000 in A and 0.7000 in B (0.001 is allowed)"
    ((_, words),) = tasks.compare([a], [Region(text="ab", score=0.9, char_scores=(0.8, 0.9))], FP32).differences
    assert words.startswith("both read 'ab', the score of character 2 is")


def test_a_score_that_is_no_number_differs_from_one_that_is() -> None:
    good, bad = Region(text="a", score=0.5), Region(text="a", score=math.nan)
    assert tasks.compare([good], [bad], FP32).differences != []
    assert tasks.compare([bad], [bad], FP32).differences == []


def test_labels_and_the_number_of_answers_are_compared() -> None:
    up, down = Region(label="0", score=0.9), Region(label="180", score=0.6)
    assert tasks.compare([up], [down], FP32).differences == [("label", "A says '0' (score 0.900), B says '180' (score 0.600)")]
    assert tasks.compare([up], [], FP32).differences == [("regions", "A gives 1 answers, B gives 0")]
