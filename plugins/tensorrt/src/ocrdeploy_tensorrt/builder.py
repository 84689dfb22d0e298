"""From an ONNX file to an engine: one path for TensorRT 10, TensorRT 11 and TensorRT-RTX, given as the module `trt`.

The network is strongly typed: it is calculated in what the graph says, which the core has converted to the precision that is
wanted. TensorRT 11 knows no other way, and TensorRT 10 does the same when told. TF32, which replaces fp32 inside matrix
products, is the one thing left to a flag, and off but for the precision "tf32".
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ocrdeploy import artifact
from ocrdeploy.errors import BadInput, OcrdError, Unavailable
from ocrdeploy.onnxgraph import checks, subgraph
from ocrdeploy.vocabulary import Artifact, BuildOptions, Shapes
from ocrdeploy_tensorrt import (
    custom_ops,
    devices,
    facts,
    failures,
    module,
    parsing,
    profiles,
    progress,
    resizes,
    settings,
    timing_cache,
    typed,
    workspace,
)
from ocrdeploy_tensorrt.devices import Machine
from ocrdeploy_tensorrt.module import RTX
from ocrdeploy_tensorrt.settings import Settings

_LOG = logging.getLogger(__name__)

ENGINE = "trt-engine"

LEVELS = {"none": "NONE", "same": "SAME_COMPUTE_CAPABILITY", "ampere+": "AMPERE_PLUS"}
"""TensorRT's names of what `hardware_compatibility` takes."""


@dataclass(slots=True)
class _Workshop:
    """TensorRT's objects of one build. Each is used by a later one from C++, and ends with its last reference here."""

    builder: Any
    network: Any
    config: Any
    parser: Any = None


def build(trt: Any, source: Artifact, target: Path, options: BuildOptions, machine: Machine) -> Artifact:
    """Build the engine of the ONNX file `source` at `target`, and return it with what is to be known of it.

    `machine` is where it is built. Ctrl-C ends it between two steps, and leaves nothing at `target`. Raises `OcrdError`.
    """
    asked = settings.read(options)
    _check_flavour(trt, asked)
    gpu = _gpu(trt, machine, options.device)
    if asked.workspace_gib and gpu:
        workspace.check(asked.workspace_gib, workspace.device_memory(devices.chosen(options.device)))
    graph = subgraph.load(source.path, external=False)
    shapes = profiles.profiles(source.model, asked.shapes, checks.inputs(graph))
    custom_ops.load(trt, asked.custom_ops)
    shop = _workshop(trt)
    shop.parser = parsing.parse(trt, shop.network, source.path, graph, shapes)
    if not asked.any_resize:
        resizes.check(trt, shop.network, parsing.modules(graph))
    found = typed.counted(trt, shop.network)
    _check_precision(asked.precision, found, source)
    _configure(trt, shop, asked, facts.runs_on(trt, asked.hardware, gpu))
    for name, its in shapes.items():
        _LOG.info("%s: %s is built for %s to %s, and best at %s", source.model.name, name, its.min, its.max, its.opt)
    _add_profile(shop, shapes)
    del graph
    plan = _plan(trt, shop, source, asked, gpu)
    _write(plan, target)
    image = shapes[source.model.input.name]
    said = {**facts.facts(trt, options, image, gpu), **typed.facts(found)}
    return Artifact(target, ENGINE, artifact.sha256(target), source.model, source.sha256, said)


def _check_flavour(trt: Any, asked: Settings) -> None:
    """Raise `BadInput` for what TensorRT-RTX does not have: its engines are finished on the GPU that they run on."""
    if module.flavour(trt) != RTX:
        return
    given = {
        "--hardware-compatibility": asked.hardware,
        "--version-compatible": asked.version_compatible,
        "--timing-cache": asked.timing_cache,
    }
    for option, value in given.items():
        if value:
            raise BadInput(
                f"TensorRT-RTX has no {option}: its engines are finished on the GPU that they run on",
                f"leave {option} out, or build with TensorRT itself: {module.EXTRAS[module.SDK]}",
            )


def _gpu(trt: Any, machine: Machine, device: str) -> str:
    """Return the GPU to build on, "NAME (sm_90)", and make it the current one; '' where TensorRT-RTX builds without any."""
    index = devices.chosen(device)
    if module.flavour(trt) == RTX and not machine.gpus and device == "auto":
        return ""
    gpu = devices.require(machine, index)
    if index:
        import_module("cuda.core").Device(index).set_current()
    return str(gpu)


def _workshop(trt: Any) -> _Workshop:
    with module.hearing() as heard:
        try:
            builder = trt.Builder(module.logger(trt))
        except (TypeError, RuntimeError) as error:
            # pybind11 says "factory function returned nullptr", as a TypeError, where CUDA does not start.
            problem = f"TensorRT {module.versions(trt)} does not start: {module.cause(heard, str(error))}"
            raise Unavailable(problem, "ocrd backends says what is missing") from error
    # TensorRT 11 types strongly whatever it is told, and has another number for it than TensorRT 10.
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    return _Workshop(builder, network, builder.create_builder_config())


def _check_precision(precision: str, found: Mapping[str, list[str]], source: Artifact) -> None:
    """Raise `BadInput` where the graph is not in the precision that was asked for: it is built as it is typed."""
    half = [name for name in ("fp16", "bf16") if found.get(name)]
    if precision in {"fp32", "tf32"} and half:
        problem = f"{source.path} is in {half[0]}, and {precision} was asked for"
        raise BadInput(problem, f"give --precision {half[0]}, or a file in fp32")
    if precision in {"fp16", "bf16"} and half != [precision]:
        problem = f"{source.path} has no layer in {precision}, which was asked for (it is in {', '.join(found) or 'nothing'})"
        raise BadInput(problem, "keep fewer of its nodes in fp32, or give --precision fp32")


def _configure(trt: Any, shop: _Workshop, asked: Settings, runs_on: str) -> None:
    config = shop.config
    workspace.limit(trt, config, asked.workspace_gib)
    if asked.precision == "tf32":
        config.set_flag(trt.BuilderFlag.TF32)
    else:
        config.clear_flag(trt.BuilderFlag.TF32)  # it is on by default
    if asked.hardware:
        config.hardware_compatibility_level = getattr(trt.HardwareCompatibilityLevel, LEVELS[asked.hardware])
    if module.flavour(trt) == RTX and runs_on == facts.TURING:
        config.num_compute_capabilities = 1
        config.set_compute_capability(trt.ComputeCapability.SM75, 0)
    if asked.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    # So that the inspector can tell, of the engine that runs, what its layers calculate in.
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED


def _add_profile(shop: _Workshop, shapes: Mapping[str, Shapes]) -> None:
    with module.hearing() as heard:
        profile = shop.builder.create_optimization_profile()
        for name, its in shapes.items():
            profile.set_shape(name, its.min, its.opt, its.max)
        if shop.config.add_optimization_profile(profile) < 0:
            raise OcrdError(f"TensorRT does not take these shapes: {module.cause(heard, 'it gives no reason')}", "give others")


def _plan(trt: Any, shop: _Workshop, source: Artifact, asked: Settings, gpu: str) -> Any:
    """Return the serialised engine. Raises `KeyboardInterrupt` where the build was cancelled."""
    timings = None
    if module.flavour(trt) != RTX:
        timings = asked.timing_cache or timing_cache.place(trt, gpu)
        timing_cache.load(shop.config, timings)
    with progress.interruptible() as cancellation, module.hearing() as heard:
        shop.config.progress_monitor = monitor = progress.monitor(trt, cancellation)
        plan = shop.builder.build_serialized_network(shop.network, shop.config)
        shop.config.progress_monitor = None
        del monitor
        if timings is not None and (plan is not None or cancellation.asked):
            timing_cache.save(shop.config, timings)
    if plan is None:
        raise failures.nothing_built(source.model.name, heard, asked.workspace_gib)
    return plan


def _write(plan: Any, target: Path) -> None:
    """Write the engine. Raises `OcrdError` where there is no room: `target` is the caller's, who takes it away."""
    try:
        target.write_bytes(memoryview(plan))
    except OSError as error:
        problem = f"cannot write the engine to {target.parent}: {error.strerror or error}"
        raise OcrdError(problem, "choose a folder that can be written and has room") from error
