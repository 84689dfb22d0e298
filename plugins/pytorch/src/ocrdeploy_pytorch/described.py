"""Whether a file is an MMOCR config, or a checkpoint that carries one, and the spec that it describes."""

from __future__ import annotations

import logging
import re
import tempfile
from dataclasses import replace
from pathlib import Path

from ocrdeploy.errors import BadInput, Unavailable
from ocrdeploy.vocabulary import ModelSpec
from ocrdeploy_pytorch import formats, specs
from ocrdeploy_pytorch.config.error import ConfigError
from ocrdeploy_pytorch.mmocr import networks as mmocr_networks

_LOG = logging.getLogger(__name__)

CHECKPOINTS = {".pth", ".pt", ".ckpt"}
_SIGN = re.compile(rb"^(model|_base_)\s*=", re.MULTILINE)
_HEAD = 512 * 1024
"""How much of a file is looked at; larger ones are no configs."""


def describe(path: Path, root: Path | None) -> ModelSpec | None:
    """Return the spec of the MMOCR config at `path`, or of the one in the checkpoint at `path`; None for any other file.

    A network that this plugin does not build itself is left to MMOCR, where it is installed. Raises `ConfigError` for a
    config that cannot be used, and `BadInput` for a checkpoint that is damaged or hostile.
    """
    if path.suffix == ".py" and _is_config(path):
        return _read(path, root)
    if path.suffix.lower() in CHECKPOINTS and _is_checkpoint(path):
        return _carried(path, root)
    return None


def _is_config(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _SIGN.search(file.read(_HEAD)) is not None
    except OSError:
        return False


def _is_checkpoint(path: Path) -> bool:
    try:
        formats.recognise(path)
    except BadInput:  # Another plugin may know it.
        return False
    return True


def _carried(path: Path, root: Path | None) -> ModelSpec | None:
    """Return what the config says that MMCV wrote into the checkpoint's meta data, where it did."""
    from ocrdeploy_pytorch import checkpoint

    text = checkpoint.config_text(path)
    if not text:
        return None
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config.py")
        config.write_text(text, encoding="utf-8")
        try:
            return replace(_read(config, root), name=path.stem)
        except ConfigError as error:
            problem = f"the config inside {path} cannot be used: {error.problem.replace(str(config), 'its text')}"
            raise ConfigError(problem, "name the config that it was trained with: CONFIG::CHECKPOINT") from None


def _read(path: Path, root: Path | None) -> ModelSpec:
    try:
        return specs.from_file(path, root=root)
    except ConfigError as error:
        left = _left_to_mmocr(path, root)
        if left is None:
            raise
        _LOG.warning("%s: the network is left to MMOCR, since %s", path, error.problem)
        return left


def _left_to_mmocr(path: Path, root: Path | None) -> ModelSpec | None:
    try:
        mmocr_networks.installed()
        return specs.from_file(path, root=root, networks="mmocr")
    except (Unavailable, ConfigError):
        return None
