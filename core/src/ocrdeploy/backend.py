"""The typed front of one plugin: every call to a backend or a family goes through here, and either answers or raises.

What a plugin throws that is not an `OcrdError` is named here as that plugin's fault.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from ocrdeploy.errors import BadPlugin, OcrdError, Unavailable, unknown
from ocrdeploy.plugins import Plugins
from ocrdeploy.vocabulary import Artifact, Batch, BuildOptions, InferOptions, ModelSpec, Prediction, Probe, Session, Tensors

T = TypeVar("T")

PROBE_TIMEOUT_S = float(os.environ.get("OCRDEPLOY_PROBE_TIMEOUT", "10"))
"""How long a plugin may take to say whether it can run, in seconds."""


@contextmanager
def _blame(plugins: Plugins, name: str, doing: str) -> Iterator[None]:
    """Turn what the plugin `name` throws into an error that names it; what it raises on purpose passes."""
    try:
        yield
    except (OcrdError, MemoryError):
        raise
    except Exception as error:
        problem = f"plugin {name!r} ({plugins.distribution(name)}) failed while {doing}: {type(error).__name__}: {error}"
        raise BadPlugin(problem, "report it to its authors; --debug shows where it happened") from error


def _expect(answer: Any, kind: type[T], plugins: Plugins, name: str, hook: str) -> T:
    if isinstance(answer, kind):
        return answer
    problem = f"plugin {name!r} ({plugins.distribution(name)}) returned {type(answer).__name__} from {hook}, not {kind.__name__}"
    raise BadPlugin(problem, "report it to its authors")


def probe(plugins: Plugins, name: str, *, timeout_s: float = PROBE_TIMEOUT_S) -> Probe:
    """Ask whether the backend `name` can run here. Never raises: a probe that throws or hangs is a problem of its own."""
    return _probe_together(plugins, [name], timeout_s)[name]


def probe_all(plugins: Plugins, *, timeout_s: float = PROBE_TIMEOUT_S) -> dict[str, Probe]:
    """Ask all backends side by side, so that the slowest decides how long it takes, up to `timeout_s`."""
    return _probe_together(plugins, list(plugins.backends), timeout_s)


def _probe_together(plugins: Plugins, names: Sequence[str], timeout_s: float) -> dict[str, Probe]:
    answers: dict[str, Probe] = {}

    def ask(name: str) -> None:
        try:
            answer = plugins.call(name, "ocrd_probe")
            answers.setdefault(name, _expect(answer, Probe, plugins, name, "ocrd_probe"))
        except OcrdError as error:
            answers.setdefault(name, Probe(problem=error.problem, fix=error.fix))
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is this probe's failure and no one else's
            problem = f"its probe failed: {type(error).__name__}: {error}"
            answers.setdefault(name, Probe(problem=problem, fix=f"pip uninstall {plugins.installed[name].distribution}"))

    # A probe that hangs cannot be stopped; as a daemon it does not keep the process from ending.
    threads = {name: threading.Thread(target=ask, args=(name,), daemon=True, name=f"probe-{name}") for name in names}
    for thread in threads.values():
        thread.start()
    for name, thread in threads.items():
        thread.join(timeout_s)
        slow = Probe(
            problem=f"its probe did not answer within {timeout_s:g} seconds",
            fix=f"pip uninstall {plugins.installed[name].distribution}, or raise OCRDEPLOY_PROBE_TIMEOUT",
        )
        answers.setdefault(name, slow)
    return {name: answers[name] for name in names}


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
        if name in plugins.disabled or any(broken.name == name for broken in plugins.broken):
            plugins.call(name, "ocrd_probe")
        raise unknown("backend", name, plugins.backends)
    answer = probe(plugins, name)
    if not answer.ok:
        others = [other for other in plugins.backends if other != name and _reaches(plugins, other, formats)]
        able = [other for other in others if probe(plugins, other).ok]
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


def open_session(plugins: Plugins, name: str, artifact: Artifact, options: InferOptions) -> Session:
    """Open `artifact` on the backend `name`, after checking the options that it understands. The caller closes the session."""
    info = plugins.backends[name]
    if options.precision not in info.precisions:
        raise unknown(f"precision of backend {name!r}", options.precision, info.precisions)
    for key in options.extra:
        if key not in info.options:
            raise unknown(f"option of backend {name!r}", key, info.options)
    with _blame(plugins, name, f"opening {artifact.path}"):
        session = plugins.call(name, "ocrd_infer", model=artifact.model, artifact=artifact, options=options)
    return _expect(session, Session, plugins, name, "ocrd_infer")  # type: ignore[type-abstract]


def build(plugins: Plugins, name: str, source: Artifact, target: Path, options: BuildOptions) -> Artifact:
    """Let the backend `name` make its own format of `source` at `target`."""
    with _blame(plugins, name, f"building from {source.path}"):
        made = plugins.call(name, "ocrd_build", model=source.model, source=source, target=target, options=options)
    made = _expect(made, Artifact, plugins, name, "ocrd_build")
    if not target.is_file():
        raise BadPlugin(f"plugin {name!r} ({plugins.distribution(name)}) built nothing at {target}", "report it to its authors")
    return made


def artifact_of_model(plugins: Plugins, model: ModelSpec) -> Artifact:
    """Return the file of a model that a plugin lists by name."""
    name = plugins.owner_of_model(model.name)
    with _blame(plugins, name, f"looking for the file of {model.name}"):
        answer = plugins.call(name, "ocrd_artifact", model=model)
    return _expect(answer, Artifact, plugins, name, "ocrd_artifact")


def describe(plugins: Plugins, path: Path) -> ModelSpec | None:
    """Ask every plugin that describes files whose file `path` is."""
    for name in plugins.installed:
        if plugins.implements(name, "ocrd_describe"):
            with _blame(plugins, name, f"describing {path}"):
                answer = plugins.call(name, "ocrd_describe", path=path)
            if answer is not None:
                return _expect(answer, ModelSpec, plugins, name, "ocrd_describe")
    return None


def postprocess(plugins: Plugins, model: ModelSpec, outputs: Tensors, batch: Batch) -> list[Prediction]:
    """Let the model's family turn raw outputs into predictions, one for each row of `batch`, in order."""
    name = model.family
    with _blame(plugins, name, f"post-processing {model.name}"):
        predictions = plugins.call(name, "ocrd_postprocess", model=model, outputs=outputs, batch=batch)
    if not isinstance(predictions, list) or len(predictions) != len(batch.placements):
        raise BadPlugin(f"family {name!r} did not return one prediction for each of {len(batch.placements)} rows", "report it")
    return predictions


def check_family(plugins: Plugins, model: ModelSpec) -> None:
    """Raise `UnknownName` unless the model's family is installed."""
    if model.family not in plugins.families:
        raise unknown("model family", model.family, plugins.families, f"install the plugin that brings {model.family!r}")
