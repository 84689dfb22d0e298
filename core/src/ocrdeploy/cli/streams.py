"""Standard output belongs to the command: whatever plugins and runtimes print meanwhile goes to standard error."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import sys
from collections.abc import Iterator
from typing import TextIO

from ocrdeploy.errors import OcrdError

SURROGATE = re.compile("[\ud800-\udfff]")
"""What no encoder takes. Python puts U+DC00 + N into a file's name for a byte N that is not UTF-8."""


@contextlib.contextmanager
def protected_stdout() -> Iterator[TextIO]:
    """Yield the stream for the command's own output; until the end, what others print, from Python or C, is standard error's."""
    own = sys.stdout
    with contextlib.ExitStack() as stack:
        if own is None:  # started with standard output closed
            own = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123 - os.devnull is no path of ours
        elif _is_descriptor_1(own):
            own = stack.enter_context(_moved(own))
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        yield own


def emit(out: TextIO, text: str) -> None:
    """Write a piece of the command's output, all the way. Raises `OcrdError` where there is no room; a closed pipe passes."""
    try:
        out.write(text)
        out.flush()
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        raise OcrdError(f"cannot write to standard output: {error.strerror}", "send it to a place that has room") from error


def terminal_columns(stream: TextIO) -> int:
    """Return how wide the terminal is that `stream` goes to; 0 where it is none."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 0


def give_up_stdout() -> None:
    """Let what libraries hold back, or print while the process ends, go to standard error: the command has said its say."""
    with contextlib.suppress(OSError, AttributeError):
        sys.stdout.flush()
        os.dup2(_where_others_print(), 1)


def _is_descriptor_1(stream: TextIO) -> bool:
    try:
        return stream.fileno() == 1
    except (OSError, ValueError):
        return False


@contextlib.contextmanager
def _moved(stdout: TextIO) -> Iterator[TextIO]:
    """Let descriptor 1 be standard error, and yield a stream to where it went before."""
    stdout.flush()
    saved = os.dup(1)
    os.dup2(_where_others_print(), 1)
    own = os.fdopen(saved, "w", encoding=stdout.encoding, errors="backslashreplace")
    try:
        yield own
    finally:
        stdout.flush()  # what it holds by now, others have printed
        os.dup2(saved, 1)
        with contextlib.suppress(OSError):  # what could not be written was complained of when it was
            own.close()


def _where_others_print() -> int:
    try:
        os.fstat(2)
    except OSError:  # started with standard error closed
        return os.open(os.devnull, os.O_WRONLY)
    return 2


def printable(text: str, backslash: str = "\\") -> str:
    """Return `text` as it can be printed anywhere: a byte of a file name that is not UTF-8 stands as an escape."""
    return SURROGATE.sub(lambda found: backslash + _escaped(ord(found[0])), text)


def _escaped(code: int) -> str:
    byte = code - 0xDC00
    return f"x{byte:02x}" if byte in range(0x80, 0x100) else f"u{code:04x}"


def json_text(value: object, *, indent: int | None = None) -> str:
    """Return `value` as JSON that is valid UTF-8, whatever file names are in it."""
    return printable(json.dumps(value, ensure_ascii=False, indent=indent), backslash="\\\\")
