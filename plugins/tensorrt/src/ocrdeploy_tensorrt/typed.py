"""What the layers of a network calculate in, before it is built. Strongly typed, an engine is what its network is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

DTYPES = {"FLOAT": "fp32", "HALF": "fp16", "BF16": "bf16", "INT8": "int8", "FP8": "fp8"}
"""Precisions by TensorRT's names of data types. Others (INT64, BOOL) are of shapes and masks, and no precision."""

_MOVES = ("CAST", "CONSTANT", "SHAPE", "SHUFFLE", "IDENTITY")
"""Layers that calculate nothing: a cast at the border of an fp16 graph is not a layer in fp32."""

_NAMED = 20
"""How many layers are named in a manifest."""


def counted(trt: Any, network: Any) -> Mapping[str, list[str]]:
    """Return the names of the layers that calculate, by the precision of what they answer."""
    moves = {getattr(trt.LayerType, name, None) for name in _MOVES}
    found: dict[str, list[str]] = {}
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        if layer.type not in moves and (precision := DTYPES.get(_dtype(layer))):
            found.setdefault(precision, []).append(layer.name)
    return found


def _dtype(layer: Any) -> str:
    tensor = layer.get_output(0) if layer.num_outputs else None
    return "" if tensor is None else str(tensor.dtype.name)


def facts(found: Mapping[str, list[str]]) -> Mapping[str, str]:
    """Return what a manifest says of the layers: how many there are in each precision, and which are wider than the rest."""
    counts = Counter({precision: len(names) for precision, names in found.items()})
    said = {"layers": ", ".join(f"{precision} {count}" for precision, count in counts.most_common())}
    if len(found) > 1 and "fp32" in found:
        said["layers_fp32"] = listed(found["fp32"])
    return said


def listed(names: Sequence[str]) -> str:
    """Return names with commas, as many as people read."""
    more = f", and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
