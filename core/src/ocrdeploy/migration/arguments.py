"""A tool's arguments, read as `argparse` read them in the tool: shortened options, `--option=value` and all."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from ocrdeploy.errors import BadInput
from ocrdeploy.migration.tools import Parameter, Tool


@dataclass(frozen=True, slots=True)
class Arguments:
    """The value of every parameter of `tool`, by its name, and the names of those that were given."""

    tool: Tool
    values: Mapping[str, Any]
    given: frozenset[str]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


class _Parser(ArgumentParser):
    """Raises what the tool would have ended with."""

    def __init__(self, tool: Tool) -> None:
        super().__init__(prog=f"{tool.name}.py", add_help=False, argument_default=SUPPRESS)
        self._tool = tool
        for parameter in tool.parameters:
            self.add_argument(parameter.name, **_settings(parameter))

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{self._tool.name}.py would not take this: {message}", f"its form was: {self._tool.usage}")


def _settings(parameter: Parameter) -> dict[str, Any]:
    """Return how `argparse` was told of a parameter, but that its value has the parameter's own name."""
    settings: dict[str, Any] = {} if parameter.positional else {"dest": parameter.name}
    if parameter.flag:
        return settings | {"action": "store_true", "default": SUPPRESS}
    return settings | {"type": parameter.kind, "nargs": parameter.count, "choices": parameter.choices or None}


def read(tool: Tool, words: Sequence[str]) -> Arguments:
    """Read the words after the tool's name. Raises `BadInput` for what the tool would have refused, saying so, and its form."""
    given = vars(_Parser(tool).parse_args(list(words)))
    return Arguments(tool, {**{each.name: each.default for each in tool.parameters}, **given}, frozenset(given))
