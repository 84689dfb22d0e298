"""The plot of how right rows are against how long they take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ocrdeploy.evaluation.report import labels, scales, wording
from ocrdeploy.evaluation.report.labels import Box
from ocrdeploy.evaluation.report.markup import Markup, join, number, tag
from ocrdeploy.evaluation.report.scales import Scale

_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 14.0, 34.0, 46.0
_RADIUS = 6.0
_CAP = 5.0


@dataclass(frozen=True, slots=True)
class Point:
    """One row: its latency, its figure and the figure's interval, and the style sheet's class of its colour."""

    name: str
    x: float
    y: float
    low: float
    high: float
    style: str


@dataclass(frozen=True, slots=True)
class Size:
    """The drawing's own width and height, and about how many marks fit its axis."""

    width: float
    height: float
    ticks: int


WIDE, NARROW = Size(880, 400, 8), Size(340, 360, 4)


def draw(points: Sequence[Point], what: str, title: str) -> Markup:
    """Return the plot twice, for wide and for narrow windows; the style sheet shows one of them.

    Names stand in the wide one; the narrow one has numbers, and a list of them below.
    """
    names = [wording.visible(point.name) for point in points]
    numbers = [str(index) for index, _ in enumerate(points, start=1)]
    listed = [
        tag("li", tag("b", number_), tag("span", point.name), class_=f"row {point.style}")
        for number_, point in zip(numbers, points, strict=True)
    ]
    wide = _drawn(points, names, what, title, size=WIDE, style="scatter wide")
    return join(
        [wide, _drawn(points, numbers, what, title, size=NARROW, style="scatter narrow"), tag("ol", *listed, class_="legend")]
    )


def upward(points: Sequence[Point]) -> Scale:
    """Return the vertical axis, which all intervals fit into."""
    return scales.around(min(point.low for point in points), max(point.high for point in points))


def _drawn(points: Sequence[Point], names: Sequence[str], what: str, title: str, *, size: Size, style: str) -> Markup:
    across = scales.from_zero(max(point.x for point in points) * 1.08, wanted=size.ticks)
    up = upward(points)
    frame = Box(_LEFT, _TOP, size.width - _RIGHT, size.height - _BOTTOM)
    return tag(
        "svg",
        tag("title", title),
        _axes(across, up, frame, what),
        *_marks(points, names, across, up, frame),
        viewBox=f"0 0 {number(size.width)} {number(size.height)}",
        class_=style,
        role="img",
        aria_label=title,
    )


def _axes(across: Scale, up: Scale, frame: Box, what: str) -> Markup:
    parts = []
    for tick in up.ticks:
        y = _y(up, frame, tick)
        parts.append(tag("line", x1=frame.left, x2=frame.right, y1=y, y2=y, class_="grid"))
        parts.append(tag("text", up.label(tick), x=frame.left - 8, y=y + 4, text_anchor="end", class_="tick"))
    for tick in across.ticks:
        x = _x(across, frame, tick)
        parts.append(tag("line", x1=x, x2=x, y1=frame.bottom, y2=frame.bottom + 5, class_="axis"))
        parts.append(tag("text", across.label(tick), x=x, y=frame.bottom + 19, text_anchor="middle", class_="tick"))
    parts.append(tag("line", x1=frame.left, x2=frame.right, y1=frame.bottom, y2=frame.bottom, class_="axis"))
    middle = (frame.left + frame.right) / 2
    parts.append(
        tag("text", "median latency of a picture, ms", x=middle, y=frame.bottom + 39, text_anchor="middle", class_="name")
    )
    parts.append(tag("text", what, x=8, y=14, class_="name"))
    return join(parts)


def _marks(points: Sequence[Point], names: Sequence[str], across: Scale, up: Scale, frame: Box) -> list[Markup]:
    places = [(_x(across, frame, point.x), _y(up, frame, point.y)) for point in points]
    bars = [
        Box(x - _CAP, _y(up, frame, point.high), x + _CAP, _y(up, frame, point.low))
        for point, (x, _) in zip(points, places, strict=True)
    ]
    dots = [Box(x - _RADIUS - 2, y - _RADIUS - 2, x + _RADIUS + 2, y + _RADIUS + 2) for x, y in places]
    words = [labels.shortened(name, frame.right - frame.left) for name in names]
    rooms = labels.place(places, words, [*bars, *dots], frame)
    made = []
    for point, (x, y), bar, word, room in zip(points, places, bars, words, rooms, strict=True):
        middle = (bar.left + bar.right) / 2
        stem = f"M{number(bar.left)} {number(bar.top)}H{number(bar.right)}M{number(middle)} {number(bar.top)}"
        stem += f"V{number(bar.bottom)}M{number(bar.left)} {number(bar.bottom)}H{number(bar.right)}"
        drawn = [tag("path", d=stem, class_="interval")] if point.high > point.low else []
        drawn.append(tag("circle", cx=x, cy=y, r=_RADIUS, class_="dot"))
        made.append(tag("g", *_leader(x, y, room), *drawn, _name(word, room, x), class_=f"row {point.style}"))
    return made


def _name(word: str, box: Box, x: float) -> Markup:
    """Return a row's name in its place, set from the side that is nearer to its point: widths of letters differ."""
    if box.left > x:
        at, anchor = box.left, "start"
    elif box.right < x:
        at, anchor = box.right, "end"
    else:
        at, anchor = (box.left + box.right) / 2, "middle"
    return tag("text", word, x=at, y=box.bottom - 3, text_anchor=anchor, class_="label")


def _leader(x: float, y: float, box: Box) -> list[Markup]:
    """Return a line from a point to a name that is not beside it."""
    end_x = min(max(x, box.left), box.right)
    end_y = min(max(y, box.top), box.bottom)
    if abs(end_x - x) + abs(end_y - y) <= 3 * _RADIUS:
        return []
    return [tag("line", x1=x, y1=y, x2=end_x, y2=end_y, class_="leader")]


def _x(scale: Scale, frame: Box, value: float) -> float:
    return frame.left + scale.share(value) * (frame.right - frame.left)


def _y(scale: Scale, frame: Box, value: float) -> float:
    return frame.bottom - scale.share(value) * (frame.bottom - frame.top)
