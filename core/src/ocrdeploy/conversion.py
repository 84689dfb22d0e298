"""The chain's step to half precision: what is to be converted, how, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ocrdeploy import range_guard, spec
from ocrdeploy.errors import BadInput
from ocrdeploy.onnxgraph import precision, weights
from ocrdeploy.onnxgraph.precision_forms import FORMS
from ocrdeploy.onnxgraph.subgraph import load
from ocrdeploy.plugins import Plugins
from ocrdeploy.range_guard import Plan
from ocrdeploy.vocabulary import Artifact, BackendInfo, InferOptions

ONNX = "onnx"

KEEP = "keep_fp32"
"""The backend option that lists nodes and operators to be left in fp32, separated by commas."""

LISTED = 5
"""How many of the kept nodes a sentence names."""


def wanted(source: Artifact, info: BackendInfo, options: InferOptions) -> bool:
    """Say whether `source` is to be converted for a backend: it takes ONNX, and the precision that was asked for is a half one.

    Raises `BadInput` for a file that is in the other half precision already.
    """
    if source.format != ONNX or ONNX not in {*info.runs, *info.builds_from}:
        return False
    if options.precision not in precision.PRECISIONS or options.precision not in info.precisions:
        return False
    found = at_hand(source.path)
    if found and found != options.precision:
        problem = f"{source.path} is in {found}, and {options.precision} was asked for"
        raise BadInput(problem, f"use the fp32 file that it was made from, or --precision {found}")
    return not found


def at_hand(path: Path) -> str:
    """Return the half precision that an ONNX file is in, by us or by others, or ''. What others kept in fp32 had its reason."""
    converted = precision.of_file(path)
    if converted:
        return str(converted["precision"])
    kinds = {tensor.data_type for tensor in weights.tensors(load(path, external=False))}
    return next((name for name, form in FORMS.items() if form.element in kinds), "")


def keep(options: InferOptions) -> tuple[str, ...]:
    """Return the names of nodes and operators that are to stay in fp32, sorted."""
    return tuple(sorted({name.strip() for name in options.extra.get(KEEP, "").split(",")} - {""}))


def recipe(options: InferOptions, guard: Plan) -> dict[str, str]:
    """Return what of the options the result depends on."""
    return {"precision": options.precision, KEEP: ",".join(keep(options)), **guard.recipe()}


def convert(plugins: Plugins, source: Artifact, target: Path, options: InferOptions, guard: Plan) -> Mapping[str, int]:
    """Measure `source` as planned, and write it in the precision that was asked for; return what there is to count."""
    found = range_guard.measure(plugins, source, options.precision, guard)
    done = precision.convert(
        source.path,
        target,
        spec.to_json(source.model),
        options.precision,
        keep=keep(options),
        ranges=found.largest,
        losses=found.losses,
    )
    return {
        "measured_tensors": len(found.largest),
        "fp32_nodes": len(done.kept),
        "rounded_weights": done.weights,
        "vanished_weights": done.vanished,
        "folded_normalizations": done.folded,
    }


def sentences(converted: Artifact, guard: Plan) -> Iterator[str]:
    """Say how the ranges of a converted file were found, and which nodes stay in fp32 and why, where any do."""
    yield f"{converted.model.name}: {_measured(guard)}"
    found = precision.of_file(converted.path) or {}
    kept: dict[str, str] = found.get("kept", {})
    if not kept:
        return
    named = [f"{name} ({why})" for name, why in kept.items()]
    more = f" and {len(named) - LISTED} more" if len(named) > LISTED else ""
    nodes = "1 node stays" if len(kept) == 1 else f"{len(kept)} nodes stay"
    yield f"{converted.model.name}: {found['precision']}: {nodes} in fp32: {', '.join(named[:LISTED])}{more} ({converted.path})"


def _measured(guard: Plan) -> str:
    if not guard.backend:
        return f"its ranges were not measured: {guard.why_not}"
    if guard.pictures:
        return f"its ranges were measured on {len(guard.pictures)} given pictures"
    return f"its ranges were measured on drawn pictures ({range_guard.IMAGES}=PATH names better ones)"
