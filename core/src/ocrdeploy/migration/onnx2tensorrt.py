"""`onnx2tensorrt.py` becomes `ocrd build`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import starmap
from operator import gt

from ocrdeploy.errors import BadInput
from ocrdeploy.migration.arguments import Arguments
from ocrdeploy.migration.becoming import NOTHING, Becomes, flag, words

_NO_PICTURES = "the preprocessing of MMOCR's models makes no picture 400 x 600"


def onnx2tensorrt(given: Arguments) -> Mapping[str, Becomes]:
    """Return what becomes of each parameter. Raises `BadInput` for shapes and sizes that the tool refused."""
    _check(given)
    low, high = _shape(given["--min-shape"]), _shape(given["--max-shape"])
    return {
        "model_config": NOTHING,
        "model_type": NOTHING,
        "image_path": words("--images", given["image_path"]),
        "onnx_file": words(given["onnx_file"]),
        "--trt-file": words("-o", given["--trt-file"]),
        "--max-shape": words("--max-shape", high, remark=_remark(given, "--max-shape")),
        "--min-shape": words("--min-shape", low, "--opt-shape", low, remark=_remark(given, "--min-shape")),
        "--workspace-size": words("--workspace", given["--workspace-size"]),
        "--fp16": words("--precision", "fp16" if given["--fp16"] else "fp32"),
        "--verify": words("--verify"),
        "--show": words("--show"),
        "--verbose": flag(given["--verbose"], "--verbose"),
    }


def _check(given: Arguments) -> None:
    if any(starmap(gt, zip(given["--min-shape"], given["--max-shape"], strict=True))):
        raise BadInput(
            f"onnx2tensorrt.py would not take this: a side of --min-shape {_shape(given['--min-shape'])} is longer than that of "
            f"--max-shape {_shape(given['--max-shape'])}",
            "give both, the smaller one as --min-shape; the default of each is 1 3 400 600",
        )
    if given["--workspace-size"] < 0:
        raise BadInput(
            f"onnx2tensorrt.py would not take this: --workspace-size is {given['--workspace-size']}", "give GiB: 1, 2, ..."
        )


def _shape(sides: Sequence[int]) -> str:
    return "x".join(map(str, sides))


def _remark(given: Arguments, name: str) -> str:
    return "" if name in given.given else _NO_PICTURES
