"""What a pickle would do if it were loaded, read from its operations without doing any of it.

PyTorch's own reader (`weights_only=True`) runs no foreign code either. This check comes before it: it knows a shorter list of
names, refuses what could only exhaust the machine, and says in a sentence what it found.
"""

from __future__ import annotations

from pickletools import OpcodeInfo, genops, markobject
from typing import IO

from ocrdeploy.errors import BadInput

MOST_OPERATIONS = 1_000_000
"""A network of 400 tensors, with its optimizer's state, takes 50,000."""

DEEPEST = 500
"""How deep values may be nested; a tuple that serves as a key is hashed recursively, in C."""

PROTOCOL = 2
"""The pickle protocol that `torch.save` uses, and the only one that PyTorch's own reader takes."""

_PUTS, _GETS = {"BINPUT", "LONG_BINPUT"}, {"BINGET", "LONG_BINGET"}
_FILLS = {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "BUILD"}
_OPERATIONS = {"PROTO", "MARK", "STOP", "GLOBAL", "REDUCE", "NEWOBJ", "BINPERSID", *_PUTS, *_GETS, *_FILLS}
_OPERATIONS |= {"NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"}
_OPERATIONS |= {"SHORT_BINSTRING", "EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET"}
_OPERATIONS |= {"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"}
"""What PyTorch's own reader understands."""

_NUMBERS = ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")

WEIGHTS = frozenset(
    {
        "collections OrderedDict",
        "collections Counter",
        "__builtin__ set",
        "builtins set",
        "_codecs encode",
        "torch Size",
        "torch device",
        "torch._utils _rebuild_tensor",
        "torch._utils _rebuild_tensor_v2",
        "torch._utils _rebuild_parameter",
        "torch.storage UntypedStorage",
        *(f"torch {kind}Storage" for kind in _NUMBERS),
    }
)
"""What tensors and the mappings that hold them are made with; `_codecs encode` is how old protocols spell bytes."""

INERT = frozenset(
    {
        *(f"numpy.{core}.multiarray {name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
        "numpy dtype",
        "numpy ndarray",
        *(f"numpy.dtypes {kind}DType" for kind in ("Bool", "Int32", "Int64", "Float16", "Float32", "Float64")),
    }
)
"""What numpy's numbers are made with, which MMCV leaves in `meta` (a best score). Nothing of numpy's is called for them."""

_KNOWN = WEIGHTS | INERT
_SAVE_AGAIN = "torch.save({'state_dict': model.state_dict()}, PATH)"
_DISTRUST = f"ask who made it for the weights alone, {_SAVE_AGAIN}, or for safetensors"


def check(stream: IO[bytes], where: str) -> set[str]:
    """Read the pickle that begins here up to its end, and return which of `INERT` it names.

    Raises `BadInput` unless it says nothing but weights, within limits. `where` names the file in complaints.
    """
    named: set[str] = set()
    depths = _Depths()
    try:
        for count, (operation, argument, _) in enumerate(genops(stream)):
            if count > MOST_OPERATIONS:
                problem = f"{where} holds more than {MOST_OPERATIONS} pickle operations, which no network needs"
                raise BadInput(problem, _DISTRUST)
            _check_operation(operation, argument, where)
            if operation.name == "GLOBAL":
                named.add(str(argument))
            if depths.follow(operation, argument) > DEEPEST:
                raise BadInput(f"{where} nests its values more than {DEEPEST} deep, which no network needs", _DISTRUST)
    except (ValueError, LookupError, OverflowError) as error:
        raise BadInput(f"{where} is cut short or damaged: {error}", "copy or download it again") from None
    return named & INERT


def _check_operation(operation: OpcodeInfo, argument: object, where: str) -> None:
    if operation.name == "PROTO" and argument != PROTOCOL:
        problem = f"{where} was saved with pickle protocol {argument}, and PyTorch reads only {PROTOCOL} as data"
        raise BadInput(problem, f"save it again without pickle_protocol: {_SAVE_AGAIN}")
    if operation.name not in _OPERATIONS:
        raise BadInput(f"{where} uses the pickle operation {operation.name}, which torch.save never writes", _DISTRUST)
    if operation.name == "GLOBAL" and argument not in _KNOWN:
        name = str(argument)[:100].replace(" ", ".")
        problem = f"{where} asks for {name} to be called or made, which weights have no need of; nothing of it was run"
        raise BadInput(problem, _DISTRUST)


class _Depths:
    """How deep each value is nested that a pickle's operations would leave on their stack and in their memo."""

    def __init__(self) -> None:
        self.stack: list[int] = []
        self.marks: list[int] = []
        self.memo: dict[object, int] = {}

    def follow(self, operation: OpcodeInfo, argument: object) -> int:
        """Do to the depths what the operation does to the values; return the depth on top. Raises `LookupError`."""
        if operation.name in _PUTS:
            self.memo[argument] = self.stack[-1]
        elif operation.name in _GETS:
            self.stack.append(self.memo[argument])
        elif operation.name == "MARK":
            self.marks.append(len(self.stack))
        else:
            popped = self._pop(operation)
            # What is filled is there already; anything else is made of what was popped.
            kept, added = (popped[:1], popped[1:]) if operation.name in _FILLS else ([], popped)
            depth = max([*kept, *(each + 1 for each in added)], default=0)
            self.stack.extend([depth] * len(operation.stack_after))
        return self.stack[-1] if self.stack else 0

    def _pop(self, operation: OpcodeInfo) -> list[int]:
        takes = operation.stack_before
        first = len(self.stack) - len(takes)
        if markobject in takes:
            first = self.marks.pop() - takes.index(markobject) if self.marks else -1
        if first < (self.marks[-1] if self.marks else 0):
            raise IndexError("it takes more values than there are")
        popped = self.stack[first:]
        del self.stack[first:]
        return popped
