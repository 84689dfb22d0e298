"""What an engine's layers calculate in, by TensorRT's own inspector.

It tells most of engines that were built with detailed profiling verbosity, as ours are; of others, names only.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ocrdeploy.errors import OcrdError
from ocrdeploy_tensorrt.typed import listed

_FORMATS = (
    ("bf16", re.compile(r"\b(bf16|bfloat16)\b", re.IGNORECASE)),
    ("fp16", re.compile(r"\b(fp16|half)\b", re.IGNORECASE)),
    ("fp32", re.compile(r"\b(fp32|float|float32)\b", re.IGNORECASE)),
    ("int8", re.compile(r"\bint8\b", re.IGNORECASE)),
)
"""How the inspector writes them: "Row major linear FP32", "Channel major FP16 format where channel % 8 == 0", "Half"."""

_MOVES = ("reformat", "noop", "constant", "cast", "shuffle", "signal", "wait")
"""Kinds of layers that calculate nothing, by parts of their LayerType; TensorRT adds some where a layout changes."""

_WIDEST = ("int8", "fp16", "bf16", "fp32")


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of an engine. `precision`: the widest of what it answers; '' where that is not known or no number."""

    name: str
    kind: str
    precision: str
    formats: tuple[str, ...]

    @property
    def calculates(self) -> bool:
        """Whether it does more than to move or convert."""
        return not any(word in self.kind.lower() for word in _MOVES)


def engine_layers(trt: Any, engine: Any, context: Any = None) -> tuple[Layer, ...]:
    """Return the layers of an engine, as TensorRT's inspector describes them.

    With open axes it knows the formats only of a `context` whose input shapes are set. Raises `OcrdError` where it says
    nothing.
    """
    inspector = engine.create_engine_inspector()
    if inspector is None:
        raise _silent()
    if context is not None:
        inspector.execution_context = context
    return layers_of(inspector.get_engine_information(trt.LayerInformationFormat.JSON))


def layers_of(information: str) -> tuple[Layer, ...]:
    """Return the layers in the inspector's JSON. Raises `OcrdError` where it is none."""
    try:
        found = json.loads(information)["Layers"]
    except (ValueError, KeyError, TypeError):
        raise _silent() from None
    return tuple(_layer(each) for each in found)


def _silent() -> OcrdError:
    return OcrdError("TensorRT's inspector says nothing of this engine", "build it again with ocrd build")


def _layer(entry: Any) -> Layer:
    if not isinstance(entry, Mapping):  # an engine that was built without details: its layers' names alone
        return Layer(str(entry), "", "", ())
    formats = tuple(str(each.get("Format/Datatype", "")) for each in entry.get("Outputs", ()) if isinstance(each, Mapping))
    seen = [precision for text in formats if (precision := precision_of(text))]
    widest = max(seen, key=_WIDEST.index, default="")
    return Layer(str(entry.get("Name", "")), str(entry.get("LayerType", "")), widest, formats)


def precision_of(written: str) -> str:
    """Return the precision that the inspector's text names, or ''."""
    return next((name for name, pattern in _FORMATS if pattern.search(written)), "")


def proved(layers: Sequence[Layer], asked: str) -> tuple[str, str]:
    """Return the precision that an engine calculates in, and a sentence where that is not wholly what was asked for.

    TF32 is fp32 with shorter products, and looks like it: "tf32" is returned where that was asked for and fp32 is seen.
    ('', sentence) where the layers do not say.
    """
    counted = Counter(layer.precision for layer in layers if layer.calculates and layer.precision)
    if not counted:
        return "", "the engine does not say what its layers calculate in"
    main = asked if counted[asked] else counted.most_common(1)[0][0]
    if asked == "tf32" and main == "fp32":
        main = "tf32"
    wide = [layer.name for layer in layers if layer.calculates and layer.precision == "fp32"]
    if main in {"fp16", "bf16"} and main == asked and wide:
        return main, f"{asked} asked, {_layers(len(wide))} in fp32: {listed(wide)}"
    if asked == "fp32" and (narrow := sum(counted[name] for name in ("fp16", "bf16"))):
        return counted.most_common(1)[0][0], f"fp32 asked, {_layers(narrow)} in less"
    return main, "" if main == asked else f"{asked} asked, {main} is what it calculates in"


def _layers(count: int) -> str:
    return "1 layer" if count == 1 else f"{count} layers"
