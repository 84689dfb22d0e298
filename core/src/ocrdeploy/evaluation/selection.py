"""Which pictures of a dataset are asked about, and whether the dataset can judge the task at all."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ocrdeploy import samples
from ocrdeploy.artifact import cannot_write
from ocrdeploy.errors import BadInput
from ocrdeploy.evaluation.evaluator import Pictures
from ocrdeploy.samples import Dataset
from ocrdeploy.vocabulary import Sample

NAMED = 3


@dataclass(frozen=True, slots=True)
class Selection:
    """The pictures that are asked about, in the dataset's order; `left_out`: how many are missing from disk."""

    samples: tuple[Sample, ...]
    names: tuple[str, ...]
    left_out: int = 0


def select(dataset: Dataset, task: str, *, limit: int | None, seed: int, allow_missing: bool = False) -> Selection:
    """Return the pictures to ask about: all, or a sample of `limit` that `seed` decides.

    Raises `BadInput` where there are none, where pictures are missing (unless they may be left out), or where the labels are
    not such as the task needs.
    """
    check_task(dataset, task)
    if limit is not None and limit < 1:
        raise BadInput(f"--limit {limit} leaves no pictures", "give a number of at least 1")
    gone = samples.missing(dataset)
    if gone and not allow_missing:
        raise _missing(dataset, gone)
    there = sorted(set(range(len(dataset.samples))) - set(gone))
    if not there:
        raise BadInput(f"{dataset.path} has no pictures to ask about", "name a dataset whose pictures are there")
    if limit is not None and limit < len(there):
        there = sorted(random.Random(seed).sample(there, limit))  # noqa: S311 - a sample, not a secret
    return Selection(tuple(dataset.samples[index] for index in there), tuple(dataset.names[index] for index in there), len(gone))


def _missing(dataset: Dataset, gone: Sequence[int]) -> BadInput:
    named = ", ".join(str(dataset.samples[index].image) for index in gone[:NAMED]) + (", ..." if len(gone) > NAMED else "")
    counted = "1 picture is" if len(gone) == 1 else f"{len(gone)} pictures are"
    return BadInput(
        f"{counted} labelled in {dataset.path} and not there: {named}",
        "bring them back (ocrd datasets check lists them), or give --allow-missing to leave them out, which the report says",
    )


def check_task(dataset: Dataset, task: str) -> None:
    """Raise `BadInput` where the dataset's labels are for another task."""
    unlabelled = sum(not sample.labelled for sample in dataset.samples)
    if 0 < unlabelled < len(dataset.samples):
        raise BadInput(
            f"{unlabelled} of the {len(dataset.samples)} pictures of {dataset.path} have no label",
            "label them, or leave them out: an unlabelled picture is no empty one",
        )
    if unlabelled:
        return
    if task == "recognize" and dataset.polygons:
        raise BadInput(
            f"the pictures of {dataset.path} hold several pieces of text each, and a recognizer reads pictures of one",
            "evaluate a pair on it, DETECTOR+RECOGNIZER, or the recognizer on a dataset of cropped words",
        )
    if task == "detect" and not dataset.polygons and any(sample.regions for sample in dataset.samples):
        raise BadInput(
            f"the labels of {dataset.path} are texts without boxes, and a detector finds boxes",
            "evaluate a recognizer on it, or the detector on a dataset with boxes",
        )


def pictures(selection: Selection, spool: Path) -> Pictures:
    """Return the files of the selection; pictures that are in no file of their own are written into the folder `spool`."""
    paths = [_file(sample, spool / f"picture-{number}") for number, sample in enumerate(selection.samples)]
    return Pictures(paths, selection.names)


def _file(sample: Sample, place: Path) -> Path:
    if not sample.data:
        return sample.image
    try:
        if not place.is_file() or place.stat().st_size != len(sample.data):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(sample.data)
    except OSError as error:
        raise cannot_write(place, error) from error
    return place
