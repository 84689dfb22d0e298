"""Checkpoints as data: from a file to named tensors, and from those into a network, all of them or none."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from ocrdeploy.errors import BadInput, OcrdError
from ocrdeploy.vocabulary import ModelSpec
from ocrdeploy_pytorch import formats, state_dicts
from ocrdeploy_pytorch.formats import COPY_AGAIN, Format

_LOG = logging.getLogger(__name__)

_PREFIX = "module."
"""What PyTorch's wrappers for training on several GPUs put before every key."""

_SAVE = "save the network's state dict: torch.save({'state_dict': model.state_dict()}, PATH)"
_ALLOWING = threading.Lock()


def read(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint by their keys, on the CPU, in the file's own order and dtypes.

    Takes what `torch.save` wrote, of any age, and safetensors; a state dict as it is, or under `state_dict`. Nothing in the
    file is run. Raises `BadInput` for anything else.
    """
    return {key.removeprefix(_PREFIX): tensor for key, tensor in _state_dict(_values(path), path).items()}


def config_text(path: Path) -> str:
    """Return the text of the config that MMCV writes into a checkpoint's meta data; '' where there is none."""
    found = _values(path)
    meta = found.get("meta") if isinstance(found, Mapping) else None
    text = meta.get("config") if isinstance(meta, Mapping) else None
    return text if isinstance(text, str) else ""


def load(network: nn.Module, path: Path, model: ModelSpec) -> tuple[str, ...]:
    """Put the weights of a checkpoint into `network`, of the model `model`, and return what people should know about them.

    A network on the meta device is moved to the CPU, once it is clear that everything fits. Weights that are stored in
    another precision are converted to the network's own. Raises `BadInput` where a key is missing, unexpected or of another
    shape; the network is then as it was.
    """
    wanted = network.state_dict()
    fitted, notes = state_dicts.fit(wanted, read(path), path, model)
    if any(tensor.is_meta for tensor in wanted.values()):
        network.to_empty(device="cpu")
    network.load_state_dict(fitted, strict=True)
    notes += state_dicts.not_finite(network.state_dict(), path)
    for note in notes:
        _LOG.warning("%s", note)
    return tuple(notes)


def _values(path: Path) -> Any:
    """Return all that a checkpoint holds. Raises `BadInput` for a file that is none, or is damaged or hostile."""
    kind = formats.recognise(path)
    try:
        return safetensors.torch.load_file(path) if kind is Format.SAFETENSORS else _pickled(path, kind)
    except OcrdError:
        raise
    except Exception as error:  # Both libraries raise anything for bytes that they were not meant for.
        if isinstance(error, MemoryError) or "allocate memory" in str(error):
            raise BadInput(f"{path} declares more than fits into the memory that is left", COPY_AGAIN) from error
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise BadInput(f"{path} is cut short or damaged: {reason}", COPY_AGAIN) from error


class Inert:
    """What stands in for numpy's numbers in meta data: it takes anything and does nothing."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


def _pickled(path: Path, kind: Format) -> Any:
    """Return the values of a pickled checkpoint, the meta data's numpy numbers as `Inert`."""
    named = formats.check_zip(path) if kind is Format.ZIP else formats.check_legacy(path)
    stand_ins: list[Any] = [(Inert, name.replace(" ", ".")) for name in named]
    # The list of allowed names is one for the whole process. No mmap: PyTorch does not compare sizes then.
    with _ALLOWING, torch.serialization.safe_globals(stand_ins):
        return torch.load(path, map_location="cpu", weights_only=True, mmap=False)


def _state_dict(found: Any, path: Path) -> dict[str, Tensor]:
    if not isinstance(found, Mapping):
        raise BadInput(f"{path} holds a {type(found).__name__}, not a state dict", _SAVE)
    given = found["state_dict"] if isinstance(found.get("state_dict"), Mapping) else found
    if not any(isinstance(value, Tensor) for value in given.values()):
        keys = ", ".join(map(_shown, list(given)[:8])) or "nothing"
        raise BadInput(f"{path} holds no tensors under 'state_dict', and none at the top: it has {keys}", _SAVE)
    for key, value in given.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise BadInput(f"{path}: {_shown(key)} of its state dict is a {type(value).__name__}, not a tensor", _SAVE)
    return dict(given)


def _shown(key: object) -> str:
    return repr(key)[:60] if isinstance(key, str | int) else f"a {type(key).__name__}"
