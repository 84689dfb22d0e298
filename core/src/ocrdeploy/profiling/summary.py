"""What is found out about the tensors of a set of pictures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ocrdeploy.profiling import shapes, widths
from ocrdeploy.vocabulary import InputSpec, Placement, Shapes

Size: TypeAlias = tuple[int, int]
"""(height, width) in pixels."""

BUCKETS = (2, 3)
"""Into how many widths lines are tried to be sorted."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What it takes to run pictures at tensors of a few sizes only, each picture padded to the next that holds it.

    Of the pictures that `fit`: `pixels` of the padded tensors, `own` of their own tensors, `content` of the pictures in them.
    """

    sizes: tuple[Size, ...]
    fit: int
    pixels: int
    own: int
    content: int

    @property
    def padding(self) -> float:
        """The share of the tensors' pixels that are no picture's: (tensors - content) / tensors."""
        return 1 - self.content / self.pixels if self.pixels else 0.0

    @property
    def more(self) -> float:
        """How many pixels are computed beyond those of the pictures' own tensors, as a share of these."""
        return self.pixels / self.own - 1 if self.own else 0.0


@dataclass(frozen=True, slots=True)
class Profile:
    """The tensors of `pictures` pictures, counted by size, the most frequent first, and the shapes recommended for them.

    `multiples` are the greatest numbers that divide all heights and all widths. `outside` are the indices of the pictures
    that are larger than `shapes.max`. `now` is the cost of every picture's own tensor; `at_opt` and `at_max` of padding all
    that fit to one shape; `buckets` of padding lines to a few widths, none where heights differ.
    """

    pictures: int
    sizes: Mapping[Size, int]
    multiples: Size
    shapes: Shapes
    outside: tuple[int, ...]
    now: Cost
    at_opt: Cost
    at_max: Cost
    buckets: tuple[Cost, ...]


def profile(placements: Sequence[Placement], spec: InputSpec, *, batches: tuple[int, int, int], cover: float = 1.0) -> Profile:
    """Count tensors and recommend shapes for at least the share `cover` of them; there has to be one.

    `batches`: pictures in the smallest, the usual and the largest batch.
    """
    sizes = dict(Counter(placement.tensor for placement in placements).most_common())
    limit = shapes.covering(sizes, cover)
    within = [placement for placement in placements if shapes.fits(placement.tensor, limit)]
    recommended = shapes.of(spec, sizes, limit, batches)
    opt = shapes.usual({size: count for size, count in sizes.items() if shapes.fits(size, limit)})
    return Profile(
        len(placements),
        sizes,
        (math.gcd(*(height for height, _ in sizes)), math.gcd(*(width for _, width in sizes))),
        recommended,
        tuple(index for index, placement in enumerate(placements) if not shapes.fits(placement.tensor, limit)),
        padded(within, ()),
        padded(within, (opt,)),
        padded(within, (limit,)),
        tuple(_buckets(within)),
    )


def padded(placements: Sequence[Placement], sizes: tuple[Size, ...]) -> Cost:
    """Return what it costs to pad each picture to the smallest of `sizes` that holds its tensor; () leaves each its own."""
    fit = pixels = own = content = 0
    for placement in placements:
        holding = [math.prod(size) for size in sizes or (placement.tensor,) if shapes.fits(placement.tensor, size)]
        if holding:
            fit += 1
            pixels += min(holding)
            own += math.prod(placement.tensor)
            content += math.prod(placement.content)
    return Cost(sizes, fit, pixels, own, content)


def _buckets(placements: Sequence[Placement]) -> list[Cost]:
    """Return the cost of the best few widths, where all heights are one and there are more widths than that."""
    heights = {placement.tensor[0] for placement in placements}
    counted = Counter(placement.tensor[1] for placement in placements)
    if len(heights) != 1:
        return []
    (height,) = heights
    return [
        padded(placements, tuple((height, width) for width in widths.best(counted, count)))
        for count in BUCKETS
        if len(counted) > count
    ]
