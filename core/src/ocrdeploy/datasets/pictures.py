"""Pictures without labels: enough to measure agreement and speed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from ocrdeploy.datasets import places
from ocrdeploy.hookspecs import hookimpl
from ocrdeploy.vocabulary import DatasetInfo, Sample

_LOG = logging.getLogger(__name__)

ocrd_contract = 1

KIND = "pictures"


def sniff(path: Path) -> bool:
    """Whether `path` is a picture, or a folder with pictures somewhere in it."""
    if path.is_dir():
        return any(places.files(path, places.PICTURES))
    return path.is_file() and path.suffix.lower() in places.PICTURES


@hookimpl
def ocrd_dataset() -> DatasetInfo:
    """Announce the kind."""
    return DatasetInfo(KIND, sniff)


@hookimpl
def ocrd_samples(path: Path) -> Iterator[Sample]:
    """Yield the pictures that `sources.find` finds, in natural order, without labels. Raises its errors."""
    from ocrdeploy import sources

    for found in sources.find([path]):
        if found.error is not None:
            raise found.error
        assert found.path is not None
        if found.path.suffix.lower() == ".pdf":
            _LOG.warning("%s is a document, not a picture, and is left out", found.path)
        else:
            yield Sample(found.path, where=str(found.path), labelled=False)
