"""ocrdeploy: deploy text detectors and recognizers.

`from ocrdeploy import Reader` reads pictures; plugins import `hookimpl`, the nouns of `ocrdeploy.vocabulary` and the errors.
Names are loaded when they are first used, so that `import ocrdeploy` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ocrdeploy.errors import BadInput, BadPlugin, OcrdError, Unavailable, UnknownName
    from ocrdeploy.hookspecs import hookimpl
    from ocrdeploy.page import Page
    from ocrdeploy.reader import Reader

__all__ = ["BadInput", "BadPlugin", "OcrdError", "Page", "Reader", "Unavailable", "UnknownName", "__version__", "hookimpl"]

_HOME = {
    "BadInput": "errors",
    "BadPlugin": "errors",
    "OcrdError": "errors",
    "Page": "page",
    "Reader": "reader",
    "Unavailable": "errors",
    "UnknownName": "errors",
    "hookimpl": "hookspecs",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        message = f"module 'ocrdeploy' has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module

    return getattr(import_module(f"ocrdeploy.{_HOME[name]}"), name)
