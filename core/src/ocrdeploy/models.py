"""MODEL, as users write it: a name that a plugin knows, a file, CONFIG::CHECKPOINT or NAME::CHECKPOINT.

One grammar everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ocrdeploy import artifact, backend, spec
from ocrdeploy.errors import BadInput, OcrdError, unknown
from ocrdeploy.onnxgraph import metadata
from ocrdeploy.plugins import Plugins
from ocrdeploy.vocabulary import Artifact, ModelSpec, Task

FORMATS = {
    ".onnx": "onnx",
    ".engine": "trt-engine",
    ".plan": "trt-engine",
    ".trt": "trt-engine",
    ".pth": "checkpoint",
    ".pt": "checkpoint",
    ".ckpt": "checkpoint",
    ".safetensors": "checkpoint",
}
"""The usual suffixes. A file with a manifest beside it has the format that the manifest says, whatever its suffix."""


_PAIR = "check the path; a checkpoint goes with its config or a model's name: CONFIG::CHECKPOINT or NAME::CHECKPOINT"


def resolve(
    plugins: Plugins, reference: str, *, task: Task | None, spec_file: Path | None = None, root: Path | None = None
) -> Artifact:
    """Return the file of the model that the user named, with its complete spec; `task` None takes a model of any task.

    The spec is `spec_file` where one is given, else the file's own, else `<file>.json`, else what a plugin says of the file.
    `root` is a folder outside a config's own that it may refer to. Raises `UnknownName` (with the nearest name), `BadInput` for
    a file that is not what it should be, or is for another task.
    """
    try:
        found = _find(plugins, reference, spec_file, root)
    except OSError as error:  # a name that is too long, a folder that may not be entered
        raise BadInput(f"cannot read {reference}: {error.strerror}", "name a file that exists and that you may read") from None
    if task is not None and found.model.task is not task:
        able = [name for name, model in plugins.models.items() if model.task is task]
        raise BadInput(
            f"{reference} is a {found.model.task} model, not a {task} model", f"use one of: {', '.join(able) or 'none here'}"
        )
    backend.check_family(plugins, found.model)
    return found


def _find(plugins: Plugins, reference: str, spec_file: Path | None, root: Path | None) -> Artifact:
    if reference in plugins.models:
        found = backend.artifact_of_model(plugins, plugins.models[reference])
        return found if spec_file is None else _with_spec(found, spec_file)
    path = Path(reference)
    if path.is_file():
        return _file(plugins, path, spec_file)
    if "::" in reference:
        model, checkpoint = reference.rsplit("::", maxsplit=1)
        return _configured(plugins, model, Path(checkpoint), spec_file, root)
    if reference and path.is_dir():
        raise BadInput(f"{reference} is a folder, not a model file", "name the file inside it")
    if path.suffix.lower() in FORMATS or "/" in reference or "\\" in reference:
        raise BadInput(f"there is no model file {reference}", "check the path; ocrd models lists the models known by name")
    raise unknown("model", reference, plugins.models, _known(plugins))


def _known(plugins: Plugins) -> str:
    if not plugins.models:
        return "install a model pack (pip install ocrdeploy-ppocr), or name a model file"
    return f"use one of: {', '.join(sorted(plugins.models))}, or name a model file"


def _with_spec(found: Artifact, spec_file: Path) -> Artifact:
    return Artifact(found.path, found.format, found.sha256, spec.read_file(spec_file), found.parent_sha256)


def pair(plugins: Plugins, model: str, checkpoint: Path, *, root: Path | None = None) -> Artifact:
    """Return the checkpoint as a file of `model`, a name or a config; `root` as for `resolve`. Raises what `resolve` raises."""
    found = _configured(plugins, model, checkpoint, None, root)
    backend.check_family(plugins, found.model)
    return found


def _configured(plugins: Plugins, model: str, checkpoint: Path, spec_file: Path | None, root: Path | None) -> Artifact:
    config = Path(model)
    if model not in plugins.models:
        _require_config(plugins, model)
    if not checkpoint.is_file():
        written = str(checkpoint) if checkpoint.parts else ""
        raise BadInput(f"there is no file {written!r}", _PAIR)
    if spec_file is not None:
        known: ModelSpec | None = spec.read_file(spec_file)
    elif model in plugins.models:
        known = plugins.models[model]
    else:
        known = backend.describe(plugins, config, root)
    if known is None:
        raise BadInput(
            f"no installed plugin understands the config {config}", "pip install ocrdeploy-pytorch, for MMOCR's configs"
        )
    return Artifact(checkpoint, "checkpoint", artifact.sha256(checkpoint), known)


def _require_config(plugins: Plugins, name: str) -> None:
    """Raise `OcrdError` unless `name` is a file, for what it seems to be: a path or a misspelled name."""
    if Path(name).is_file():
        return
    if not name or Path(name).suffix or "/" in name or "\\" in name:
        raise BadInput(f"there is no file {name!r}", _PAIR)
    raise unknown("model", name, plugins.models, _known(plugins))


def _file(plugins: Plugins, path: Path, spec_file: Path | None) -> Artifact:
    manifest = artifact.read_manifest(path)
    form = manifest.format if manifest else FORMATS.get(path.suffix.lower(), "")
    if not form:
        raise BadInput(f"{path} is in no model format that is known here", f"name a file that ends in {', '.join(FORMATS)}")
    own = metadata.read(path).get(metadata.KEY) if form == "onnx" else None
    digest = artifact.sha256(path)
    if spec_file is not None:
        model = spec.read_file(spec_file)
    elif own is not None:
        model = spec.from_json(own, f"{path} (metadata {metadata.KEY!r})")
    elif manifest is not None:
        model = _of_manifest(manifest, path, digest)
    elif artifact.manifest_path(path).is_file():
        model = spec.read_file(artifact.manifest_path(path))
    else:
        model = _described(plugins, path)
    return Artifact(path, form, digest, model)


def _of_manifest(manifest: artifact.Manifest, path: Path, digest: str) -> ModelSpec:
    if manifest.sha256 != digest:
        raise BadInput(
            f"{path} is not the file that {artifact.manifest_path(path).name} beside it was written for",
            "copy the two together, or make the file again",
        )
    return manifest.model


def _described(plugins: Plugins, path: Path) -> ModelSpec:
    model = backend.describe(plugins, path)
    if model is None:
        raise BadInput(
            f"{path} carries no model specification: how to feed it and to read its outputs is not known",
            f"put one beside it ({artifact.manifest_path(path).name}) or name one with --detector-spec / --recognizer-spec / "
            f"--classifier-spec; {spec.EXAMPLE} to start from",
        )
    return model


def default(plugins: Plugins, task: Task, passed_over: Callable[[str], None] = lambda _: None) -> Artifact:
    """Return the model of the highest rank of its task that has weights here.

    `passed_over` is told, in a sentence each, which better models lack theirs, and why. Raises `OcrdError` where there is
    none, with what the best of them lacks, or where two that have weights have one rank.
    """
    missing: list[OcrdError] = []
    found: dict[str, Artifact] = {}
    for name, model in plugins.models.items():  # the highest rank first
        if found and model.rank < plugins.models[next(iter(found))].rank:
            break
        if model.task is task:
            try:
                found[name] = backend.artifact_of_model(plugins, model)
            except OcrdError as error:
                missing.append(error)
    if len(found) > 1:
        raise OcrdError(f"{task} models {' and '.join(found)} have the same rank", "name the one you want")
    if found:
        (only,) = found.values()
        backend.check_family(plugins, only.model)
        for lack in missing:
            passed_over(f"{task} model {only.model.name} is taken, since a better one cannot be: {lack.problem}")
        return only
    pack = "install a model pack (pip install ocrdeploy-ppocr)"
    if missing:
        best = missing[0]
        raise BadInput(f"no {task} model has weights here: {best.problem}", f"{best.fix}, or {pack}" if best.fix else pack)
    raise BadInput(f"no {task} model is installed", f"{pack}, or name a model file")
