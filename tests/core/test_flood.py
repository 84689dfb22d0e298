"""Kernels grow in the order of one queue, however many pixels take their turn at once."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ocrdeploy.families import flood

Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]


def one_by_one(labels: Labels, text: Mask, distances: NDArray[np.float32], limit: float) -> Labels:
    """The definition: a queue that is worked off pixel by pixel. `distances[label, y, x]` must be below `limit`."""
    result = labels.copy()
    height, width = text.shape
    queue = deque(zip(*np.nonzero(labels), strict=True))
    while queue:
        y, x = queue.popleft()
        for row, column in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            inside = 0 <= row < height and 0 <= column < width
            if inside and text[row, column] and not result[row, column] and distances[result[y, x], row, column] < limit:
                result[row, column] = result[y, x]
                queue.append((row, column))
    return result


def grown(labels: Labels, text: Mask, distances: NDArray[np.float32], limit: float) -> Labels:
    frame = ((0, 1), (0, 1))
    result, flat = np.pad(labels, frame), np.pad(distances, ((0, 0), *frame)).reshape(len(distances), -1)
    flood.grow(result, np.pad(text, frame), lambda pixels, names: flat[names, pixels] < limit)
    assert not result[-1].any()
    assert not result[:, -1].any()
    return result[:-1, :-1]


def scene(seed: int) -> tuple[Labels, Mask]:
    """Texts of all densities, and small kernels inside them, several of which mostly compete for one text."""
    random = np.random.default_rng(seed)
    size = tuple(random.integers(1, 40, 2).tolist())
    text = cv2.GaussianBlur(random.normal(size=size), (0, 0), random.uniform(0.3, 2)) > random.normal(0, 0.2)
    _, labels = cv2.connectedComponents((text & (random.random(size) < 0.1)).astype(np.uint8), connectivity=4)
    return labels.astype(np.int32), np.ascontiguousarray(text.reshape(size))


@pytest.mark.parametrize("seed", range(40))
def test_growth_is_that_of_one_queue(seed: int) -> None:
    labels, text = scene(seed)
    random = np.random.default_rng(seed)
    distances = random.random((labels.max() + 1, *text.shape)).astype(np.float32)
    for limit in (1.0, 0.7):
        assert np.array_equal(grown(labels, text, distances, limit), one_by_one(labels, text, distances, limit))


def test_of_two_that_come_at_the_same_time_the_first_in_the_queue_wins() -> None:
    labels = np.array([[1, 0, 0, 0, 2]], np.int32)
    text, near = np.ones((1, 5), bool), np.zeros((3, 1, 5), np.float32)
    assert grown(labels, text, near, 1).tolist() == [[1, 1, 1, 2, 2]]
    assert grown(labels[:, ::-1].copy(), text, near, 1).tolist() == [[2, 2, 2, 1, 1]]


def test_growth_does_not_go_round_the_edges_or_through_what_is_no_text() -> None:
    labels = np.zeros((3, 4), np.int32)
    labels[0, 0], labels[2, 3] = 1, 2
    text = np.array([[1, 0, 0, 1], [0, 0, 0, 0], [1, 0, 0, 1]], bool)
    assert np.array_equal(grown(labels, text, np.zeros((3, 3, 4), np.float32), 1), labels)


def test_probabilities_of_the_most_extreme_logits_are_0_and_1_and_the_frame_is_below_all() -> None:
    (framed,) = flood.probabilities(np.array([[[-1e30, 0, 1e30]]], np.float32))
    assert framed.tolist() == [[0, 0.5, 1, -np.inf], [-np.inf] * 4]
