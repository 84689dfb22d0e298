"""A program: load one plugin in an interpreter that has loaded no other, and print what it did as JSON. `checkup` starts it."""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
from dataclasses import asdict
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ocrdeploy.plugins import Plugins

HEAVY = frozenset(
    (
        *("cv2", "onnx", "PIL", "pydantic", "shapely", "pyclipper", "pypdfium2", "yaml", "scipy"),
        *("torch", "torchvision", "onnxruntime", "tensorrt", "tensorrt_rtx", "openvino", "tensorflow", "jax", "ncnn", "MNN"),
        *("mmocr", "mmcv", "mmdeploy", "rapidocr", "paddle", "paddleocr", "transformers"),
        *("pandas", "sklearn", "skimage", "matplotlib"),
    )
)
"""Modules that take long to import, or much memory, and so must wait until they are needed."""


class _Heard(logging.Handler):
    """Keeps the warnings that are logged while the plugin is loaded: of what it prints, and of what is deprecated."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a warning."""
        self.said.append(record.getMessage())


def main() -> None:
    """Check the plugin that the command line names after the `sys.path` that it gives as JSON."""
    sys.path[:] = json.loads(sys.argv[1])
    answers = os.dup(1)
    os.dup2(2, 1)
    from ocrdeploy import backend, plugins  # noqa: F401 - what every command has loaded before it loads a plugin

    def say(**facts: Any) -> None:
        os.write(answers, (json.dumps(facts) + "\n").encode())

    name = sys.argv[2]
    all_points = list(entry_points(group="ocrdeploy"))
    say(begin="loading it")
    say(loaded=_loaded([point for point in all_points if point.name == name], name))
    say(begin="loading the others")
    say(together=_together(all_points, name))
    say(begin="")
    os._exit(0)


def _loaded(points: list[EntryPoint], name: str) -> dict[str, Any]:
    from ocrdeploy.doctor.plugin_rows import rows
    from ocrdeploy.plugins import discover

    heard, before = _Heard(), set(sys.modules)
    logging.getLogger().addHandler(heard)
    started = time.perf_counter()
    found = discover(points[:1])
    seconds = time.perf_counter() - started
    heavy = sorted(HEAVY & (set(sys.modules) - before))
    odd = _odd_sniffing(found, name)
    probes, probe_s = _probed(found)
    (row,) = rows(found, probes)
    return {"row": asdict(row), "seconds": seconds, "heavy": heavy, "said": heard.said, "sniffing": odd, "probe_seconds": probe_s}


def _probed(found: Plugins) -> tuple[dict[str, Any], float]:
    from ocrdeploy.backend import probe_all

    started = time.perf_counter()
    return probe_all(found), time.perf_counter() - started


def _odd_sniffing(found: Plugins, name: str) -> str:
    """Return what is wrong with the way in which a kind of dataset is told; '' where nothing is."""
    if name not in found.datasets:
        return ""
    sniff = found.datasets[name].sniff
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "noise.bin").write_bytes(bytes(range(256)))
        for path in (Path(folder) / "missing", Path(folder), Path(folder) / "noise.bin"):
            try:
                answer = sniff(path)
            except BaseException as error:  # noqa: BLE001 - it never raises, says the contract
                return f"it raises {type(error).__name__} for {_what(path)}, and must not raise"
            if answer:
                return f"it takes {_what(path)} for its own"
    return ""


def _what(path: Path) -> str:
    if path.is_dir():
        return "a folder that holds one file of noise"
    return "a file of noise" if path.exists() else "a path that does not exist"


def _together(points: list[EntryPoint], name: str) -> str:
    """Return why the plugin cannot be used beside all others that are installed; '' where it can."""
    from ocrdeploy.plugins import discover

    return next((each.why for each in discover(points).broken if each.name == name), "")


if __name__ == "__main__":
    main()
