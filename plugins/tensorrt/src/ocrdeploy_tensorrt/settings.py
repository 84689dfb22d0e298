"""What a build is asked for: the options that every backend shares, and this one's own, checked."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ocrdeploy.errors import BadInput, unknown
from ocrdeploy.vocabulary import BuildOptions, Shapes

WORDS: Mapping[str, tuple[str, ...]] = {
    # "none": the engine runs on the GPU that it was built on, and is the fastest there.
    "hardware_compatibility": ("none", "same", "ampere+"),
    "version_compatible": ("no", "yes"),
    # "any": what a Resize of the graph does is the user's own affair.
    "resize": ("torch", "any"),
}
"""Options that take one of some words, the default first."""

SHAPES = ("min_shape", "opt_shape", "max_shape")

OPTIONS = (*SHAPES, "workspace_gib", "timing_cache", *WORDS)
"""The names of this backend's own options of a build (`--backend-option NAME=VALUE`; `ocrd build` has words for them)."""

_SHAPE = re.compile(r"\d+(?:[x,]\d+)*")


@dataclass(frozen=True, slots=True)
class Settings:
    """A build as it was asked for. `shapes` None: the model's own; `workspace_gib` 0: no limit; `timing_cache` None: ours."""

    precision: str
    shapes: Shapes | None = None
    workspace_gib: float = 0.0
    timing_cache: Path | None = None
    hardware: str = ""
    version_compatible: bool = False
    any_resize: bool = False
    custom_ops: Sequence[Path] = ()


def read(options: BuildOptions) -> Settings:
    """Return what `options` ask for. Raises `OcrdError` for a value that an option does not take."""
    extra = options.extra
    for name, words in WORDS.items():
        if name in extra and extra[name] not in words:
            raise unknown(f"value of {name}", extra[name], words)
    return Settings(
        precision=options.precision,
        shapes=options.shapes or _shapes(extra),
        workspace_gib=options.workspace_gib or _workspace(extra.get("workspace_gib", "0")),
        timing_cache=Path(extra["timing_cache"]) if extra.get("timing_cache") else None,
        hardware=extra.get("hardware_compatibility", ""),
        version_compatible=extra.get("version_compatible") == "yes",
        any_resize=extra.get("resize") == "any",
        custom_ops=options.custom_ops,
    )


def _shapes(extra: Mapping[str, str]) -> Shapes | None:
    given = [name for name in SHAPES if name in extra]
    if not given:
        return None
    if len(given) < len(SHAPES):
        missing = ", ".join(name for name in SHAPES if name not in extra)
        raise BadInput(f"{' and '.join(given)} without {missing}", "give all three, or none for the model's own")
    return Shapes(*(_shape(name, extra[name]) for name in SHAPES))


def _shape(name: str, text: str) -> tuple[int, ...]:
    if not _SHAPE.fullmatch(text):
        raise BadInput(f"{name} is {text!r}, which is no shape", f"give numbers with an x between them: {name}=1x3x736x1312")
    return tuple(int(number) for number in re.split("[x,]", text))


def _workspace(text: str) -> float:
    try:
        gib = float(text)
    except ValueError:
        gib = -1.0
    if not (math.isfinite(gib) and gib >= 0):
        raise BadInput(f"workspace_gib is {text!r}, which is no size", "give GiB, such as workspace_gib=4; 0 sets no limit")
    return gib
