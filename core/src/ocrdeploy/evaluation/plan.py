"""Which rows there are to be: every backend, precision and device that was asked for, and why some of them cannot run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ocrdeploy import backend, models
from ocrdeploy.errors import BadInput, OcrdError, unknown
from ocrdeploy.evaluation.order import Order, Subject
from ocrdeploy.evaluation.row import UNAVAILABLE, Row
from ocrdeploy.pipeline import stretched
from ocrdeploy.plugins import Plugins
from ocrdeploy.vocabulary import Artifact, Task

ALL = "all"

TASKS: Mapping[Task, str] = {Task.DETECTION: "detect", Task.RECOGNITION: "recognize", Task.CLASSIFICATION: "classify"}

ROLES = ("detector", "recognizer")
"""The roles of a pair's two models."""

LINES_TOGETHER = 8
"""How many lines of a pair run together unless another number is asked for: as many as in `ocrd run`."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What the user asked for of each row: "all", or names; devices; and what every row shares."""

    backends: Sequence[str] = (ALL,)
    precisions: Sequence[str] = ("fp32",)
    devices: Sequence[str] = ("auto",)
    threads: int = 0
    provider: str = ""
    custom_ops: Sequence[Path] = ()
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Resolved:
    """A subject, and the files that its models are."""

    subject: Subject
    artifacts: tuple[Artifact, ...]


def resolve(
    plugins: Plugins,
    reference: str,
    spec_files: Sequence[Path | None],
    *,
    batch_size: int | None = None,
    shape: tuple[int, int] | None = None,
    min_score: float | None = None,
) -> Resolved:
    """Return the subject that `reference` names: a MODEL, or DETECTOR+RECOGNIZER.

    `spec_files` holds one for a single model, or one for each of a pair. Raises what `models.resolve` raises, and `BadInput`
    for two models that are no pair.
    """
    names = split(plugins, reference)
    pair = len(names) > 1
    tasks = (Task.DETECTION, Task.RECOGNITION) if pair else (None,)
    chosen = [*spec_files, *[None] * len(names)][: len(names)]
    found = tuple(
        models.resolve(plugins, name, task=task, spec_file=spec_file)
        for name, task, spec_file in zip(names, tasks, chosen, strict=True)
    )
    if shape and pair:
        raise BadInput("a pair has no one shape: its lines are as wide as they are", "leave --shape out")
    if shape:
        stretched(found[0].model, shape)  # whether it can be, before minutes go into a build
    subject = Subject(
        task="ocr" if pair else TASKS[found[0].model.task],
        models=names,
        spec_files=tuple(str(each) if each else "" for each in chosen),
        batch_size=batch_size or (LINES_TOGETHER if pair else 1),
        shape=shape,
        min_score=min_score if min_score is not None else 0.5 if pair else 0.0,
    )
    return Resolved(subject, found)


def split(plugins: Plugins, reference: str) -> tuple[str, ...]:
    """Return the one MODEL, or the two of a pair, that `reference` names. A file or a model may have a plus sign in its name."""
    if reference in plugins.models or "+" not in reference or Path(reference).exists():
        return (reference,)
    places = [index for index, letter in enumerate(reference) if letter == "+"]
    pairs = [(reference[:place], reference[place + 1 :]) for place in places]
    known = [pair for pair in pairs if all(_may_be_model(plugins, name) for name in pair)]
    if len(known) > 1:
        raise BadInput(f"{reference} can be taken for several pairs", "rename the files, so that no name has a plus sign in it")
    first, second = (known or pairs)[0]
    if not (first and second):
        raise BadInput(f"{reference!r} is half a pair", "name both: DETECTOR+RECOGNIZER")
    return first, second


def _may_be_model(plugins: Plugins, name: str) -> bool:
    return name in plugins.models or Path(name).is_file() or ("::" in name and Path(name.rsplit("::", 1)[1]).is_file())


def rows(plugins: Plugins, resolved: Resolved, choice: Choice) -> list[Row]:
    """Return a row for each backend, precision and device, in the order of rank; those that cannot run say why.

    With "all", every installed backend has a row, also one that is broken; with "all" precisions, each that it has. Raises
    `UnknownName` for a backend or an option that nobody has.
    """
    _check_names(plugins, choice)
    found = []
    for name in _backends(plugins, choice):
        for device in dict.fromkeys(choice.devices):
            for precision in _precisions(plugins, name, choice):
                order = Order(
                    subject=resolved.subject,
                    backend=name,
                    precision=precision,
                    device=device,
                    threads=choice.threads,
                    provider=choice.provider,
                    custom_ops=tuple(map(str, choice.custom_ops)),
                    extra=_extra(plugins, name, choice),
                )
                found.append(_row(plugins, resolved, order))
    if not found:
        raise BadInput("no backend is installed", "install one: pip install 'ocrdeploy-onnxruntime[cpu]'")
    return found


def _check_names(plugins: Plugins, choice: Choice) -> None:
    known = {*plugins.backends, *(broken.name for broken in plugins.broken)}
    for name in choice.backends:
        if name not in known and name != ALL:
            plugins.explain(name)
            raise unknown("backend", name, [*known, ALL])
    chosen = [plugins.backends[name] for name in _backends(plugins, choice) if name in plugins.backends]
    for key in choice.extra:
        if not any(key in info.options for info in chosen):
            every = {option for info in chosen for option in info.options}
            raise unknown("option of these backends", key, every)
    for precision in choice.precisions:
        every = {each for info in plugins.backends.values() for each in info.precisions}
        if precision not in every and precision != ALL and every:
            raise unknown("precision", precision, [*every, ALL])


def _backends(plugins: Plugins, choice: Choice) -> list[str]:
    if ALL not in choice.backends:
        return list(dict.fromkeys(choice.backends))
    # A broken plugin may have been a backend; nobody can ask it, and leaving it out would be silence.
    return [*plugins.backends, *(broken.name for broken in plugins.broken if broken.name not in plugins.backends)]


def _precisions(plugins: Plugins, name: str, choice: Choice) -> list[str]:
    if ALL not in choice.precisions:
        return list(dict.fromkeys(choice.precisions))
    return list(plugins.backends[name].precisions) if name in plugins.backends else ["fp32"]


def _extra(plugins: Plugins, name: str, choice: Choice) -> dict[str, str]:
    """Return the options that this backend knows; another one in the table may know the others."""
    known = plugins.backends[name].options if name in plugins.backends else ()
    return {key: value for key, value in choice.extra.items() if key in known}


def _row(plugins: Plugins, resolved: Resolved, order: Order) -> Row:
    row = Row(order)
    try:
        plugins.require(order.backend)
        backend.check_options(plugins, order.backend, order.options)
        for source in resolved.artifacts:
            backend.choose(plugins, order.backend, [source.format])
    except OcrdError as error:
        row.hear(row.stop(UNAVAILABLE, error.problem, error.fix))
    return row


def reference_row(found: Sequence[Row], wanted: str) -> Row | None:
    """Return the row that the others are compared with: the one that `wanted` names, else `pytorch`'s, else the first that ran.

    `wanted` is a backend's name or a row's ("onnxruntime fp32 cpu"), or the beginning of one, in whole words.
    """
    able = [row for row in found if row.status != UNAVAILABLE]
    if wanted:
        named = [row for row in found if f"{row.order.name} ".startswith(f"{' '.join(wanted.split())} ")]
        return next((row for row in named if row in able), named[0] if named else None)
    return next((row for row in able if row.order.backend == "pytorch"), able[0] if able else None)


def check_reference(found: Sequence[Row], wanted: str) -> None:
    """Raise `OcrdError` where the row that `wanted` names is none, or cannot run."""
    row = reference_row(found, wanted)
    if wanted and row is None:
        raise unknown("reference", wanted, [each.order.name for each in found])
    if wanted and row and row.status == UNAVAILABLE:
        raise OcrdError(f"the reference {row.order.name} cannot run: {row.problem}", row.fix or "choose another --reference")
