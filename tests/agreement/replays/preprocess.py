"""Preprocessing: the tensors that MMOCR's test pipelines made of files, arrays and encoded pictures, and what they noted."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrdeploy import batching, images
from ocrdeploy.vocabulary import Colour, InputSpec, Pixels, Placement
from ocrdeploy_pytorch.specs import SIX
from replays.comparison import Case, Comparison
from replays.goldens import Goldens

KIND = "preprocess"
TENSOR = 1e-6


def cases(goldens: Goldens) -> Iterator[Case]:
    """Yield a case for each config and picture."""
    facts, arrays = goldens.facts(KIND), goldens.arrays(KIND)
    for case in facts["cases"]:
        picture = case.get("path") or case.get("array")
        yield Case(
            KIND,
            f"{case.get('config')}, {case.get('source')} {picture}",
            partial(_check, goldens=goldens, case=case, arrays=arrays),
        )


def _check(comparison: Comparison, *, goldens: Goldens, case: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    spec = SIX[case["config"]].input
    (batch,) = batching.batches([_picture(goldens, case, arrays, spec)], spec, 1)
    row, (placement,) = batch.inputs[spec.name][0], batch.placements
    comparison.same("the tensor's dtype", f"torch.{row.dtype}", case["tensor_dtype"])
    if comparison.same("the tensor's shape", list(row.shape), case["tensor_shape"]):
        _compare_tensor(comparison, case, arrays, row)
        comparison.same("the CRC of the resized picture", _crc(row, spec, placement), case["crc32_uint8"])
        comparison.close("padding", _padding(row, placement), case["pad_abs_max"], TENSOR)
    _compare_metas(comparison, case["img_metas"], spec, placement)


def _picture(goldens: Goldens, case: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], spec: InputSpec) -> Pixels:
    """Return the picture as the core would have it from its user: RGB, or gray where the model's file is decoded as gray."""
    if case["source"] == "array":
        pixels = arrays[case["array"]].astype(np.uint8, casting="no")
        if pixels.shape[2:] == (1,):
            pixels = pixels[..., 0]
        return np.ascontiguousarray(pixels[..., ::-1]) if pixels.shape[2:] else pixels
    if case["source"] == "encoded":
        data = arrays[case["array"]].astype(np.uint8, casting="no").tobytes()
    else:
        data = goldens.picture(case["path"], case["sha256"])
    return images.decode(data, name=case.get("path") or case["array"], colour=spec.colour, orientation=spec.orientation)


def _compare_tensor(
    comparison: Comparison, case: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], row: NDArray[np.float32]
) -> None:
    offset, stride = case["offset"], case["stride"]
    comparison.close("tensor", row[:, offset::stride, offset::stride], arrays[case["grid"]], TENSOR)
    comparison.close("mean", row.mean((1, 2), np.float64), case["mean"], TENSOR)
    comparison.close("deviation", row.std((1, 2), np.float64), case["std"], TENSOR)
    comparison.close("extreme", (row.min(), row.max()), (case["min"], case["max"]), TENSOR)


def _crc(row: NDArray[np.float32], spec: InputSpec, placement: Placement) -> int:
    """Return the CRC-32 of the 8-bit picture that the tensor was made of."""
    height, width = placement.content
    levels = row[:, :height, :width].transpose(1, 2, 0).astype(np.float64) * spec.std + spec.mean
    return zlib.crc32(np.rint(levels).astype(np.uint8).tobytes())


def _padding(row: NDArray[np.float32], placement: Placement) -> float:
    height, width = placement.content
    return float(max(np.abs(row[:, height:]).max(initial=0), np.abs(row[:, :, width:]).max(initial=0)))


def _compare_metas(comparison: Comparison, metas: Mapping[str, Any], spec: InputSpec, placement: Placement) -> None:
    """Compare what MMOCR noted of the picture with what follows from our placement and spec."""
    sizes = {"ori_shape": placement.size, "img_shape": placement.content}
    sizes |= {"pad_shape": placement.tensor, "resize_shape": placement.tensor}
    for name in sizes.keys() & metas.keys():
        comparison.same(name, list(sizes[name]), metas[name][:2])
    if "scale_factor" in metas:
        factors = np.array(2 * placement.scale, np.float32)
        comparison.same("scale_factor", factors.tolist(), _numbers(metas["scale_factor"]))
    if "valid_ratio" in metas:
        comparison.same("valid_ratio", placement.content[1] / placement.tensor[1], metas["valid_ratio"])
    comparison.same("flip", metas.get("flip", False), False)
    norm = metas["img_norm_cfg"]
    for name, ours in (("mean", spec.mean), ("std", spec.std)):
        comparison.same(f"the {name} of img_norm_cfg", np.array(ours, np.float32).tolist(), _numbers(norm[name]))
    if spec.colour is not Colour.GRAY:  # MMOCR's default asks for RGB of one channel, too.
        comparison.same("to_rgb", spec.colour is Colour.RGB, norm["to_rgb"])


def _numbers(recorded: Any) -> Any:
    """Return a recorded array as a list, whether or not its dtype is recorded with it."""
    return recorded["value"] if isinstance(recorded, dict) else recorded
