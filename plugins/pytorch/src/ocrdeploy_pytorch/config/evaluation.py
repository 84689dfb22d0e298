"""The values that a config's statements give names to, found by walking its syntax tree. Nothing is run.

What is known: literals, dictionaries (also as `dict()`), lists, tuples, sets, unpacking into them, names assigned before,
indexing, arithmetic, joining and repeating, `{{ _base_.name }}`, and three idioms of MMOCR's own configs: f-strings of plain
names, the copy `{key: value for key, value in name.items()}`, and `name['key'] = value` on a dictionary just made.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ocrdeploy_pytorch.config import values as config_values
from ocrdeploy_pytorch.config.constructs import CALLED, base_keys, called
from ocrdeploy_pytorch.config.error import ConfigError, Place, shown
from ocrdeploy_pytorch.config.values import Budget, NotAllowed

Made = TypeVar("Made")

_QUOTED = re.compile(r"\{\{\s*_base_\.")

KEYS = (str, int, float, type(None))
"""What a dictionary's key or a set's member may be."""


@dataclass(frozen=True, slots=True)
class Placeholder:
    """`{{ _base_.a.b }}`: a value of the config's bases, put in when they have been read."""

    keys: tuple[str, ...]
    line: int


@dataclass(slots=True)
class Names:
    """What a config has assigned so far, and on which line. `run` is the way in."""

    file: Path
    budget: Budget
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    unshared: set[str] = field(default_factory=set)
    """Names of dictionaries that nothing else holds: only they may be changed, so that no other value changes with them."""

    def run(self, module: ast.Module) -> None:
        """Take in every statement. Raises `ConfigError` at the first that is not data."""
        for statement in module.body:
            match statement:
                case ast.Expr(value=ast.Constant(value=str())):
                    pass  # a docstring
                case ast.Assign(targets=targets, value=node):
                    value = self._value(node)
                    made_here = len(targets) == 1 and isinstance(node, ast.Dict | ast.Call | ast.DictComp)
                    for target in targets:
                        self._assign(target, value, made_here=made_here)
                case ast.Expr(value=node) if type(node) in CALLED:
                    raise self._refusal(node)
                case _:
                    raise self._refusal(statement)

    def _assign(self, target: ast.expr, value: Any, *, made_here: bool) -> None:
        match target:
            case ast.Name(id="dict"):
                raise self._error(target, "it gives the name dict to something else")
            case ast.Name(id=name):
                self.values[name] = value
                self.lines[name] = target.lineno
                self.unshared.discard(name)
                if made_here:
                    self.unshared.add(name)
            case ast.Subscript(value=ast.Name(id=name), slice=node):
                self._change(target, name, self._key(node), value)
            case _:
                raise self._error(target, f"it assigns to {called(target)}")

    def _change(self, target: ast.expr, name: str, key: Any, value: Any) -> None:
        """Set one key of a dictionary that has a name."""
        old = self._named(target, name)
        if not isinstance(old, dict) or name not in self.unshared:
            raise self._error(
                target,
                f"it changes a part of {shown(name)!r}, which is not a dictionary that was made by itself and not used since",
                "write the value where the dictionary is made",
            )
        self.values[name] = self._made(target, {**old, key: value})

    def _value(self, node: ast.expr) -> Any:
        reader = _READERS.get(type(node))
        if reader is None:
            raise self._refusal(node)
        try:
            return reader(self, node)
        except NotAllowed as error:
            raise self._error(node, f"it {error}") from None

    def _literal(self, node: ast.Constant) -> Any:
        value = config_values.literal(node.value)
        if isinstance(value, str) and _QUOTED.search(value):
            raise NotAllowed("has {{ _base_... }} in quotes, where MMCV does not put the value in")
        self.budget.charge(value)
        return value

    def _name(self, node: ast.Name) -> Any:
        self.unshared.discard(node.id)
        return self._named(node, node.id)

    def _named(self, node: ast.AST, name: str) -> Any:
        if name not in self.values:
            raise self._error(node, f"it uses the name {shown(name)!r}, which it has not assigned before")
        return self.values[name]

    def _borrowed(self, node: ast.expr) -> Any:
        """Return a value of which only parts will be used: a name stays unshared."""
        return self._named(node, node.id) if isinstance(node, ast.Name) else self._value(node)

    def _sequence(self, node: ast.List | ast.Tuple) -> Any:
        items = self._items(node.elts)
        return self._made(node, items if isinstance(node, ast.List) else tuple(items))

    def _set(self, node: ast.Set) -> Any:
        keys = base_keys(node)
        if keys:
            return Placeholder(keys, node.lineno)
        return self._made(node, {self._checked_key(node, item) for item in self._items(node.elts)})

    def _items(self, nodes: list[ast.expr]) -> list[Any]:
        items: list[Any] = []
        for node in nodes:
            if not isinstance(node, ast.Starred):
                items.append(self._value(node))
                continue
            part = self._borrowed(node.value)
            if not isinstance(part, list | tuple):
                raise self._error(node, "it has a star in front of what is no list or tuple")
            self.budget.spend(len(part))
            items.extend(part)
        return items

    def _dictionary(self, node: ast.Dict) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                made.update(self._mapping(value))
            else:
                made[self._key(key)] = self._value(value)
        return self._made(node, made)

    def _call(self, node: ast.Call) -> dict[Any, Any]:
        """Read `dict(...)`: keywords, `**mapping`, and one mapping in front."""
        if not isinstance(node.func, ast.Name) or node.func.id != "dict":
            raise self._refusal(node)
        if len(node.args) > 1 or any(isinstance(part, ast.Starred) for part in node.args):
            raise self._error(node, "it gives dict() more than one mapping")
        made: dict[Any, Any] = dict(self._mapping(node.args[0])) if node.args else {}
        given: set[str] = set()
        for keyword in node.keywords:
            part = {keyword.arg: self._value(keyword.value)} if keyword.arg else self._mapping(keyword.value)
            for key in part:
                if not isinstance(key, str) or key in given:
                    raise self._error(keyword, f"it gives dict() the key {shown(repr(key))}, a second time or not as a text")
                given.add(key)
            made.update(part)
        return self._made(node, made)

    def _mapping(self, node: ast.expr) -> dict[Any, Any]:
        value = self._borrowed(node)
        if not isinstance(value, dict):
            raise self._error(node, "it unpacks what is no dictionary")
        self.budget.spend(len(value))
        return value

    def _copy(self, node: ast.DictComp) -> dict[Any, Any]:
        """Read `{key: value for key, value in name.items()}`, whatever the two are called."""
        match node:
            case ast.DictComp(
                key=ast.Name(id=key),
                value=ast.Name(id=value),
                generators=[
                    ast.comprehension(
                        target=ast.Tuple(elts=[ast.Name(id=first), ast.Name(id=second)]),
                        iter=ast.Call(func=ast.Attribute(value=ast.Name() as name, attr="items"), args=[], keywords=[]),
                        ifs=[],
                        is_async=0,
                    )
                ],
            ) if (key, value) == (first, second) and key != value:
                return self._made(node, dict(self._mapping(name)))
        raise self._refusal(node)

    def _joined(self, node: ast.JoinedStr) -> str:
        """Read an f-string whose braces hold names of texts or whole numbers, and nothing else."""
        parts: list[str] = []
        for part in node.values:
            match part:
                case ast.Constant(value=str() as text):
                    parts.append(text)
                case ast.FormattedValue(value=ast.Name() as name, conversion=-1, format_spec=None):
                    value = self._borrowed(name)
                    if not isinstance(value, str | int) or isinstance(value, bool):
                        raise self._error(node, f"it puts {shown(name.id)!r} into a text, which is no text or whole number")
                    parts.append(str(value))
                case _:
                    raise self._refusal(node)
            self.budget.charge(parts[-1])
        return self._made(node, "".join(parts))

    def _element(self, node: ast.Subscript) -> Any:
        whole, key = self._borrowed(node.value), self._key(node.slice)
        if not isinstance(whole, dict | list | tuple):
            raise self._error(node, "it takes a part out of what is no dictionary, list or tuple")
        try:
            return whole[key]
        except (KeyError, IndexError, TypeError):
            raise self._error(node, f"it takes the part {shown(repr(key))} out of a value that has no such part") from None

    def _binary(self, node: ast.BinOp) -> Any:
        return config_values.binary(type(node.op), self._value(node.left), self._value(node.right), self.budget)

    def _unary(self, node: ast.UnaryOp) -> Any:
        return config_values.signed(type(node.op), self._value(node.operand))

    def _key(self, node: ast.expr) -> Any:
        return self._checked_key(node, self._value(node))

    def _checked_key(self, node: ast.AST, key: Any) -> Any:
        if not isinstance(key, KEYS):
            raise self._error(node, "it has a key that is no text or number")
        return key

    def _made(self, node: ast.AST, value: Made) -> Made:
        try:
            self.budget.charge(value)
        except NotAllowed as error:
            raise self._error(node, f"it {error}") from None
        return value

    def _refusal(self, node: ast.AST) -> ConfigError:
        return self._error(node, f"it has {called(node)}, which is not allowed")

    def _error(self, node: ast.AST, complaint: str, *fix: str) -> ConfigError:
        return Place(self.file, getattr(node, "lineno", 0)).error(complaint, *fix)


_READERS: Mapping[type[ast.expr], Callable[[Names, Any], Any]] = {
    ast.Constant: Names._literal,  # noqa: SLF001 - the table belongs to the class, and stands below it because it needs it
    ast.Name: Names._name,  # noqa: SLF001
    ast.List: Names._sequence,  # noqa: SLF001
    ast.Tuple: Names._sequence,  # noqa: SLF001
    ast.Set: Names._set,  # noqa: SLF001
    ast.Dict: Names._dictionary,  # noqa: SLF001
    ast.Call: Names._call,  # noqa: SLF001
    ast.DictComp: Names._copy,  # noqa: SLF001
    ast.JoinedStr: Names._joined,  # noqa: SLF001
    ast.Subscript: Names._element,  # noqa: SLF001
    ast.BinOp: Names._binary,  # noqa: SLF001
    ast.UnaryOp: Names._unary,  # noqa: SLF001
}
