"""Where in a command line a tool is called, with what, and what stands before it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ocrdeploy.errors import BadInput
from ocrdeploy.migration import shell
from ocrdeploy.migration.tools import TOOLS, Tool

_TOOL = re.compile(rf"(?:.*[/\\.])?({'|'.join(TOOLS)})(?:\.py)?")
"""A path to a tool, a module's dotted name (`python -m`), or the name alone (`mim run mmocr NAME`)."""

_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_INTERPRETER = re.compile(r"(?:.*[/\\])?(?:python[\d.]*(?:\.exe)?|mim)")
_OF_NO_WEIGHT = {"$", ">", "env", "time", "nohup"}
_FOR_MMOCR_ONLY = {"PYTHONPATH"}

FIX = f"give a command that runs one of {', '.join(f'{name}.py' for name in TOOLS)}"


@dataclass(frozen=True, slots=True)
class Invocation:
    """A call of `tool`: its arguments, the environment variables set for it alone, and the words before it that do not count."""

    tool: Tool
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    left_out: tuple[str, ...] = ()


def of_text(text: str) -> list[Invocation]:
    """Return every call of a tool in lines of a shell, in order. Raises `BadInput` where there is none, or a line is no line."""
    found = [invocation for words in shell.commands(text) if (invocation := _of_command(words))]
    if not found:
        raise BadInput(f"{_shortened(text)} calls none of MMOCR's deployment tools", FIX)
    return found


def of_words(words: Sequence[str]) -> Invocation:
    """Return the call of a tool in the words of one command. Raises `BadInput` where there is none."""
    found = _of_command(words)
    if found is None:
        raise BadInput(f"{_shortened(shell.line(words))} calls none of MMOCR's deployment tools", FIX)
    return found


def _of_command(words: Sequence[str]) -> Invocation | None:
    for index, word in enumerate(words):
        if not _ASSIGNMENT.fullmatch(word) and (match := _TOOL.fullmatch(word)):
            before = words[:index]
            assigned = {each[1]: each[2] for each in map(_ASSIGNMENT.fullmatch, before) if each}
            environment = {name: value for name, value in assigned.items() if name not in _FOR_MMOCR_ONLY}
            return Invocation(TOOLS[match[1]], tuple(words[index + 1 :]), environment, _left_out(before))
    return None


def _left_out(before: Sequence[str]) -> tuple[str, ...]:
    """Return the words before the tool that do something else than start Python."""
    interpreter = next((index for index, word in enumerate(before) if _INTERPRETER.fullmatch(word)), len(before))
    return tuple(
        word
        for word in before[:interpreter]
        if word not in _OF_NO_WEIGHT and not ((match := _ASSIGNMENT.fullmatch(word)) and match[1] not in _FOR_MMOCR_ONLY)
    )


def _shortened(text: str) -> str:
    words = " ".join(text.split())
    longest = 80
    return repr(words if len(words) <= longest else f"{words[:longest]}...") if words else "an empty command line"
