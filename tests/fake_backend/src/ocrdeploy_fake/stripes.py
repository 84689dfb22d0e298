"""A script that three tiny networks read: k strokes, one above the other, are the k-th letter. For tests and demonstrations.

The networks see ink, (N, H, W), where a normalised pixel is well below zero: dark on light, if the spec centres its pixels. What
they are to answer is here, in numpy; graphs.py has the same as ONNX.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ocrdeploy.vocabulary import Height, InputSpec, ModelSpec, Pixels, ShortSide, Task

CHARSET = ("a", "b", "c", "d")
STROKE, LETTER, GAP = 6, 16, 12
"""Height and width of a stroke, and the white between letters, in pixels."""

DETECTOR = ModelSpec(
    name="stripes-det",
    family="dbnet",
    task=Task.DETECTION,
    input=InputSpec("picture", ShortSide(32, max_long=2000), mean=(127.5,), std=(127.5,), pad_to=32),
    outputs=("map",),
)
RECOGNIZER = ModelSpec(
    name="stripes-rec",
    family="ctc",
    task=Task.RECOGNITION,
    input=InputSpec("line", Height(48), mean=(127.5,), std=(127.5,)),
    outputs=("scores",),
    options={"softmax": False},
    charset=CHARSET,
)
CLASSIFIER = ModelSpec(
    name="stripes-cls",
    family="classifier",
    task=Task.CLASSIFICATION,
    input=InputSpec("line", Height(48), mean=(127.5,), std=(127.5,)),
    outputs=("scores",),
    options={"labels": ("0", "180")},
)


def draw(lines: Sequence[str]) -> Pixels:
    """Return a white picture, (H, W, 3), with these lines of letters of `CHARSET` in black."""
    pitch = (2 * len(CHARSET) + 6) * STROKE
    width = 80 + max(map(len, lines), default=0) * (LETTER + GAP)
    picture = np.full((40 + len(lines) * pitch, width, 3), 255, np.uint8)
    for row, line in enumerate(lines):
        for column, letter in enumerate(line):
            left = 40 + column * (LETTER + GAP)
            for stroke in range(CHARSET.index(letter) + 1):
                top = 40 + row * pitch + stroke * 2 * STROKE
                picture[top : top + STROKE, left : left + LETTER] = 0
    return picture


def detect(ink: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return a map, (N, 1, H, W): 1 within 10 pixels beside ink and 4 above and below it, so that a line is one piece."""
    return _spread(_spread(ink, 10, axis=2), 4, axis=1)[:, None].astype(np.float32)


def _spread(ink: NDArray[np.bool_], reach: int, axis: int) -> NDArray[np.bool_]:
    margins = [(reach, reach) if each == axis else (0, 0) for each in range(ink.ndim)]
    near: NDArray[np.bool_] = np.any(sliding_window_view(np.pad(ink, margins), 2 * reach + 1, axis=axis), axis=-1)
    return near


def recognize(ink: NDArray[np.bool_], classes: int) -> NDArray[np.float32]:
    """Return scores, (N, T, classes), a step for 4 columns: columns that cross k strokes are of class k, and 0 is the blank."""
    strokes = ink[:, 0] + np.count_nonzero(ink[:, 1:] & ~ink[:, :-1], axis=1)
    steps = sliding_window_view(np.pad(strokes, ((0, 0), (0, 3))), 4, axis=1)[:, ::4].min(axis=-1)
    scores: NDArray[np.bool_] = np.minimum(steps, classes - 1)[..., None] == np.arange(classes)
    return scores.astype(np.float32)


def classify(ink: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return scores, (N, 2): how much of the ink is in the upper half, and how much in the lower."""
    half = ink.shape[1] // 2
    counts = 1 + np.stack([ink[:, :half].sum(axis=(1, 2)), ink[:, half:].sum(axis=(1, 2))], axis=1)
    scores: NDArray[np.float32] = (counts / counts.sum(axis=1, keepdims=True)).astype(np.float32)
    return scores


def write_onnx(model: ModelSpec, path: Path) -> Path:
    """Write one of the three networks as an ONNX file that carries `model`, and return `path`."""
    import onnx

    from ocrdeploy_fake import graphs

    made = graphs.graph(model)
    onnx.helper.set_model_props(made, {"ocrdeploy": json.dumps(asdict(model))})
    onnx.save(made, path)
    return path
