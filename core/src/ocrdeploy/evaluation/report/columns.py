"""The columns of the table that terminals, documents and pages show, and what stands below it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ocrdeploy.evaluation.report import keys, wording
from ocrdeploy.evaluation.report.schema import Report, Row

Cell: TypeAlias = Callable[[Row], str]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `sort`: the key of a row by which it sorts, where that is a number; `about`: what it is, in words."""

    title: str
    cell: Cell
    about: str
    sort: str = ""


IDENTITY = 4
"""How many columns say which row it is; the rest is measured."""


def of(report: Report) -> tuple[Column, ...]:
    """Return the columns in which some row has something to say."""
    rows = report["rows"]
    every = (*_identity(), *_accuracy(rows), *_speed(), *_cost())
    ran = [row for row in rows if row["status"] == "ok"]
    measured = tuple(column for column in every[IDENTITY:] if any(column.cell(row) != wording.NOTHING for row in ran))
    return every[:IDENTITY] + (measured or (_STATUS,))


def cells(columns: Sequence[Column], row: Row, *, status: str | None = None) -> tuple[str, ...]:
    """Return the cells of a row. One that did not run has its status, or `status`, where the figures begin, and no figures."""
    if row["status"] != "ok":
        known = [column.cell(row) for column in columns[:IDENTITY]]
        return (*known, row["status"] if status is None else status, *("" for _ in columns[IDENTITY + 1 :]))
    return tuple(column.cell(row) for column in columns)


_STATUS = Column("status", lambda row: str(row["status"]), "whether it ran")
"""Where nothing was measured, there is this."""


def backend(row: Row) -> str:
    """Return the backend's name, marked where it is the reference."""
    return wording.visible(row.get("backend") or row["id"]) + ("*" if row.get("reference") else "")


def heading(report: Report) -> list[str]:
    """Return what has to be known before a table is read, one sentence a line; the first is the title."""
    dataset, settings = report["dataset"], report.get("settings") or {}
    lines = [wording.visible(report["title"])]
    reference = report.get("reference")
    lines.append(f"reference: {wording.visible(reference)}, marked *" if reference else "reference: none, since no row ran")
    lines.append(f"dataset: {_dataset(dataset)}")
    lines.append(f"intervals: {_interval(settings)}; drop: + is worse than the reference")
    if (report.get("sittings") or 1) > 1:
        lines.append(f"sittings: {report['sittings']}; timings come from all of them")
    return lines


def footnotes(rows: Sequence[Row]) -> list[str]:
    """Return what the marks in the cells mean, if there are any."""
    rough = any(wording.is_rough(row, key) for row in rows for key in wording.NEEDED_TIMINGS)
    needed = " and ".join(f"{least} for {key.removesuffix('_ms')}" for key, least in wording.NEEDED_TIMINGS.items())
    return [f"{wording.ROUGH} rough: of fewer timings than a percentile needs, {needed}"] if rough else []


def split(row: Row) -> Mapping[str, float]:
    """Return where the time of a picture went, by step, in ms: a pair's steps, else those of one model."""
    pair = {name: wording.number(row, f"{name}_ms") for name in ("decode", "detect", "crop", "classify", "recognize")}
    one = {name: wording.number(row, f"{name}_ms") for name in ("decode", "preprocess", "infer", "postprocess")}
    steps = pair if pair["detect"] is not None or pair["recognize"] is not None else one
    return {name: value for name, value in steps.items() if value is not None}


def _dataset(dataset: Mapping[str, Any]) -> str:
    parts = [f"{wording.visible(dataset.get('kind'))}:{wording.visible(dataset.get('path'))}", wording.sampled(dataset)]
    if dataset.get("labelled"):
        parts.append(f"{wording.counted(dataset.get('regions'), 'true region')}, {dataset.get('ignored')} ignored")
    else:
        parts.append("without labels: agreement and speed only")
    if dataset.get("missing"):
        parts.append(f"{dataset['missing']} left out, since the pictures are missing")
    return ", ".join(parts)


def _interval(settings: Mapping[str, Any]) -> str:
    bootstrap = settings.get("bootstrap") or {}
    level = bootstrap.get("level", 0.95)
    samples = f" of {bootstrap['samples']} resamples" if "samples" in bootstrap else ""
    return f"{100 * level:g} %, bootstrap{samples} over pictures"


def _identity() -> tuple[Column, ...]:
    return (
        Column("backend", backend, "the backend; * is the reference"),
        Column("version", lambda row: wording.visible(row.get("version") or wording.NOTHING), "version of its runtime"),
        Column("device", lambda row: wording.visible(wording.device(row)), "where it ran"),
        Column("precision", lambda row: wording.visible(wording.precision(row)), "asked for, and proved where that is another"),
    )


def _accuracy(rows: Sequence[Row]) -> tuple[Column, ...]:
    made = []
    for name in keys.headlines(rows):
        made.append(Column(name, _figure(name), f"{name} and its interval", name))
        made.append(
            Column(f"{name} drop" if len(keys.headlines(rows)) > 1 else "drop", _drop(name), "+ is worse", f"{name}_drop")
        )
    made.append(
        Column("agreement", lambda row: wording.share(wording.number(row, "agreement")), "with the reference", "agreement")
    )
    return tuple(made)


def _speed() -> tuple[Column, ...]:
    return (
        *(_latency(key) for key in ("p50_ms", "p95_ms", "p99_ms")),
        Column("pict/s", _significant("pictures_per_s"), "pictures in a second", "pictures_per_s"),
        Column("infer ms", _infer, "median time in the runtime, and its share of all steps", "infer_ms"),
    )


def _cost() -> tuple[Column, ...]:
    return (
        Column("build s", wording.build, "time of making the artifact", "build_s"),
        Column("size MB", wording.megabytes, "size of the artifact", "artifact_bytes"),
        Column("host MiB", _significant("host_memory_peak_mib"), "peak of the row's own process", "host_memory_peak_mib"),
        Column("device MiB", _significant("device_memory_peak_mib"), "peak on the device", "device_memory_peak_mib"),
    )


def _figure(name: str) -> Cell:
    return lambda row: wording.figure(row, name)


def _drop(name: str) -> Cell:
    return lambda row: wording.drop(row, name)


def _agreement(row: Row) -> str:
    return wording.share(wording.number(row, "agreement"))


def _latency(key: str) -> Column:
    percentile = key.removesuffix("_ms")
    return Column(f"{percentile} ms", lambda row: wording.milliseconds(row, key), f"latency of a picture, {percentile}", key)


def _significant(key: str) -> Cell:
    return lambda row: wording.significant(wording.number(row, key))


def _infer(row: Row) -> str:
    infer = wording.number(row, "infer_ms")
    whole = sum(wording.number(row, f"{name}_ms") or 0 for name in ("decode", "preprocess", "infer", "postprocess"))
    if infer is None:
        return wording.NOTHING
    return f"{wording.significant(infer)} ({100 * infer / whole:.0f} %)" if whole > 0 else wording.significant(infer)
