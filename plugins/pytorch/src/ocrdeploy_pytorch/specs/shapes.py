"""The tensor shapes that an engine is built for, where nobody asks for others."""

from __future__ import annotations

from ocrdeploy.vocabulary import Exact, Fit, Height, Resize, Shapes

USUAL_PICTURE = (720, 1280)
USUAL_LINE, LONGEST_LINE = 4, 64
"""Widths of a line, in heights."""


def shapes_of(resize: Resize, channels: int, multiple: int, batches: tuple[int, int, int]) -> Shapes:
    """Return the smallest, the usual and the largest shape (N, C, H, W) that pictures come to, in `batches` of these sizes."""
    sizes = [(_up(height, multiple), _up(width, multiple)) for height, width in _sizes(resize)]
    low, usual, high = ((batch, channels, *size) for batch, size in zip(batches, sizes, strict=True))
    return Shapes(low, usual, high)


def _sizes(resize: Resize) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    match resize:
        case Fit(long=long, short=short):
            height, width = USUAL_PICTURE
            factor = min(long / max(USUAL_PICTURE), short / min(USUAL_PICTURE))
            # Either side may be the long one; the short one may be as small as a single pixel.
            return (1, 1), (int(height * factor + 0.5), int(width * factor + 0.5)), (long, long)
        case Height(height=height, width_multiple=multiple, min_width=least):
            low, usual, high = (max(least, _up(width, multiple)) for width in (1, USUAL_LINE * height, LONGEST_LINE * height))
            return (height, low), (height, usual), (height, high)
        case Exact(height=height, width=width):
            return (height, width), (height, width), (height, width)
    raise TypeError(f"MMOCR's configs give no {type(resize).__name__}")


def _up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple
