"""The operators of the tiny networks in double precision, each by its definition in the ONNX operator list."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]


def convolve(x: Floats, weights: NDArray[Any], bias: NDArray[Any], *, stride: tuple[int, int], pad: tuple[int, int]) -> Floats:
    """Return Conv of x (N, C, H, W) and weights (K, C, h, w): zeros `pad` at both ends of each side, then steps of `stride`."""
    kernels, _, tall, wide = weights.shape
    x = np.pad(x, ((0, 0), (0, 0), (pad[0], pad[0]), (pad[1], pad[1])))
    height, width = ((side - kernel) // step + 1 for side, kernel, step in zip(x.shape[2:], (tall, wide), stride, strict=True))
    found = np.zeros((len(x), kernels, height, width))
    for top in range(tall):
        for left in range(wide):
            seen = x[:, :, top :: stride[0], left :: stride[1]][:, :, :height, :width]
            found += np.einsum("nchw,kc->nkhw", seen, weights[:, :, top, left].astype(np.float64))
    return found + bias.astype(np.float64)[:, None, None]


def pool(x: Floats) -> Floats:
    """Return MaxPool of x (N, C, H, W) over 3 x 3, padded to the same size."""
    height, width = x.shape[2:]
    x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    shifted = [x[:, :, top : top + height, left : left + width] for top in range(3) for left in range(3)]
    return np.asarray(np.max(shifted, axis=0))


def rectify(x: Floats) -> Floats:
    """Return Relu."""
    return np.maximum(x, 0)


def sigmoid(x: Floats) -> Floats:
    """Return Sigmoid."""
    return np.asarray(np.exp(-np.logaddexp(0, -x)))


def softmax(x: Floats) -> Floats:
    """Return Softmax over the last axis."""
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
