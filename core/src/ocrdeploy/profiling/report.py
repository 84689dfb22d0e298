"""A profile for people and for machines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ocrdeploy.profiling import shapes
from ocrdeploy.profiling.summary import Cost, Profile
from ocrdeploy.tables import table
from ocrdeploy.vocabulary import ModelSpec

SCHEMA = 1

MOST = 20
"""How many sizes the histogram shows one by one."""

NAMED = 5
"""How many pictures that do not fit are named."""

BAR = 30
"""The length of the longest bar, in characters."""


def to_text(found: Profile, model: ModelSpec, source: str, outside: Sequence[str]) -> str:
    """Return the histogram, what padding would cost, and, as the last line, the options of `ocrd build`.

    `outside` names the pictures that do not fit.
    """
    parts = [
        f"{model.name} ({model.task}) on {source}: {found.pictures} tensors of {len(found.sizes)} sizes",
        _histogram(found),
        _sides(found),
        _costs(found),
        *([_outside(found, outside)] if outside else []),
        " ".join(shapes.options(found.shapes)),
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _histogram(found: Profile) -> str:
    counted = list(found.sizes.items())
    most = max(found.sizes.values())
    rows = [(_size(size), str(count), _percent(count / found.pictures), _bar(count, most)) for size, count in counted[:MOST]]
    rest = [count for _, count in counted[MOST:]]
    if rest:
        rows.append((f"{len(rest)} more", str(sum(rest)), _percent(sum(rest) / found.pictures), ""))
    return table(("height x width", "pictures", "share", ""), rows)


def _sides(found: Profile) -> str:
    return "\n".join(
        f"{name:<8} {_span([size[side] for size in found.sizes], found.multiples[side])}"
        for side, name in enumerate(("heights", "widths"))
    )


def _span(lengths: Sequence[int], multiple: int) -> str:
    least, most = min(lengths), max(lengths)
    return str(least) if least == most else f"{least} to {most}, multiples of {multiple}"


def _costs(found: Profile) -> str:
    rows = [
        (name, f"{cost.fit} of {found.pictures}", f"{cost.pixels / 1e6:.1f}", _percent(cost.padding), f"+{_percent(cost.more)}")
        for name, cost in _named_costs(found)
    ]
    explained = (
        "padding: the share of the tensors' pixels that belong to no picture; more: pixels that are computed beyond those\n"
        "of each picture's own tensor. ocrd runs every picture at its own; the others are what engines of fixed shapes cost."
    )
    return table(("padded to", "fit", "megapixels", "padding", "more"), rows) + explained


def _named_costs(found: Profile) -> Iterator[tuple[str, Cost]]:
    yield "its own tensor", found.now
    for name, cost in (("--opt-shape", found.at_opt), ("--max-shape", found.at_max)):
        yield f"{name}: {_size(cost.sizes[0])}", cost
    for cost in found.buckets:
        yield f"{len(cost.sizes)} widths: {', '.join(str(width) for _, width in cost.sizes)}", cost


def _outside(found: Profile, names: Sequence[str]) -> str:
    listed = "".join(f"\n  {name}" for name in names[:NAMED]) + ("\n  ..." if len(names) > NAMED else "")
    return f"{len(names)} of {found.pictures} pictures do not fit into --max-shape:{listed}"


def to_dict(found: Profile, model: ModelSpec, source: str, outside: Sequence[str], cover: float) -> dict[str, Any]:
    """Return all of it as JSON has it; sizes are [height, width], shapes in the order of the model's layout."""
    return {
        "schema": SCHEMA,
        "model": model.name,
        "task": str(model.task),
        "layout": model.input.layout,
        "source": source,
        "pictures": found.pictures,
        "sizes": [{"size": list(size), "pictures": count} for size, count in found.sizes.items()],
        "multiples": list(found.multiples),
        "cover": cover,
        "fit": found.pictures - len(outside),
        "outside": list(outside),
        "min_shape": list(found.shapes.min),
        "opt_shape": list(found.shapes.opt),
        "max_shape": list(found.shapes.max),
        "options": list(shapes.options(found.shapes)),
        "costs": [{"padded_to": name, **_cost(cost)} for name, cost in _keyed_costs(found)],
    }


def _keyed_costs(found: Profile) -> Iterator[tuple[str, Cost]]:
    yield from (("own", found.now), ("opt", found.at_opt), ("max", found.at_max))
    yield from ((f"{len(cost.sizes)} widths", cost) for cost in found.buckets)


def _cost(cost: Cost) -> dict[str, Any]:
    return {
        "sizes": [list(size) for size in cost.sizes],
        "fit": cost.fit,
        "tensor_pixels": cost.pixels,
        "own_tensor_pixels": cost.own,
        "content_pixels": cost.content,
        "padding": cost.padding,
        "more": cost.more,
    }


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def _bar(count: int, most: int) -> str:
    return "#" * max(1, round(count / most * BAR))
