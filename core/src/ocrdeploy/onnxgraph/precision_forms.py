"""The two half precisions: how a number is stored in each, what does not fit, and what rounding loses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrdeploy.errors import unknown


@dataclass(frozen=True, slots=True)
class Form:
    """A half precision. `kind` is ONNX's name of the type, `largest` its largest number.

    `worst_loss`: from which relative rounding error on, of a whole tensor, numbers are said to be lost. Numbers in the normal
    range lose 0.0002 (fp16) and 0.0017 (bf16); a hundredth of a value, or a tenth of bf16's, is far from that.
    """

    precision: str
    kind: str
    largest: float
    worst_loss: float

    @property
    def element(self) -> int:
        """The number that ONNX has for the type."""
        from onnx import TensorProto

        return int(TensorProto.DataType.Value(self.kind.upper()))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of numpy, or of ml_dtypes, which onnx itself needs."""
        from onnx import helper

        return np.dtype(helper.tensor_dtype_to_np_dtype(self.element))

    def rounded(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the numbers in this precision, each the nearest one; what is too large becomes infinite."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(values).astype(self.dtype)

    def loss(self, values: NDArray[Any]) -> float:
        """Return what rounding changes, as a share of the numbers: rms(rounded - x) / rms(x), over those that fit."""
        error, square = self.squares(values)
        return float(np.sqrt(error / square)) if square else 0.0

    def squares(self, values: NDArray[Any]) -> tuple[float, float]:
        """Return the sums of (rounded - x)**2 and of x**2, over the numbers that fit."""
        exact = np.asarray(values, np.float64).ravel()
        exact = exact[np.abs(exact) <= self.largest]  # a NaN is not, either
        error = self.rounded(exact.astype(np.float32)).astype(np.float64) - exact
        return float(np.sum(error**2)), float(np.sum(exact**2))


FORMS = {
    "fp16": Form("fp16", "float16", 65504.0, 0.01),
    "bf16": Form("bf16", "bfloat16", float(np.finfo(np.float32).max), 0.08),
}
"""The half precisions by the names that options have for them."""


def form(precision: str) -> Form:
    """Return a half precision by its name. Raises `UnknownName`."""
    if precision not in FORMS:
        raise unknown("half precision", precision, FORMS)
    return FORMS[precision]
