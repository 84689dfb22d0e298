"""Charts of one line for each row: latency distributions, where the time goes, memory and sizes.

Lengths are percentages, so that a chart fills whatever room there is, and its letters keep their size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ocrdeploy.evaluation.report import scales, wording
from ocrdeploy.evaluation.report.markup import Markup, join, number, percent, tag
from ocrdeploy.evaluation.report.scales import Scale

QUANTILES = 101

_UNITS = 1000
"""Width of the drawing that is stretched to the width of the window."""

_HALF = 17.0
_MIDDLE = 20.0
_BAR_HEIGHT = 16.0
_FEW_TICKS = 4
_DRAWN = 80
"""At how many latencies a density is drawn."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a chart: its name, its class of colour, and what is written beside its drawing."""

    name: str
    style: str
    said: str


def chart(lines: Sequence[tuple[Line, Markup]], scale: Scale, unit: str) -> Markup:
    """Return a chart: for each line its name, its drawing and its numbers, and one axis below."""
    made = [
        tag(
            "div",
            tag("span", line.name, class_="bar-name"),
            drawing,
            tag("span", line.said, class_="bar-said"),
            class_=f"bar row {line.style}",
        )
        for line, drawing in lines
    ]
    return tag("div", *made, _axis(scale, unit), class_="chart")


def violin(quantiles: Sequence[float], greatest: float, scale: Scale, title: str) -> Markup:
    """Return the distribution of latencies: its shape, quartiles and median, the 95th and 99th percentile, and the slowest."""
    at = [scale.share(value) for value in quantiles]
    return tag(
        "svg",
        tag("title", title),
        tag("svg", tag("path", d=_shape(quantiles, scale), class_="shape"), **_stretched(2 * _MIDDLE)),
        tag("line", x1=percent(at[0]), x2=percent(at[99]), y1=_MIDDLE, y2=_MIDDLE, class_="whisker"),
        tag("rect", x=percent(at[25]), width=percent(at[75] - at[25]), y=_MIDDLE - 6, height=12, class_="box"),
        tag("line", x1=percent(at[50]), x2=percent(at[50]), y1=_MIDDLE - 10, y2=_MIDDLE + 10, class_="median"),
        *(tag("line", x1=percent(at[q]), x2=percent(at[q]), y1=_MIDDLE - 5, y2=_MIDDLE + 5, class_="mark") for q in (95, 99)),
        _slowest(greatest, scale),
        width="100%",
        height=2 * _MIDDLE,
        role="img",
        aria_label=title,
    )


def stacked(parts: Mapping[str, float], scale: Scale, title: str) -> Markup:
    """Return one bar of several steps, in their order."""
    made, start = [], 0.0
    for name, value in parts.items():
        share = scale.share(start + value) - scale.share(start)
        made.append(
            tag(
                "rect",
                tag("title", f"{name} {wording.significant(value)} ms"),
                x=percent(scale.share(start)),
                width=percent(share),
                height=_BAR_HEIGHT,
                class_=f"step {name}",
            )
        )
        start += value
    return tag("svg", *made, width="100%", height=_BAR_HEIGHT, role="img", aria_label=title)


def single(value: float, scale: Scale, title: str) -> Markup:
    """Return one plain bar."""
    bar = tag("rect", width=percent(scale.share(value)), height=_BAR_HEIGHT, rx=2, class_="fill")
    return tag("svg", bar, width="100%", height=_BAR_HEIGHT, role="img", aria_label=title)


def legend(steps: Sequence[str]) -> Markup:
    """Return which step has which colour."""
    swatches = [
        tag(
            "li",
            tag("svg", tag("rect", width=12, height=12, class_=f"step {step}"), width=12, height=12, aria_hidden="true"),
            step,
        )
        for step in steps
    ]
    return tag("ul", *swatches, class_="legend")


def _slowest(greatest: float, scale: Scale) -> Markup:
    """Mark the slowest latency; beyond the end of the scale, an arrow points to it."""
    if greatest <= scale.high:
        return tag("circle", cx=percent(scale.share(greatest)), cy=_MIDDLE, r=3.5, class_="slowest")
    arrow = tag("path", d="M-10 -5L-2 0L-10 5", class_="slowest")
    return tag("svg", arrow, x="100%", y=_MIDDLE, overflow="visible")


def _shape(quantiles: Sequence[float], scale: Scale) -> str:
    """Return the outline of the density that the quantiles have, smoothed by a Gaussian of Silverman's width."""
    values = np.asarray(quantiles, np.float64)
    spread = min(float(values.std()), float(values[75] - values[25]) / 1.34) or float(values.std()) or 1e-9
    width = max(0.9 * spread * len(values) ** -0.2, (scale.high - scale.low) / _UNITS * 2)
    start, end = float(values[0]), min(float(values[99]), scale.high)
    grid = np.linspace(start, max(end, start + width), _DRAWN)
    density = np.exp(-0.5 * ((grid[:, None] - values) / width) ** 2).sum(axis=1)
    half = _HALF * density / density.max()
    x = (grid - scale.low) / (scale.high - scale.low) * _UNITS
    there = [f"{number(a)} {number(_MIDDLE - b)}" for a, b in zip(x, half, strict=True)]
    back = [f"{number(a)} {number(_MIDDLE + b)}" for a, b in zip(x[::-1], half[::-1], strict=True)]
    return f"M{'L'.join((*there, *back))}Z"


def _stretched(height: float) -> dict[str, str | float]:
    return {"viewBox": f"0 0 {_UNITS} {number(height)}", "preserveAspectRatio": "none", "width": "100%", "height": height}


def _axis(scale: Scale, unit: str) -> Markup:
    """Return the axis below the lines. The last mark that would hang over its end is set from the right."""
    marks = []
    for index, tick in enumerate(scale.ticks):
        at = scale.share(tick)
        anchor = "start" if index == 0 else "end" if at > 1 - 0.1 / _FEW_TICKS else "middle"
        words = f"{scale.label(tick)} {unit}" if index == 0 else scale.label(tick)
        marks.append(tag("line", x1=percent(at), x2=percent(at), y1=0, y2=5, class_="axis"))
        marks.append(tag("text", words, x=percent(at), y=18, text_anchor=anchor, class_="tick"))
    line = tag("line", x1="0", x2="100%", y1=0.5, y2=0.5, class_="axis")
    drawing = tag("svg", line, join(marks), width="100%", height=24, aria_hidden="true")
    return tag("div", tag("span", class_="bar-name"), drawing, tag("span", class_="bar-said"), class_="bar foot")


def scale_of(values: Sequence[float]) -> Scale:
    """Return the common scale of bars, from 0."""
    return scales.from_zero(max(values, default=1.0), wanted=_FEW_TICKS)
