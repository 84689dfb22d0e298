"""The typed front of one plugin: every call to a backend or a family goes through here, and either answers or raises.

What a plugin throws that is not an `OcrdError` is named here as that plugin's fault.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic

from ocrdeploy.announcements import check_fields
from ocrdeploy.errors import BadInput, BadPlugin, OcrdError, Unavailable, unknown
from ocrdeploy.faults import blame, expect, fault
from ocrdeploy.plugins import Plugins
from ocrdeploy.vocabulary import (
    Artifact,
    Batch,
    BuildOptions,
    InferOptions,
    Loaded,
    ModelSpec,
    Prediction,
    Probe,
    Session,
    Tensors,
)

_LOG = logging.getLogger(__name__)

PROBE_TIMEOUT = "OCRDEPLOY_PROBE_TIMEOUT"
"""Environment variable: how long a plugin may take to say whether it can run, in seconds (default: 10)."""


def probe(plugins: Plugins, name: str, *, timeout_s: float | None = None) -> Probe:
    """Ask whether the backend `name` can run here, once. A probe that throws or hangs is a problem of its own.

    Raises `UnknownName` for a backend that is not installed.
    """
    if name not in plugins.backends:
        raise unknown("backend", name, plugins.backends)
    return probe_each(plugins, [name], timeout_s=timeout_s)[name]


def probe_all(plugins: Plugins, *, timeout_s: float | None = None) -> dict[str, Probe]:
    """Ask all backends whether they can run here."""
    return probe_each(plugins, list(plugins.backends), timeout_s=timeout_s)


def probe_each(plugins: Plugins, names: Iterable[str], *, timeout_s: float | None = None) -> dict[str, Probe]:
    """Ask these backends side by side, so that the slowest decides how long it takes, up to `timeout_s`.

    Answers are remembered in `plugins`. Raises `BadInput` where the environment variable holds no number of seconds.
    """
    names = list(names)
    limit_s = _probe_timeout_s() if timeout_s is None else timeout_s
    answers: dict[str, Probe] = {}
    # A probe that hangs cannot be stopped; as a daemon it does not keep the process from ending.
    threads = {
        name: threading.Thread(target=_ask, args=(plugins, name, answers), daemon=True, name=f"probe-{name}")
        for name in names
        if name not in plugins.probed
    }
    for thread in threads.values():
        thread.start()
    deadline = monotonic() + limit_s
    for name, thread in threads.items():
        thread.join(max(0.0, deadline - monotonic()))
        plugins.probed[name] = answers.get(name) or _slow(plugins, name, limit_s)
    return {name: plugins.probed[name] for name in names}


def _probe_timeout_s() -> float:
    given = os.environ.get(PROBE_TIMEOUT) or "10"
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= threading.TIMEOUT_MAX:
        raise BadInput(f"the environment variable {PROBE_TIMEOUT} is {given!r}", "set it to a number of seconds, or unset it")
    return seconds


def _ask(plugins: Plugins, name: str, answers: dict[str, Probe]) -> None:
    remove = f"pip uninstall {plugins.installed[name].distribution}"
    try:
        with blame(plugins, name, "saying whether it can run here"):
            answer = plugins.call(name, "ocrd_probe")
        answer = expect(answer, Probe, plugins, name, "ocrd_probe")
        check_fields(answer)
        answers[name] = replace(answer, details=dict(answer.details))
    except OcrdError as error:
        _LOG.debug("the probe of %r failed", name, exc_info=True)
        answers[name] = Probe(problem=error.problem, fix=error.fix or remove)
    except BaseException as error:  # noqa: BLE001 - SystemExit, too, is this probe's failure and no one else's
        _LOG.debug("the probe of %r failed", name, exc_info=True)
        answers[name] = Probe(problem=f"its probe failed: {type(error).__name__}: {error}", fix=remove)


def _slow(plugins: Plugins, name: str, limit_s: float) -> Probe:
    remove = f"pip uninstall {plugins.installed[name].distribution}"
    return Probe(
        problem=f"its probe did not answer within {limit_s:g} seconds", fix=f"{remove}, or set {PROBE_TIMEOUT} to more seconds"
    )


def choose(plugins: Plugins, name: str, formats: Sequence[str]) -> str:
    """Return the backend to use for a model that can be had in `formats`.

    A name is checked: it must be there, run here, and reach one of the formats. "auto" takes the highest rank that does;
    two of one rank are an error that lists both.
    """
    if name != "auto":
        _require(plugins, name, formats)
        return name
    reasons: list[str] = []
    able: list[str] = []
    for candidate, info in plugins.backends.items():
        if able and info.rank < plugins.backends[able[0]].rank:
            break
        if not _reaches(plugins, candidate, formats):
            reasons.append(f"{candidate} opens {', '.join(info.runs)}")
            continue
        answer = probe(plugins, candidate)
        if answer.ok:
            able.append(candidate)
        else:
            reasons.append(f"{candidate}: {answer.problem}")
    reasons += [f"{broken.name} is broken: {broken.why}" for broken in plugins.broken]
    if len(able) > 1:
        raise OcrdError(f"backends {' and '.join(able)} have the same rank", f"choose one: --backend {able[0]}")
    if able:
        return able[0]
    raise Unavailable(
        f"no backend can run {' or '.join(formats)} here ({'; '.join(reasons) or 'none is installed'})",
        "install one: pip install 'ocrdeploy-onnxruntime[cpu]'   (ocrd backends shows what each lacks)",
    )


def _require(plugins: Plugins, name: str, formats: Sequence[str]) -> None:
    if name not in plugins.backends:
        plugins.explain(name)
        raise unknown("backend", name, plugins.backends)
    answer = probe(plugins, name)
    if not answer.ok:
        others = [other for other in plugins.backends if other != name and _reaches(plugins, other, formats)]
        able = [other for other, its in probe_each(plugins, others).items() if its.ok]
        use = f"use one of: {', '.join(able)}" if able else ""
        fix = ", or ".join(part for part in (answer.fix, use) if part)
        raise Unavailable(f"backend {name!r} cannot run here: {answer.problem}", fix)
    if not _reaches(plugins, name, formats):
        runs = ", ".join(plugins.backends[name].runs)
        raise Unavailable(
            f"backend {name!r} opens {runs}, and this model comes as {', '.join(formats)}",
            "use another backend, or a file in a format that it opens",
        )


def _reaches(plugins: Plugins, name: str, formats: Sequence[str]) -> bool:
    info = plugins.backends[name]
    reachable = {*info.runs, *info.builds_from}
    if "onnx" in reachable:
        reachable.add("checkpoint")  # by way of an export
    return any(each in reachable for each in formats)


def check_options(plugins: Plugins, name: str, options: InferOptions) -> None:
    """Raise `UnknownName` for a precision or an option that the backend `name` does not have."""
    info = plugins.backends[name]
    if options.precision not in info.precisions:
        raise unknown(f"precision of backend {name!r}", options.precision, info.precisions)
    for key in options.extra:
        if key not in info.options:
            raise unknown(f"option of backend {name!r}", key, info.options)


def open_session(plugins: Plugins, name: str, artifact: Artifact, options: InferOptions) -> Session:
    """Open `artifact` on the backend `name`, after checking the options that it understands. The caller closes the session."""
    check_options(plugins, name, options)
    with blame(plugins, name, f"opening {artifact.path}"):
        session = plugins.call(name, "ocrd_infer", model=artifact.model, artifact=artifact, options=options)
    opened = expect(session, Session, plugins, name, "ocrd_infer")  # type: ignore[type-abstract]
    return _BlamedSession(plugins, name, artifact, opened)


class _BlamedSession:
    """A plugin's session, whose failures name the plugin."""

    def __init__(self, plugins: Plugins, name: str, artifact: Artifact, session: Session) -> None:
        self._plugins, self._name, self._artifact, self._session = plugins, name, artifact, session

    def run(self, inputs: Tensors) -> Tensors:
        with blame(self._plugins, self._name, f"running {self._artifact.path}"):
            outputs = self._session.run(inputs)
        return expect(outputs, Mapping, self._plugins, self._name, "Session.run")  # type: ignore[type-abstract]

    def loaded(self) -> Loaded:
        with blame(self._plugins, self._name, "saying what it loaded"):
            loaded = self._session.loaded()
        return expect(loaded, Loaded, self._plugins, self._name, "Session.loaded")

    def close(self) -> None:
        with blame(self._plugins, self._name, f"closing {self._artifact.path}"):
            self._session.close()


def build(plugins: Plugins, name: str, source: Artifact, target: Path, options: BuildOptions) -> Artifact:
    """Let the backend `name` make its own format of `source` at `target`."""
    with blame(plugins, name, f"building from {source.path}"):
        made = plugins.call(name, "ocrd_build", model=source.model, source=source, target=target, options=options)
    made = expect(made, Artifact, plugins, name, "ocrd_build")
    if not target.is_file():
        raise fault(plugins, name, f"built nothing at {target}")
    return made


def artifact_of_model(plugins: Plugins, model: ModelSpec) -> Artifact:
    """Return the file of a model that a plugin lists by name."""
    name = plugins.owner_of_model(model.name)
    with blame(plugins, name, f"looking for the file of {model.name}"):
        answer = plugins.call(name, "ocrd_artifact", model=model)
    return expect(answer, Artifact, plugins, name, "ocrd_artifact")


def describe(plugins: Plugins, path: Path, root: Path | None = None) -> ModelSpec | None:
    """Ask every plugin that describes files whose file `path` is. A plugin that fails is blamed if no other one knows it.

    `root` is a folder outside the file's own that it may refer to.
    """
    failure: BadPlugin | None = None
    for name in plugins.installed:
        if plugins.implements(name, "ocrd_describe"):
            try:
                with blame(plugins, name, f"describing {path}"):
                    answer = plugins.call(name, "ocrd_describe", path=path, root=root)
                if answer is not None:
                    return expect(answer, ModelSpec, plugins, name, "ocrd_describe")
            except BadPlugin as error:
                failure = failure or error
    if failure:
        raise failure
    return None


def postprocess(plugins: Plugins, model: ModelSpec, outputs: Tensors, batch: Batch) -> list[Prediction]:
    """Let the model's family turn raw outputs into predictions, one for each row of `batch`, in order."""
    name = model.family
    with blame(plugins, name, f"post-processing {model.name}"):
        predictions = plugins.call(name, "ocrd_postprocess", model=model, outputs=outputs, batch=batch)
    predictions = expect(predictions, list, plugins, name, "ocrd_postprocess")
    found = [expect(each, Prediction, plugins, name, "ocrd_postprocess").index for each in predictions]
    rows = [placement.index for placement in batch.placements]
    if found != rows:
        raise fault(plugins, name, f"returned predictions for the pictures {found} of a batch that holds {rows}")
    return predictions


def check_family(plugins: Plugins, model: ModelSpec) -> None:
    """Raise `OcrdError` unless the model's family is installed, saying so where it is there and broken."""
    if model.family not in plugins.families:
        plugins.explain(model.family)
        raise unknown("model family", model.family, plugins.families, f"install the plugin that brings {model.family!r}")
