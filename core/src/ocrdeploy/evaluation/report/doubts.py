"""Reasons not to compare two reports: what differs that no row is to blame for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ocrdeploy.evaluation.report import keys, wording
from ocrdeploy.evaluation.report.schema import Report

BUSY = 0.5
"""A load before the first row, a core, that is above this slows rows down."""


def between(old: Report, new: Report) -> Iterator[str]:
    """Yield a sentence for each difference in what was evaluated, on what, how, and where."""
    if old["dataset"].get("fingerprint") != new["dataset"].get("fingerprint"):
        yield "the dataset is another one: its fingerprint differs"
    parts: Sequence[tuple[str, Sequence[str]]] = (
        ("dataset", ("kind", "pictures", "of", "limit", "seed")),
        ("settings", [key.name for key in keys.SETTINGS]),
        ("environment", ("cpu", "cores", "gpu", "memory_gib", "platform", "python")),
    )
    for part, names in parts:
        yield from _differing(part, old.get(part) or {}, new.get(part) or {}, names)
    before, after = ((report.get("environment") or {}).get("packages") or {} for report in (old, new))
    yield from _differing("package", before, after, sorted({*before, *after}))
    yield from _differing("report", old, new, ("task", "reference"))
    if _models(old) != _models(new):
        yield "the models are others: their files differ"
    for name, report in (("old", old), ("new", new)):
        load, cores = ((report.get("environment") or {}).get(key) for key in ("load", "cores"))
        busy = wording.number(load or {}, "before")
        if busy is not None and cores and busy > BUSY * cores:
            yield f"the machine was busy before the {name} report was begun: a load of {busy:.2g} on {cores} cores"


def _differing(part: str, old: Mapping[str, Any], new: Mapping[str, Any], names: Sequence[str]) -> Iterator[str]:
    for name in names:
        if old.get(name) != new.get(name):
            yield f"{part} {name}: {_brief(old.get(name))} in the old, {_brief(new.get(name))} in the new"


def _brief(value: object) -> str:
    return "none" if value is None else str(value)


def _models(report: Report) -> list[tuple[object, object]]:
    return [(model.get("role"), model.get("sha256")) for model in report.get("models") or ()]
