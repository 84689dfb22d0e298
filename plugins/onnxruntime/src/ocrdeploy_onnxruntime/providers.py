"""Which execution provider was asked for, and the proof that it is the one that runs.

ONNX Runtime falls back to the CPU in silence: a provider that cannot start is left out of the session, and one that takes
none of the model's nodes leaves them all to the CPU. So the session is asked, after it was made, for its providers and for
the nodes that each was given.
"""

from __future__ import annotations

import ctypes
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from ocrdeploy.errors import BadInput, Unavailable, UnknownName, unknown
from ocrdeploy.nvidia import driver_found
from ocrdeploy.vocabulary import InferOptions

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
OPENVINO, DIRECTML = "OpenVINOExecutionProvider", "DmlExecutionProvider"
_SUFFIX = "ExecutionProvider"
_ON_CUDA = (CUDA, "TensorrtExecutionProvider")
_ON_CPU = (CPU, OPENVINO, "DnnlExecutionProvider", "XnnpackExecutionProvider")
_COMES_WITH = {
    CUDA: "'ocrdeploy-onnxruntime[gpu]'",
    "TensorrtExecutionProvider": "'ocrdeploy-onnxruntime[gpu]'",
    OPENVINO: "onnxruntime-openvino",
    DIRECTML: "onnxruntime-directml",
}
_LOG_WARNING, _LOG_FATAL = 2, 4
NO_DRIVER = "no NVIDIA driver was found"


@dataclass(frozen=True, slots=True)
class Wish:
    """An execution provider, the device it is to run on ("cpu", "cuda:1", or its own name), and its options.

    `precision` is what the options make sure of; 'unknown' for a provider that this plugin does not set up.
    """

    provider: str
    device: str
    precision: str = "unknown"
    options: Mapping[str, str] = field(default_factory=dict)


def cpu() -> Wish:
    """Return the wish for the CPU provider."""
    return Wish(CPU, "cpu", "fp32")


def cuda(index: int, search: str) -> Wish:
    """Return the wish for a CUDA device. TF32, which ONNX Runtime has on by default, is not fp32."""
    return Wish(CUDA, f"cuda:{index}", "fp32", _gpu(index) | {"use_tf32": "0", "cudnn_conv_algo_search": search.upper()})


def _gpu(index: int) -> dict[str, str]:
    return {"device_id": str(index)}


def wished(ort: Any, options: InferOptions, threads: int, search: str) -> Wish:
    """Return what the options ask for; only `auto` without a provider is not for this function.

    Raises `UnknownName` with the nearest name, `Unavailable` for a provider that is not in this build, and `BadInput` for a
    provider and a device that do not go together.
    """
    index = device_index(options.device)
    provider = _named(ort, options.provider) if options.provider else (CPU if index is None else CUDA)
    _require(ort, provider)
    device = "cpu" if options.device == "cpu" else f"cuda:{index or 0}"
    if options.device != "auto" and provider not in (_ON_CPU if device == "cpu" else _ON_CUDA):
        raise BadInput(f"{provider} does not run on device {options.device!r}", "leave --device or --provider out")
    if provider == CPU:
        return cpu()
    if provider == CUDA:
        return cuda(index or 0, search)
    if provider in _ON_CUDA:
        return Wish(provider, device, options=_gpu(index or 0))
    if provider == OPENVINO:
        # Left to itself it takes bfloat16 where the CPU has it, and all of the host's cores.
        return Wish(provider, "cpu", "fp32", {"device_type": "CPU", "precision": "FP32", "num_of_threads": str(threads)})
    return Wish(provider, "cpu" if provider in _ON_CPU else provider.removesuffix(_SUFFIX).lower())


def device_index(device: str) -> int | None:
    """Return N of "cuda:N", 0 of "cuda", None of "auto" and "cpu". Raises `UnknownName` for anything else."""
    if device in ("auto", "cpu"):
        return None
    kind, colon, number = device.partition(":")
    if kind == "cuda" and (number.isdecimal() or not colon):
        return int(number or 0)
    fix = "use one of: auto, cpu, cuda, cuda:N"
    if kind.lower() == "gpu":
        raise UnknownName(f"unknown device {device!r} (did you mean 'cuda'?)", fix)
    raise unknown("device", device, ("auto", "cpu", "cuda", "cuda:0"), fix)


def _named(ort: Any, name: str) -> str:
    """Return ONNX Runtime's spelling of a provider's name, which may lack the suffix and be in any case."""
    known: list[str] = [*ort.get_all_providers(), *ort.get_available_providers()]
    short = {provider.removesuffix(_SUFFIX).lower(): provider for provider in known}
    given = name.lower().removesuffix(_SUFFIX.lower())
    if given not in short:
        raise unknown("execution provider", given, short, f"use one of: {', '.join(ort.get_available_providers())}")
    return short[given]


def _require(ort: Any, provider: str) -> None:
    available = ort.get_available_providers()
    if provider not in available:
        fix = f"install an onnxruntime that was built with it, or use one of: {', '.join(available)}"
        if provider in _COMES_WITH:
            fix = f"pip uninstall -y {ort.package_name}, then pip install {_COMES_WITH[provider]}"
        raise Unavailable(f"there is no {provider} in this onnxruntime ({ort.__version__})", fix)


def why_no_cuda(ort: Any) -> str:
    """Say why CUDA cannot start here, as far as that is certain without starting it; '' where it is worth a try."""
    if CUDA not in ort.get_available_providers():
        return f"no CUDA provider in onnxruntime {ort.__version__}"
    return "" if driver_found() else NO_DRIVER


@contextmanager
def starting(ort: Any, wish: Wish) -> Iterator[None]:
    """Stand around the making of a session: load the CUDA libraries that pip installed, and keep the terminal clean.

    What ONNX Runtime would log there, in colour and beside `log_severity_level`, is found out again for the error.
    """
    if wish.provider in _ON_CUDA:
        if not driver_found():
            raise did_not_start(ort, wish, NO_DRIVER)
        with redirect_stdout(StringIO()):  # It prints what it cannot find, some of which is optional.
            ort.preload_dlls()
    ort.set_default_logger_severity(_LOG_FATAL)
    try:
        yield
    finally:
        ort.set_default_logger_severity(_LOG_WARNING)


def _missing_library(ort: Any) -> str:
    """Load the CUDA provider's library, whose failure names the library that is missing; '' where none is."""
    name = "onnxruntime_providers_cuda.dll" if sys.platform == "win32" else "libonnxruntime_providers_cuda.so"
    try:
        ctypes.CDLL(str(Path(ort.__file__).parent / "capi" / name))
    except OSError as error:
        # It needs symbols that ONNX Runtime brings when it loads it, which is not what is looked for here.
        return "" if "undefined symbol" in str(error) else str(error)
    return ""


def cuda_remedy(ort: Any) -> str:
    """Return what mends a CUDA provider that did not start."""
    major = getattr(ort, "cuda_version", "").partition(".")[0]
    return f"install a driver that supports CUDA {major or 12}, and pip install 'ocrdeploy-onnxruntime[gpu]'; or --device cpu"


def did_not_start(ort: Any, wish: Wish, why: str) -> Unavailable:
    """Return the error for a provider that is in this build and does not start."""
    fix = cuda_remedy(ort) if wish.provider in _ON_CUDA else f"install what {wish.provider} needs, or leave --provider out"
    return Unavailable(f"{wish.provider} did not start on {wish.device}" + (f": {why}" if why else ""), fix)


def prove(ort: Any, session: Any, wish: Wish) -> str:
    """Return how many nodes each provider was given, "CUDAExecutionProvider 230, CPUExecutionProvider 12".

    Raises `Unavailable` where the provider that was wished for is not in the session, is on another device, or has no node.
    A few nodes on the CPU beside it are usual: shapes are computed there.
    """
    if wish.provider not in session.get_providers():
        raise did_not_start(ort, wish, _missing_library(ort) if wish.provider in _ON_CUDA else "")
    given = session.get_provider_options().get(wish.provider, {}).get("device_id")
    if "device_id" in wish.options and given not in (None, wish.options["device_id"]):
        raise did_not_start(ort, wish, f"it took device {given}")
    nodes: Counter[str] = Counter()
    for part in session.get_provider_graph_assignment_info():
        nodes[part.ep_name] += len(part.get_nodes())
    if nodes and not nodes[wish.provider]:
        problem = f"{wish.provider} runs none of the {nodes.total()} nodes of this model"
        raise Unavailable(problem, "use another provider; --provider cpu always runs")
    return ", ".join(f"{name} {count}" for name, count in nodes.most_common())
