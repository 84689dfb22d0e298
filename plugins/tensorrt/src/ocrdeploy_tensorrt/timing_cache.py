"""What TensorRT measured in earlier builds, so that the next one need not: a file for each version and GPU."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from ocrdeploy import artifact
from ocrdeploy.errors import BadInput, OcrdError
from ocrdeploy_tensorrt import module

_LOG = logging.getLogger(__name__)


def place(trt: Any, gpu: str) -> Path:
    """Return where the timings of this TensorRT on this GPU are kept."""
    name = re.sub(r"[^\w.+-]+", "-", f"{module.flavour(trt)}-{trt.__version__}-{gpu}").strip("-")
    return artifact.cache_folder() / "tensorrt-timings" / f"{name}.cache"


def load(config: Any, path: Path) -> None:
    """Give `config` the timings in the file `path`; none where there is no such file yet.

    A file that does not fit, of another version for instance, is started anew, with a warning. Raises `BadInput` where it cannot
    be read.
    """
    try:
        data = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise BadInput(f"cannot read the timing cache {path}: {error.strerror}", "name a file that you may read") from None
    if data and not _set(config, data):
        _LOG.warning("the timing cache %s does not fit this TensorRT and GPU; it is started anew", path)
        data = b""
    if not data:
        _set(config, b"")


def _set(config: Any, data: bytes) -> bool:
    cache = config.create_timing_cache(data)
    return cache is not None and bool(config.set_timing_cache(cache, ignore_mismatch=False))


def save(config: Any, path: Path) -> None:
    """Write what `config` has by now to `path`, whole or not at all: a build that is killed leaves the file as it was.

    The engine does not depend on it, so where it cannot be written there is a warning.
    """
    cache = config.get_timing_cache()
    if cache is None:
        return
    try:
        with artifact.write_atomically(path) as temporary:
            temporary.write_bytes(memoryview(cache.serialize()))
    except OcrdError as error:
        _LOG.warning("the timing cache was not saved: %s", error.problem)
