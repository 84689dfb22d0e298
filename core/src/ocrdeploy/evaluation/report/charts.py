"""The charts of a page, made of a report's rows; what no row has a value for is left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ocrdeploy.evaluation.report import bars, columns, keys, scatter, wording
from ocrdeploy.evaluation.report.bars import Line
from ocrdeploy.evaluation.report.markup import Markup, join, tag
from ocrdeploy.evaluation.report.scatter import Point
from ocrdeploy.evaluation.report.schema import Row

_BEYOND = 1.25
"""How far the axis of latencies goes beyond the largest 99th percentile: single outliers would squeeze all the rest."""

_MB = 1e6


def accuracy(rows: Sequence[Row], styles: Mapping[str, str]) -> Markup:
    """Return a plot for each metric's headline against the median latency; of agreement where there is no accuracy."""
    names = keys.headlines(rows) or ("agreement",)
    return join(_plot(rows, name, styles, less=name in keys.less_is_better(rows)) for name in names)


def _plot(rows: Sequence[Row], key: str, styles: Mapping[str, str], *, less: bool) -> Markup:
    points = []
    for row in rows:
        x, y = wording.number(row, "p50_ms"), wording.number(row, key)
        if x is not None and y is not None:
            low, high = (wording.number(row, key + end) for end in ("_low", "_high"))
            low, high = (y if low is None else min(low, y)), (y if high is None else max(high, y))
            points.append(Point(str(row["id"]), x, y, low, high, styles[str(row["id"])]))
    if not points:
        return Markup("")
    better = "lower" if less else "higher"
    said = "; ".join(f"{point.name}: {point.y:.4g} at {wording.significant(point.x)} ms" for point in points)
    bars_are = " Vertical bars: the interval." if any(point.high > point.low for point in points) else ""
    from_where = " The vertical axis does not begin at 0." if scatter.upward(points).low > 0 else ""
    note = f"{key}: {better} is better; further left is faster.{bars_are}{from_where}"
    drawn = scatter.draw(points, f"{key} ({better} is better)", f"{key} against median latency. {said}")
    return tag("figure", drawn, tag("figcaption", note, class_="note"), class_="plot")


def latency(rows: Sequence[Row], styles: Mapping[str, str]) -> Markup:
    """Return the distributions of latencies on one axis."""
    known = [row for row in rows if len(row.get("latency_quantiles_ms") or ()) == bars.QUANTILES]
    if not known:
        return Markup("")
    scale = bars.scale_of([row["latency_quantiles_ms"][99] * _BEYOND for row in known])
    lines = []
    for row in known:
        quantiles = row["latency_quantiles_ms"]
        outliers = row.get("outliers") or 0
        slow = f"; {wording.counted(outliers, 'outlier')}" if outliers else ""
        median, greatest = (wording.significant(value) for value in (quantiles[50], quantiles[100]))
        said = f"median {median}, slowest {greatest} ms{slow}"
        drawing = bars.violin(quantiles, quantiles[100], scale, f"{row['id']}: {said}")
        lines.append((_line(row, styles, said), drawing))
    note = (
        "Box: the middle half, with the median; line: from the fastest to the 99th percentile, with marks at the 95th and 99th; "
        "ring: the slowest, an arrow where it lies beyond the axis. Outliers are more than 3 interquartile ranges above the box."
    )
    return tag("figure", bars.chart(lines, scale, "ms"), tag("figcaption", note, class_="note"))


def split(rows: Sequence[Row], styles: Mapping[str, str]) -> Markup:
    """Return the steps of each row, one after the other."""
    parts = {str(row["id"]): columns.split(row) for row in rows}
    if not any(parts.values()):
        return Markup("")
    steps = list(dict.fromkeys(step for each in parts.values() for step in each))
    scale = bars.scale_of([sum(each.values()) for each in parts.values()])
    lines = []
    for row in rows:
        mine = parts[str(row["id"])]
        if mine:
            said = " · ".join(f"{name} {wording.significant(value)}" for name, value in mine.items())
            lines.append((_line(row, styles, said), bars.stacked(mine, scale, f"{row['id']}: {said} ms")))
    note = "Medians of the steps, ms: they need not add up to the median of the whole."
    chart = bars.chart(lines, scale, "ms")
    return tag("figure", bars.legend(steps), chart, tag("figcaption", note, class_="note"), class_="split")


def cost(rows: Sequence[Row], styles: Mapping[str, str]) -> Markup:
    """Return plain bars of what a row takes: memory, room on the disk, time to build."""
    made = [
        _bars(rows, styles, "Peak memory of the row's own process", "MiB", _number("host_memory_peak_mib")),
        _bars(rows, styles, "Peak memory on the device", "MiB", _number("device_memory_peak_mib")),
        _bars(rows, styles, "Size of the artifact", "MB", _megabytes),
        _bars(rows, styles, "Time to build the artifact", "s", _number("build_s")),
    ]
    return tag("div", *made, class_="costs") if any(made) else Markup("")


def _bars(rows: Sequence[Row], styles: Mapping[str, str], title: str, unit: str, value: Callable[[Row], float | None]) -> Markup:
    known = [(row, number) for row in rows if (number := value(row)) is not None]
    if not any(number > 0 for _, number in known):
        return Markup("")
    scale = bars.scale_of([number for _, number in known])
    lines = [
        (
            _line(row, styles, f"{wording.significant(number)} {unit}"),
            bars.single(number, scale, f"{row['id']}: {wording.significant(number)} {unit}"),
        )
        for row, number in known
    ]
    return tag("figure", tag("figcaption", f"{title}, {unit}", class_="figure-title"), bars.chart(lines, scale, unit))


def _number(key: str) -> Callable[[Row], float | None]:
    return lambda row: wording.number(row, key)


def _megabytes(row: Row) -> float | None:
    size = wording.number(row, "artifact_bytes")
    return None if size is None else size / _MB


def _line(row: Row, styles: Mapping[str, str], said: str) -> Line:
    return Line(str(row["id"]), styles[str(row["id"])], said)
