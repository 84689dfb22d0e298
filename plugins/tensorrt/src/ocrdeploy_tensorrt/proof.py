"""What an engine computes in, as far as it can be shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ocrdeploy_tensorrt import inspection, typed
from ocrdeploy_tensorrt.inspection import Layer

UNKNOWN = "unknown"
_HALF = ("fp16", "bf16")


@dataclass(frozen=True, slots=True)
class Proof:
    """The precision of an engine, or "unknown"; a remark where it is not wholly what was asked for, or shown in another way.

    `layers`: how many layers give which type, "fp16 41, fp32 3"; `layers_fp32`: the names of those wider than the rest.
    """

    precision: str
    remark: str = ""
    layers: str = ""
    layers_fp32: str = ""


def prove(layers: Sequence[Layer], silence: str, asked: str, facts: Mapping[str, str]) -> Proof:
    """Return what `layers`, which TensorRT's inspector told, show of an engine that was built to compute in `asked`.

    Where it tells nothing, for the reason `silence`, the manifest's `facts` stand in: the types of the network, which a
    strongly typed build keeps. Where there are none, the precision is unknown.
    """
    precision, remark = inspection.proved(layers, asked)
    if precision:
        counted = Counter(layer.precision for layer in layers if layer.calculates and layer.precision)
        wide = [layer.name for layer in layers if layer.calculates and layer.precision == "fp32"]
        told = ", ".join(f"{name} {count}" for name, count in counted.most_common())
        return Proof(precision, remark, told, typed.listed(wide) if precision in _HALF else "")
    remark = silence or remark
    if not facts.get("layers"):
        return Proof(UNKNOWN, remark)
    shown = f"{remark}: {asked} by the types of the network that it was built from"
    return Proof(asked, shown, facts["layers"], facts.get("layers_fp32", ""))
