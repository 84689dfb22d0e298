"""What goes to standard error: errors with their remedies, and the log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import click

from ocrdeploy.cli.streams import printable

F = TypeVar("F", bound=Callable[..., Any])

NOTE = 25
"""The level of what people should know without asking: between `logging.INFO` (-v) and `logging.WARNING`; -q hides it."""


class _Lines(logging.Formatter):
    """`note: ...`, `warning: ...`, as errors are printed; with --debug also who says it and when."""

    def format(self, record: logging.LogRecord) -> str:
        who = f"{record.relativeCreated:.0f} ms {record.name}: " if debugging() else ""
        return printable(f"{record.levelname.lower()}: {who}{super().format(record)}")


class _StandardError(logging.Handler):
    """Prints to whatever standard error is at the time."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(self.format(record), err=True)


def configure(level: int = NOTE) -> None:
    """Send the log, of plugins too, to standard error from `level` on."""
    logging.addLevelName(NOTE, "NOTE")
    root = logging.getLogger()
    root.setLevel(level)
    if not any(isinstance(handler, _StandardError) for handler in root.handlers):
        handler = _StandardError()
        handler.setFormatter(_Lines())
        root.addHandler(handler)
    logging.getLogger("PIL").setLevel(logging.INFO)  # it tells of every chunk of every picture


def debugging() -> bool:
    """Whether --debug was given."""
    return logging.getLogger().isEnabledFor(logging.DEBUG)


def quiet() -> bool:
    """Whether -q was given."""
    return not logging.getLogger().isEnabledFor(NOTE)


def complain(problem: str, fix: str) -> None:
    """Print an error the one way that errors are printed."""
    for label, text in (("error: ", problem), ("fix:   ", fix)):
        if text:
            click.echo(label + printable(text).replace("\n", "\n       "), err=True)


def trace(error: BaseException) -> None:
    """Print the traceback of `error` if --debug was given."""
    if debugging():
        import traceback

        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)


def _set_level(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        configure({"quiet": logging.ERROR, "verbose": logging.INFO, "debug": logging.DEBUG}[str(param.name)])


def options(command: F) -> F:
    """Give a command -q, -v and --debug, which act at once, so that they hold for what is wrong with other options too."""
    for names, text in (
        (("--debug",), "Say everything, with tracebacks."),
        (("-v", "--verbose"), "Say what is chosen and done."),
        (("-q", "--quiet"), "Say nothing but errors; no progress bar."),
    ):
        command = click.option(*names, is_flag=True, is_eager=True, expose_value=False, callback=_set_level, help=text)(command)
    return command
