"""Datasets: what the user names becomes samples, whose reader is a plugin, and what is odd about them is said.

A label that cannot be used is an error. What only looks wrong, and a picture that is missing, is a `Fault`.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from ocrdeploy import oddities, zips
from ocrdeploy.errors import BadInput, unknown
from ocrdeploy.faults import blame, expect, fault
from ocrdeploy.plugins import Plugins
from ocrdeploy.vocabulary import Region, Sample

_LOG = logging.getLogger(__name__)

FALLBACK = "pictures"
"""The kind of a folder that nobody else knows: pictures without labels."""

_KIND = re.compile(r"[A-Za-z][\w-]+", re.ASCII)
"""What may stand before the colon. A single letter is a drive's."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something odd that does not stop an evaluation, or a picture that is missing. `words` is a sentence with file and line."""

    kind: str
    words: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset that was read.

    `path` is as the user named it, `root` the folder that names begin at (of a zip: where it was unpacked). `samples` are in
    the reader's order. `names`, one for each sample and unique, are the pictures relative to `root`, with slashes.
    `noticed` is what was odd while reading; `faults` tells it with the rest.
    """

    kind: str
    path: Path
    samples: tuple[Sample, ...]
    names: tuple[str, ...]
    root: Path = field(default_factory=Path)
    noticed: tuple[Fault, ...] = ()

    @property
    def labelled(self) -> bool:
        """Whether every sample is labelled."""
        return all(sample.labelled for sample in self.samples)

    @property
    def texts(self) -> bool:
        """Whether a region that counts has a text."""
        return any(region.text for sample in self.samples for region in sample.regions)

    @property
    def polygons(self) -> bool:
        """Whether a region has a polygon."""
        return any(region.polygon for sample in self.samples for region in (*sample.regions, *sample.ignored))

    @property
    def fingerprint(self) -> str:
        """The SHA-256, in hexadecimal, of names, labels, and sizes and times of the pictures: equal for the same dataset only."""
        digest = hashlib.sha256()
        for name, sample in zip(self.names, self.samples, strict=True):
            digest.update(
                repr((name, sample.labelled, sample.regions, sample.ignored, _stamp(sample))).encode("utf-8", "replace")
            )
        return digest.hexdigest()


def _stamp(sample: Sample) -> object:
    """Return what changes when a picture does: its bytes' hash, or its file's size and time in ns; None where it is missing."""
    if sample.data:
        return hashlib.sha256(sample.data).hexdigest()
    try:
        found = sample.image.stat()
    except (OSError, ValueError):
        return None
    return found.st_size, found.st_mtime_ns


def load(plugins: Plugins, reference: str) -> Dataset:
    """Read the dataset that `reference` names: KIND:PATH, or PATH, whose kind is then sniffed. PATH may be a zip.

    Raises `OcrdError` for what is not there, an unknown kind, and labels that cannot be used, with file and line. A picture
    that is missing is no error here: see `missing`.
    """
    kind, path = _named(plugins, reference)
    root = zips.folder_of(path) if zips.is_zip(path) else path
    kind = kind or _sniffed(plugins, path, root)
    with zips.called(root, path), blame(plugins, kind, f"reading {path}"):
        answer = plugins.call(kind, "ocrd_samples", path=root)
        entries: Iterable[object] = expect(answer, Iterable, plugins, kind, "ocrd_samples")  # type: ignore[type-abstract]
        read = [_sound(plugins, kind, sample) for sample in entries]
    if root is not path:
        read = [replace(sample, where=zips.renamed(sample.where, root, path)) for sample in read]
    if not read:
        raise BadInput(f"{path} holds nothing that a dataset of kind {kind!r} is made of", "name another path, or another kind")
    folder = root if root.is_dir() else root.parent
    samples, names, noticed = _without_twins(read, [_name(sample, folder) for sample in read])
    return Dataset(kind, path, tuple(samples), tuple(names), folder, tuple(noticed))


def missing(dataset: Dataset) -> list[int]:
    """Return the indices of the samples whose picture is not there."""
    return [index for index, sample in enumerate(dataset.samples) if not oddities.is_there(sample)]


def _named(plugins: Plugins, reference: str) -> tuple[str, Path]:
    """Split [KIND:]PATH; the kind is '' where none is given. Raises `OcrdError` for an unknown kind, and a path that is not."""
    kind, colon, rest = reference.partition(":")
    if not colon or (kind not in plugins.datasets and Path(reference).exists()):
        kind, rest = "", reference
    elif kind not in plugins.datasets:
        if not _KIND.fullmatch(kind):
            kind, rest = "", reference
        else:
            plugins.explain(kind)
            raise unknown("kind of dataset", kind, plugins.datasets)
    path = Path(rest)
    if not rest or not path.exists():
        raise BadInput(f"the dataset {rest!r} does not exist", f"check its spelling; relative paths begin at {Path.cwd()}")
    return kind, path


def _sniffed(plugins: Plugins, path: Path, root: Path) -> str:
    """Return the only kind that says of `root` that it is its own. Raises `BadInput` where none does, or several do."""
    found = [kind for kind in plugins.datasets if _says_yes(plugins, kind, root)]
    if len(found) > 1 and FALLBACK in found:
        found.remove(FALLBACK)
    if len(found) == 1:
        return found[0]
    kinds = ", ".join(sorted(plugins.datasets)) or "none is installed"
    if not found:
        raise BadInput(f"{path} is of no kind that is known here", f"say of which kind it is, KIND:{path}; the kinds: {kinds}")
    either = " or ".join(f"{kind}:{path}" for kind in found)
    raise BadInput(f"{path} could be of several kinds: {', '.join(found)}", f"say which: {either}")


def _says_yes(plugins: Plugins, kind: str, root: Path) -> bool:
    try:
        return bool(plugins.datasets[kind].sniff(root))
    except Exception as error:  # noqa: BLE001 - a stranger's sniff concerns nobody else's dataset
        _LOG.warning("%s", fault(plugins, kind, f"failed while looking at {root}: {type(error).__name__}: {error}"))
        return False


def _sound(plugins: Plugins, kind: str, sample: object) -> Sample:
    """Return what a reader yielded. Raises `BadPlugin` unless it is a sample whose parts are what they should be."""
    read = expect(sample, Sample, plugins, kind, "ocrd_samples")
    regions = (*read.regions, *read.ignored) if isinstance(read.regions, tuple) and isinstance(read.ignored, tuple) else (None,)
    if not isinstance(read.image, Path) or not isinstance(read.data, bytes) or not isinstance(read.where, str):
        raise fault(plugins, kind, "yielded a sample whose image, data or where is not a Path, bytes and text")
    if not all(isinstance(region, Region) and _is_sound(region) for region in regions):
        raise fault(
            plugins, kind, f"yielded regions that are no tuple of Region with finite points (at {read.where or read.image})"
        )
    return read


def _is_sound(region: Region) -> bool:
    try:
        return isinstance(region.text, str) and all(math.isfinite(x) and math.isfinite(y) for x, y in region.polygon)
    except (TypeError, ValueError):
        return False


def _name(sample: Sample, folder: Path) -> str:
    image = sample.image
    if image.is_relative_to(folder):
        return image.relative_to(folder).as_posix()
    return Path(os.path.relpath(image, folder)).as_posix() if not sample.data else image.as_posix()


def _without_twins(read: list[Sample], names: list[str]) -> tuple[list[Sample], list[str], list[Fault]]:
    """Leave out what is listed again with the same label. Raises `BadInput` where a picture is listed with two labels."""
    first: dict[str, Sample] = {}
    noticed = []
    for name, sample in zip(names, read, strict=True):
        twin = first.setdefault(name, sample)
        if twin is sample:
            continue
        if (twin.regions, twin.ignored, twin.data) != (sample.regions, sample.ignored, sample.data):
            raise BadInput(
                f"{sample.where or name}: the picture {name} is labelled a second time, and otherwise than at {twin.where}",
                "take one of the two labels out",
            )
        noticed.append(Fault("duplicate", f"{sample.where or name}: the picture {name} is listed again (first: {twin.where})"))
    return list(first.values()), list(first), noticed


def faults(dataset: Dataset, *, pictures: bool = True) -> Iterator[Fault]:
    """Yield what is odd about a dataset, in the order of its samples.

    With `pictures`, also which are missing, not pictures, or not labelled, and which polygons reach out of them: each is
    opened, not decoded. Without, no file is touched.
    """
    yield from dataset.noticed
    texts = dataset.texts or not dataset.polygons
    for name, sample in zip(dataset.names, dataset.samples, strict=True):
        yield from (Fault(*each) for each in oddities.of_labels(sample, texts=texts))
        if pictures:
            yield from (Fault(*each) for each in oddities.of_picture(sample, name))
    if pictures:
        yield from _unlabelled(dataset)


def _unlabelled(dataset: Dataset) -> Iterator[Fault]:
    """Yield the pictures that no label names, from folders in which labels name some.

    Where a label file was named, the others may belong to another file beside it: then nothing is said.
    """
    from ocrdeploy import sources

    unpacked = zips.is_zip(dataset.path)
    if not dataset.labelled or (dataset.path.is_file() and not unpacked):
        return
    labelled = {sample.image for sample in dataset.samples if not sample.data}
    suffixes = set(sources.SUFFIXES) - {".pdf"}
    for folder in sorted({image.parent for image in labelled}):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.suffix.lower() in suffixes and path not in labelled and not path.name.startswith("."):
                called = zips.renamed(str(path), dataset.root, dataset.path) if unpacked else path
                yield Fault("unlabelled picture", f"{called}: the picture has no label")
