"""What two models' specs say differently about how pictures are fed to them and how their outputs are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ocrdeploy import spec
from ocrdeploy.plugins import Plugins
from ocrdeploy.vocabulary import ModelSpec


def differences(plugins: Plugins, a: ModelSpec, b: ModelSpec) -> Iterator[str]:
    """Yield a sentence for each setting that changes an answer and is not the same in both.

    Names, ranks, the shapes a model is built for, and what a framework needs to build the network change none.
    """
    first, second = _facts(plugins, a), _facts(plugins, b)
    for key in {**first, **second}:
        one, other = first.get(key, "nothing"), second.get(key, "nothing")
        if one != other:
            yield f"the specs differ in {key}: {one!r} in A, {other!r} in B"
    if a.charset != b.charset:
        yield f"the specs differ in charset: {_charsets(a.charset, b.charset)}"
    if len(a.outputs) != len(b.outputs):
        yield f"the specs differ in outputs: A gives {', '.join(a.outputs)}, B gives {', '.join(b.outputs)}"


def _facts(plugins: Plugins, model: ModelSpec) -> dict[str, Any]:
    """Return the settings that matter as one flat dictionary, those that the spec leaves open with their defaults."""
    family = plugins.families.get(model.family)
    options = {**(family.options if family else {}), **model.options}
    channels = model.input.channels
    pixels = replace(
        model.input,
        name="",
        shapes=None,
        side_inputs=tuple(replace(side, name="") for side in model.input.side_inputs),
        mean=_per_channel(model.input.mean, channels),
        std=_per_channel(model.input.std, channels),
    )
    plain = spec.to_dict(replace(model, input=pixels, options=options))
    groups = {f"{group}.{key}": value for group in ("input", "options") for key, value in plain[group].items()}
    return {"family": plain["family"], **groups}


def _per_channel(numbers: tuple[float, ...], channels: int) -> tuple[float, ...]:
    return numbers * channels if len(numbers) == 1 else numbers


def _charsets(a: tuple[str, ...], b: tuple[str, ...]) -> str:
    if len(a) != len(b):
        return f"{len(a)} characters in A, {len(b)} in B"
    place = next(index for index, pair in enumerate(zip(a, b, strict=True)) if pair[0] != pair[1])
    return f"character {place} is {a[place]!r} in A, {b[place]!r} in B"
