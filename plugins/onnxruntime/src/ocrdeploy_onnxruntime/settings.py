"""From `InferOptions` to ONNX Runtime's session options.

The defaults were chosen by measuring PP-OCRv6 small (detector at 736x992 and 736x1120, recognizer at widths 320 to 512, taking
turns as they do on a page) on two cores, ONNX Runtime 1.32. Time and peak memory relative to ONNX Runtime's own defaults.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ocrdeploy.cores import usable_cores
from ocrdeploy.errors import BadInput, unknown
from ocrdeploy.vocabulary import InferOptions

OPTIONS: Mapping[str, tuple[str, ...]] = {
    # "run": threads spin while a run lasts and stop with it. On a page the models take turns, and with "on" the threads of
    # one take the cores from the other: "run" takes 0.80 of the time and 0.79 of the CPU time of "on". With "off" a single
    # model takes 1.05 (detector) to 1.17 (recognizer) of its time, a whole photograph 1.02; where other programs want the
    # cores too, "off" is the better one (0.83 of the time and 0.72 of the CPU time of "run" on a machine with load 6).
    "spinning": ("run", "on", "off"),
    # The layout optimisations of "all" matter most: "extended" takes 1.40, "basic" 1.48 of the time.
    "graph_optimization": ("all", "extended", "basic", "disabled"),
    # Without the arena: 1.16 of the time, and no less memory at the peak; what a run needed is given back after it.
    "arena": ("on", "off"),
    # A pattern is kept for each input shape, and pictures have many: "off" takes 0.81 of the memory, in the same time.
    "memory_pattern": ("off", "on"),
    # Where an fp16 graph runs on the CPU: "runtime" leaves it to ONNX Runtime, which rounds little but the weights; "stored"
    # rounds every tensor that a half-precision device would store, which shows what such a device will answer, and is slower.
    "rounding": ("runtime", "stored"),
    # "exhaustive", which is ONNX Runtime's own default, tries all algorithms again for every new width of a line.
    "cudnn_search": ("heuristic", "default", "exhaustive"),
}
"""The `--backend-option` keys and their values, the default first."""

CONVERSION = ("keep_fp32", "range_images")
"""The `--backend-option` keys that are for the conversion to fp16, which is done when a session is opened."""

_LEVELS = {"all": "ORT_ENABLE_ALL", "extended": "ORT_ENABLE_EXTENDED", "basic": "ORT_ENABLE_BASIC", "disabled": "ORT_DISABLE_ALL"}
_FATAL = 4
"""What ONNX Runtime logs as an error it also raises, and here it becomes one sentence."""
_LINE_OF_CODE = re.compile(r"\S+\.(?:cc|h):\d+ [^()]*\([^()]*\) ?")


def chosen(extra: Mapping[str, str]) -> dict[str, str]:
    """Return a value for each of `OPTIONS`. Raises `UnknownName` for a value that there is not."""
    values = {key: allowed[0] for key, allowed in OPTIONS.items()}
    for key, value in extra.items():
        if key in CONVERSION:
            continue
        if value.lower() not in OPTIONS[key]:
            raise unknown("backend option", f"{key}={value}", [f"{key}={each}" for each in OPTIONS[key]])
        values[key] = value.lower()
    return values


def thread_count(options: InferOptions) -> int:
    """Return how many threads a run may use."""
    if options.threads < 0:
        raise BadInput(f"{options.threads} threads cannot be", "name 1 or more, or 0 for the cores that this process may use")
    return options.threads or usable_cores()


def session_options(ort: Any, options: InferOptions) -> Any:
    """Return `onnxruntime.SessionOptions` for one model. Raises `OcrdError` for bad values and libraries."""
    values = chosen(options.extra)
    settings = ort.SessionOptions()
    settings.log_severity_level = _FATAL
    # Without a number, ONNX Runtime counts the host's cores and pins a thread to each of them.
    settings.intra_op_num_threads = thread_count(options)
    settings.inter_op_num_threads = 1
    settings.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    settings.graph_optimization_level = getattr(ort.GraphOptimizationLevel, _LEVELS[values["graph_optimization"]])
    settings.enable_cpu_mem_arena = values["arena"] == "on"
    settings.enable_mem_pattern = values["memory_pattern"] == "on"
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0" if values["spinning"] == "off" else "1")
    settings.add_session_config_entry("session.force_spinning_stop", "1" if values["spinning"] == "run" else "0")
    settings.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    for library in options.custom_ops:
        _register(settings, library)
    return settings


def _register(settings: Any, library: Path) -> None:
    if not library.is_file():
        raise BadInput(f"there is no custom-op library {library}", "check the path of --custom-ops")
    try:
        settings.register_custom_ops_library(str(library.resolve()))
    except Exception as error:
        problem = f"onnxruntime cannot load the custom-op library {library}: {reason(error)}"
        raise BadInput(problem, "name a shared library built for this onnxruntime, which exports RegisterCustomOps") from error


def reason(error: Exception) -> str:
    """Return ONNX Runtime's message without its numbering ("[ONNXRuntimeError] : 1 : FAIL : ") and its own lines of code."""
    text = str(error).strip()
    if text.startswith("[ONNXRuntimeError]"):
        text = text.split(" : ", 3)[-1]
    return " ".join(_LINE_OF_CODE.sub("", text).split())
