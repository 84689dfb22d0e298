"""The decided graph is written: types changed, weights rounded, and a Cast where a tensor passes from one precision to the other.

A tensor has a home, the precision in which its node gives it. Who wants it in the other takes it from one Cast, which stands
right behind that node, for all who want it. Inputs and outputs of graphs stay in fp32.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ocrdeploy.onnxgraph.precision_decisions import Decisions
from ocrdeploy.onnxgraph.precision_forms import Form
from ocrdeploy.onnxgraph.precision_scopes import Scope
from ocrdeploy.onnxgraph.precision_slots import FLOAT, FOLLOWS, Want

MOVES = {"Identity", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Slice", "Gather", "Split", "Tile"}
"""Operators that carry numbers elsewhere unchanged: what comes in fp32 out of a node that stays in it is carried in fp32."""


@dataclass(slots=True, eq=False)
class _Tensors:
    """The float32 tensors of one scope: their homes, the names under which each precision is had, and new nodes and weights."""

    scope: Scope
    homes: dict[str, Want] = field(default_factory=dict)
    names: dict[tuple[str, Want], str] = field(default_factory=dict)
    wanted: dict[str, set[Want]] = field(default_factory=dict)
    casts: dict[str, list[Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rewritten:
    """How many weights were rounded to half precision, and how many of them, not zero before, became zero."""

    weights: int
    vanished: int


def rewrite(top: Scope, decisions: Decisions, form: Form) -> Rewritten:
    """Convert the graphs of a model as decided, in place."""
    return _Rewriter(top, decisions, form).run()


class _Rewriter:
    def __init__(self, top: Scope, decisions: Decisions, form: Form) -> None:
        self._top, self._form = top, form
        self._slots = dict(decisions.slots)
        self._tensors = {id(scope): _Tensors(scope) for scope in top.every()}
        self._used = {name for scope in top.every() for name in _names(scope)}
        self._before: Mapping[str, str] = {}
        self._weights = self._vanished = 0

    def run(self) -> Rewritten:
        self._spare_casts()
        for scope in self._top.every():
            self._find_homes(scope)
        for scope in self._top.every():
            self._note_wants(scope)
        for scope in self._top.every():
            self._name_tensors(scope)
        self._before = {made: name for each in self._tensors.values() for (name, _), made in each.names.items()}
        for scope in self._top.every():
            self._connect(scope)
        # The innermost first: what stands around them is copied with them.
        for scope in reversed([*self._top.every()]):
            self._finish(scope)
        return Rewritten(self._weights, self._vanished)

    def _spare_casts(self) -> None:
        """Let what casts and fills answer in fp32 where only nodes that stay in it ask."""
        nodes = [(scope, node) for scope in self._top.every() for node in scope.graph.node]
        wanted = {
            (id(scope.owner(name)), name) for scope, node in nodes for _, name, want in self._takes(node) if want is Want.HALF
        }
        for scope, node in nodes:
            if node.op_type in FOLLOWS and not any((id(scope), name) in wanted for name in node.output):
                slots = self._slots[node.name]
                self._slots[node.name] = type(slots)(slots.inputs, _in_single(slots.outputs))

    def _find_homes(self, scope: Scope) -> None:
        homes = self._tensors[id(scope)].homes
        made = {name for node in scope.graph.node for name in node.output}
        homes.update({name: Want.SINGLE for name, kind in scope.kinds.items() if kind == FLOAT and name not in scope.constants})
        for node in scope.graph.node:
            slots = self._slots[node.name]
            if node.op_type in MOVES and node.input[0] in made and homes.get(node.input[0]) is Want.SINGLE:
                slots = type(slots)(_in_single(slots.inputs), _in_single(slots.outputs))
                self._slots[node.name] = slots
            homes.update({name: want for name, want in zip(node.output, slots.outputs, strict=True) if want is Want.HALF})

    def _takes(self, node: Any) -> Iterator[tuple[int, str, Want]]:
        """Yield the place, name and precision of the tensors that a node takes in a precision of its choice."""
        for place, (name, want) in enumerate(zip(node.input, self._slots[node.name].inputs, strict=True)):
            if want in {Want.SINGLE, Want.HALF}:
                yield place, name, want

    def _note_wants(self, scope: Scope) -> None:
        """Write down in which precisions each tensor is taken."""
        for node in scope.graph.node:
            for _, name, want in self._takes(node):
                self._of(scope, name).wanted.setdefault(name, set()).add(want)
        for answer in scope.graph.output:
            if scope.kind(answer.name) == FLOAT:
                self._of(scope, answer.name).wanted.setdefault(answer.name, set()).add(Want.SINGLE)

    def _of(self, scope: Scope, name: str) -> _Tensors:
        owner = scope.owner(name)
        assert owner is not None, name
        return self._tensors[id(owner)]

    def _name_tensors(self, scope: Scope) -> None:
        """Say under which name each precision of a tensor is had. Outputs of the graph keep theirs, in fp32."""
        tensors = self._tensors[id(scope)]
        answers = {answer.name for answer in scope.graph.output}
        for name in scope.constants:
            wants = tensors.wanted.get(name, set())
            tensors.names[name, Want.SINGLE] = name
            tensors.names[name, Want.HALF] = name if wants == {Want.HALF} else self._fresh(name, self._form.precision)
        for name, home in tensors.homes.items():
            single = name if home is Want.SINGLE or name in answers else self._fresh(name, "fp32")
            half = name if home is Want.HALF and name not in answers else self._fresh(name, self._form.precision)
            tensors.names[name, Want.SINGLE], tensors.names[name, Want.HALF] = single, half
            missing = tensors.wanted.get(name, set()) - {home}
            if missing:
                self._cast(tensors, name, home, missing.pop())

    def _fresh(self, name: str, suffix: str) -> str:
        made = f"{name}.{suffix}"
        while made in self._used:
            made += "_"
        self._used.add(made)
        return made

    def _cast(self, tensors: _Tensors, name: str, home: Want, wanted: Want) -> None:
        from onnx import helper

        target = self._form.element if wanted is Want.HALF else FLOAT
        source, made = tensors.names[name, home], tensors.names[name, wanted]
        node = helper.make_node("Cast", [source], [made], name=self._fresh(name, f"to-{wanted.value}"), to=target)
        tensors.casts.setdefault(name, []).append(node)

    def _connect(self, scope: Scope) -> None:
        """Let every node take and give its tensors under the names that they have now."""
        tensors = self._tensors[id(scope)]
        for node in scope.graph.node:
            slots = self._slots[node.name]
            for place, (name, want) in enumerate(zip(node.input, slots.inputs, strict=True)):
                if want is Want.EITHER:
                    owner = self._of(scope, name)
                    home = owner.homes.get(name) or _either(owner.wanted.get(name, set()))
                    node.input[place] = owner.names[name, home]
                elif want is not Want.NOT:
                    node.input[place] = self._of(scope, name).names[name, want]
            for place, (name, want) in enumerate(zip(node.output, slots.outputs, strict=True)):
                if want in {Want.SINGLE, Want.HALF}:
                    node.output[place] = tensors.names[name, want]
            if node.op_type in FOLLOWS and Want.HALF in slots.outputs:
                self._retype(node)
        for answer in scope.graph.output:
            if scope.kind(answer.name) == FLOAT:
                answer.name = self._of(scope, answer.name).names[answer.name, Want.SINGLE]

    def _retype(self, node: Any) -> None:
        """Let a Cast or a ConstantOfShape answer in half precision."""
        from onnx import helper, numpy_helper

        if node.op_type == "Cast":
            next(each for each in node.attribute if each.name == "to").i = self._form.element
            return
        given = [numpy_helper.to_array(each.t) for each in node.attribute if each.name == "value"]
        value = given[0] if given else np.zeros(1, np.float32)
        del node.attribute[:]
        node.attribute.append(helper.make_attribute("value", numpy_helper.from_array(self._form.rounded(value))))

    def _finish(self, scope: Scope) -> None:
        """Put the casts behind the nodes, round the weights, and set the types of what was renamed."""
        tensors = self._tensors[id(scope)]
        graph = scope.graph
        homeless = [name for name in tensors.casts if name not in {each for node in graph.node for each in self._gives(node)}]
        order = [cast for name in homeless for cast in tensors.casts[name]]
        for node in graph.node:
            order.append(node)
            order += [cast for name in self._gives(node) for cast in tensors.casts.get(name, ())]
        copies = [type(node).FromString(node.SerializeToString()) for node in order]
        del graph.node[:]
        graph.node.extend(copies)
        self._round_weights(tensors)
        self._set_types(tensors)
        graph.value_info.sort(key=lambda value: value.name)

    def _gives(self, node: Any) -> list[str]:
        """Return the names that a node's tensors had before."""
        return [self._before.get(name, name) for name in node.output]

    def _round_weights(self, tensors: _Tensors) -> None:
        from onnx import numpy_helper

        graph = tensors.scope.graph
        for name, tensor in tensors.scope.constants.items():
            if tensor.data_type != FLOAT or Want.HALF not in tensors.wanted.get(name, set()):
                continue
            values = numpy_helper.to_array(tensor)
            rounded = self._form.rounded(values)
            self._weights += values.size
            self._vanished += int(((values != 0) & (rounded == 0)).sum())
            made = numpy_helper.from_array(rounded, tensors.names[name, Want.HALF])
            if made.name == name:
                tensor.CopyFrom(made)
            else:
                graph.initializer.append(made)

    def _set_types(self, tensors: _Tensors) -> None:
        """Describe the tensors that lie between the nodes by their new types."""
        graph = tensors.scope.graph
        answers = {each.name for each in graph.output}
        known = {each.name: each for each in (*graph.value_info, *graph.output, *graph.input)}
        made = []
        for name, home in tensors.homes.items():
            for want in sorted({home, *tensors.wanted.get(name, set())} - {Want.EITHER}, key=lambda each: each.value):
                own = tensors.names[name, want]
                if name in known and own not in answers and own not in {each.name for each in graph.input}:
                    value = type(known[name])()
                    value.CopyFrom(known[name])
                    value.name = own
                    value.type.tensor_type.elem_type = self._form.element if want is Want.HALF else FLOAT
                    made.append(value)
        # A weight says itself of what type it is.
        kept = [each for each in graph.value_info if each.name not in {*tensors.homes, *tensors.scope.constants}]
        del graph.value_info[:]
        graph.value_info.extend([*kept, *made])


def _names(scope: Scope) -> Iterator[str]:
    yield from scope.kinds
    for node in scope.graph.node:
        yield node.name


def _in_single(wants: tuple[Want, ...]) -> tuple[Want, ...]:
    return tuple(Want.SINGLE if want is Want.HALF else want for want in wants)


def _either(wanted: set[Want]) -> Want:
    return Want.HALF if wanted == {Want.HALF} else Want.SINGLE
