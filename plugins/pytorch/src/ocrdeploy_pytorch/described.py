"""Whether a file is an MMOCR config, and the spec that it describes."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from ocrdeploy.errors import Unavailable
from ocrdeploy.vocabulary import ModelSpec
from ocrdeploy_pytorch import mmocr_networks, specs
from ocrdeploy_pytorch.config_error import ConfigError

_LOG = logging.getLogger(__name__)

_SIGN = re.compile(rb"^(model|_base_)\s*=", re.MULTILINE)
_HEAD = 512 * 1024
"""How much of a file is looked at; larger ones are no configs."""


def describe(path: Path, root: Path | None) -> ModelSpec | None:
    """Return the spec of the MMOCR config at `path`; None where it is another kind of file.

    A network that this plugin does not build itself is left to MMOCR, where it is installed. Raises `ConfigError`.
    """
    if not _is_config(path):
        return None
    try:
        return specs.from_file(path, root=root)
    except ConfigError as error:
        left = _left_to_mmocr(path, root)
        if left is None:
            raise
        _LOG.warning("%s: the network is left to MMOCR, since %s", path, error.problem)
        return left


def _is_config(path: Path) -> bool:
    if path.suffix != ".py":
        return False
    try:
        with path.open("rb") as file:
            return _SIGN.search(file.read(_HEAD)) is not None
    except OSError:
        return False


def _left_to_mmocr(path: Path, root: Path | None) -> ModelSpec | None:
    try:
        mmocr_networks.installed()
        return specs.from_file(path, root=root, networks="mmocr")
    except (Unavailable, ConfigError):
        return None
