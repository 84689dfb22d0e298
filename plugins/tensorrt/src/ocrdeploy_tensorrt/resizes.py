"""Nearest upsampling stays nearest: every Resize of a parsed graph picks the pixels that PyTorch picks.

TensorRT 7 had one switch for what ONNX says in two attributes, and took another pixel than PyTorch. MMOCR's DBNet and PANet
lost 4 to 5 points of hmean to it (MMOCR 0.6.3, docs/en/deployment.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ocrdeploy.errors import BadInput

LINEAR = ("HALF_PIXEL", "ALIGN_CORNERS")
"""The coordinates of PyTorch's "bilinear", without and with `align_corners`."""


def check(trt: Any, network: Any, modules: Mapping[str, str]) -> int:
    """Return how many RESIZE layers the network has. Raises `BadInput` for one that picks other pixels than PyTorch does.

    `modules`: the PyTorch modules that the graph's nodes come from, by the nodes' names.
    """
    count = 0
    for layer in resizes(trt, network):
        count += 1
        if not as_torch(trt, layer):
            place = f" (in {modules[layer.name]})" if modules.get(layer.name) else ""
            said = f"{layer.resize_mode.name}, {layer.coordinate_transformation.name}, {layer.nearest_rounding.name}"
            raise BadInput(
                f"the Resize {layer.name!r}{place} picks other pixels than PyTorch does ({said})",
                "export the model from PyTorch with ocrd export, or, where the graph means it so, give "
                "--backend-option resize=any",
            )
    return count


def resizes(trt: Any, network: Any) -> Iterator[Any]:
    """Yield the RESIZE layers, as what they are: the bindings hand out every layer of a network as an ILayer."""
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        if layer.type == trt.LayerType.RESIZE:
            layer.__class__ = trt.IResizeLayer
            yield layer


def as_torch(trt: Any, layer: Any) -> bool:
    """Whether a RESIZE layer does what PyTorch's "nearest" or "bilinear" does."""
    where = layer.coordinate_transformation
    if layer.resize_mode == trt.InterpolationMode.NEAREST:
        asymmetric = where == trt.ResizeCoordinateTransformation.ASYMMETRIC
        return bool(asymmetric and layer.nearest_rounding == trt.ResizeRoundMode.FLOOR)
    return bool(layer.resize_mode == trt.InterpolationMode.LINEAR and where.name in LINEAR)
