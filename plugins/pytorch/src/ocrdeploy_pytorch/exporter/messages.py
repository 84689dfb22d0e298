"""What PyTorch's exporters say while they work: for those who ask with -v, and nothing for standard output."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from ocrdeploy.overhearing import overheard

_LOG = logging.getLogger(__name__)

TALKERS = ("torch", "onnxscript", "onnx_ir")
"""The loggers whose messages, warnings too, concern the makers of an exporter more than its users."""


class _PassOn(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _say(record.getMessage())


@contextmanager
def overhearing() -> Iterator[None]:
    """Turn warnings, prints and log messages of the exporters inside the block into log messages of level INFO."""
    with overheard(_say), warnings.catch_warnings(record=True) as caught, _redirected(_PassOn()):
        warnings.simplefilter("default")
        try:
            yield
        finally:
            for each in caught:
                _say(f"{each.category.__name__}: {each.message}")


@contextmanager
def _redirected(handler: logging.Handler) -> Iterator[None]:
    """Let `handler` have what the talkers log. PyTorch gives dozens of loggers a handler each that writes to standard error."""
    talkers = [logging.getLogger(name) for name in TALKERS]
    loggers = [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    spoken = [each for each in loggers if each in talkers or (each.handlers and each.name.startswith(("torch.", "onnxscript.")))]
    before = [(each, each.handlers, each.propagate) for each in spoken]
    for each in spoken:
        each.handlers, each.propagate = ([handler], False) if each in talkers else ([], True)
    try:
        yield
    finally:
        for each, handlers, propagate in before:
            each.handlers, each.propagate = handlers, propagate


def _say(text: str) -> None:
    if said := " ".join(text.split()):
        _LOG.info("%s", said)
