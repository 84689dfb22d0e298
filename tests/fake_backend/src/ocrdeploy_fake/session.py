"""The runtime: a tiny network for each task, and the session that runs one of them.

They see ink, (N, H, W), where a normalised pixel is well below zero: dark on light, if the model's spec centres its pixels.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ocrdeploy import BadInput, OcrdError
from ocrdeploy.vocabulary import Loaded, ModelSpec, Task, Tensors, Threads


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


class FakeSession:
    """A fake network, opened. Nothing in it changes when it runs, so any number of threads may run it."""

    def __init__(self, model: ModelSpec, path: Path, *, delay_ms: str) -> None:
        if not re.fullmatch(rb"fake network made from [0-9a-f]{64}\n", path.read_bytes()):
            raise BadInput(f"{path} is not a fake network, or is cut short", "let ocrdeploy build it again from the ONNX file")
        if not delay_ms.isdecimal():
            raise BadInput(f"delay_ms is {delay_ms!r}", "give the milliseconds that a run shall take longer, such as 20")
        self._model, self._delay_s, self._closed = model, int(delay_ms) / 1000, False

    def run(self, inputs: Tensors) -> Tensors:
        """Answer one batch."""
        spec = self._model.input
        pixels = inputs.get(spec.name)
        if self._closed:
            raise OcrdError(f"the session of {self._model.name} is closed", "open another one")
        if pixels is None or pixels.ndim != 4:
            raise BadInput(f"{self._model.name} takes pictures, (N, C, H, W), as {spec.name!r}", "correct `input` in its spec")
        time.sleep(self._delay_s)
        answer = self._answer(pixels.mean(axis=1 if spec.layout == "NCHW" else 3) < -0.25)
        return {name: answer.copy() for name in self._model.outputs}

    def _answer(self, ink: NDArray[Any]) -> NDArray[np.float32]:
        match self._model.task:
            case Task.DETECTION:
                return detect(ink)
            case Task.RECOGNITION:
                return recognize(ink, len(self._model.charset) + 1)
            case Task.CLASSIFICATION:
                return classify(ink)

    def loaded(self) -> Loaded:
        """Say what runs."""
        return Loaded(version=np.__version__, device="cpu", provider="numpy", threads=Threads.ANY)

    def close(self) -> None:
        """Do nothing more."""
        self._closed = True
