"""The constructs of Python that a config is read from: what the others are called, and the one with a meaning of its own."""

from __future__ import annotations

import ast
from collections.abc import Mapping

CALLED: Mapping[type[ast.AST], str] = {
    ast.Import: "an import",
    ast.ImportFrom: "an import",
    ast.FunctionDef: "a function",
    ast.AsyncFunctionDef: "a function",
    ast.ClassDef: "a class",
    ast.Lambda: "a lambda",
    ast.Call: "a call",
    ast.Attribute: "an attribute",
    ast.ListComp: "a comprehension",
    ast.SetComp: "a comprehension",
    ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a comprehension",
    ast.JoinedStr: "an f-string of more than plain names",
    ast.NamedExpr: "an assignment inside an expression",
    ast.AugAssign: "an assignment with an operator",
    ast.AnnAssign: "an annotation",
    ast.IfExp: "a condition",
    ast.If: "a condition",
    ast.For: "a loop",
    ast.While: "a loop",
    ast.Compare: "a comparison",
    ast.BoolOp: "a logical operator",
    ast.Slice: "a slice",
    ast.With: "a with statement",
    ast.Try: "a try statement",
    ast.Delete: "a del statement",
    ast.Assert: "an assert statement",
    ast.Raise: "a raise statement",
    ast.Global: "a global statement",
    ast.Match: "a match statement",
    ast.Yield: "a yield",
    ast.YieldFrom: "a yield",
    ast.Await: "an await",
    ast.Expr: "an expression that is not assigned to a name",
    ast.Starred: "a star in front of a value",
}
"""What a complaint calls a construct that is not allowed."""


def called(node: ast.AST) -> str:
    """Return the words for a construct."""
    if isinstance(node, ast.Attribute) and _base_keys_of(node):
        return "_base_... without two pairs of braces around it"
    return CALLED.get(type(node), f"a part of the kind {type(node).__name__}")


def base_keys(node: ast.Set) -> tuple[str, ...]:
    """Return ('a', 'b') for `{{ _base_.a.b }}`, which Python reads as a set that holds a set, else ()."""
    match node:
        case ast.Set(elts=[ast.Set(elts=[ast.Attribute() as chain])]):
            return _base_keys_of(chain)
    return ()


def _base_keys_of(chain: ast.Attribute) -> tuple[str, ...]:
    keys: list[str] = []
    node: ast.expr = chain
    while isinstance(node, ast.Attribute):
        keys.append(node.attr)
        node = node.value
    return tuple(reversed(keys)) if isinstance(node, ast.Name) and node.id == "_base_" else ()
