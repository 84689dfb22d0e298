"""Which nodes of a graph are converted to half precision, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ocrdeploy.errors import unknown
from ocrdeploy.onnxgraph import precision_slots as slots
from ocrdeploy.onnxgraph.precision_forms import Form
from ocrdeploy.onnxgraph.precision_scopes import Scope
from ocrdeploy.onnxgraph.precision_slots import Slots, Want

FILLS = {"ConstantOfShape", "Expand", "Constant"}
"""Operators that make a tensor of a shape, which is no part of computing a shape."""

MARGIN = 4.0
"""By how much the largest number of a precision is to be larger than what was measured: other pictures give other numbers."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is known beforehand: nodes and operators to keep; of tensors the largest |number|, and what rounding loses."""

    keep: Sequence[str]
    ranges: Mapping[str, float]
    losses: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Decisions:
    """What every node takes and gives, by its name, and why nodes stay in fp32 that compute with pictures."""

    slots: Mapping[str, Slots]
    kept: Mapping[str, str]


def decide(top: Scope, form: Form, versions: Mapping[str, int], wishes: Wishes) -> Decisions:
    """Decide for every node of a model. Raises `UnknownName` for a name to keep that there is not."""
    nodes = list(_nodes(top))
    _require_known(wishes.keep, [node for node, _ in nodes])
    settled = _settled(top)
    every: dict[str, Slots] = {}
    kept: dict[str, str] = {}
    judge = _Judge(form, wishes)
    for node, scope in nodes:
        found = slots.half(node, scope, form, versions)
        if all((id(scope), name) in settled for name in node.output):
            every[node.name] = slots.single(node, scope)
            continue
        why = judge.why(node, scope, found) if found.concerned and not scope.inner[node.name] else ""
        every[node.name] = slots.single(node, scope) if why else found
        if why:
            kept[node.name] = why
    return Decisions(every, kept)


def _nodes(top: Scope) -> Iterator[tuple[Any, Scope]]:
    for scope in top.every():
        for node in scope.graph.node:
            yield node, scope


def _require_known(keep: Sequence[str], nodes: Sequence[Any]) -> None:
    """Raise for a name that is neither a node's nor an operator's: who misspells one would not notice."""
    from onnx import defs

    operators = {schema.name for schema in defs.get_all_schemas()} | {node.op_type for node in nodes}
    names = {node.name for node in nodes}
    for each in keep:
        if each not in operators | names:
            fix = "use a node's name, or an operator's (ocrd inspect lists them)"
            raise unknown("node or operator", each, names | {node.op_type for node in nodes}, fix)


def _settled(top: Scope) -> set[tuple[int, str]]:
    """Return the tensors that are computed from weights and shapes only, as (id of the scope, name).

    They are small and exact: half precision counts to 2048. Above all they become sizes.
    """
    found: set[tuple[int, str]] = set()

    def is_settled(scope: Scope, name: str) -> bool:
        owner = scope.owner(name)
        return owner is not None and (name in owner.constants or (id(owner), name) in found)

    for node, scope in _nodes(top):
        taken = [name for name in node.input if name]
        known = bool(taken) and all(is_settled(scope, name) for name in taken)
        if node.op_type in slots.LOOKS or (known and node.op_type not in FILLS and not scope.inner[node.name]):
            found.update((id(scope), name) for name in node.output)
    return found


class _Judge:
    """Why a node that could be converted is not."""

    def __init__(self, form: Form, wishes: Wishes) -> None:
        self._form, self._wishes = form, wishes
        self._weights: dict[tuple[int, str], str] = {}

    def why(self, node: Any, scope: Scope, found: Slots) -> str:
        """Return the reason, or ''."""
        if {node.name, node.op_type} & {*self._wishes.keep}:
            return "asked"
        if found.why:
            return found.why
        taken = [name for name, want in zip(node.input, found.inputs, strict=True) if want is Want.HALF]
        given = [name for name, want in zip(node.output, found.outputs, strict=True) if want is Want.HALF]
        weights = filter(None, (self._weight(scope, name) for name in taken))
        tensors = filter(None, (self._tensor(name) for name in (*given, *taken)))
        return next(weights, "") or next(tensors, "")

    def _tensor(self, name: str) -> str:
        largest = self._wishes.ranges.get(name, 0.0)
        if not largest * MARGIN <= self._form.largest and self._form.precision == "fp16":
            return f"range {largest:.1e}".replace("e+0", "e")
        lost = self._wishes.losses.get(name, 0.0)
        return f"loses {lost:.1%}" if lost > self._form.worst_loss else ""

    def _weight(self, scope: Scope, name: str) -> str:
        owner = scope.owner(name)
        tensor = owner.constants.get(name) if owner else None
        if owner is None or tensor is None:
            return ""
        key = id(owner), name
        if key not in self._weights:
            self._weights[key] = self._of_weight(tensor)
        return self._weights[key]

    def _of_weight(self, tensor: Any) -> str:
        from onnx import numpy_helper

        values = numpy_helper.to_array(tensor)
        finite = np.abs(values[np.isfinite(values)])
        largest = float(finite.max()) if finite.size else 0.0
        if largest > self._form.largest:
            return f"range {largest:.1e} of its weights".replace("e+0", "e")
        lost = self._form.loss(values)
        return f"loses {lost:.1%} of its weights" if lost > self._form.worst_loss else ""
