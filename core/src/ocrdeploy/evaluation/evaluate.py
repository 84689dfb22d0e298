"""The whole way from what was asked for to the report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ocrdeploy import __version__, backend, spec
from ocrdeploy.errors import OcrdError
from ocrdeploy.evaluation import agreement, environment, journal, metrics, plan, selection
from ocrdeploy.evaluation.assembly import Assembly, Judged
from ocrdeploy.evaluation.evaluator import Evaluator, Watcher
from ocrdeploy.evaluation.journal import Journal
from ocrdeploy.evaluation.metrics import Metric
from ocrdeploy.evaluation.plan import Choice, Resolved
from ocrdeploy.evaluation.report.schema import SCHEMA
from ocrdeploy.evaluation.row import OK, Row
from ocrdeploy.evaluation.selection import Selection
from ocrdeploy.plugins import Plugins
from ocrdeploy.samples import Dataset


@dataclass(frozen=True, slots=True)
class Settings:
    """How is measured and judged. `metrics` empty: the task's usual ones. `rounds` 0: as many as give enough timings."""

    metrics: Sequence[str] = ()
    limit: int | None = None
    seed: int = 0
    rounds: int = 0
    reference: str = ""
    fresh: bool = False
    allow_missing: bool = False
    resamples: int = 2000
    level: float = 0.95


def evaluate(
    plugins: Plugins,
    resolved: Resolved,
    dataset: Dataset,
    choice: Choice,
    settings: Settings,
    *,
    watcher: Watcher,
    command: str,
) -> dict[str, Any]:
    """Measure every row and return the report, as docs/eval-json.md describes it.

    What was measured is kept until it is complete: called again after it was killed, it goes on. Raises `OcrdError` for what
    makes the whole evaluation impossible; what makes one row impossible is in that row. `command` is for the record.
    """
    task = resolved.subject.task
    chosen = selection.select(dataset, task, limit=settings.limit, seed=settings.seed, allow_missing=settings.allow_missing)
    judges = _metrics(task, dataset, settings)
    rows = plan.rows(plugins, resolved, choice)
    plan.check_reference(rows, settings.reference)
    before = environment.state()
    with journal.opened(_key(resolved, dataset, chosen, settings), fresh=settings.fresh) as kept:
        begun = journal.begun(kept)
        evaluator = Evaluator(rows, selection.pictures(chosen, kept.folder), kept, watcher, settings.rounds)
        _resume(plugins, kept, rows, watcher)
        evaluator.run()
        reference = plan.reference_row([row for row in rows if row.ran], settings.reference)
        judged = Judged(chosen.samples, evaluator.pictures, judges, settings.level, settings.resamples, settings.seed)
        report: dict[str, Any] = {
            "schema": SCHEMA,
            "tool": {"name": "ocrdeploy", "version": __version__},
            "title": _title(resolved, dataset, chosen, settings),
            "command": command,
            "started": begun.isoformat(timespec="seconds"),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "sittings": max((row.sittings for row in rows), default=0),
            "task": task,
            "models": _models(resolved),
            "dataset": _dataset(dataset, chosen, settings),
            "settings": _settings(resolved, choice, settings, judges, evaluator),
            "environment": _environment(before, evaluator),
            "reference": reference.order.name if reference else None,
            "rows": Assembly(plugins, resolved, judged, reference, kept).rows(rows),
        }
    return {key: finite(value) for key, value in report.items()}


def figures(task: str, dataset: Dataset, settings: Settings) -> list[str]:
    """Return the names of the figures that an evaluation will have. Raises `OcrdError` for metrics that do not suit."""
    judges = _metrics(task, dataset, settings)
    return [name for metric in judges for name in metric.figures(metric.count((), ()).sum(axis=0))]


def forget(report: Mapping[str, Any]) -> None:
    """Remove what was kept of an evaluation whose report has been written."""
    journal.remove(report["settings"]["journal"])


def _metrics(task: str, dataset: Dataset, settings: Settings) -> tuple[Metric, ...]:
    wanted = tuple(settings.metrics)
    if not wanted and dataset.labelled:
        wanted = metrics.default(task, texts=dataset.texts, polygons=dataset.polygons)
    if wanted and not dataset.labelled:
        raise OcrdError(
            f"{dataset.path} has no labels, so {', '.join(wanted)} cannot be told",
            "leave --metric out: agreement and speed are measured without labels",
        )
    return metrics.choose(task, wanted, texts=dataset.texts, polygons=dataset.polygons) if wanted else ()


def _key(resolved: Resolved, dataset: Dataset, chosen: Selection, settings: Settings) -> dict[str, Any]:
    """Return what decides the answers, and what is asked: an evaluation with the same key is the same evaluation."""
    subject = resolved.subject
    return {
        "ocrdeploy": __version__,
        "models": [[source.sha256, spec.to_json(source.model)] for source in resolved.artifacts],
        "references": list(subject.models),
        "dataset": [dataset.kind, str(dataset.path.absolute()), dataset.fingerprint],
        "pictures": list(chosen.names),
        "subject": [subject.task, subject.batch_size, subject.shape, subject.min_score],
        "rounds": settings.rounds,
    }


def _resume(plugins: Plugins, kept: Journal, rows: Sequence[Row], watcher: Watcher) -> None:
    """Bring the rows to where an earlier sitting left them, and say so."""
    done = 0
    for row in rows:
        if row.status != OK:
            continue
        order = row.order
        facts = {
            "plugin": plugins.distribution(order.backend),
            "runtime": backend.probe(plugins, order.backend).version,
            "threads": str(order.threads),
            "provider": order.provider,
            "custom_ops": " ".join(order.custom_ops),
            "options": repr(sorted(order.extra.items())),
        }
        kept.resume(row, facts)
        done += len(row.done)
    if done:
        began = journal.begun(kept).isoformat(timespec="seconds")
        watcher.note(f"going on with the evaluation that began at {began}: {done} answers are kept (--fresh begins anew)")


def _title(resolved: Resolved, dataset: Dataset, chosen: Selection, settings: Settings) -> str:
    names = " + ".join(source.model.name for source in resolved.artifacts)
    count, whole = len(chosen.samples), len(dataset.samples) - chosen.left_out
    pictures = "1 picture" if count == 1 else f"{count} pictures"
    if count < whole:
        pictures = f"a seeded sample of {count} of {whole} pictures (seed {settings.seed})"
    title = f"{names} on {dataset.path.name or dataset.path}, {pictures}"
    if chosen.left_out:
        title += f" ({chosen.left_out} more are labelled and missing)"
    if resolved.subject.shape:
        title += f", each stretched to {resolved.subject.shape[0]} x {resolved.subject.shape[1]}"
    return title


def _models(resolved: Resolved) -> list[dict[str, Any]]:
    roles = plan.ROLES if len(resolved.artifacts) > 1 else [str(resolved.artifacts[0].model.task)]
    return [
        {
            "role": role,
            "name": source.model.name,
            "family": source.model.family,
            "task": str(source.model.task),
            "path": str(source.path),
            "sha256": source.sha256,
            "format": source.format,
            "orientation": str(source.model.input.orientation),
        }
        for role, source in zip(roles, resolved.artifacts, strict=True)
    ]


def _dataset(dataset: Dataset, chosen: Selection, settings: Settings) -> dict[str, Any]:
    return {
        "kind": dataset.kind,
        "path": str(dataset.path),
        "pictures": len(chosen.samples),
        "of": len(dataset.samples),
        "limit": settings.limit,
        "seed": settings.seed,
        "labelled": dataset.labelled,
        "regions": sum(len(sample.regions) for sample in chosen.samples),
        "ignored": sum(len(sample.ignored) for sample in chosen.samples),
        "missing": chosen.left_out,
        "fingerprint": dataset.fingerprint,
    }


def _settings(
    resolved: Resolved, choice: Choice, settings: Settings, judges: Sequence[Metric], evaluator: Evaluator
) -> dict[str, Any]:
    shape = resolved.subject.shape
    calls = evaluator.calls()
    return {
        "batch_size": resolved.subject.batch_size,
        "threads": choice.threads,
        "device": ",".join(choice.devices),
        "shape": f"{shape[0]}x{shape[1]}" if shape else None,
        "rounds": calls[-1].round + 1,
        "metrics": [metric.name for metric in judges],
        "min_score": resolved.subject.min_score,
        "agreement_iou": agreement.SAME_BOX,
        "bootstrap": {"samples": settings.resamples, "seed": settings.seed, "level": settings.level},
        "journal": str(evaluator.journal.folder),
    }


def _environment(before: Mapping[str, Any], evaluator: Evaluator) -> dict[str, Any]:
    after = environment.state()
    spent = evaluator.spent
    return {
        **environment.machine(),
        **{key: {"before": before[key], "after": after[key]} for key in before},
        "measuring_share": 1 - spent.in_rows / spent.in_all if spent.in_all else None,
    }


def finite(value: Any) -> Any:
    """Return `value` with None for numbers that JSON cannot say."""
    if isinstance(value, Mapping):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
