"""What a model file is: read from the file, from what stands beside it, and from the backend that opens its format."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ocrdeploy import artifact, spec
from ocrdeploy.errors import BadInput, OcrdError
from ocrdeploy.faults import blame, expect
from ocrdeploy.models import FORMATS
from ocrdeploy.onnxgraph import checks, metadata, oddities, precision, precision_reading, weights
from ocrdeploy.onnxgraph.precision_preparation import load
from ocrdeploy.plugins import Plugins

ONNX = "onnx"


def inspect(plugins: Plugins, path: Path) -> dict[str, Any]:
    """Return what there is to know of the model file `path`, as JSON has it; docs/inspect.md lists the keys.

    Raises `BadInput` where there is no such file, in no known format, or one that is not what its suffix says.
    """
    if not path.is_file():
        raise BadInput(f"there is no model file {path}", "check the path")
    manifest = artifact.read_manifest(path)
    form = manifest.format if manifest else FORMATS.get(path.suffix.lower(), "")
    if not form:
        raise BadInput(f"{path} is in no model format that is known here", f"name a file that ends in {', '.join(FORMATS)}")
    digest = artifact.sha256(path)
    found: dict[str, Any] = {
        "path": str(path),
        "format": form,
        "sha256": digest,
        "size_bytes": path.stat().st_size,
        "model": spec.to_dict(manifest.model) if manifest else None,
        "manifest": _manifest(manifest, digest),
    }
    if form == ONNX:
        found |= _graph(path)
        return found
    return found | _told(plugins, path, form)


def _manifest(manifest: artifact.Manifest | None, digest: str) -> dict[str, Any] | None:
    """Return the manifest without the model, which stands beside it, and whether it is that of this very file."""
    if manifest is None:
        return None
    plain = {name: value for name, value in asdict(manifest).items() if name not in {"model", "format", "sha256"}}
    return {**plain, "fits": manifest.sha256 == digest}


def _told(plugins: Plugins, path: Path, form: str) -> dict[str, Any]:
    """Return what the backends that open this format say of the file, each under its name, or why one says nothing."""
    told: dict[str, Any] = {}
    for name, info in plugins.backends.items():
        if form in info.runs and plugins.implements(name, "ocrd_inspect"):
            try:
                with blame(plugins, name, f"inspecting {path}"):
                    answer = plugins.call(name, "ocrd_inspect", path=path)
                told[name] = dict(expect(answer, Mapping, plugins, name, "ocrd_inspect"))  # type: ignore[type-abstract]
            except OcrdError as error:
                told[name] = {"problem": error.problem, "fix": error.fix}
    return {"backends": told}


def _graph(path: Path) -> dict[str, Any]:
    """Return what an ONNX file says itself."""
    entries = metadata.read(path)
    model = load(path)
    own = entries.get(metadata.KEY)
    found: dict[str, Any] = {
        "opset": {each.domain or "ai.onnx": each.version for each in model.opset_import},
        "ir_version": model.ir_version,
        "producer": " ".join(filter(None, (model.producer_name, model.producer_version))),
        "inputs": [asdict(each) for each in checks.inputs(model)],
        "outputs": [asdict(each) for each in checks.outputs(model)],
        "nodes": sum(1 for _ in checks.nodes(model)),
        "operators": dict(Counter(node.op_type for node in checks.nodes(model)).most_common()),
        "nodes_by_precision": _computed(model),
        "weights": _weights(model),
        "external_files": metadata.external_files(path),
        "conversion": precision.of_file(path),
        "recipe": _json(entries.get(metadata.RECIPE)),
        "odd_weights": [asdict(each) for each in oddities.oddities(model)],
    }
    if own is not None:
        found["model"] = spec.to_dict(spec.from_json(own, f"{path} (metadata {metadata.KEY!r})"))
    return found


def _computed(model: Any) -> Mapping[str, int] | None:
    try:
        return precision_reading.count(model)
    except checks.InvalidGraphError:
        return None


def _weights(model: Any) -> dict[str, int]:
    """Return how many numbers the weights have, by their type, the most first."""
    from onnx import TensorProto

    counts: Counter[str] = Counter()
    for tensor in weights.tensors(model):
        size = 1
        for dim in tensor.dims:
            size *= dim
        counts[TensorProto.DataType.Name(tensor.data_type).lower()] += size
    return dict(counts.most_common())


def _json(entry: str | None) -> Any:
    try:
        return json.loads(entry) if entry else None
    except ValueError:
        return None
