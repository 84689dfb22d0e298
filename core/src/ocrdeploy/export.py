"""A checkpoint becomes an ONNX file that says how to use itself: one way, for `ocrd export` and for the chain."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ocrdeploy import __version__, artifact, backend, faults, spec
from ocrdeploy.errors import BadInput, BadPlugin, Unavailable, unknown
from ocrdeploy.onnxgraph import checks, denormals, metadata, weights
from ocrdeploy.onnxgraph.checks import InvalidGraphError, Signature
from ocrdeploy.plugins import Plugins
from ocrdeploy.vocabulary import Artifact, ExportOptions, ModelSpec

CHECKPOINT, ONNX = "checkpoint", "onnx"


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written. `recipe` is what the file itself says of how it came about; `nan_weights` are kept as they are."""

    artifact: Artifact
    opset: int
    inputs: tuple[Signature, ...]
    outputs: tuple[Signature, ...]
    nodes: int
    size_bytes: int
    denormal_weights: int
    nan_weights: int
    recipe: Mapping[str, Any]


def export(plugins: Plugins, source: Artifact, target: Path, options: ExportOptions | None = None) -> Exported:
    """Write the checkpoint `source` as ONNX to `target`, whole or not at all, replacing what is there.

    Raises `Unavailable` where no plugin can, `BadPlugin` where the plugin's file does not pass, `OcrdError` for the rest.
    """
    name = choose(plugins, source)
    with artifact.write_atomically(target) as temporary:
        exported = write(plugins, name, source, temporary, options or ExportOptions())
    return replace(exported, artifact=replace(exported.artifact, path=target))


def with_network_options(model: ModelSpec, given: Mapping[str, str]) -> ModelSpec:
    """Return `model` with these values of its network changed, each read as the type that it has.

    Raises `UnknownName` for a name that the network does not have, `BadInput` for a value of another type.
    """
    known = {key: value for key, value in model.network.items() if isinstance(value, str | int) and not key.endswith("_sha256")}
    changed: dict[str, Any] = {}
    for key, text in given.items():
        if key not in known:
            raise unknown(f"option of the model {model.name!r}", key, known)
        changed[key] = _typed(key, text, type(known[key]))
    return replace(model, network={**model.network, **changed}) if changed else model


def _typed(key: str, text: str, kind: type) -> str | int:
    if kind is str:
        return text
    if kind is bool and text in {"true", "false"}:
        return text == "true"
    if kind is int and text.isdecimal():
        return int(text)
    what = "true or false" if kind is bool else "a whole number"
    raise BadInput(f"the model's option {key} is {text!r}, not {what}", f"give {what}: {key}={'true' if kind is bool else 'N'}")


def choose(plugins: Plugins, source: Artifact) -> str:
    """Return the plugin that exports checkpoints: of those that can run here, that of the highest rank."""
    if source.format != CHECKPOINT:
        raise BadInput(f"{source.path} is {source.format}, not a checkpoint, and only those are exported", "name a checkpoint")
    able = [name for name in plugins.backends if plugins.implements(name, "ocrd_export")]
    answers = backend.probe_each(plugins, able)
    for name in able:
        if answers[name].ok:
            return name
    problem = f"{source.path} is a checkpoint, and no installed plugin can export it to ONNX"
    for name in able:
        raise Unavailable(f"{problem}: {name} cannot run here: {answers[name].problem}", answers[name].fix)
    raise Unavailable(problem, "pip install ocrdeploy-pytorch   (ocrd backends shows what it lacks)")


def write(plugins: Plugins, name: str, source: Artifact, target: Path, options: ExportOptions) -> Exported:
    """Let the plugin `name` export `source` to `target`, a temporary file of the caller's, and finish what it wrote."""
    for key in options.extra:
        if key not in plugins.backends[name].options:
            raise unknown(f"option of backend {name!r}", key, plugins.backends[name].options)
    network = _network(plugins, source)
    # A file that does not pass is the plugin's fault, as an exception of its own is.
    with faults.blame(plugins, name, f"exporting {source.path}"):
        plugins.call(
            name,
            "ocrd_export",
            model=source.model,
            network=network,
            checkpoint=source,
            target=target,
            options=options,
        )
        if not target.is_file() or target.stat().st_size == 0:
            problem = f"plugin {name!r} ({plugins.distribution(name)}) was to export a model and wrote nothing"
            raise BadPlugin(problem, "report it to its authors")
        return _finish(source, target, options, {plugins.installed[name].distribution: plugins.installed[name].version})


def _network(plugins: Plugins, source: Artifact) -> object:
    """Return the untrained network of the model's family, or None where the exporter has to know it by itself."""
    family = source.model.family
    if not plugins.implements(family, "ocrd_network"):
        return None
    with faults.blame(plugins, family, f"making the network of {source.model.name}"):
        return plugins.call(family, "ocrd_network", model=source.model)


def _finish(source: Artifact, target: Path, options: ExportOptions, versions: Mapping[str, str]) -> Exported:
    """Check the file that a plugin wrote, and make it one that says what it is. Raises `InvalidGraphError`."""
    import onnx

    model = onnx.load(target, format="protobuf")
    opset = checks.opset(model)
    if options.opset:
        checks.require_opset(model, options.opset)
    _require_names(model, source)
    flushed, nan = denormals.flush_model(model), weights.nan_count(model)
    recipe = _recipe(model, source, options, versions) | {"denormal_weights": flushed, "nan_weights": nan, "opset": opset}
    entries = {metadata.KEY: spec.to_json(source.model), metadata.RECIPE: json.dumps(recipe, sort_keys=True)}
    metadata.describe(model, entries)
    model = checks.inferred(model)
    checks.check(model)
    data: bytes = model.SerializeToString(deterministic=True)
    target.write_bytes(data)
    made = Artifact(target, ONNX, artifact.sha256(target), source.model, source.sha256)
    nodes = len(model.graph.node)
    return Exported(made, opset, checks.inputs(model), checks.outputs(model), nodes, len(data), flushed, nan, recipe)


def _require_names(model: Any, source: Artifact) -> None:
    """Raise `InvalidGraphError` unless the graph has the input and the outputs that the model's spec names."""
    wanted = {source.model.input.name, *source.model.outputs}
    found = {each.name for each in (*checks.inputs(model), *checks.outputs(model))}
    if not wanted <= found:
        missing, has = ", ".join(sorted(wanted - found)), ", ".join(sorted(found))
        raise InvalidGraphError(f"it has no {missing}, which the model's specification names (it has: {has})")


def _recipe(model: Any, source: Artifact, options: ExportOptions, versions: Mapping[str, str]) -> dict[str, Any]:
    """Return how the file came about: no paths and no dates, so that the same export gives the same bytes."""
    own = {entry.key: entry.value for entry in model.metadata_props}.get(metadata.RECIPE, "{}")
    found: dict[str, Any] = json.loads(own)
    every = {"ocrdeploy": __version__, "onnx": version("onnx"), **versions, **found.pop("versions", {})}
    return {
        "exporter": options.exporter,
        **found,
        "checkpoint_sha256": source.sha256,
        "config_sha256": source.model.network.get("config_sha256", ""),
        "dynamic": options.dynamic,
        "batch": options.batch,
        "size": list(options.size) if options.size else None,
        "device": options.device,
        "options": dict(options.extra),
        "versions": every,
    }
