"""Pictures and an `InputSpec` become batches of tensors: the one preprocessing that every backend shares."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from ocrdeploy.errors import BadInput
from ocrdeploy.vocabulary import (
    Align,
    Batch,
    Colour,
    Exact,
    Fit,
    Height,
    InputSpec,
    Interpolation,
    Pixels,
    Placement,
    Quantity,
    Rounding,
    ShortSide,
)

MAX_SIDE = 16_384
"""The longest side that a tensor may have, in pixels; a line far longer than any model was trained for."""

MAX_AREA = 2**24
"""The most pixels that a tensor may have: three channels of them take 192 MiB."""

INTERPOLATIONS = {
    Interpolation.NEAREST: cv2.INTER_NEAREST,
    Interpolation.LINEAR: cv2.INTER_LINEAR,
    Interpolation.CUBIC: cv2.INTER_CUBIC,
    Interpolation.AREA: cv2.INTER_AREA,
}

Size: TypeAlias = tuple[int, int]


def place(size: Size, spec: InputSpec, index: int) -> Placement:
    """Say where a picture of `size` (h, w) lies in its tensor: arithmetic on this size and the spec alone.

    Raises `BadInput` for a picture without pixels, and where the tensor would exceed `MAX_SIDE` or `MAX_AREA`.
    """
    height, width = size
    if min(size) < 1:
        raise BadInput(f"a picture of {width} x {height} pixels has nothing in it", "leave it out, or give a whole picture")
    content, tensor = _sizes(size, spec)
    if max(tensor) > MAX_SIDE or math.prod(tensor) > MAX_AREA:
        raise BadInput(
            f"a picture of {width} x {height} pixels would become a tensor of {tensor[1]} x {tensor[0]}, "
            f"more than {MAX_SIDE} on a side or {MAX_AREA} in all",
            "cut the picture into parts, or set `max_width` or `max_long` in the model's spec",
        )
    return Placement(index, size, content, tensor)


def _sizes(size: Size, spec: InputSpec) -> tuple[Size, Size]:
    """Return the sizes of the content and of the tensor."""
    match spec.resize:
        case Fit() | ShortSide() as rule:
            content = tensor = _scaled(size, rule)
        case Height() as rule:
            content, tensor = _line(size, rule, spec.align)
        case Exact(height=height, width=width):
            content = tensor = height, width
            if spec.align is Align.PAD:
                content = height, min(width, _natural_width(size, height))
    if spec.align is Align.STRETCH:
        tensor = _nearest_multiple(tensor[0], spec.pad_to), _nearest_multiple(tensor[1], spec.pad_to)
        return tensor, tensor
    return content, (_next_multiple(tensor[0], spec.pad_to), _next_multiple(tensor[1], spec.pad_to))


def _scaled(size: Size, rule: Fit | ShortSide) -> Size:
    """Scale both sides alike; a side that would vanish keeps one pixel."""
    long, short = max(size), min(size)
    if isinstance(rule, Fit):
        factor, offset = min(rule.long / long, rule.short / short), 0.5
    else:
        factor, offset = max(1.0, rule.minimum / short), 0.0
        if rule.max_long:
            factor = min(factor, rule.max_long / long)
    return max(1, int(size[0] * factor + offset)), max(1, int(size[1] * factor + offset))


def _line(size: Size, rule: Height, align: Align) -> tuple[Size, Size]:
    """Return the content and the tensor of a line of text, before `InputSpec.pad_to`."""
    if align is Align.PAD and rule.rounding is not Rounding.CEIL:
        raise BadInput(
            "the spec pads lines to a width that may be less than theirs", "set `rounding` to ceil or `align` to stretch"
        )
    natural = _natural_width(size, rule.height)
    multiple = _nearest_multiple if rule.rounding is Rounding.NEAREST else _next_multiple
    width = max(rule.min_width, multiple(natural, rule.width_multiple))
    if rule.max_width:
        width = min(width, rule.max_width)
    content = width if align is Align.STRETCH else min(natural, width)
    return (rule.height, content), (rule.height, width)


def _natural_width(size: Size, height: int) -> int:
    # The order of the two operations is MMOCR's; the other one rounds to another pixel now and then.
    return math.ceil(height / size[0] * size[1])


def _next_multiple(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


def _nearest_multiple(length: int, multiple: int) -> int:
    return max(1, round(length / multiple)) * multiple


def fill(picture: Pixels, spec: InputSpec, placement: Placement, row: NDArray[np.float32]) -> None:
    """Write the resized, normalised and padded picture over all of `row`: (C, H, W) or (H, W, C), as `spec.layout` says."""
    height, width = placement.content
    planes = row if spec.layout == "NCHW" else row.transpose(2, 0, 1)
    planes[:, height:] = spec.pad_value
    planes[:, :height, width:] = spec.pad_value
    pixels: NDArray[Any] = picture
    if spec.colour is Colour.GRAY and pixels.shape[2:]:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    if pixels.shape[:2] != placement.content:
        pixels = cv2.resize(pixels, (width, height), interpolation=INTERPOLATIONS[spec.interpolation])
    for channel, table in enumerate(_tables(spec.channels, spec.scale, spec.mean, spec.std)):
        # Taking the channel out first halves the time: a look-up likes bytes that lie side by side.
        source = 2 - channel if spec.colour is Colour.BGR else channel
        plane = cv2.extractChannel(pixels, source) if pixels.shape[2:] else pixels
        _look_up(plane, table, planes[channel, :height, :width])


def _look_up(plane: NDArray[Any], table: NDArray[np.float32], target: NDArray[np.float32]) -> None:
    if target.strides[1] == target.itemsize:
        cv2.LUT(plane, table, dst=target)  # writes in place
    else:
        target[...] = cv2.LUT(plane, table)


@lru_cache(maxsize=64)
def _tables(channels: int, scale: float, mean: tuple[float, ...], std: tuple[float, ...]) -> NDArray[np.float32]:
    """Return the normalised value of each of the 256 levels, (channels, 256)."""
    if {len(mean), len(std)} - {1, channels}:
        raise BadInput(
            f"the spec gives {len(mean)} means and {len(std)} standard deviations for {channels} channels",
            "give one of each, or one for each channel",
        )
    levels = np.arange(256, dtype=np.float64)[None]
    normalised = (levels * scale - np.array(mean)[:, None]) / np.array(std)[:, None]
    return np.broadcast_to(normalised, (channels, 256)).astype(np.float32)


def batches(pictures: Sequence[Pixels], spec: InputSpec, batch_size: int) -> Iterator[Batch]:
    """Yield batches of at most `batch_size` pictures of one tensor shape, the shapes in the order of their first picture.

    Within a shape the pictures keep their order; `Placement.index` is the position in `pictures`.
    """
    shapes: dict[Size, list[Placement]] = {}
    for index, picture in enumerate(pictures):
        placement = place((picture.shape[0], picture.shape[1]), spec, index)
        shapes.setdefault(placement.tensor, []).append(placement)
    for placements in shapes.values():
        for start in range(0, len(placements), batch_size):
            yield _batch(pictures, spec, tuple(placements[start : start + batch_size]))


def _batch(pictures: Sequence[Pixels], spec: InputSpec, placements: tuple[Placement, ...]) -> Batch:
    height, width = placements[0].tensor
    shape = (spec.channels, height, width) if spec.layout == "NCHW" else (height, width, spec.channels)
    tensor = np.empty((len(placements), *shape), np.float32)
    for placement, row in zip(placements, tensor, strict=True):
        fill(pictures[placement.index], spec, placement, row)
    sides = {side.name: _side_input(side.quantity, placements).astype(side.dtype) for side in spec.side_inputs}
    return Batch({spec.name: tensor, **sides}, placements)


def _side_input(quantity: Quantity, placements: tuple[Placement, ...]) -> NDArray[Any]:
    match quantity:
        case Quantity.PICTURE_SIZE:
            rows: list[Any] = [placement.size for placement in placements]
        case Quantity.CONTENT_SIZE:
            rows = [placement.content for placement in placements]
        case Quantity.SCALE:
            rows = [placement.scale[::-1] for placement in placements]
        case Quantity.VALID_RATIO:
            rows = [placement.content[1] / placement.tensor[1] for placement in placements]
    return np.array(rows)
