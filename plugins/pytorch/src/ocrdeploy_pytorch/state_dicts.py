"""Whether a state dict fits a network, and what it fits where it does not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ocrdeploy.errors import BadInput
from ocrdeploy.vocabulary import ModelSpec
from ocrdeploy_pytorch.networks.build import build
from ocrdeploy_pytorch.networks.resnet import DEPTHS

_FEW = 3
_ALIKE = 0.8
"""The part of keys and shapes that has to agree before a checkpoint is said to look like a network."""

_COUNTER = ".num_batches_tracked"
_AVERAGE = "ema_"
"""What MMCV's EMA hook calls the copies that it keeps beside the averaged weights, which stand under the weights' own keys."""


def fit(
    wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], path: Path, model: ModelSpec
) -> tuple[dict[str, Tensor], list[str]]:
    """Return the given tensors that the network wants, complete, and what was left out or added, in sentences.

    Raises `BadInput` with all that does not fit, and with the network that it looks like.
    """
    notes: list[str] = []
    copies = {key for key in given.keys() - wanted.keys() if key.startswith(_AVERAGE)}
    if copies:
        notes.append(f"{path}: copies of weights, from MMCV's EMA hook, are left out: {len(copies)} ({_listed(copies)})")
    tensors = {key: tensor for key, tensor in given.items() if key not in copies}
    missing = wanted.keys() - tensors.keys()
    if missing and all(key.endswith(_COUNTER) for key in missing):
        notes.append(f"{path} lacks num_batches_tracked, as files of before PyTorch 0.4.1 do; only training reads it")
        tensors |= {key: torch.zeros((), dtype=torch.int64) for key in missing}
    complaints = _complaints(wanted, tensors)
    if complaints:
        raise _misfit(complaints, wanted, tensors, path, model)
    return tensors, notes


def not_finite(weights: Mapping[str, Tensor], path: Path) -> list[str]:
    """Return a sentence where weights are infinite or not a number."""
    # A sum is finite only where all of its terms are, and is much quicker to have.
    suspects = [key for key, tensor in weights.items() if tensor.is_floating_point() and not torch.isfinite(tensor.sum())]
    counts = {key: int((~torch.isfinite(weights[key])).sum()) for key in suspects}
    found = [key for key, count in counts.items() if count]
    if not found:
        return []
    total = sum(counts.values())
    return [f"{path}: weights that are NaN or infinite: {total} (in {_listed(found)}); what the model answers may be so, too"]


def _complaints(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    missing = [key for key in wanted if key not in given]
    unexpected = [key for key in given if key not in wanted]
    both = [key for key in wanted if key in given]
    shapes = [_other_shape(key, given[key], wanted[key]) for key in both if given[key].shape != wanted[key].shape]
    kinds = [f"{key}: {_kind(given[key])}" for key in both if _kind(given[key]) != _kind(wanted[key])]
    return [
        f"{what}: {len(found)} ({_listed(found)})"
        for found, what in (
            (missing, "keys missing"),
            (unexpected, "not expected"),
            (shapes, "of another shape"),
            (kinds, "of another kind of number"),
        )
        if found
    ]


def _other_shape(key: str, given: Tensor, wanted: Tensor) -> str:
    return f"{key}: {tuple(given.shape)} instead of {tuple(wanted.shape)}"


def _kind(tensor: Tensor) -> str:
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_complex():
        return "something else"
    return "a float" if tensor.is_floating_point() else "an integer"


def _misfit(
    complaints: list[str], wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], path: Path, model: ModelSpec
) -> BadInput:
    problem = f"{path} does not fit {model.name}: {'; '.join(complaints)}"
    looks, alike = _nearest(given)
    own = _alike(_signature(wanted), _signature(given))
    if alike >= _ALIKE and alike > own:
        return BadInput(
            f"{problem}; it looks like {looks}, and {label(model.network)} was asked for", f"name a config of {looks}"
        )
    return BadInput(problem, "name the config that it was trained with")


def label(network: Mapping[str, Any]) -> str:
    """Return a network's short name: "dbnet_r18", "crnn"."""
    depth = network.get("backbone", {}).get("depth")
    return f"{network['architecture']}_r{depth}" if depth else str(network["architecture"])


Signature = frozenset[tuple[str, tuple[int, ...]]]


def _signature(tensors: Mapping[str, Tensor]) -> Signature:
    return frozenset((key, tuple(tensor.shape)) for key, tensor in tensors.items())


@cache
def _known() -> Mapping[str, Signature]:
    """Return the keys and shapes of the networks that people have, made without memory for their weights."""
    networks: list[dict[str, Any]] = [{"architecture": "crnn"}]
    for architecture in ("dbnet", "psenet", "panet"):
        networks += [{"architecture": architecture, "backbone": {"depth": depth}} for depth in DEPTHS]
    with torch.device("meta"):
        return {label(each): _signature(build(each).state_dict()) for each in networks}


def _nearest(given: Mapping[str, Tensor]) -> tuple[str, float]:
    """Return the known network that these tensors are most like, and how much, from 0 to 1."""
    signature = _signature(given)
    alike = {name: _alike(signature, known) for name, known in _known().items()}
    best = max(alike, key=lambda name: alike[name])
    return best, alike[best]


def _alike(one: Signature, other: Signature) -> float:
    return len(one & other) / max(1, len(one | other))


def _listed(keys: Iterable[str]) -> str:
    first = sorted(keys)[:_FEW]
    return ", ".join(first) + (", ..." if len(list(keys)) > _FEW else "")
