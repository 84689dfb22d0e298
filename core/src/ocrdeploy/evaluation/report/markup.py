"""HTML and SVG that is safe by the way it is made: what is not markup already is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable

from ocrdeploy.evaluation.report import wording

_VOID = frozenset({"meta", "link", "wbr"})


class Markup(str):
    """A piece of markup; any other string is text."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: str | float | bool | None) -> Markup:
    """Return an element. An attribute's underscores are hyphens, one at its end is dropped; None and False leave it out."""
    opening = name + "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{opening}>")
    return Markup(f"<{opening}>{join(children)}</{name}>")


def join(parts: Iterable[str]) -> Markup:
    """Return parts one after the other; those that are text are escaped."""
    return Markup("".join(part if isinstance(part, Markup) else escape(part) for part in parts))


def escape(text: str) -> Markup:
    """Return text as markup: no character of it is markup, none steers the browser, and all can be encoded."""
    return Markup(html.escape(wording.visible(text), quote=True))


def raw(text: str) -> Markup:
    """Return text of our own, a style sheet or a script, that is markup as it stands."""
    assert "</" not in text
    return Markup(text)


def _attribute(key: str, value: str | float | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    return f' {name}="{escape(number(value) if isinstance(value, int | float) else value)}"'


def number(value: float) -> str:
    """Return a coordinate in as few characters as it needs."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def percent(share: float) -> str:
    """Return a share as a length in percent."""
    return f"{number(100 * share)}%"
