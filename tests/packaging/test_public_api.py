"""The public API is what public_api.txt says: a change to it is made on purpose, and seen in review.

    python tests/packaging/test_public_api.py --update

writes the listing anew. docs/stability.md says which changes are allowed when.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import enum
import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

MODULES = (
    "ocrdeploy",
    "ocrdeploy.vocabulary",
    "ocrdeploy.errors",
    "ocrdeploy.hookspecs",
    "ocrdeploy.cores",
    "ocrdeploy.testing.networks",
)
LISTING = Path(__file__).with_name("public_api.txt")
UPDATE = "python tests/packaging/test_public_api.py --update"


def public(module: ModuleType) -> Iterator[tuple[str, Any, str]]:
    """Every name that a module offers, with its value and the source of that where it is assigned.

    Those are the names of `__all__`, else those that the module defines itself and that are not private.
    """
    sources = defined(module)
    names = getattr(module, "__all__", None) or [name for name in sources if not name.startswith("_")]
    yield from ((name, getattr(module, name), sources.get(name, "")) for name in sorted(names))


def defined(module: ModuleType) -> dict[str, str]:
    """Return what a module defines by a statement of its own at the top level, and from what; what it imports is another's."""
    found = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found[node.name] = ""
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            found[node.target.id] = ast.unparse(node.value)
        elif isinstance(node, ast.Assign):
            found.update({target.id: ast.unparse(node.value) for target in node.targets if isinstance(target, ast.Name)})
    return found


def described(name: str, value: Any, source: str) -> Iterator[str]:
    """Yield the lines of one name: its kind, and what a caller relies on."""
    if inspect.isclass(value):
        yield f"class {name}({', '.join(base.__name__ for base in value.__bases__)})"
        yield from (f"    {line}" for line in of_class(value))
    elif inspect.isfunction(value):
        yield f"def {name}{signature(value)}"
    elif source and not name.startswith("__"):
        yield f"{name} = {source}"
    else:
        yield f"{name}: {type(value).__name__}"


def of_class(value: type) -> Iterator[str]:
    if issubclass(value, enum.Enum):
        yield from (f"{member.name} = {member.value!r}" for member in value)
        return
    if dataclasses.is_dataclass(value):
        yield from (field(each) for each in dataclasses.fields(value))
    elif "__init__" in vars(value) and not getattr(value, "_is_protocol", False):
        yield f"def __init__{signature(value.__init__)}"
    for name, member in sorted(vars(value).items()):
        if isinstance(member, property) and member.fget:
            yield f"property {name} -> {member.fget.__annotations__.get('return')}"
        elif inspect.isfunction(member) and not name.startswith("_"):
            yield f"def {name}{signature(member)}"


def field(each: dataclasses.Field[Any]) -> str:
    if each.default is not dataclasses.MISSING:
        return f"{each.name}: {each.type} = {each.default!r}"
    factory = each.default_factory
    return f"{each.name}: {each.type}" + ("" if factory is dataclasses.MISSING else f" = {getattr(factory, '__name__', '?')}()")


def signature(function: Any) -> str:
    found = inspect.signature(function)
    parameters = ", ".join(parameter(each) for each in found.parameters.values())
    back = "" if found.return_annotation is found.empty else f" -> {found.return_annotation}"
    return f"({parameters}){back}"


def parameter(each: inspect.Parameter) -> str:
    marks: dict[object, str] = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}
    mark = marks.get(each.kind, "")
    kind = " (keyword)" if each.kind is each.KEYWORD_ONLY else ""
    annotation = "" if each.annotation is each.empty else f": {each.annotation}"
    default = "" if each.default is each.empty else f" = {each.default!r}"
    return f"{mark}{each.name}{kind}{annotation}{default}"


def listing() -> str:
    lines = []
    for name in MODULES:
        lines.append(f"# {name}")
        for each, value, source in public(importlib.import_module(name)):
            lines += described(each, value, source)
        lines.append("")
    return "\n".join(lines)


def test_the_public_api_is_the_recorded_one() -> None:
    recorded, found = LISTING.read_text(encoding="utf-8"), listing()
    difference = "\n".join(difflib.unified_diff(recorded.splitlines(), found.splitlines(), "recorded", "found", lineterm="", n=1))
    assert not difference, f"the public API has changed; if that is meant, see docs/stability.md and run: {UPDATE}\n{difference}"


def test_the_listing_has_what_plugins_and_users_rely_on() -> None:
    text = LISTING.read_text(encoding="utf-8")
    for part in (
        "class Reader(",
        "class OcrdError(Exception)",
        "class BackendInfo(object)\n    name: str\n    runs: tuple[str, ...]\n",
        "def ocrd_infer(model: ModelSpec, artifact: Artifact, options: InferOptions) -> Session",
        "CONTRACT = 1",
    ):
        assert part in text


if __name__ == "__main__":
    if sys.argv[1:] == ["--update"]:
        LISTING.write_text(listing(), encoding="utf-8")
    else:
        sys.stdout.write(listing())
