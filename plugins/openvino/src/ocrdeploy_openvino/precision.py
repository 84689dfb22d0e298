"""In which precision a compiled model computes, read from OpenVINO's execution graph, whatever was asked for.

The execution graph is what the device's plugin has made of the model: its nodes are the kernels that will run, each with the
type that it computes in (`runtimePrecision`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ocrdeploy.errors import BadInput, OcrdError, Unavailable

NAMES = {"f64": "fp64", "f32": "fp32", "f16": "fp16", "bf16": "bf16", "i8": "int8", "u8": "int8"}
ORDER = ("int8", "bf16", "fp16", "fp32", "fp64")
"""The least exact first."""

_PASSES_ON = {"Const", "Input", "Output", "Parameter", "Result", "Reorder", "Reshape", "Convert", "Transpose", "ShapeOf"}
"""Kernels that only move numbers, or change their type."""

_MULTIPLIES = {"Convolution", "Deconvolution", "FullyConnected", "MatMul"}
"""Where a byte is a number that was quantised; elsewhere it may be a truth value."""


def computed(compiled: Any) -> Mapping[str, int]:
    """Return how many kernels of a compiled model compute in each floating-point precision or int8, most first."""
    found: Counter[str] = Counter()
    for node in compiled.get_runtime_model().get_ops():
        facts = node.get_rt_info()
        kind, precision = facts["layerType"].astype(str), NAMES.get(facts["runtimePrecision"].astype(str), "")
        if precision and kind not in _PASSES_ON and (precision != "int8" or kind in _MULTIPLIES):
            found[precision] += 1
    return dict(found.most_common())


def lowest(counts: Mapping[str, int]) -> str:
    """Return the least exact precision that is computed in; "fp32" where nothing computes."""
    return next((name for name in ORDER if name in counts), "fp32")


def of_graph(model: Any) -> set[str]:
    """Return the floating-point precisions, and int8, that the graph itself has, before it is compiled."""
    kinds = {output.get_element_type().get_type_name() for node in model.get_ops() for output in node.outputs()}
    return {NAMES[kind] for kind in kinds if kind in NAMES}


def check(path: Path, asked: str, written: set[str], counts: Mapping[str, int], cpu: str) -> None:
    """Raise `OcrdError` where a model does not compute in the precision that was asked for.

    A file that is itself in half precision may be opened without asking for it, as it is.
    """
    found = lowest(counts)
    if asked != "fp32" and asked not in written:
        raise BadInput(f"{path} was to run in {asked}, and none of its nodes does", "keep fewer nodes in fp32, or use fp32")
    if asked not in {"fp32", found}:
        raise Unavailable(
            f"OpenVINO computes {path} in {found} on this processor ({cpu}), and not in {asked}", "use --precision fp32"
        )
    if asked == "fp32" and found not in {"fp32", "fp64"} and found not in written:
        problem = f"OpenVINO computes {path} in {found}, and fp32 was asked for"
        raise OcrdError(problem, "use another backend, and report this with your version of OpenVINO")
