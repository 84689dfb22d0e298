"""An ONNX graph in half precision: fp16 or bf16 inside, float32 at its inputs and outputs.

The conversion is our own. What there is besides cannot be used here (looked at in 2026): onnxruntime.transformers.float16 lives
inside a runtime, which the core does not import, and leaves nodes unsorted; onnxconverter-common has had no release since
August 2025, keeps every Resize in fp32, and writes invalid graphs where nodes have no names; NVIDIA's ModelOpt pins an old onnx
and needs torch, cupy and a GPU build of ONNX Runtime. None of them asks ONNX's own schemas, which say for each operator and
opset what it takes; here they decide, so that there is no list of operators to keep up.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ocrdeploy.errors import BadInput
from ocrdeploy.onnxgraph import checks, metadata, precision_folding
from ocrdeploy.onnxgraph import precision_preparation as preparation
from ocrdeploy.onnxgraph import precision_scopes as scopes
from ocrdeploy.onnxgraph.precision_decisions import Wishes, decide
from ocrdeploy.onnxgraph.precision_forms import FORMS, Form, form
from ocrdeploy.onnxgraph.precision_rewriting import rewrite
from ocrdeploy.onnxgraph.precision_slots import opsets

PRECISIONS = tuple(FORMS)
"""The half precisions that a graph can be converted to."""

KEY = "ocrdeploy.precision"
"""The metadata entry that says, as JSON, what a graph was converted to and which nodes were not: {"precision", "kept"}."""


@dataclass(frozen=True, slots=True)
class Converted:
    """What the conversion did.

    `kept`: nodes that compute with the picture and stay in fp32, with the reason: "asked", "range 7.1e4" (numbers too large),
    "loses 3.2%" (numbers too small), "operator ..." (it has no half precision, or is not to have it). `weights`: how many were
    rounded, `vanished`: how many of those became zero; `folded`: batch normalizations that became part of a convolution.
    """

    kept: Mapping[str, str] = field(default_factory=dict)
    weights: int = 0
    vanished: int = 0
    folded: int = 0


def convert(
    source: Path,
    target: Path,
    specification: str,
    precision: str,
    *,
    keep: Sequence[str] = (),
    ranges: Mapping[str, float] | None = None,
    losses: Mapping[str, float] | None = None,
) -> Converted:
    """Write the ONNX file `source` to `target` in a half precision, with float32 inputs and outputs.

    `specification`, a `ModelSpec` as JSON, is put into the metadata. `keep`: names of nodes and of operators that stay in fp32.
    `ranges` has the largest |number| of tensors, `losses` the share that rounding loses, by the names that they have in
    `source` (`ranges.measure` finds both). The same input gives the same bytes. Raises `BadInput` for a file that cannot be
    read or converted, `UnknownName` for a precision, and for a name to keep that is not in the graph.
    """
    wanted = form(precision)
    model = preparation.load(source)
    try:
        model, done = _converted(model, wanted, Wishes(tuple(keep), ranges or {}, losses or {}))
        entry = json.dumps({"precision": precision, "kept": dict(done.kept)}, sort_keys=True)
        metadata.describe(model, {metadata.KEY: specification, KEY: entry})
        _check(model, source)
    except (checks.InvalidGraphError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise BadInput(f"{source} cannot be converted to {precision}: {reason}", "export the model again, or use fp32") from error
    target.write_bytes(model.SerializeToString(deterministic=True))
    return done


def _check(model: Any, source: Path) -> None:
    """Raise `InvalidGraphError` where onnx's checker accepts the source, and not what was made of it.

    Exporters write graphs that it does not accept and that runtimes take all the same; those are not made worse.
    """
    try:
        checks.check(model)
    except checks.InvalidGraphError:
        try:
            checks.check(preparation.load(source))
        except checks.InvalidGraphError:
            return
        raise


def _converted(model: Any, wanted: Form, wishes: Wishes) -> tuple[Any, Converted]:
    model = preparation.prepared(model, wanted)
    folded = precision_folding.fold(model)
    top = scopes.read(model.graph)
    decisions = decide(top, wanted, opsets(model), wishes)
    written = rewrite(top, decisions, wanted)
    return model, Converted(decisions.kept, written.weights, written.vanished, folded)


def of_file(path: Path) -> Mapping[str, Any] | None:
    """Return what an ONNX file says of its conversion, {"precision", "kept"}; None where it was not converted here."""
    entry = metadata.read(path).get(KEY)
    try:
        found = json.loads(entry) if entry else None
    except ValueError:
        found = None
    return found if isinstance(found, dict) and found.get("precision") in FORMS else None
