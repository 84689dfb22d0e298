"""`pytorch2onnx.py` becomes `ocrd export`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from ocrdeploy.errors import BadInput
from ocrdeploy.migration.arguments import Arguments
from ocrdeploy.migration.becoming import NOTHING, Becomes, flag, words

_URL = re.compile(r"[a-z][a-z0-9+-]+://", re.IGNORECASE)
_SUFFIX = ".onnx"


def pytorch2onnx(given: Arguments) -> Mapping[str, Becomes]:
    """Return what becomes of each parameter. Raises `BadInput` for a device that cannot be one."""
    return {
        "model_config": words(given["model_config"]),
        "model_ckpt": _checkpoint(given["model_ckpt"]),
        "model_type": NOTHING,
        "image_path": words("--image", given["image_path"]),
        "--output-file": _output(given["--output-file"]),
        "--device-id": _device(given),
        "--opset-version": words("--opset", given["--opset-version"]),
        "--verify": flag(given["--verify"], "--verify"),
        "--verbose": flag(given["--verbose"], "-v"),
        "--show": flag(given["--show"], "--show"),
        "--dynamic-export": words("--dynamic" if given["--dynamic-export"] else "--static"),
    }


def _checkpoint(path: str) -> Becomes:
    if not _URL.match(path):
        return words(path)
    name = PurePosixPath(urlsplit(path).path).name or "model.pth"
    return words(name, remark=f"download {path} as {name}")


def _output(path: str) -> Becomes:
    target = path if path.lower().endswith(_SUFFIX) else f"{path}{_SUFFIX}"
    return words("-o", target, "--overwrite")


def _device(given: Arguments) -> Becomes:
    number = given["--device-id"]
    if not (number.isascii() and number.isdecimal()):
        raise BadInput(f"pytorch2onnx.py's --device-id is {number!r}, not the number of a device", "give 0, 1, ...")
    failed = "the tool passed it on as text, which torch.device refuses" if "--device-id" in given.given else ""
    return words("--device", f"cuda:{int(number)}", remark=failed)
