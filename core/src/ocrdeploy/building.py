"""A backend's own format at a place of the user's: what is missing is made, then the backend builds, and says of what."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

from ocrdeploy import __version__, artifact, backend, chain
from ocrdeploy.artifact import Manifest
from ocrdeploy.errors import BadInput, Unavailable, unknown
from ocrdeploy.plugins import Plugins
from ocrdeploy.vocabulary import Artifact, BuildOptions, InferOptions, ModelSpec, Shapes

_SEPARATOR = re.compile(r"[x,\s]+")


@dataclass(frozen=True, slots=True)
class Built:
    """What was built: the file, its manifest, and the file that the backend built it from."""

    artifact: Artifact
    manifest: Manifest
    source: Artifact
    size_bytes: int

    @property
    def took_s(self) -> float:
        """How long the backend built, in seconds."""
        return self.manifest.findings[chain.TOOK] / 1000


def choose(plugins: Plugins, name: str) -> str:
    """Return the backend `name`, if it builds a format of its own. Raises `UnknownName` or `Unavailable`."""
    if name not in plugins.backends:
        plugins.explain(name)
        raise unknown("backend", name, plugins.backends)
    if not (plugins.backends[name].builds_from and plugins.implements(name, "ocrd_build")):
        able = [other for other, info in plugins.backends.items() if info.builds_from and plugins.implements(other, "ocrd_build")]
        raise Unavailable(f"backend {name!r} builds nothing: it opens the model's file itself", f"use one of: {', '.join(able)}")
    return name


def build(
    plugins: Plugins,
    source: Artifact,
    name: str,
    target: Path,
    options: BuildOptions,
    *,
    overwrite: bool = False,
    note: Callable[[str], None] = lambda _: None,
) -> Built:
    """Build the format of the backend `name` at `target`, with its manifest beside it: whole or not at all.

    What leads there, an export or another precision, is made by the chain, in the cache folder. A second build of the same
    target waits for the first one. Raises `OcrdError`, also where `target` exists and `overwrite` is not given.
    """
    backend.check_options(plugins, name, as_opened(options))
    info = plugins.backends[name]
    with artifact.locked(target, _lock(target)):
        check_target(target, overwrite=overwrite)
        at_hand = chain.prepare(plugins, source, name, as_opened(options), note=note)
        if at_hand.format not in info.builds_from:
            raise Unavailable(
                f"backend {name!r} builds from {', '.join(info.builds_from)}, and no step leads there from {at_hand.format} "
                f"({at_hand.path})",
                "name an ONNX file, or CONFIG::CHECKPOINT",
            )
        with artifact.temporary_beside(target) as temporary:
            started = monotonic()
            made = backend.build(plugins, name, at_hand, temporary, options)
            took_ms = round((monotonic() - started) * 1000)
            manifest = _manifest(plugins, name, at_hand, made, options, took_ms=took_ms)
            size = temporary.stat().st_size
            # The manifest goes first: a file that does not fit its manifest is noticed.
            artifact.write_manifest(target, manifest)
            artifact.move_into_place(temporary, target)
    return Built(artifact.made(target, manifest), manifest, at_hand, size)


def as_opened(options: BuildOptions) -> InferOptions:
    """Return the options that open what `options` build."""
    return InferOptions(
        device=options.device, precision=options.precision, custom_ops=options.custom_ops, extra=dict(options.extra)
    )


def check_target(target: Path, *, overwrite: bool) -> None:
    """Raise `BadInput` where the file cannot become what it is to be."""
    if target.is_dir():
        raise BadInput(f"{target} is a folder", f"name the file: -o {target / 'model.engine'}")
    if not overwrite and target.exists():
        raise BadInput(f"{target} exists already", "give --overwrite to replace it, or choose another name with -o")


def _lock(target: Path) -> Path:
    """Return the lock of `target`: in the cache folder, so that nothing but what was asked for stays beside it."""
    place = hashlib.sha256(str(target.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return artifact.cache_folder() / "locks" / f"{target.stem[:40]}-{place}.lock"


def _manifest(plugins: Plugins, name: str, source: Artifact, made: Artifact, options: BuildOptions, *, took_ms: int) -> Manifest:
    """Return how the file came about, in the words in which the chain describes its own."""
    answer = backend.probe(plugins, name)
    chosen = {f"sha256 of {path}": artifact.sha256(path) for path in options.custom_ops}
    return Manifest(
        model=made.model,
        format=made.format,
        sha256=made.sha256,
        parent_sha256=source.sha256,
        step=f"build-{name}-{options.precision}",
        options={**chosen, "precision": options.precision, **_shapes(options.shapes), **options.extra},
        versions={"ocrdeploy": __version__, name: plugins.installed[name].version, "runtime": answer.version},
        device=answer.device or "any",
        findings={chain.TOOK: took_ms},
        facts=dict(made.facts),
    )


def _shapes(shapes: Shapes | None) -> Mapping[str, str]:
    if shapes is None:
        return {}
    sides = {"min_shape": shapes.min, "opt_shape": shapes.opt, "max_shape": shapes.max}
    return {name: "x".join(map(str, shape)) for name, shape in sides.items()}


def shape(option: str, text: str) -> tuple[int, ...]:
    """Read a shape, "1x3x736x1312", also with commas or spaces between the numbers. Raises `BadInput`."""
    numbers = [number for number in _SEPARATOR.split(text.strip().lower()) if number]
    if not numbers or not all(number.isdecimal() for number in numbers):
        raise BadInput(f"{option} is {text!r}, which is no shape", f"give numbers with an x between them: {option} 1x3x736x1312")
    return tuple(int(number) for number in numbers)


def shapes(model: ModelSpec, given: Mapping[str, tuple[int, ...] | None]) -> Shapes | None:
    """Return the shapes to build for: those that are `given` as "min", "opt" and "max"; the others are the model's own.

    None where none is given. With a smallest and a largest shape alone, the usual one is the model's own, cut to lie between
    them. Raises `BadInput` where the model has none of its own and one is missing.
    """
    if not any(given.values()):
        return None
    own = model.input.shapes
    missing = [end for end in ("min", "opt", "max") if given[end] is None]
    if own is None and missing:
        raise BadInput(
            f"{model.name} has no shapes of its own, and --{missing[0]}-shape is not given",
            f"give --min-shape, --opt-shape and --max-shape; ocrd profile {model.name} --images PICTURES --options "
            "recommends some",
        )
    found = Shapes(*(given[end] or getattr(own, end) for end in ("min", "opt", "max")))
    if given["opt"] is None and len(found.min) == len(found.opt) == len(found.max):
        between = (max(low, min(usual, high)) for low, usual, high in zip(found.min, found.opt, found.max, strict=True))
        found = replace(found, opt=tuple(between))
    return found
