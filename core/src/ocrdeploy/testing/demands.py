"""How the suite says what is wrong: in a sentence about what a user would suffer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ocrdeploy.errors import BadPlugin, OcrdError
from ocrdeploy.verification import tolerance
from ocrdeploy.vocabulary import Tensors

Doubles = Mapping[str, NDArray[np.float64]]


def demand(holds: bool, suffering: str) -> None:
    """Fail with this sentence, and without a traceback, unless it holds."""
    if not holds:
        pytest.fail(suffering, pytrace=False)


def deviation(given: NDArray[Any], wanted: NDArray[np.float64], precision: str) -> str:
    """Say how far `given` lies from `wanted`, where that is more than a session of this precision may; else ''."""
    if given.shape != wanted.shape:
        return f"its shape is {given.shape}, not {wanted.shape}"
    if not wanted.size:
        return ""
    allowed = tolerance.limits(wanted, float(wanted.std()), tolerance.of(precision), {})
    apart = np.abs(given.astype(np.float64) - wanted)
    wrong = ~(apart <= allowed)
    if not wrong.any():
        return ""
    place = np.unravel_index(int(np.argmax(np.where(np.isnan(apart), np.inf, apart / allowed))), apart.shape)
    where = ", ".join(map(str, place))
    share = f"{np.count_nonzero(wrong)} of {wrong.size} numbers"
    return f"{share} are off by more than {precision} explains: at [{where}] it is {given[place]:.6g}, not {wanted[place]:.6g}"


def difference(outputs: Tensors, wanted: Doubles, precision: str) -> str:
    """Say how the outputs deviate from those that are wanted, the first that does; '' where none does."""
    for name, array in wanted.items():
        if name not in outputs:
            return f"there is no output {name!r} (there is: {', '.join(map(str, outputs)) or 'nothing'})"
        if wrong := deviation(np.asarray(outputs[name]), array, precision):
            return f"output {name!r}: {wrong}"
    return ""


def mixed_up(outputs: Tensors, wanted: Doubles, row: int, precision: str) -> str:
    """Say whose answer the wrong row `row` is: "row 0 got the answer of row 2"; '' where it is nobody's."""
    rows = len(next(iter(wanted.values())))
    for other in range(rows):
        own = {name: array[row] for name, array in outputs.items() if name in wanted}
        if other != row and not difference(own, {name: array[other] for name, array in wanted.items()}, precision):
            return f"row {row} got the answer of row {other}"
    return ""


def refusal(action: Callable[[], object], suffering: str) -> OcrdError:
    """Return the error with which `action` ends. Fails where it ends well, or with anything but an `OcrdError` with a remedy."""
    try:
        action()
    except BadPlugin as error:
        cause = error.__cause__
        said = f"{type(cause).__name__}: {cause}" if cause else error.problem
        pytest.fail(f"{suffering}: the user reads of a broken plugin, instead of what to do ({said})", pytrace=False)
    except OcrdError as error:
        demand(bool(error.problem.strip()), f"{suffering}: the error says nothing")
        demand(bool(error.fix.strip()), f"{suffering}: the error names no remedy (`fix` is empty): {error.problem}")
        return error
    except BaseException as error:  # noqa: BLE001 - SystemExit, too, would end the user's command without a sentence
        pytest.fail(f"{suffering}: it raises {type(error).__name__}: {error}, and no OcrdError", pytrace=False)
    pytest.fail(f"{suffering}: nothing is said, and it goes on", pytrace=False)


def listed(names: Sequence[object]) -> str:
    """Return names for a sentence."""
    return ", ".join(map(str, names)) or "nothing"
