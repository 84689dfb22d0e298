"""The metrics by name, and which of them suit a task and a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ocrdeploy.errors import BadInput, unknown
from ocrdeploy.evaluation.detection import Hmean, augmented, greedy
from ocrdeploy.evaluation.recognition import CharacterErrorRate, WordAccuracy
from ocrdeploy.evaluation.spotting import EndToEnd, WordRecall
from ocrdeploy.vocabulary import Region, Sample


class Metric(Protocol):
    """Counts over pictures, and the figures of their sums. A metric holds no state.

    `name`: as the user asks for it; `summary`: one line that says what it is; `headline`: the figure that a table shows;
    `lower_is_better`: the figures of which less is better.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - said above
    @property
    def summary(self) -> str: ...  # noqa: D102
    @property
    def headline(self) -> str: ...  # noqa: D102
    @property
    def lower_is_better(self) -> frozenset[str]: ...  # noqa: D102

    def count(self, samples: Sequence[Sample], answers: Sequence[Sequence[Region]]) -> NDArray[np.float64]:
        """Return what is counted, picture by picture: (N, ...). Sums over pictures are what `figures` takes."""

    def figures(self, totals: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
        """Return each figure of totals, (..., same trailing axes): arrays of the leading axes' shape."""

    def describe(self, totals: NDArray[np.float64]) -> Mapping[str, Any]:
        """Return more about one set's totals, as JSON has it, such as the figures at each threshold; {} where there is none."""


HMEAN_IOU = Hmean(
    name="hmean-iou",
    summary="harmonic mean of recall and precision of boxes, at the best score threshold, as MMOCR computes it",
    headline="hmean",
    hits=greedy,
)
HMEAN_BEST = Hmean(
    name="hmean-best",
    summary="the same with as many boxes matched one to one as can be, whatever their order; not MMOCR's",
    headline="hmean_best",
    hits=augmented,
)

METRICS: Mapping[str, Metric] = {
    metric.name: metric for metric in (HMEAN_IOU, HMEAN_BEST, WordAccuracy(), CharacterErrorRate(), EndToEnd(), WordRecall())
}
"""The metrics, by name. Their figures' names are unique over all of them."""


_TASKS: Mapping[str, tuple[str, ...]] = {
    "detect": ("hmean-iou", "hmean-best"),
    "recognize": ("acc", "cer"),
    "ocr": ("e2e", "word-recall", "hmean-iou", "hmean-best"),
}
"""What a task can be judged by."""

_DEFAULT: Mapping[str, tuple[str, ...]] = {
    "detect": ("hmean-iou",),
    "recognize": ("acc",),
    "ocr": ("e2e", "word-recall", "hmean-iou"),
}
"""What it is judged by unless the user says otherwise, as far as the dataset goes."""

_NEEDS: Mapping[str, tuple[str, ...]] = {
    "hmean-iou": ("polygons",),
    "hmean-best": ("polygons",),
    "acc": ("texts",),
    "cer": ("texts",),
    "e2e": ("texts", "polygons"),
    "word-recall": ("texts",),
}
"""What a dataset must have for a metric."""


def names(task: str) -> tuple[str, ...]:
    """Return the metrics of "detect", "recognize" or "ocr"; of another task, none."""
    return _TASKS.get(task, ())


def default(task: str, *, texts: bool, polygons: bool) -> tuple[str, ...]:
    """Return the usual metrics of a task on a dataset that has `texts` and `polygons`, or not; () where it cannot be judged."""
    return tuple(name for name in _DEFAULT.get(task, ()) if not _lacking(name, texts=texts, polygons=polygons))


def choose(task: str, wanted: Sequence[str], *, texts: bool, polygons: bool) -> tuple[Metric, ...]:
    """Return the wanted metrics, each once, in the order in which they are wanted.

    Raises `UnknownName` for one that nobody knows, `BadInput` for one that the task or the dataset is not fit for.
    """
    for name in wanted:
        if name not in METRICS:
            raise unknown("metric", name, names(task) or METRICS)
        if name not in names(task):
            raise BadInput(f"{name} does not judge the task {task}", f"use one of: {', '.join(names(task)) or 'none'}")
        if lacking := _lacking(name, texts=texts, polygons=polygons):
            others = default(task, texts=texts, polygons=polygons)
            fix = f"use one of: {', '.join(others)}" if others else "give a dataset that has them"
            raise BadInput(f"{name} needs {' and '.join(lacking)}, which the labels of this dataset do not have", fix)
    return tuple(METRICS[name] for name in dict.fromkeys(wanted))


def _lacking(name: str, *, texts: bool, polygons: bool) -> list[str]:
    has = {"texts": texts, "polygons": polygons}
    return [need for need in _NEEDS[name] if not has[need]]
