"""Why TensorRT built nothing: it says None, and its reason goes to the log."""

from __future__ import annotations

import re

from ocrdeploy.errors import BadInput, OcrdError
from ocrdeploy_tensorrt import module

_MEMORY = re.compile(r"out ?of ?memory|insufficient memory|insufficient workspace|std::bad_alloc", re.IGNORECASE)
_REQUESTED = re.compile(r"[Rr]equested size was (\d+)|[Rr]equested amount of GPU memory \((\d+)")
_NO_TACTIC = re.compile(r"could not find any implementation", re.IGNORECASE)
_TURING = re.compile(r"for Turing .*FP32 .*not supported", re.DOTALL)
"""TensorRT-RTX multiplies no fp32 matrices there."""
_GIB = 2**30


def nothing_built(name: str, heard: list[str], workspace_gib: float) -> OcrdError:
    """Return the error for a build of `name` that ended without an engine, after TensorRT said `heard`."""
    said = " ".join(heard)
    why = module.cause(heard, "it gives no reason")
    if _MEMORY.search(said):
        return _memory(name, said, workspace_gib)
    if _NO_TACTIC.search(said) and workspace_gib:
        return BadInput(
            f"TensorRT finds no way to build {name} within --workspace {workspace_gib:g}: {why}",
            "give a larger --workspace, or leave it out: then there is no limit but the GPU's memory",
        )
    if _TURING.search(said):
        return BadInput(f"TensorRT built no engine of {name}: {why}", "give --precision fp16, or use TensorRT itself")
    return BadInput(f"TensorRT built no engine of {name}: {why}", "--verbose shows all that it says; other shapes may help")


def _memory(name: str, said: str, workspace_gib: float) -> OcrdError:
    found = _REQUESTED.search(said)
    size = int(found[1] or found[2]) if found else 0
    wanted = f" (it asked for {size / _GIB:.2f} GiB at once)" if size else ""
    if workspace_gib:
        return BadInput(
            f"--workspace {workspace_gib:g} is too little to build {name} for these shapes{wanted}",
            "give a larger --workspace, leave it out, or give a smaller --max-shape",
        )
    return OcrdError(
        f"there is not enough memory to build {name} for these shapes{wanted}",
        "close what else uses the GPU, or give a smaller --max-shape",
    )
