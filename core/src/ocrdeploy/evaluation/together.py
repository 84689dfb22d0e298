"""Whether pictures are answered in a batch as they are alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np

from ocrdeploy import batching
from ocrdeploy.errors import OcrdError
from ocrdeploy.evaluation import agreement
from ocrdeploy.evaluation.opened import Opened, Single
from ocrdeploy.vocabulary import Pixels

ROWS = 3
"""How many pictures run together: enough that one that is swapped, repeated or dropped shows."""

GROUPS = 4
"""How many such batches are tried."""


def check(opened: Opened, pictures: Sequence[tuple[str, Pixels]]) -> dict[str, Any]:
    """Answer some of the named pictures alone, then in batches, last picture first, and count the rows that are the same.

    {"rows": how many were compared, "same": how many of them agree, "limit": why none could be, or ""}. Pictures whose tensors
    have one shape run together; where there are no two, others are scaled to the size of the first.
    """
    if not isinstance(opened, Single):
        return {"rows": 0, "same": 0, "limit": "lines of a pair run in batches anyway"}
    rows = same = 0
    for group in _groups(opened, pictures):
        try:
            alone = [opened.answer([picture])[0] for picture in group]
            batched = opened.answer(group[::-1])[::-1]
        except OcrdError as error:
            if not rows:
                return {"rows": 0, "same": 0, "limit": error.problem}
            rows += len(group)
            continue
        rows += len(group)
        same += sum(agreement.compare(*pair).agrees for pair in zip(alone, batched, strict=True))
    return {"rows": rows, "same": same, "limit": "" if rows else "there are not two pictures"}


def _groups(opened: Single, pictures: Sequence[tuple[str, Pixels]]) -> Iterator[list[Pixels]]:
    (pipeline,) = opened.pipelines.values()
    by_shape: dict[tuple[int, int], list[Pixels]] = defaultdict(list)
    for _, picture in pictures:
        size = picture.shape[0], picture.shape[1]
        by_shape[batching.place(size, pipeline.model.input, 0).tensor].append(picture)
    groups = [
        group[start : start + ROWS] for group in by_shape.values() for start in range(0, len(group) - len(group) % ROWS, ROWS)
    ]
    if not groups:
        each = [picture for _, picture in pictures]
        groups = [_alike(each[start : start + ROWS]) for start in range(0, len(each), ROWS)]
    yield from [group for group in groups if len(group) > 1][:GROUPS]


def _alike(group: Sequence[Pixels]) -> list[Pixels]:
    """Return the pictures, all but the first scaled to its size."""
    height, width = group[0].shape[:2]
    return [group[0], *(np.asarray(cv2.resize(each, (width, height)), np.uint8) for each in group[1:])]
