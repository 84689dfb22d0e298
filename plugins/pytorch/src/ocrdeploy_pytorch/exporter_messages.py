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
    loggers = [logging.getLogger(name) for name in TALKERS]
    before = [(logger.handlers, logger.propagate) for logger in loggers]
    with overheard(_say), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for logger in loggers:
            # Theirs write to standard error by themselves.
            logger.handlers, logger.propagate = [_PassOn()], False
        try:
            yield
        finally:
            for logger, (handlers, propagate) in zip(loggers, before, strict=True):
                logger.handlers, logger.propagate = handlers, propagate
            for each in caught:
                _say(f"{each.category.__name__}: {each.message}")


def _say(text: str) -> None:
    if said := " ".join(text.split()):
        _LOG.info("%s", said)
