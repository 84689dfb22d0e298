"""`ocrd migrate`: the command that does what a command of MMOCR's deployment tools did."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, TextIO

import click

from ocrdeploy.cli import messages
from ocrdeploy.cli.streams import emit, printable, protected_stdout

if TYPE_CHECKING:
    from ocrdeploy.migration.invocation import Invocation

log = logging.getLogger(__name__)

STDIN = "-"

EPILOG = """\b
Examples:
  ocrd migrate 'python tools/deployment/pytorch2onnx.py c.py m.pth det a.jpg'
  ocrd migrate python tools/deployment/deploy_test.py c.py m.onnx det \\
       ONNXRuntime --eval hmean-iou
  ocrd migrate < convert_all.sh"""


@click.command(epilog=EPILOG, context_settings={"allow_interspersed_args": False})
@click.argument("words", metavar="[COMMAND...]", nargs=-1, type=click.UNPROCESSED)
@messages.options
def migrate(words: tuple[str, ...]) -> None:
    """Print the command that does what COMMAND did.

    COMMAND runs pytorch2onnx.py, onnx2tensorrt.py or deploy_test.py of MMOCR 0.x: as one quoted text, which may hold several
    commands, as the words themselves, or on standard input. Nothing is run, and no file of it has to be there.

    Standard output has the commands only, one a line; what became of each parameter is told on standard error. Options of
    'ocrd migrate' itself stand before COMMAND.
    """
    with protected_stdout() as out:
        _migrate(out, _invocations(words))


def _invocations(words: tuple[str, ...]) -> list[Invocation]:
    from ocrdeploy.migration import invocation

    if len(words) > 1:
        return [invocation.of_words(words)]
    if not words and sys.stdin is not None and sys.stdin.isatty():
        raise click.UsageError("the command to translate is missing")
    return invocation.of_text(_standard_input() if words in {(), (STDIN,)} else words[0])


def _standard_input() -> str:
    return "" if sys.stdin is None else sys.stdin.buffer.read().decode("utf-8", "surrogateescape")


def _migrate(out: TextIO, invocations: list[Invocation]) -> None:
    from ocrdeploy.migration.translation import translate

    for each in [translate(invocation) for invocation in invocations]:
        emit(out, printable(str(each)) + "\n")
        for note in each.notes:
            log.log(messages.NOTE, "%s", note)
