"""What an engine's layers compute in, by TensorRT's engine inspector.

It tells most of engines that were built with detailed profiling verbosity; of others, names only.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

UNKNOWN = "unknown"
_KINDS = {"fp16": r"\bFP16\b|\bHalf\b", "bf16": r"\bBF16\b|\bBFloat16\b", "fp32": r"\bFP32\b|\bFloat\b"}
_MOVES = {"reformat", "noop", "cast", "shuffle", "signal", "wait", "constant"}
"""Kinds of layers that compute nothing: what they give says nothing of the precision."""
_TF32 = re.compile(r"tf32", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of an engine: `formats` are its outputs', in TensorRT's words; `tactic` is the kernel that was chosen."""

    name: str
    kind: str = ""
    formats: tuple[str, ...] = ()
    tactic: str = ""

    @property
    def precision(self) -> str:
        """The floating point type that it gives; '' for what is none, or is not told."""
        for name, words in _KINDS.items():
            if any(re.search(words, text) for text in self.formats):
                return name
        return ""

    @property
    def computes(self) -> bool:
        """Whether it does more than move or convert."""
        return self.kind.lower() not in _MOVES


def inspect(trt: Any, engine: Any, context: Any = None) -> list[Layer]:
    """Return the layers of an engine; none where the inspector tells nothing.

    With dynamic shapes, formats are told for a `context` that has been given its shapes.
    """
    inspector = engine.create_engine_inspector()
    if inspector is None:
        return []
    if context is not None:
        inspector.execution_context = context
    return read(inspector.get_engine_information(trt.LayerInformationFormat.JSON))


def read(text: str) -> list[Layer]:
    """Read the inspector's JSON; none where it is not as TensorRT writes it."""
    try:
        told = json.loads(text)
    except ValueError:
        return []
    found = told.get("Layers", ()) if isinstance(told, dict) else ()
    return [_layer(each) for each in found if isinstance(each, str | dict)]


def _layer(told: str | Mapping[str, Any]) -> Layer:
    if isinstance(told, str):
        return Layer(told)
    outputs = told.get("Outputs", ())
    formats = tuple(str(each.get("Format/Datatype", "")) for each in outputs if isinstance(each, dict))
    return Layer(str(told.get("Name", "")), str(told.get("LayerType", "")), formats, str(told.get("TacticName", "")))


def precision(layers: Iterable[Layer]) -> str:
    """Return what the engine computes in: the least exact type that a layer gives; "unknown" where none is told."""
    computing = [layer for layer in layers if layer.computes]
    kinds = {layer.precision for layer in computing}
    for name in ("bf16", "fp16"):
        if name in kinds:
            return name
    if "fp32" not in kinds:
        return UNKNOWN
    return "tf32" if any(_TF32.search(layer.tactic) for layer in computing) else "fp32"


def wider(layers: Iterable[Layer]) -> list[str]:
    """Return the names of the layers that give fp32, which in an engine of another precision were kept in it."""
    return [layer.name for layer in layers if layer.computes and layer.precision == "fp32"]


def counted(layers: Sequence[Layer]) -> str:
    """Return how many layers give which type: "fp16 41, fp32 3"; '' where none is told."""
    counts = Counter(layer.precision for layer in layers if layer.computes and layer.precision)
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())
