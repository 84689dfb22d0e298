"""What ocrdeploy calls."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from ocrdeploy import Unavailable, hookimpl
from ocrdeploy.vocabulary import Artifact, BackendInfo, InferOptions, ModelSpec, Probe, Session

ocrd_contract = 1


@hookimpl
def ocrd_backend() -> BackendInfo:
    """Announce the backend under its entry point's name, below every real one in rank."""
    return BackendInfo("fake", runs=("fake",), builds_from=("onnx",), options=("delay_ms",), rank=-100)


@hookimpl
def ocrd_probe() -> Probe:
    """Say that it runs wherever numpy is, without importing numpy."""
    return Probe(version=version("numpy"), device="cpu")


@hookimpl
def ocrd_build(source: Artifact, target: Path) -> Artifact:
    """Write the network in the runtime's own format."""
    from ocrdeploy_fake import network

    content = network.converted(source.path)
    target.write_bytes(content)
    made = hashlib.sha256(content).hexdigest()
    return replace(source, path=target, format="fake", sha256=made, parent_sha256=source.sha256)


@hookimpl
def ocrd_infer(model: ModelSpec, artifact: Artifact, options: InferOptions) -> Session:
    """Open a fake network; refuse what numpy cannot do, instead of doing something else."""
    if options.device not in ("auto", "cpu"):
        raise Unavailable(f"the fake backend cannot run on {options.device}", "use --device cpu")
    if options.provider or options.custom_ops:
        raise Unavailable("the fake backend has no providers and no custom operators", "leave --provider and --custom-ops out")
    from ocrdeploy_fake.session import FakeSession

    return FakeSession(model, artifact.path, delay_ms=options.extra.get("delay_ms", "0"))
