"""Kernels that grow into texts: PSENet and PANet find the cores of texts first, and give them the rest of the text's pixels.

Maps are framed here: one row below and one column on the right that are never text. So the pixels' numbers in raster order,
y * (W + 1) + x, tell neighbours apart from the ends of two rows; and the neighbour above the first row has a negative
number, by which numpy finds the row below the last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Accepts: TypeAlias = Callable[[NDArray[np.intp], NDArray[np.int32]], NDArray[np.bool_]]
"""Given pixels by their numbers, and for each the label that would spread to it: whether it may."""

CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
"""A pixel and its four neighbours."""


def framed(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return maps (C, H, W) as (C, H + 1, W + 1), with minus infinity in the frame."""
    count, height, width = planes.shape
    result = np.empty((count, height + 1, width + 1), np.float32)
    result[:, :height, :width] = planes
    result[:, height] = result[:, :, width] = -np.inf
    return result


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sigmoid of maps (C, H, W), framed."""
    result = framed(logits)
    with np.errstate(over="ignore"):  # exp(-x) of a very low x is infinite, and the probability 0, as it should be.
        np.exp(np.negative(result, out=result), out=result)
    np.reciprocal(np.add(result, 1, out=result), out=result)
    result[:, -1] = result[:, :, -1] = -np.inf
    return result


def components(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the number of the area that each set pixel of `mask` (H, W) belongs to, from 1; sides touch, corners do not."""
    _, labels = cv2.connectedComponents(mask.view(np.uint8), connectivity=4)
    result: NDArray[Any] = labels
    return result


def grow(labels: NDArray[np.int32], text: NDArray[np.bool_], accepts: Accepts | None = None) -> None:
    """Spread `labels` (framed; 0: none) over the pixels of `text` (likewise), in place, first come, first served.

    It is one queue, of the labelled pixels in raster order; each gives its label to its neighbours above, below, left and
    right, in this order, that are text and have none, and they join the queue. As only equally distant pixels compete, all
    of the queue's pixels that are as far from the start take their turn at once; of those that claim one neighbour, the
    first wins.
    """
    owners, kernels = labels.reshape(-1), labels != 0
    free = text & ~kernels
    border = kernels & cv2.dilate(free.view(np.uint8), CROSS).view(np.bool_)
    free, claims = free.reshape(-1), np.empty(owners.size, np.int32)
    front = np.flatnonzero(border)
    names = owners[front]
    while front.size:
        pixels, names = _claimed(front, names, free, labels.shape[1])
        if accepts is not None:
            allowed = np.flatnonzero(accepts(pixels, names))
            pixels, names = pixels[allowed], names[allowed]
        turns = np.arange(len(pixels), dtype=np.int32)
        # Where an index stands several times, the last assignment stays: backwards, that of the first claim.
        claims[pixels[::-1]] = turns[::-1]
        first = np.flatnonzero(claims[pixels] == turns)
        front, names = pixels[first], names[first]
        owners[front] = names
        free[front] = False


def _claimed(
    front: NDArray[np.intp], names: NDArray[np.int32], free: NDArray[np.bool_], width: int
) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """Return the free neighbours of the pixels in `front`, in the order of their claims, and the labels to be given to them."""
    neighbours = np.empty((len(front), 4), np.intp)
    for column, step in enumerate((-width, width, -1, 1)):
        np.add(front, step, out=neighbours[:, column])
    claims = np.flatnonzero(free[neighbours])
    return neighbours.reshape(-1)[claims], names[claims >> 2]
