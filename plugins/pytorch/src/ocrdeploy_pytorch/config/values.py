"""Arithmetic on a config's values, within bounds: what a config makes is never much larger than what it says."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

MOST_WORK = 1_000_000
"""How many values may be made in all; each container counts with everything in it whenever it is made or copied."""

MOST_VALUE_DEPTH = 64
MOST_BITS = 64
"""Of a whole number."""

CHARACTERS = 32
"""How many characters of a text count as one value."""

SEQUENCES = (str, list, tuple)


class NotAllowed(Exception):
    """What is wrong with an operation or a value, in words that follow "it ...".

    It never leaves the reader: whoever knows the line makes a `ConfigError` of it.
    """


@dataclass(slots=True)
class Budget:
    """The work that one config, with its bases, may still cause."""

    left: int = MOST_WORK

    def spend(self, cost: int) -> None:
        """Take `cost` off. Raises `NotAllowed` where that is more than is left."""
        if cost > self.left:
            raise NotAllowed("makes more values than any config needs")
        self.left -= cost

    def charge(self, value: Any) -> None:
        """Spend as much as `value` holds. Raises `NotAllowed` where that is too much, or nested too deep."""
        rest: list[tuple[Any, int]] = [(value, 0)]
        while rest:
            item, depth = rest.pop()
            self.spend(1 + len(item) // CHARACTERS if isinstance(item, str) else 1)
            if depth > MOST_VALUE_DEPTH:
                raise NotAllowed("makes a value that is nested too deep")
            if isinstance(item, dict):
                rest.extend((part, depth + 1) for part in item)
                rest.extend((part, depth + 1) for part in item.values())
            elif isinstance(item, list | tuple | set):
                rest.extend((part, depth + 1) for part in item)


ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}


def is_number(value: Any) -> bool:
    """Whether `value` is a number that may be reckoned with: a truth value may not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def literal(value: Any) -> Any:
    """Return a literal's value. Raises `NotAllowed` for a kind or a size that no config needs."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise NotAllowed("has a text with half a character in it (a lone surrogate)") from None
    elif isinstance(value, int):
        if value.bit_length() > MOST_BITS:
            raise NotAllowed("has a number that is too large")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise NotAllowed("has a number that is too large")
    elif value is not None:
        raise NotAllowed(f"has a literal of the kind {type(value).__name__}")
    return value


def binary(kind: type[ast.operator], left: Any, right: Any, budget: Budget) -> Any:
    """Return `left` `kind` `right`: numbers reckoned, texts, lists and tuples joined or repeated. Raises `NotAllowed`."""
    if kind in ARITHMETIC and is_number(left) and is_number(right):
        return _reckoned(kind, left, right)
    if kind is ast.Add and isinstance(left, SEQUENCES) and type(left) is type(right):
        return _joined(left, right, budget)
    if kind is ast.Mult and isinstance(left, SEQUENCES) and _is_count(right):
        return _repeated(left, right, budget)
    if kind is ast.Mult and isinstance(right, SEQUENCES) and _is_count(left):
        return _repeated(right, left, budget)
    raise NotAllowed("applies an operator to values that it is not for: + - * / // % ** to numbers, + and * to texts and lists")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _reckoned(kind: type[ast.operator], left: float, right: float) -> float:
    if kind is ast.Pow and isinstance(left, int) and isinstance(right, int) and left.bit_length() * right > 2 * MOST_BITS:
        raise NotAllowed("has a power that is too large")
    try:
        result = ARITHMETIC[kind](left, right)
    except ZeroDivisionError:
        raise NotAllowed("divides by zero") from None
    except OverflowError:
        raise NotAllowed("has a number that is too large") from None
    if isinstance(result, complex):
        raise NotAllowed("takes a root of a negative number")
    number: float = literal(result)
    return number


def _joined(left: Any, right: Any, budget: Budget) -> Any:
    budget.spend((len(left) + len(right)) // (CHARACTERS if isinstance(left, str) else 1))
    result = left + right
    budget.charge(result)
    return result


def _repeated(sequence: Any, count: int, budget: Budget) -> Any:
    budget.spend(len(sequence) * max(count, 0) // (CHARACTERS if isinstance(sequence, str) else 1))
    result = sequence * count
    budget.charge(result)
    return result


def signed(kind: type[ast.unaryop], value: Any) -> Any:
    """Return -`value` or +`value`. Raises `NotAllowed` for other operators, and for what is no number."""
    if kind not in {ast.USub, ast.UAdd} or not is_number(value):
        raise NotAllowed("applies an operator to a value that it is not for: - and + to a number")
    return literal(-value if kind is ast.USub else value)
