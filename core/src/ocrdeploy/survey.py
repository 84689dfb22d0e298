"""What a dataset holds: its counts, the sizes of its pictures, and what is odd about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from ocrdeploy import oddities, samples
from ocrdeploy.errors import BadInput
from ocrdeploy.samples import Dataset, Fault

MISSING = "missing picture"


@dataclass(frozen=True, slots=True)
class Survey:
    """The figures of a dataset. `characters` are those of the texts that count, with how often; sizes are (height, width)."""

    dataset: Dataset
    missing: int
    regions: int
    ignored: int
    texts: int
    characters: Counter[str]
    sizes: tuple[tuple[int, int], ...]
    faults: tuple[Fault, ...]

    @property
    def by_kind(self) -> dict[str, list[Fault]]:
        """The faults of each kind, in the order in which they were found."""
        found: dict[str, list[Fault]] = {}
        for each in self.faults:
            found.setdefault(each.kind, []).append(each)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the survey as JSON has it."""
        return {
            "dataset": {
                "kind": self.dataset.kind,
                "path": str(self.dataset.path),
                "fingerprint": self.dataset.fingerprint,
                "labelled": self.dataset.labelled,
            },
            "pictures": len(self.dataset.samples),
            "missing": self.missing,
            "regions": self.regions,
            "ignored": self.ignored,
            "texts": self.texts,
            "characters": dict(sorted(self.characters.items())),
            "heights": _extremes([height for height, _ in self.sizes]),
            "widths": _extremes([width for _, width in self.sizes]),
            "faults": [{"kind": each.kind, "words": each.words} for each in self.faults],
        }


def _extremes(values: list[int]) -> list[int] | None:
    """Return the least and the greatest, None where there is none."""
    return [min(values), max(values)] if values else None


def survey(dataset: Dataset) -> Survey:
    """Count what is in a dataset, and look at every label and at the beginning of every picture."""
    texts = [region.text for sample in dataset.samples for region in sample.regions if region.text]
    return Survey(
        dataset=dataset,
        missing=len(samples.missing(dataset)),
        regions=sum(len(sample.regions) for sample in dataset.samples),
        ignored=sum(len(sample.ignored) for sample in dataset.samples),
        texts=len(texts),
        characters=Counter("".join(texts)),
        sizes=tuple(_sizes(dataset)),
        faults=tuple(samples.faults(dataset)),
    )


def _sizes(dataset: Dataset) -> list[tuple[int, int]]:
    """Return the size of every picture that has one; which have none, `samples.faults` says."""
    found = []
    for sample in dataset.samples:
        if oddities.is_there(sample):
            try:
                found.append(oddities.picture_sizes(sample)[0])
            except BadInput:
                continue
    return found
