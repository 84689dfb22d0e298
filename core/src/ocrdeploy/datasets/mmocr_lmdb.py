"""The kind of dataset `mmocr-lmdb`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ocrdeploy.errors import BadInput
from ocrdeploy.hookspecs import hookimpl
from ocrdeploy.vocabulary import DatasetInfo, Sample

ocrd_contract = 1

KIND = "mmocr-lmdb"


@hookimpl
def ocrd_dataset() -> DatasetInfo:
    """Announce the kind."""
    return DatasetInfo(KIND, lambda path: False)  # noqa: ARG005


@hookimpl
def ocrd_samples(path: Path) -> Iterator[Sample]:
    """Read it."""
    raise BadInput(f"{path}: datasets of kind {KIND!r} are not read yet", "wait")
