"""From a map's shapes to polygons in the picture, which all detector families share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrdeploy.quads import Point
from ocrdeploy.vocabulary import Placement


def in_picture(
    shapes: Sequence[NDArray[Any]], size: tuple[int, ...], placement: Placement, *, snap: bool = False
) -> Iterator[list[Point]]:
    """Yield each of `shapes`, corners (K, 2) in pixels of a map of `size` (h, w), in pixels of the picture.

    The map covers the tensor, the picture the tensor's content. With `snap`, corners are rounded to pixels of the picture,
    and those outside it moved to its edge.
    """
    if not shapes:
        return
    # All corners go to the picture at once; one array for each shape would cost more than finding the shape.
    tensor, scale = placement.tensor, placement.scale
    extent = np.array((tensor[1] / scale[0], tensor[0] / scale[1]), np.float32)
    points = np.concatenate(shapes) / np.array(size[::-1], np.float32) * extent
    if snap:
        height, width = placement.size
        points = np.clip(np.round(points), 0, (width - 1, height - 1))
    corners = iter(zip(*points.T.tolist(), strict=True))
    for shape in shapes:
        yield list(islice(corners, len(shape)))
