"""From what the rows answered to the report: every figure of every row, by the keys that docs/eval-json.md lists."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrdeploy.evaluation import agreement, bootstrap, deviation, memory, timing
from ocrdeploy.evaluation.answers import Answer
from ocrdeploy.evaluation.evaluator import RAW, Pictures
from ocrdeploy.evaluation.journal import Journal
from ocrdeploy.evaluation.metrics import Metric
from ocrdeploy.evaluation.plan import Resolved
from ocrdeploy.evaluation.row import Row
from ocrdeploy.plugins import Plugins
from ocrdeploy.verification import tolerance
from ocrdeploy.vocabulary import Region, Sample

LEAK_MIB = 0.05
"""Memory that grows by more than this with every picture, all the time, is called a leak."""

MOST_SHOWN = 24
"""How many of the pictures that a row answers otherwise are put into the report."""

STEPS = ("decode", "preprocess", "infer", "postprocess", "detect", "crop", "classify", "recognize")


@dataclass(frozen=True, slots=True)
class Judged:
    """What the answers are judged by: samples (the selection), their pictures, the metrics, and how sure intervals are."""

    samples: Sequence[Sample]
    pictures: Pictures
    metrics: Sequence[Metric]
    level: float = 0.95
    resamples: int = 2000
    seed: int = 0


Counts = Mapping[str, NDArray[np.float64]]
"""What each metric counted, picture by picture."""


class Assembly:
    """Makes the report's rows. `reference` is the row that the others are compared with, if any."""

    def __init__(self, plugins: Plugins, resolved: Resolved, judged: Judged, reference: Row | None, journal: Journal) -> None:
        self._plugins, self._resolved, self._judged = plugins, resolved, judged
        self._reference, self._journal = reference, journal

    def rows(self, found: Sequence[Row]) -> list[dict[str, Any]]:
        """Return the report's rows, in the order of `found`."""
        counted = {row.order.name: self._counts(row) for row in found if row.ran}
        theirs = counted.get(self._reference.order.name) if self._reference else None
        return [self._row(row, counted.get(row.order.name), theirs) for row in found]

    def _counts(self, row: Row) -> Counts:
        answers = [row.answers[number].regions for number in range(len(self._judged.samples))]
        return {metric.name: metric.count(self._judged.samples, answers) for metric in self._judged.metrics}

    def _row(self, row: Row, own: Counts | None, theirs: Counts | None) -> dict[str, Any]:
        made: dict[str, Any] = {**_identity(self._plugins, row), "reference": row is self._reference, "warnings": []}
        if own is None:
            return made
        made |= _loaded(row) | _timings(row) | _resources(row)
        made["pictures"] = len(row.answers)
        made["errors"] = sum(bool(answer.problem) for answer in row.answers.values())
        made |= _accuracy(own, theirs, self._judged)
        made |= _agreement(row, self._reference, self._judged)
        made["deviation"] = self._deviation(row)
        made["notes"], made["warnings"] = list(row.notes), _warnings(row, made)
        return made

    def _deviation(self, row: Row) -> float | None:
        """Return how far raw outputs are from the reference's; those of a pair are not kept."""
        if self._reference is None or row is self._reference or len(self._resolved.artifacts) > 1:
            return None
        files = [[self._journal.place(each, f"raw{index}.npz") for index in range(RAW)] for each in (self._reference, row)]
        return deviation.largest(files[0], files[1], self._resolved.artifacts[0].model.family)


def _identity(plugins: Plugins, row: Row) -> dict[str, Any]:
    order = row.order
    installed = plugins.installed.get(order.backend)
    return {
        "id": order.name,
        "backend": order.backend,
        "version": plugins.probed[order.backend].version if order.backend in plugins.probed else "",
        "distribution": plugins.distribution(order.backend) if installed else "",
        "precision": order.precision,
        "precision_proved": None,
        "device_asked": order.device,
        "device": None,
        "provider": None,
        "status": row.status,
        "problem": row.problem,
        "fix": row.fix,
    }


def _loaded(row: Row) -> dict[str, Any]:
    loaded = row.facts["loaded"]
    claimed = _one(each["precision"] for each in loaded)
    return {
        "version": _one(each["version"] for each in loaded),
        "device": _one(each["device"] for each in loaded),
        "provider": _one(each["provider"] for each in loaded),
        "precision_claimed": claimed,
        "precision_proved": row.warmed.get("numbers") or claimed,
        "models": row.facts["models"],
    }


def _one(values: Iterable[str]) -> str:
    """Return the value that all have, or all that there are."""
    return " + ".join(dict.fromkeys(value for value in values if value))


def _timings(row: Row) -> dict[str, Any]:
    latencies = [each.ms["total"] for each in row.timings for _ in range(each.pictures)]
    seconds = sum(each.ms["total"] for each in row.timings) / 1000
    pictures = sum(each.pictures for each in row.timings)
    steps = {
        f"{step}_ms": timing.median([each.ms[step] / each.pictures for each in row.timings if step in each.ms])
        for step in STEPS
        if any(step in each.ms for each in row.timings)
    }
    return {
        **timing.figures(latencies),
        **steps,
        "pictures_per_s": pictures / seconds if seconds else None,
        "sittings": row.sittings,
        "warm_up_passes": row.warmed.get("passes"),
        "warm_up_steady": row.warmed.get("steady"),
    }


def _resources(row: Row) -> dict[str, Any]:
    growth = [memory.growth_mib_per_picture(sitting) for sitting in row.resident_mib]
    known = [each for each in growth if each is not None]
    return {
        "open_s": row.facts["open_s"],
        "build_s": row.build_s,
        "built": row.built,
        "artifact_path": row.facts["artifact_path"],
        "artifact_format": row.facts["artifact_format"],
        "artifact_bytes": row.facts["artifact_bytes"],
        "host_memory_peak_mib": row.peak_mib,
        "host_memory_growth_mib_per_picture": max(known) if known else None,
        "device_memory_peak_mib": row.device_peak_mib,
    }


def _accuracy(own: Counts, theirs: Counts | None, judged: Judged) -> dict[str, Any]:
    made: dict[str, Any] = {"metrics": {}}
    for metric in judged.metrics:
        counts = own[metric.name]
        totals = counts.sum(axis=0)
        figures = {name: float(value) for name, value in metric.figures(totals).items()}
        settings: dict[str, Any] = {"level": judged.level, "samples": judged.resamples, "seed": judged.seed}
        spread = bootstrap.intervals(metric, counts, **settings)
        for name, value in figures.items():
            made |= {name: value, f"{name}_low": spread[name].low, f"{name}_high": spread[name].high}
        if theirs is not None:
            made |= _drops(metric, figures, counts, theirs[metric.name], settings)
        details = dict(metric.describe(totals))
        made["metrics"][metric.name] = {
            "headline": metric.headline,
            "figures": list(figures),
            "lower_is_better": sorted(metric.lower_is_better),
            "details": details,
        }
    return made


def _drops(
    metric: Metric,
    figures: Mapping[str, float],
    counts: NDArray[np.float64],
    theirs: NDArray[np.float64],
    settings: Mapping[str, Any],
) -> dict[str, float]:
    """Return by how much each figure is worse than the reference's: positive is worse, whichever way the figure runs."""
    others = metric.figures(theirs.sum(axis=0))
    spread = bootstrap.differences(metric, counts, theirs, **settings)
    made: dict[str, float] = {}
    for name, value in figures.items():
        if name.endswith("_threshold"):
            continue  # a setting is no worse for being another
        difference = value - float(others[name])
        low, high = spread[name]
        if name in metric.lower_is_better:
            made |= {f"{name}_drop": difference, f"{name}_drop_low": low, f"{name}_drop_high": high}
        else:
            made |= {f"{name}_drop": 0.0 - difference, f"{name}_drop_low": 0.0 - high, f"{name}_drop_high": 0.0 - low}
    return made


def _agreement(row: Row, reference: Row | None, judged: Judged) -> dict[str, Any]:
    made: dict[str, Any] = {
        "agreement": None,
        "agreeing": None,
        "compared": None,
        "box_iou": None,
        "repeat_agreement": row.repeated_alike / row.repeated if row.repeated else None,
        "batch_agreement": row.together["same"] / row.together["rows"] if row.together.get("rows") else None,
        "disagreements": [],
    }
    if reference is None or not reference.ran:
        return made
    alike = [agreement.compare(reference.answers[number], row.answers[number]) for number in range(len(judged.samples))]
    overlaps = [overlap for each in alike for overlap in each.overlaps]
    different = [number for number, each in enumerate(alike) if not each.agrees]
    return made | {
        "agreement": (len(alike) - len(different)) / len(alike),
        "agreeing": len(alike) - len(different),
        "compared": len(alike),
        "box_iou": sum(overlaps) / len(overlaps) if overlaps else None,
        "disagreements": [_shown(number, row, reference, judged) for number in different[:MOST_SHOWN]],
    }


def _shown(number: int, row: Row, reference: Row, judged: Judged) -> dict[str, Any]:
    sample = judged.samples[number]
    return {
        "index": number,
        "picture": judged.pictures.names[number],
        "path": str(judged.pictures.paths[number]),
        "true": [region.text for region in sample.regions if region.text],
        "reference": _plain(reference.answers[number]),
        "row": _plain(row.answers[number]),
    }


def _plain(answer: Answer) -> dict[str, Any]:
    return {"regions": [_region(region) for region in answer.regions], "problem": answer.problem}


def _region(region: Region) -> dict[str, Any]:
    return {
        "polygon": [[round(x, 2), round(y, 2)] for x, y in region.polygon],
        "text": region.text or region.label,
        "score": round(region.score, 5) if math.isfinite(region.score) else None,
    }


def _warnings(row: Row, made: Mapping[str, Any]) -> list[str]:
    """Say what a reader of the figures must know."""
    found = []
    claimed, proved = made["precision_claimed"], made["precision_proved"]
    if claimed != proved:
        found.append(f"its session says {claimed}, and every number that it gives is a {proved} number")
    elif proved != row.order.precision:
        found.append(f"{row.order.precision} was asked for, and {proved} is what runs")
    found += _doubts(made)
    growth = made["host_memory_growth_mib_per_picture"]
    if growth is not None and growth > LEAK_MIB:
        found.append(f"its memory grows by {growth:.2f} MiB with every picture: a leak, or a cache without end")
    if made["repeat_agreement"] not in {None, 1.0}:
        found.append(f"asked again, it answers otherwise on {1 - made['repeat_agreement']:.1%} of the pictures")
    if made["batch_agreement"] not in {None, 1.0}:
        wrong = row.together["rows"] - row.together["same"]
        found.append(f"in a batch it answers otherwise than alone: {wrong} of {row.together['rows']} rows are wrong")
    if made["errors"]:
        first = next(answer for answer in row.answers.values() if answer.problem)
        found.append(f"{made['errors']} pictures gave an error, and count as empty answers, first: {first.problem}")
    if made.get("warm_up_steady") is False:
        found.append("it was not steady when warming up ended: its first timings may be too long")
    if row.sittings > 1:
        found.append(f"its timings come from {row.sittings} sittings")
    return found


def _doubts(made: Mapping[str, Any]) -> list[str]:
    """Doubt a precision that the numbers do not have: its outputs are further from the reference's than it allows."""
    allowed = tolerance.of("fp16").atol
    found = made["deviation"]
    if found is not None and not math.isfinite(found):
        return ["its raw outputs have another shape than the reference's, or are not finite where those are"]
    if made["precision_proved"] != "fp32" or found is None or found <= allowed:
        return []
    return [f"it says fp32, and its outputs are up to {found:.2g} standard deviations from the reference's"]
