"""The precision of a session, read from the graph that was opened, whatever the options say.

What is proved: in which precision the nodes of the graph answer, and so how its weights are stored. What is not: how a provider
computes inside a node. The CPU provider has few half-precision kernels; it widens the rest to fp32, and leaves out roundings
between them that it calls free. So an fp16 graph there has rounded weights and mostly exact arithmetic; with
rounding=stored, tensors are rounded, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from ocrdeploy.errors import BadInput, Unavailable
from ocrdeploy.onnxgraph import checks, precision_emulation, precision_reading
from ocrdeploy.vocabulary import Artifact, InferOptions
from ocrdeploy_onnxruntime import settings
from ocrdeploy_onnxruntime.providers import CPU, CUDA, Wish

HALF = "fp16"


def prove(artifact: Artifact, options: InferOptions, wish: Wish) -> tuple[str, Mapping[str, str]]:
    """Return the precision of an opened file, and details where it is not all fp32.

    A file in half precision may be opened without asking for it; the other way round is an error: raises `BadInput` where fp16
    was asked for and no node computes in it, `Unavailable` for a provider that is not known to compute as the graph says.
    """
    counts: Mapping[str, int] = {}
    if precision_reading.holds_half(artifact.path):
        try:
            counts = precision_reading.computed(artifact.path)
        except checks.InvalidGraphError as error:
            raise BadInput(f"{artifact.path} has nodes whose types are not known: {error}", "export the model again") from error
    found = precision_reading.lowest(counts)
    if options.precision == HALF and found != HALF:
        problem = f"{artifact.path} was to run in fp16, and none of its nodes does"
        raise BadInput(problem, "keep fewer nodes in fp32 (keep_fp32), or use --precision fp32")
    if options.precision == HALF and wish.provider not in (CPU, CUDA):
        problem = f"{wish.provider} does not say in which precision it computes, so fp16 cannot be promised"
        raise Unavailable(problem, "use --provider cpu or cuda, or leave --precision out")
    if found == "fp32" or wish.precision == "unknown":
        return wish.precision, {}
    details = {"nodes_by_precision": ", ".join(f"{name} {count}" for name, count in counts.items())}
    if _rounds(options):
        details["arithmetic"] = "every stored tensor is rounded; nodes compute in fp32"
    elif wish.provider == CPU:
        details["arithmetic"] = "weights are rounded; this provider computes most operators in fp32"
    return found, details


def rounding(artifact: Artifact, options: InferOptions, wish: Wish) -> bytes:
    """Return an fp32 graph that rounds what a half-precision device would store, where the options ask for one, else b"".

    A file in fp32 is opened as it is. Raises `BadInput` for a provider other than the CPU's.
    """
    if not _rounds(options) or not precision_reading.holds_half(artifact.path):
        return b""
    if wish.provider != CPU:
        problem = f"rounding=stored shows on the CPU what a half-precision device stores, and this is {wish.provider}"
        raise BadInput(problem, "leave the option out, or use --device cpu")
    with TemporaryDirectory(prefix="ocrdeploy-rounding-") as folder:
        target = Path(folder, "rounding.onnx")
        precision_emulation.emulate(artifact.path, target)
        return target.read_bytes()


def _rounds(options: InferOptions) -> bool:
    return settings.chosen(options.extra)["rounding"] == "stored"
