"""The arrays that a family reads from a model's raw outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrdeploy.errors import BadInput
from ocrdeploy.vocabulary import Batch, ModelSpec, Tensors


def scores(model: ModelSpec, outputs: Tensors, batch: Batch, dimensions: tuple[int, ...], planes: int = 0) -> NDArray[np.float32]:
    """Return the first of `model.outputs`, float32, one row for each placement of `batch`.

    Raises `BadInput` where it is missing, has another number of rows, none of these numbers of `dimensions`, or fewer than
    `planes` on its second axis.
    """
    name = model.outputs[0]
    if name not in outputs:
        given = ", ".join(outputs) or "none"
        raise BadInput(f"the model {model.name!r} gives no output {name!r}", f"name one of its outputs in the spec: {given}")
    array: NDArray[Any] = outputs[name]
    if array.ndim not in dimensions or len(array) != len(batch.placements) or array.shape[1] < planes:
        raise BadInput(
            f"the output {name!r} of the model {model.name!r} has the shape {array.shape}, which is no answer "
            f"of the family {model.family!r} to {len(batch.placements)} pictures",
            "give the family and the output that belong to this model in its spec",
        )
    return np.ascontiguousarray(array, np.float32)
