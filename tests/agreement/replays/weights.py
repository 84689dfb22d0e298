"""Weights that anybody can make again from a seed, so that golden outputs need no checkpoint.

Each entry of a state dict is drawn by itself: n from numpy's frozen generator `RandomState([seed, crc32(key)])`, standard
normal, float64, in C order. Then, first match wins:

* `*.num_batches_tracked`: 0, int64
* `*.running_mean`: 0.1 n
* `*.running_var`: 1 + 0.1 |n|
* an LSTM's `weight_ih*`, `weight_hh*`: gain * n / sqrt(hidden), hidden = a quarter of the first axis
* one-dimensional `*.weight` (batch norm): gain * (1 + 0.1 n); other one-dimensional entries (biases): 0.1 n
* DBNet's transposed convolutions: gain * n * sqrt(2 / inputs), the inputs being the first axis
* other convolutions and linear layers: gain * n * sqrt(2 / inputs), the inputs being all axes but the first

and float32. The gains keep the outputs numerically rich: probabilities all over (0, 1), a CRNN that writes characters. It is
the rule of the reference's own weights.py, which is not run: golden folders are data.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

GAINS = {
    r"backbone\.layer\d\.\d+\.bn[23]\.weight": 0.5,
    r"bbox_head\.(binarize|threshold)\.6\.weight": 0.15,
    r"neck\.fpems\.\d\.\w+\.bn\.weight": 0.5,
    r"bbox_head\.out_conv\.weight": 0.5,
    r"decoder\.decoder\.\d\.rnn\.weight_ih\w*": 2.0,
    r"decoder\.decoder\.0\.embedding\.weight": 4.0,
    r"decoder\.decoder\.1\.embedding\.weight": 10.0,
}
"""Factors of the entries whose whole key matches; 1 elsewhere."""

TRANSPOSED = re.compile(r"bbox_head\.(binarize|threshold)\.[36]\.weight")


def state_dict(entries: Mapping[str, tuple[Sequence[int], str]], seed: int) -> dict[str, NDArray[Any]]:
    """Return an array for each key; `entries` gives its shape and dtype, as state_dicts.json does for one config."""
    return {key: entry(key, tuple(shape), seed) for key, (shape, _) in entries.items()}


def entry(key: str, shape: tuple[int, ...], seed: int) -> NDArray[Any]:
    """Return the array of one key."""
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    stream = [seed & 0xFFFF_FFFF, zlib.crc32(key.encode())]
    # The legacy generator, as only its stream never changes.
    normal = np.random.RandomState(stream).standard_normal(shape)
    return np.ascontiguousarray(_scaled(key, shape, normal), np.float32)


def _scaled(key: str, shape: tuple[int, ...], normal: NDArray[np.float64]) -> NDArray[np.float64]:
    if key.endswith("running_mean"):
        return 0.1 * normal
    if key.endswith("running_var"):
        return 1.0 + 0.1 * np.abs(normal)
    gain = next((factor for pattern, factor in GAINS.items() if re.fullmatch(pattern, key)), 1.0)
    if ".rnn.weight_" in key:
        return normal / math.sqrt(shape[0] // 4) * gain
    if len(shape) == 1:
        return (1.0 + 0.1 * normal) * gain if key.endswith(".weight") else 0.1 * normal
    inputs = shape[0] if TRANSPOSED.fullmatch(key) else math.prod(shape[1:])
    return normal * math.sqrt(2.0 / inputs) * gain
