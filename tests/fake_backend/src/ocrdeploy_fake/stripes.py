"""A script that the fake networks read: k strokes, one above the other, are the k-th letter. For tests and demonstrations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ocrdeploy.vocabulary import Height, InputSpec, ModelSpec, Pixels, ShortSide, Task

CHARSET = ("a", "b", "c", "d")
STROKE, LETTER, GAP = 6, 16, 12
"""Height and width of a stroke, and the white between letters, in pixels."""

DETECTOR = ModelSpec(
    name="stripes-det",
    family="dbnet",
    task=Task.DETECTION,
    input=InputSpec("picture", ShortSide(32), mean=(127.5,), std=(127.5,), pad_to=32),
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


def write_onnx(model: ModelSpec, path: Path) -> Path:
    """Write an ONNX file that carries `model`, and return `path`. Its graph is empty: the fake networks are in session.py."""
    import onnx
    from onnx import helper

    first, last = (
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", 3, "H", "W"])
        for name in (model.input.name, model.outputs[0])
    )
    nothing = helper.make_node("Identity", [first.name], [last.name])
    made = helper.make_model(helper.make_graph([nothing], model.name, [first], [last]))
    helper.set_model_props(made, {"ocrdeploy": json.dumps(asdict(model))})
    onnx.save(made, path)
    return path
