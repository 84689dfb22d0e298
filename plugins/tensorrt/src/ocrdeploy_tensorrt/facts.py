"""What an engine was built by, on and for: kept in its manifest, and compared before it is opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ocrdeploy.artifact import Manifest
from ocrdeploy.vocabulary import BuildOptions, Shapes
from ocrdeploy_tensorrt import custom_ops, module, settings
from ocrdeploy_tensorrt.module import RTX, SDK

ANY, AMPERE, TURING = "any", "ampere+", "sm_75"


def facts(trt: Any, options: BuildOptions, shapes: Shapes, gpu: str = "") -> Mapping[str, str]:
    """Return what holds of an engine that `trt` builds with `options` for `shapes` on `gpu`, "NAME (sm_90)"."""
    asked = settings.read(options)
    found = {
        "flavour": module.flavour(trt),
        "tensorrt": str(trt.__version__),
        "device": runs_on(trt, asked.hardware, gpu),
        "precision": options.precision,
        "min_shape": _written(shapes.min),
        "opt_shape": _written(shapes.opt),
        "max_shape": _written(shapes.max),
        "workspace_gib": f"{asked.workspace_gib:g}" if asked.workspace_gib else "",
        "hardware_compatibility": asked.hardware,
        "version_compatible": "yes" if asked.version_compatible else "",
        "resize": "any" if asked.any_resize else "torch",
        "keep_fp32": options.extra.get("keep_fp32", ""),
        **custom_ops.digests(options.custom_ops),
    }
    return {name: value for name, value in found.items() if value}


def runs_on(trt: Any, hardware: str, gpu: str) -> str:
    """Return where an engine runs: a GPU by its name, a compute capability ("sm_90"), or "ampere+".

    TensorRT-RTX builds for all GPUs from Ampere on, or for Turing alone ("CPU-Only AOT and TensorRT-RTX Engines" in its
    documentation).
    """
    if module.flavour(trt) == RTX:
        return TURING if capability(gpu) == TURING else AMPERE
    if hardware == AMPERE:
        return AMPERE
    return capability(gpu) if hardware == "same" else gpu


def capability(gpu: str) -> str:
    """Return "sm_90" of "NVIDIA H100 80GB HBM3 (sm_90)"; '' where it is not told."""
    return gpu.rpartition("(")[2].rstrip(")") if "(sm_" in gpu else ""


def mismatch(manifest: Manifest, trt: Any, gpu: str) -> str:
    """Say why the engine that `manifest` describes does not run with `trt` on `gpu`, "NAME (sm_90)"; '' where it does.

    The answer follows the words "the engine ": "was built by TensorRT 10.16, and this is 11.4".
    """
    was, now = _built_by(manifest), (module.flavour(trt), str(trt.__version__))
    if was[0] and was[0] != now[0]:
        return f"was built by {was[0]}, and this is {now[0]}"
    if was[1] and not _opens(was[1], now[1], compatible=_fact(manifest, "version_compatible") == "yes"):
        return f"was built by {now[0]} {was[1]}, and this is {now[1]}"
    return _other_gpu(_fact(manifest, "device") or manifest.device, gpu)


def _built_by(manifest: Manifest) -> tuple[str, str]:
    """Return the flavour and the version that built an engine, as far as its manifest says, also one of the chain's making."""
    if version := manifest.facts.get("tensorrt", ""):
        return manifest.facts.get("flavour", ""), version
    if label := manifest.versions.get("runtime", ""):
        return (RTX if label == module.label(RTX, label.split()[-1]) else SDK), label.split()[-1]
    return manifest.versions.get("flavour", ""), manifest.versions.get("tensorrt", "")


def _fact(manifest: Manifest, name: str) -> str:
    return manifest.facts.get(name, "") or manifest.options.get(name, "")


def _opens(was: str, now: str, *, compatible: bool) -> bool:
    """Whether an engine of one version is opened by another: only the same, or a later one of one major that it was made for."""
    if was == now or not compatible:
        return was == now
    before, after = (tuple(int(part) for part in each.split(".") if part.isdecimal()) for each in (was, now))
    return before[:1] == after[:1] and before <= after


def _other_gpu(where: str, gpu: str) -> str:
    if not gpu or where in {"", ANY, gpu}:
        return ""
    sm = capability(gpu)
    if where.startswith("sm_"):
        return "" if where == sm else f"was built for compute capability {where}, and this is {gpu}"
    if where == AMPERE:
        number = sm.removeprefix("sm_")
        ampere = number.isdecimal() and int(number) >= 80  # noqa: PLR2004 - Ampere is sm_80 and later
        return "" if ampere else f"was built for Ampere and later GPUs (sm_80), and this is {gpu}"
    return f"was built on {where}, and this is {gpu}"


def _written(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
