"""The command that does here what a call of a tool did, and what became of each parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ocrdeploy.migration import arguments, shell
from ocrdeploy.migration.arguments import Arguments
from ocrdeploy.migration.becoming import Becomes
from ocrdeploy.migration.deploy_test import deploy_test
from ocrdeploy.migration.invocation import Invocation
from ocrdeploy.migration.onnx2tensorrt import onnx2tensorrt
from ocrdeploy.migration.pytorch2onnx import pytorch2onnx
from ocrdeploy.migration.tools import DEPLOY_TEST, ONNX2TENSORRT, PYTORCH2ONNX, Parameter

_TRANSLATORS: Mapping[str, Callable[[Arguments], Mapping[str, Becomes]]] = {
    PYTORCH2ONNX.name: pytorch2onnx,
    ONNX2TENSORRT.name: onnx2tensorrt,
    DEPLOY_TEST.name: deploy_test,
}


@dataclass(frozen=True, slots=True)
class Translation:
    """`ocrd VERB ...` as words, the environment that it needs, and a sentence for each parameter of the tool."""

    words: tuple[str, ...]
    notes: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def verb(self) -> str:
        """The command of `ocrd`."""
        return self.words[1]

    def __str__(self) -> str:
        """Return the line for a shell."""
        assigned = (f"{name}={shell.quoted(value)}" for name, value in self.environment.items())
        return " ".join((*assigned, shell.line(self.words)))


def translate(invocation: Invocation) -> Translation:
    """Return what does here what the call did. Raises `BadInput` for a call that the tool would have refused."""
    given = arguments.read(invocation.tool, invocation.arguments)
    became = _TRANSLATORS[invocation.tool.name](given)
    words = sorted((each.words for each in became.values() if each.words), key=lambda words: words[0].startswith("-"))
    return Translation(
        ("ocrd", invocation.tool.verb, *(word for each in words for word in each)),
        (*_left_out(invocation), *_notes(given, became)),
        invocation.environment,
    )


def _left_out(invocation: Invocation) -> Iterator[str]:
    if invocation.left_out:
        yield f"left out: {shell.line(invocation.left_out)}"


def _notes(given: Arguments, became: Mapping[str, Becomes]) -> Iterator[str]:
    for parameter in given.tool.parameters:
        its = became[parameter.name]
        if its.words or parameter.name in given.given:
            yield _note(_shown(parameter, given), its, parameter.remark)
    yield from (_note(name, its, "") for name, its in became.items() if name not in given.values)


def _note(shown: str, its: Becomes, remark: str) -> str:
    remarks = "; ".join(part for part in (remark, its.remark) if part)
    return f"{shown}: {shell.line(its.words) or 'nothing'}" + (f" ({remarks})" if remarks else "")


def _shown(parameter: Parameter, given: Arguments) -> str:
    """Return a parameter as it was given, or that it was not, with the value that the tool took then."""
    value = "" if parameter.flag else _written(given[parameter.name])
    if parameter.name in given.given:
        return f"{parameter.name} {value}".strip()
    return f"{parameter.name}, not given" + (f", was {value}" if value else "")


def _written(value: Any) -> str:
    values = value if isinstance(value, list | tuple) else [value]
    return "" if value is None else shell.line(map(str, values))
