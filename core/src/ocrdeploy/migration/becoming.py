"""What becomes of one parameter of a tool."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Becomes:
    """The words that stand for a parameter, none where nothing does, and what is to be said besides the parameter's remark."""

    words: tuple[str, ...] = ()
    remark: str = ""


NOTHING = Becomes()


def words(*parts: object, remark: str = "") -> Becomes:
    """Return the words for a parameter."""
    return Becomes(tuple(map(str, parts)), remark)


def flag(given: object, *parts: str) -> Becomes:
    """Return `parts` where the flag was given."""
    return words(*parts) if given else NOTHING
