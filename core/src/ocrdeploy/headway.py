"""How far a long step is: whoever works tells it, whoever shows it listens. Neither knows the other.

The listeners stand in this module because a runtime calls back from threads of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

Listener: TypeAlias = Callable[[str, float], None]
"""Called with what is being done, in a few words, and the share of it that is done, 0 to 1; a next piece of work begins anew."""

_LISTENERS: list[Listener] = []


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Call `listener` during the block, from whatever thread tells of headway."""
    _LISTENERS.append(listener)
    try:
        yield
    finally:
        _LISTENERS.remove(listener)


def tell(doing: str, share: float) -> None:
    """Say how far the work is."""
    for listener in tuple(_LISTENERS):
        listener(doing, share)
