"""The contract: every hook that a plugin may implement.

A plugin is the object (usually a module) that an entry point of the group `ocrdeploy` names. It says which contract it
speaks, `ocrd_contract = 1`, and implements hooks as functions marked with `ocrdeploy.hookimpl`. Every call is routed to one
named plugin; wrapper hooks (`hookimpl(wrapper=True)`) of all plugins run around it. A hook takes any subset of the
arguments listed here, by name. What a user has to mend is raised as `ocrdeploy.OcrdError`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from ocrdeploy.vocabulary import (
        Artifact,
        BackendInfo,
        Batch,
        BuildOptions,
        DatasetInfo,
        ExportOptions,
        FamilyInfo,
        InferOptions,
        ModelSpec,
        Prediction,
        Probe,
        Sample,
        Session,
        Tensors,
    )

PROJECT = "ocrdeploy"
CONTRACT = 1
"""The version of this file. A plugin with another `ocrd_contract` is not registered."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec(firstresult=True)
def ocrd_backend() -> BackendInfo:  # type: ignore[empty-body]
    """Announce a backend. Static: quick, and imports no runtime. The name is the entry point's."""


@hookspec(firstresult=True)
def ocrd_probe() -> Probe:  # type: ignore[empty-body]
    """Say whether the backend can run here; if not, why, and the command that mends it. Never raises; takes under a second."""


@hookspec(firstresult=True)
def ocrd_models() -> Sequence[ModelSpec]:  # type: ignore[empty-body]
    """List the models that the plugin knows by name. Static: imports nothing heavy; a charset may be empty here."""


@hookspec(firstresult=True)
def ocrd_artifact(model: ModelSpec) -> Artifact:  # type: ignore[empty-body]
    """Return the file of a model that `ocrd_models` listed, its sha256 checked, its spec complete.

    Raises `OcrdError` where the file is not here (naming the command that brings it) or is not what it should be.
    """


@hookspec(firstresult=True)
def ocrd_describe(path: Path, root: Path | None) -> ModelSpec | None:
    """Return the spec of a file that this plugin understands by content or suffix (a config, a foreign format), else None.

    `root` is a folder outside the file's own tree that the user allows it to refer to.
    """


@hookspec(firstresult=True)
def ocrd_family() -> FamilyInfo:  # type: ignore[empty-body]
    """Announce a model family. Static. The name is the entry point's."""


@hookspec(firstresult=True)
def ocrd_network(model: ModelSpec) -> Any:
    """Return an untrained `torch.nn.Module` for a model of this family, for families that come from PyTorch."""


@hookspec(firstresult=True)
def ocrd_export(model: ModelSpec, network: Any, checkpoint: Artifact, target: Path, options: ExportOptions) -> Artifact:  # type: ignore[empty-body]
    """Write `checkpoint` as ONNX to `target`, a path that the caller owns and later moves into place.

    What only the exporter knows may stand in the file's metadata entry "ocrdeploy.recipe", as JSON; the caller adds the rest.
    """


@hookspec(firstresult=True)
def ocrd_build(model: ModelSpec, source: Artifact, target: Path, options: BuildOptions) -> Artifact:  # type: ignore[empty-body]
    """Turn `source` (one of `BackendInfo.builds_from`) into the first of `BackendInfo.runs`, at `target`.

    `target` is a path that the caller owns and later moves into place; nothing else is written.
    """


@hookspec(firstresult=True)
def ocrd_infer(model: ModelSpec, artifact: Artifact, options: InferOptions) -> Session:  # type: ignore[empty-body]
    """Open `artifact` (one of `BackendInfo.runs`) once, for many runs. The caller closes the session."""


@hookspec(firstresult=True)
def ocrd_inspect(path: Path) -> Mapping[str, Any]:  # type: ignore[empty-body]
    """Say what there is to know of a file in one of the formats of `BackendInfo.runs`: by names, values that JSON has.

    For people who ask (`ocrd inspect`). Optional. Nothing is run; what cannot be told here is left out, or an `OcrdError`.
    """


@hookspec(firstresult=True)
def ocrd_postprocess(model: ModelSpec, outputs: Tensors, batch: Batch) -> list[Prediction]:  # type: ignore[empty-body]
    """Turn raw outputs into predictions, one for each row of `batch`, in order, in each picture's own pixels.

    A pure function: the same for every backend, and a row's prediction does not depend on the other rows.
    """


@hookspec(firstresult=True)
def ocrd_dataset() -> DatasetInfo:  # type: ignore[empty-body]
    """Announce a kind of dataset. Static. The kind is the entry point's name; `sniff` says yes to no other kind's datasets."""


@hookspec(firstresult=True)
def ocrd_samples(path: Path) -> Iterator[Sample]:  # type: ignore[empty-body]
    """Read the dataset at `path`, a folder or a file, sample by sample, in a fixed order.

    For a recognizer, a sample has one region with a text and no polygon. Raises `OcrdError`, with file and line, for labels
    that cannot be used; a picture that is missing is the caller's to find. `Sample.where` is file and line; where each region
    has a line, it ends in their numbers, those that count and then the ignored ones: "FILE:1-3,5,4".
    """
