"""Flush denormal weights of an ONNX graph to zero.

A denormal (subnormal) number is smaller than the least normal float32, 1.2e-38. Training with weight decay leaves them in
dead channels. They change no output, and most processors handle them in microcode, up to a hundred times as slow.

Half-precision tensors are left alone: the denormals of float16 begin at 6e-5, where weights still matter, and they become
normal numbers when a processor without half-precision arithmetic widens them. So are the settings of operators that are
plain numbers (an epsilon, a slope): they are no weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ocrdeploy.errors import BadInput
from ocrdeploy.onnxgraph import metadata, weights


def flush(source: Path, target: Path, specification: str) -> int:
    """Write `source` to `target` with every denormal float32 or float64 weight set to zero; return how many there were.

    `specification`, a `ModelSpec` as JSON, is put into the metadata. `target` is written only when there are any.
    Raises `BadInput` for a file that onnx cannot read.
    """
    model = _load(source)
    try:
        count = flush_model(model)
    except (ValueError, TypeError) as error:
        raise BadInput(f"{source} holds a weight that cannot be read: {error}", "export or copy the model again") from error
    if count:
        metadata.describe(model, {metadata.KEY: specification})
        target.write_bytes(model.SerializeToString())
    return count


def flush_model(model: Any) -> int:
    """Set every denormal weight of a model (an `onnx.ModelProto`) to zero; return how many there were."""
    return sum(_flush_tensor(tensor) for tensor in weights.tensors(model))


def _load(source: Path) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        # Without `format`, onnx goes by the suffix, and a made file may have any.
        return onnx.load(source, format="protobuf")
    except (DecodeError, ValueError) as error:
        raise BadInput(f"{source} is not an ONNX model, or is cut short", "name an ONNX file, or copy it again") from error
    except (OSError, onnx.checker.ValidationError) as error:
        reason = " ".join(str(error).split())
        raise BadInput(f"cannot read {source} or a file that holds its weights: {reason}", "copy all its files here") from error


def _flush_tensor(tensor: Any) -> int:
    stored = weights.layout(tensor)
    if stored is None:
        return 0
    bits = weights.bits(tensor, stored)
    sign = bits & (1 << (bits.itemsize * 8 - 1))
    magnitude = bits ^ sign
    denormal = (magnitude > 0) & (magnitude < (1 << stored.fraction_width))
    count = int(np.count_nonzero(denormal))
    if count:
        # The sign stays, as it does where a processor flushes: 1 / -0.0 is another number than 1 / 0.0.
        tensor.raw_data = np.where(denormal, sign, bits).tobytes()
        tensor.ClearField("float_data")
        tensor.ClearField("double_data")
    return count
