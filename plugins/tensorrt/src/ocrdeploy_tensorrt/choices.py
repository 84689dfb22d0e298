"""The backend's options that concern an open session, which `--backend-option KEY=VALUE` sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ocrdeploy.errors import BadInput, unknown

_CHOICES = {
    # A graph is recorded for the first shapes that come twice; a number says how many.
    "cuda_graph": ("off", "on"),
    # What to do with a picture that is larger than the engine's profile.
    "oversize": ("refuse", "tile"),
    # An engine is code that runs with the rights of the user.
    "trust_engine": ("no", "yes"),
}
OPTIONS = tuple(_CHOICES)
"""The keys; the first of each one's values is the default."""

GRAPHS = 8
"""How many shapes are recorded with `cuda_graph=on`: each has a context with the engine's working memory."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a session is opened. `graphs` is for how many shapes a CUDA graph may be recorded."""

    graphs: int = 0
    tile: bool = False
    trusted: bool = False


def chosen(extra: Mapping[str, str]) -> Settings:
    """Return the settings of a session; options that are the builder's are passed over. Raises `OcrdError` for bad values."""
    words = {key: extra.get(key, values[0]).lower() for key, values in _CHOICES.items()}
    number = words["cuda_graph"]
    if number.isdecimal():
        words["cuda_graph"] = "on" if int(number) else "off"
    for key, value in words.items():
        if value not in _CHOICES[key]:
            raise unknown("backend option", f"{key}={value}", [f"{key}={each}" for each in _CHOICES[key]])
    graphs = (int(number) if number.isdecimal() else GRAPHS) if words["cuda_graph"] == "on" else 0
    if graphs > _MOST:
        raise BadInput(f"{graphs} CUDA graphs are too many", f"use cuda_graph=N with N up to {_MOST}")
    return Settings(graphs, words["oversize"] == "tile", words["trust_engine"] == "yes")


_MOST = 256
