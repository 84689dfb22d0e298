"""The smallest, usual and largest tensor of a set of pictures, as an engine's profile wants them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from ocrdeploy.vocabulary import InputSpec, Shapes

Size: TypeAlias = tuple[int, int]
"""(height, width) of a tensor, in pixels."""


def covering(sizes: Mapping[Size, int], share: float) -> Size:
    """Return the (height, width) of least area into which at least `share` of the tensors fit; `sizes` counts them.

    Exact: every height that occurs is tried with the least width that will do.
    """
    wanted = share * sum(sizes.values())
    found = [(height, width) for height in {height for height, _ in sizes} if (width := _least_width(sizes, height, wanted))]
    return min(found, key=lambda size: (size[0] * size[1], size))


def _least_width(sizes: Mapping[Size, int], height: int, wanted: float) -> int:
    """Return the width that makes `wanted` tensors fit into `height`; 0 where none does."""
    fitting = Counter[int]()
    for (other, width), count in sizes.items():
        if other <= height:
            fitting[width] += count
    total = 0
    for width in sorted(fitting):
        total += fitting[width]
        if total >= wanted - 1e-9:  # a share of 0.9 and ten pictures is nine of them, whatever 0.9 * 10 is
            return width
    return 0


def usual(sizes: Mapping[Size, int]) -> Size:
    """Return the size at which the most pixels run, so the one that an engine should be fastest at."""
    return max(sizes, key=lambda size: (sizes[size] * size[0] * size[1], size))


def fits(size: Size, limit: Size) -> bool:
    """Whether a tensor of `size` lies within `limit`."""
    return size[0] <= limit[0] and size[1] <= limit[1]


def of(spec: InputSpec, sizes: Mapping[Size, int], limit: Size, batches: tuple[int, int, int]) -> Shapes:
    """Return the shapes for the tensors within `limit`, in the order of `spec.layout`; `batches`: smallest, usual, largest."""
    within = {size: count for size, count in sizes.items() if fits(size, limit)}
    least = min(height for height, _ in within), min(width for _, width in within)
    tensors = (least, usual(within), limit)
    return Shapes(*(_shape(spec, batch, size) for batch, size in zip(batches, tensors, strict=True)))


def _shape(spec: InputSpec, batch: int, size: Size) -> tuple[int, ...]:
    return (batch, spec.channels, *size) if spec.layout == "NCHW" else (batch, *size, spec.channels)


def written(shape: Iterable[int]) -> str:
    """Return a shape as options take it: 1x3x736x992."""
    return "x".join(map(str, shape))


def options(shapes: Shapes) -> Sequence[str]:
    """Return the options of `ocrd build` for these shapes."""
    return [
        word
        for name, shape in (("min", shapes.min), ("opt", shapes.opt), ("max", shapes.max))
        for word in (f"--{name}-shape", written(shape))
    ]
