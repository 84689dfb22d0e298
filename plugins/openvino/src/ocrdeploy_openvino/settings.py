"""From `InferOptions` to OpenVINO's properties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ocrdeploy.cores import usable_cores
from ocrdeploy.errors import BadInput, Unavailable, unknown
from ocrdeploy.vocabulary import InferOptions

PRECISIONS = ("fp32", "bf16")
"""What can be asked for. Not fp16: OpenVINO computes it on few processors, and elsewhere takes bf16 instead, without a word."""

OPTIONS: Mapping[str, tuple[str, ...]] = {
    # "throughput" gives each core a stream of its own: better only where several threads call `run` at a time.
    "hint": ("latency", "throughput"),
    # OpenVINO would pin its threads to the first cores of the machine, and so would every other process that runs it.
    "pinning": ("off", "on"),
    # OpenVINO remembers how to compute each input shape that it has seen, and the memory that this took.
    "shape_memory": ("keep", "release"),
    # A folder for compiled models; any path.
    "cache": ("",),
}
"""The `--backend-option` keys and their values, the default first."""

CONVERSION = ("keep_fp32", "range_images")
"""The `--backend-option` keys that are for the conversion to bf16, which the core does before a session is opened."""

CPU = "CPU"


@dataclass(frozen=True, slots=True)
class Wish:
    """A device by OpenVINO's name, the properties to compile for it with, and whether to forget shapes."""

    device: str
    properties: Mapping[str, Any]
    release: bool


def wished(options: InferOptions, available: list[str]) -> Wish:
    """Return what the options ask for. Raises `OcrdError` for what there is not."""
    if options.precision not in PRECISIONS:
        raise unknown("precision of backend 'openvino'", options.precision, PRECISIONS)
    if options.custom_ops:
        raise Unavailable("the openvino backend loads no custom operators", "leave --custom-ops out, or use another backend")
    device, values = _device(options, available), _chosen(options.extra)
    properties: dict[str, Any] = {
        # Left alone, OpenVINO computes in bf16 where the processor can. "f32" means: each node as the graph has it. So
        # a graph that the core has converted to bf16 runs in bf16, and its nodes that were kept in fp32 stay so.
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": values["hint"].upper(),
    }
    if values["cache"]:
        properties["CACHE_DIR"] = values["cache"]
    if device == CPU:
        properties |= {
            "INFERENCE_NUM_THREADS": _thread_count(options),
            "ENABLE_CPU_PINNING": values["pinning"] == "on",
            # Else the activations of a model with 8-bit weights would be rounded to 8 bits, too.
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
        }
        if values["shape_memory"] == "release":
            # OpenVINO lists no such property, and takes it. Without it, freed memory is still referred to from there.
            properties["CPU_RUNTIME_CACHE_CAPACITY"] = 0
        if options.threads:
            # The hint "latency" leaves the second thread of each core alone, unless it was asked for.
            properties["ENABLE_HYPER_THREADING"] = True
    return Wish(device, properties, release=values["shape_memory"] == "release")


def _device(options: InferOptions, available: list[str]) -> str:
    """Return OpenVINO's name of the device. AUTO, HETERO and the like choose for themselves, and are no devices."""
    if options.device not in {"auto", "cpu"}:
        raise Unavailable(f"the openvino backend cannot run on {options.device}", "use --device cpu")
    device = options.provider.upper() or CPU
    if device not in available:
        raise Unavailable(f"OpenVINO has no device {options.provider!r} here", f"use one of: {', '.join(available)}")
    if options.device == "cpu" and device != CPU:
        raise BadInput(f"OpenVINO's {device} is not the cpu", "leave --device out, or use --provider CPU")
    return device


def _chosen(extra: Mapping[str, str]) -> dict[str, str]:
    values = {key: allowed[0] for key, allowed in OPTIONS.items()}
    for key, value in extra.items():
        if key in CONVERSION:
            continue
        if key not in OPTIONS:
            raise unknown("option of backend 'openvino'", key, (*OPTIONS, *CONVERSION))
        if key != "cache" and value.lower() not in OPTIONS[key]:
            raise unknown("backend option", f"{key}={value}", [f"{key}={each}" for each in OPTIONS[key]])
        values[key] = value if key == "cache" else value.lower()
    return values


def _thread_count(options: InferOptions) -> int:
    if options.threads < 0:
        raise BadInput(f"{options.threads} threads cannot be", "name 1 or more, or 0 for the cores that this process may use")
    return options.threads or usable_cores()
