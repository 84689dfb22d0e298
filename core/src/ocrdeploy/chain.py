"""From what the user has to what the backend opens: find the missing steps, run them, reuse what is fresh.

Made files lie in the cache folder, each with a manifest; what no longer fits its recipe is made again, saying why.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import monotonic
from types import MappingProxyType

from ocrdeploy import __version__, artifact, backend, conversion, export, range_guard, spec
from ocrdeploy.artifact import Manifest
from ocrdeploy.errors import BadPlugin, Unavailable
from ocrdeploy.export import CHECKPOINT, ONNX
from ocrdeploy.onnxgraph import denormals, metadata
from ocrdeploy.plugins import Plugins
from ocrdeploy.vocabulary import Artifact, BuildOptions, ExportOptions, InferOptions

_LOG = logging.getLogger(__name__)

TOOK = "took_ms"
"""The entry of a manifest's findings that says how long its step took, in milliseconds."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step on the way from the user's file to the backend's: what it made, and whether it was made just now."""

    manifest: Manifest
    fresh: bool

    @property
    def took_s(self) -> float:
        """How long it took, now or when it was made, in seconds."""
        return self.manifest.findings.get(TOOK, 0) / 1000


def reach(
    plugins: Plugins,
    source: Artifact,
    name: str,
    options: InferOptions,
    note: Callable[[str], None],
    *,
    done: Callable[[Step], None] = lambda _: None,
) -> Artifact:
    """Return the file that the backend `name` opens for `source`, making what is missing.

    `note` is told, in a sentence, what was done or found; `done` of each step, in order. Raises `Unavailable` where a step is
    missing.
    """
    info = plugins.backends[name]
    at_hand = prepare(plugins, source, name, options, note=note, done=done)
    if at_hand.format in info.runs:
        return at_hand
    if at_hand.format in info.builds_from:
        built, step = _build(plugins, at_hand, name, options, note)
        done(step)
        return built
    wanted = ", ".join((*info.runs, *info.builds_from))
    raise Unavailable(
        f"backend {name!r} takes {wanted}, and no step leads there from {at_hand.format} ({at_hand.path})",
        "use another backend (ocrd backends lists what each takes), or another file",
    )


def prepare(
    plugins: Plugins,
    source: Artifact,
    name: str,
    options: InferOptions,
    *,
    note: Callable[[str], None],
    done: Callable[[Step], None] = lambda _: None,
) -> Artifact:
    """Return what the backend `name` opens or builds from, as far as the core's own steps lead; the rest as for `reach`."""
    info = plugins.backends[name]
    at_hand = source

    def take(result: tuple[Artifact, Step]) -> Artifact:
        done(result[1])
        return result[0]

    if at_hand.format == CHECKPOINT and CHECKPOINT not in info.runs:
        at_hand = take(_export(plugins, at_hand, options, note))
    if at_hand.format == ONNX and ONNX in (*info.runs, *info.builds_from):
        at_hand = take(_flush_denormals(at_hand, options, note))
    if conversion.wanted(at_hand, info, options):
        at_hand = take(_convert(plugins, at_hand, options, note))
    return at_hand


def _export(plugins: Plugins, source: Artifact, options: InferOptions, note: Callable[[str], None]) -> tuple[Artifact, Step]:
    exporter = export.choose(plugins, source)
    versions = {exporter: plugins.installed[exporter].version, "runtime": backend.probe(plugins, exporter).version}
    wanted = _recipe(source, "export", ONNX, options, versions)

    def make(target: Path) -> Mapping[str, int]:
        written = export.write(plugins, exporter, source, target, ExportOptions())
        return {"denormal_weights": written.denormal_weights, "nan_weights": written.nan_weights}

    exported, step = _make(source, wanted, ".onnx", make, note)
    _note_flushed(source, exported, step.manifest, note)
    if count := step.manifest.findings.get("nan_weights", 0):
        said = "%s: %d weights in %s are not a number (NaN), and so may be what it answers"
        _LOG.warning(said, source.model.name, count, source.path)
    return exported, step


def _build(
    plugins: Plugins, source: Artifact, name: str, options: InferOptions, note: Callable[[str], None]
) -> tuple[Artifact, Step]:
    info = plugins.backends[name]
    made_format = info.runs[0]
    answer = backend.probe(plugins, name)
    options = replace(options, extra={key: value for key, value in options.extra.items() if key not in info.session_options})
    versions = {name: plugins.installed[name].version, "runtime": answer.version}
    # The precision is in the file's name, so that two that are compared do not take each other's place.
    wanted = _recipe(source, f"build-{name}-{options.precision}", made_format, options, versions, device=answer.device or "any")
    build_options = BuildOptions(
        precision=options.precision, device=options.device, custom_ops=options.custom_ops, extra=dict(options.extra)
    )

    facts: dict[str, str] = {}

    def make(target: Path) -> Mapping[str, int]:
        facts.update(backend.build(plugins, name, source, target, build_options).facts)
        _require_written(plugins, name, "build", target)
        return {}

    return _make(source, wanted, f".{made_format}", make, note, facts=facts)


def _require_written(plugins: Plugins, name: str, verb: str, target: Path) -> None:
    if not target.is_file() or target.stat().st_size == 0:
        problem = f"plugin {name!r} ({plugins.distribution(name)}) was to {verb} a model and wrote nothing"
        raise BadPlugin(problem, "report it to its authors")


def _flush_denormals(source: Artifact, options: InferOptions, note: Callable[[str], None]) -> tuple[Artifact, Step]:
    wanted = _recipe(source, "flush-denormals", ONNX, options, {"onnx": _version("onnx")})
    specification = spec.to_json(source.model)

    def make(target: Path) -> Mapping[str, int]:
        return {"denormal_weights": denormals.flush(source.path, target, specification)}

    flushed, step = _make(source, wanted, ".onnx", make, note)
    _note_flushed(source, flushed, step.manifest, note)
    return flushed, step


def _convert(plugins: Plugins, source: Artifact, options: InferOptions, note: Callable[[str], None]) -> tuple[Artifact, Step]:
    guard = range_guard.plan(plugins, options)
    versions = {"onnx": _version("onnx"), **({guard.backend: guard.version} if guard.backend else {})}
    wanted = _recipe(source, f"convert-{options.precision}", ONNX, options, versions)
    wanted = replace(wanted, options={**wanted.options, **conversion.recipe(options, guard)})

    def make(target: Path) -> Mapping[str, int]:
        return conversion.convert(plugins, source, target, options, guard)

    converted, step = _make(source, wanted, ".onnx", make, note)
    for said in conversion.sentences(converted, guard):
        note(said)
    return converted, step


def _note_flushed(source: Artifact, flushed: Artifact, manifest: Manifest, note: Callable[[str], None]) -> None:
    if count := manifest.findings.get("denormal_weights", 0):
        note(f"{source.model.name}: {count} denormal weights were flushed to zero ({flushed.path})")


def _recipe(
    source: Artifact, step: str, made_format: str, options: InferOptions, versions: Mapping[str, str], *, device: str = "any"
) -> Manifest:
    digests = [*options.custom_ops, *_weights_elsewhere(source)]
    chosen = {f"sha256 of {path}": artifact.sha256(path) for path in digests}
    if step.startswith("build"):
        chosen |= {"precision": options.precision, **options.extra}
    every = {"ocrdeploy": __version__, **versions}
    return Manifest(source.model, made_format, "", source.sha256, step, chosen, every, device)


def _weights_elsewhere(source: Artifact) -> list[Path]:
    """Return the files beside an ONNX file that hold its weights: the hash of the file alone would not see them change."""
    if source.format != ONNX:
        return []
    return [source.path.parent / name for name in metadata.external_files(source.path)]


def _make(
    source: Artifact,
    wanted: Manifest,
    suffix: str,
    make: Callable[[Path], Mapping[str, int]],
    note: Callable[[str], None],
    *,
    facts: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Artifact, Step]:
    """Return the file that is fresh, or make it: under a lock, whole or not at all.

    A step that finds nothing to do leaves its target empty; its manifest then bears no hash, and the parent is used. `facts`
    are read when it is made.
    """
    target = _target(source, wanted.step, suffix)
    # First without the lock, so that a cache that is filled once and then read-only (a container's) serves.
    ready, _ = _reusable(source, wanted, target)
    if ready:
        return ready
    with artifact.locked(target):
        ready, stale = _reusable(source, wanted, target)
        if ready:
            return ready
        if stale != "missing":
            note(f"{source.model.name}: {target} is {stale}; it is made again")
        return _write(source, wanted, target, make, facts)


def _reusable(source: Artifact, wanted: Manifest, target: Path) -> tuple[tuple[Artifact, Step] | None, str]:
    """Return what an earlier run left, where it still serves; else why it does not."""
    found = artifact.read_manifest(target)
    if found and _nothing_to_do(found, wanted):
        return (source, Step(found, fresh=False)), ""
    stale = artifact.whats_stale(target, found, wanted)
    if found and not stale:
        return (artifact.made(target, found), Step(found, fresh=False)), ""
    return None, stale


def _write(
    source: Artifact, wanted: Manifest, target: Path, make: Callable[[Path], Mapping[str, int]], facts: Mapping[str, str]
) -> tuple[Artifact, Step]:
    started = monotonic()
    with artifact.temporary_beside(target) as temporary:
        findings = dict(make(temporary))
        findings[TOOK] = round((monotonic() - started) * 1000)
        empty = temporary.stat().st_size == 0
        digest = "" if empty else artifact.sha256(temporary)
        manifest = replace(wanted, sha256=digest, findings=findings, facts=dict(facts))
        # The manifest goes first: a file that does not fit its manifest is noticed, one without a manifest could be anybody's.
        artifact.write_manifest(target, manifest)
        if empty:
            target.unlink(missing_ok=True)
            return source, Step(manifest, fresh=True)
        artifact.move_into_place(temporary, target)
    return artifact.made(target, manifest), Step(manifest, fresh=True)


def _nothing_to_do(found: Manifest, wanted: Manifest) -> bool:
    same = all(getattr(found, name) == getattr(wanted, name) for name in artifact.RECIPE)
    return same and not found.sha256


def _target(source: Artifact, step: str, suffix: str) -> Path:
    """Where the result of `step` lies: one place for each source path, so that a changed source is noticed and replaced."""
    place = hashlib.sha256(str(source.path.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return artifact.cache_folder() / f"{source.path.stem}-{place}" / f"{step}{suffix}"


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
