"""What the plugin says to the core. PyTorch is imported inside the hooks that load or export a checkpoint only."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ocrdeploy import hookimpl
from ocrdeploy.errors import BadInput
from ocrdeploy.vocabulary import Artifact, BackendInfo, ExportOptions, InferOptions, ModelSpec, Probe, Session
from ocrdeploy_pytorch import settings

ocrd_contract = 1

OLDEST = (2, 10)
"""Older versions run code from hostile checkpoints even with `weights_only=True` (CVE-2025-32434, CVE-2026-24747)."""

INSTALL = "pip install 'torch>=2.10'   (https://pytorch.org/get-started says which build suits the machine)"


@hookimpl
def ocrd_backend() -> BackendInfo:
    """Announce the backend."""
    precisions = ("fp32", "tf32", "fp16", "bf16")
    return BackendInfo(name="pytorch", runs=("checkpoint",), precisions=precisions, options=tuple(settings.OPTIONS), rank=10)


@hookimpl
def ocrd_probe() -> Probe:
    """Say which PyTorch is installed. It is found, not imported, which would take seconds."""
    try:
        number = version("torch")
    except PackageNotFoundError:
        return Probe(problem="torch is not installed", fix=INSTALL)
    if tuple(map(int, re.findall(r"\d+", number)[:2])) < OLDEST:
        return Probe(version=number, problem=f"torch {number} is too old to load a checkpoint safely", fix=INSTALL)
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        problem = f"torch {number} is installed, and its files are not where Python looks for them"
        return Probe(version=number, problem=problem, fix="pip install --force-reinstall torch")
    return Probe(version=number, device=_device(Path(found.origin)))


@hookimpl
def ocrd_models() -> Sequence[ModelSpec]:
    """List the models of MMOCR that are known without their configs."""
    from ocrdeploy_pytorch.specs import SIX

    return tuple(SIX.values())


@hookimpl
def ocrd_artifact(model: ModelSpec) -> Artifact:
    """Refuse: no weights come with this plugin."""
    raise BadInput(f"{model.name} is a network without weights: those are your own", f"write {model.name}::CHECKPOINT")


@hookimpl
def ocrd_describe(path: Path, root: Path | None) -> ModelSpec | None:
    """Return the spec of an MMOCR config; None for another file."""
    from ocrdeploy_pytorch import described

    return described.describe(path, root)


@hookimpl
def ocrd_infer(artifact: Artifact, options: InferOptions) -> Session:
    """Open a checkpoint."""
    from ocrdeploy_pytorch import session

    return session.open_session(artifact, options)


@hookimpl
def ocrd_export(model: ModelSpec, network: Any, checkpoint: Artifact, target: Path, options: ExportOptions) -> Artifact:
    """Write a checkpoint as ONNX; `network` is the family's, or None, and the model's own description then says what it is."""
    from ocrdeploy import artifact
    from ocrdeploy_pytorch import checkpoint as checkpoints
    from ocrdeploy_pytorch import exporter, untrained

    values = settings.chosen(options.extra, settings.NETWORK)
    if values["upsample"] != "model":
        raise BadInput(
            "the backend option `upsample` would change the graph and not what the file says of itself",
            f"use --model-option upsample={values['upsample']}",
        )
    network = untrained.network_of(model, values) if network is None else network
    checkpoints.load(network, checkpoint.path, model)
    exporter.export(network, model, target, options)
    return Artifact(target, "onnx", artifact.sha256(target), model, checkpoint.sha256)


def _device(package: Path) -> str:
    """Return what `--device auto` would take, by what PyTorch's own file says of its build, without starting CUDA."""
    from ocrdeploy.nvidia import driver_found

    try:
        build = (package.parent / "version.py").read_text(encoding="utf-8")
    except OSError:
        return ""
    return "cuda" if re.search(r"^cuda\b.*=\s*'", build, re.MULTILINE) and driver_found() else "cpu"
