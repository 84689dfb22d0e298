"""What a node would take and give in half precision, as ONNX's own schema of its operator says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ocrdeploy.onnxgraph.precision_forms import Form
from ocrdeploy.onnxgraph.precision_scopes import Scope, graphs


class Want(Enum):
    """In which precision a float32 tensor is taken or given, once the graph is converted."""

    SINGLE = "single"
    HALF = "half"
    EITHER = "either"
    """As it is at hand: only its shape is looked at, or it is cast."""
    NOT = "not"
    """It is no float32 tensor."""


@dataclass(frozen=True, slots=True)
class Slots:
    """What a node takes and gives, in the order of its inputs and outputs. `why`: why it cannot be converted, else ''."""

    inputs: tuple[Want, ...]
    outputs: tuple[Want, ...]
    why: str = ""

    @property
    def concerned(self) -> bool:
        """Whether any float32 tensor is taken or given, other than to be looked at."""
        return bool({Want.SINGLE, Want.HALF} & {*self.inputs, *self.outputs})


FLOAT = 1  # TensorProto.FLOAT

LOOKS = {"Shape", "Size"}
"""Operators that look at the shape of a tensor, whatever is in it."""

FOLLOWS = {"Cast", "ConstantOfShape"}
"""Operators whose attribute says what they give, so that it can be changed."""

STAYS = {
    # Its running variance is any number: 1.4e7 was seen in a trained detector, which half precision does not hold. Where it
    # follows a convolution it is folded into that; what is left is computed as it was.
    "BatchNormalization": "statistics",
    # The same random numbers as without the conversion.
    "RandomNormal": "random numbers",
    "RandomUniform": "random numbers",
    "RandomNormalLike": "random numbers",
    "RandomUniformLike": "random numbers",
    "Multinomial": "random numbers",
    "Bernoulli": "random numbers",
    "EyeLike": "a constant",
}
"""Operators that are not converted, and what they are about."""


def opsets(model: Any) -> dict[str, int]:
    """Return the version of each set of operators that a model is written in; ONNX's own is called ''."""
    return {"" if each.domain == "ai.onnx" else each.domain: each.version for each in model.opset_import}


def single(node: Any, scope: Scope, why: str = "") -> Slots:
    """Return the slots of a node that stays in fp32."""
    takes, gives = (_wants(names, scope, Want.SINGLE) for names in (node.input, node.output))
    if node.op_type in LOOKS:
        takes = _wants(node.input, scope, Want.EITHER)
    return Slots(takes, gives, why)


def _wants(names: Sequence[str], scope: Scope, want: Want) -> tuple[Want, ...]:
    return tuple(want if name and scope.kind(name) == FLOAT else Want.NOT for name in names)


def half(node: Any, scope: Scope, form: Form, versions: Mapping[str, int]) -> Slots:
    """Return the slots of a node in half precision, or in fp32, with the reason, where it has none."""
    if any(graphs(node)):
        return single(node, scope)  # The graphs inside it are converted; what goes in and out stays as it is.
    if not {Want.SINGLE} & {*_wants(node.input, scope, Want.SINGLE), *_wants(node.output, scope, Want.SINGLE)}:
        return single(node, scope)
    if node.op_type in STAYS:
        return single(node, scope, f"operator ({node.op_type}: {STAYS[node.op_type]})")
    if any(name and scope.kind(name) == 0 for name in (*node.input, *node.output)):
        return single(node, scope, f"operator ({node.op_type}: a type is not known)")
    schema = _schema(node, versions)
    if schema is None:
        return single(node, scope, f"operator ({node.domain}.{node.op_type}: not one of ONNX's own)")
    return _by_schema(node, scope, form, schema)


def _schema(node: Any, versions: Mapping[str, int]) -> Any:
    from onnx import defs

    domain = "" if node.domain == "ai.onnx" else node.domain
    try:
        return defs.get_schema(node.op_type, versions.get(domain, 1), domain)
    except defs.SchemaError:
        return None


def _by_schema(node: Any, scope: Scope, form: Form, schema: Any) -> Slots:
    allowed = {each.type_param_str: set(each.allowed_type_strs) for each in schema.type_constraints}
    takes = [_formal(schema.inputs, place).type_str for place in range(len(node.input))]
    gives = [_formal(schema.outputs, place).type_str for place in range(len(node.output))]
    halves = {kind for kind in allowed if f"tensor({form.kind})" in allowed[kind]}
    # What is neither the first input's type nor an output's is a setting (a Resize's region), and settings stay exact.
    matter = {*takes[:1], *gives} & allowed.keys()
    is_float = _wants(node.input, scope, Want.SINGLE)
    inputs = tuple(
        Want.NOT if want is Want.NOT
        else Want.EITHER if node.op_type in LOOKS or node.op_type == "Cast"
        else Want.HALF if kind in matter & halves
        else Want.SINGLE
        for kind, want in zip(takes, is_float, strict=True)
    )  # fmt: skip
    if any(kind in matter - halves and want is not Want.NOT for kind, want in zip(takes, is_float, strict=True)):
        return single(node, scope, f"operator ({node.op_type} takes no {form.kind} in opset {schema.since_version})")
    taken = {kind for kind, want in zip(takes, inputs, strict=True) if want is Want.HALF}
    if node.op_type in FOLLOWS:
        taken |= {*gives} & halves
    outputs = tuple(
        Want.HALF if want is Want.SINGLE and kind in taken else want
        for kind, want in zip(gives, _wants(node.output, scope, Want.SINGLE), strict=True)
    )
    return Slots(inputs, outputs)


def _formal(formals: Sequence[Any], place: int) -> Any:
    """Return the parameter that an input or output at this place is for; the last one may stand for many."""
    return formals[min(place, len(formals) - 1)]
