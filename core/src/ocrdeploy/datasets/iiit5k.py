"""IIIT5K as a folder: pictures of one word each, and `test_labels.tsv` with a picture, a tab and the word on each line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ocrdeploy.datasets import image_list
from ocrdeploy.errors import BadInput
from ocrdeploy.hookspecs import hookimpl
from ocrdeploy.vocabulary import DatasetInfo, Sample

ocrd_contract = 1

KIND = "iiit5k"


def sniff(path: Path) -> bool:
    """Whether `path` is the label file, or the folder that holds it."""
    return _labels(path).is_file() and _labels(path).name == image_list.IIIT5K


def _labels(path: Path) -> Path:
    return path / image_list.IIIT5K if path.is_dir() else path


@hookimpl
def ocrd_dataset() -> DatasetInfo:
    """Announce the kind."""
    return DatasetInfo(KIND, sniff)


@hookimpl
def ocrd_samples(path: Path) -> Iterator[Sample]:
    """Yield one sample for each line, in the file's order."""
    labels = _labels(path)
    if not labels.is_file():
        raise BadInput(f"the folder {path} holds no {image_list.IIIT5K}", "name another folder, or another kind")
    yield from image_list.samples(labels)
