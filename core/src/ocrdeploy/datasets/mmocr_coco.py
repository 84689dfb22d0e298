"""MMOCR 0.x's labels for detection: one JSON file in the manner of COCO, read as MMOCR's `IcdarDataset` does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ocrdeploy.datasets import places, records, shapes, text_files
from ocrdeploy.errors import BadInput
from ocrdeploy.hookspecs import hookimpl
from ocrdeploy.vocabulary import DatasetInfo, Region, Sample

ocrd_contract = 1

KIND = "mmocr-coco"
CATEGORY = "text"

_SUFFIXES = (".json",)
_BEGINNING = re.compile(r'\s*\{\s*"(images|annotations|categories|info|licenses)"')
_LEAST_POINTS = 4


def _is_one(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and bool(_BEGINNING.match(text_files.head(path)))


@hookimpl
def ocrd_dataset() -> DatasetInfo:
    """Announce the kind."""
    return DatasetInfo(KIND, lambda path: any(_is_one(each) for each in places.single_file(path, _SUFFIXES, _is_one)))


@hookimpl
def ocrd_samples(path: Path) -> Iterator[Sample]:
    """Yield a sample for each of `images`, in the file's order. Raises `BadInput` with the image and the annotation."""
    labels = places.the_file(path, _SUFFIXES, _is_one, KIND)
    record = text_files.read_json(labels)
    images = records.field(record, "images", list, str(labels))
    if not images:
        raise text_files.empty_file(labels)
    by_image = _by_image(record, labels)
    pictures = places.Roots(labels.parent)
    for number, image in enumerate(images):
        name = records.field(image, "file_name", str, f"{labels}: images[{number}]")
        where = f"{labels}: images[{number}] ({name})"
        marks = by_image.pop(_id(image, "id", where), [])
        counted, ignored = (tuple(region for region, crowd in marks if crowd is wanted) for wanted in (False, True))
        yield Sample(pictures.named(name, where), counted, ignored, where)
    if by_image:
        lost = next(iter(by_image))
        raise BadInput(f"{labels}: annotations belong to an image with the id {lost!r}, which is not there", "correct the file")


def _by_image(record: Any, labels: Path) -> dict[object, list[tuple[Region, bool]]]:
    """Return the regions of each image, by its id, with whether they are don't-care."""
    wanted = _categories(record, labels)
    found: dict[object, list[tuple[Region, bool]]] = {}
    for number, annotation in enumerate(records.field(record, "annotations", list, str(labels))):
        where = f"{labels}: annotations[{number}]"
        regions = found.setdefault(_id(annotation, "image_id", where), [])
        if _id(annotation, "category_id", where) in wanted and not _is_skipped(annotation, where):
            regions.append((_region(annotation, where), bool(annotation.get("iscrowd"))))
    return found


def _categories(record: Any, labels: Path) -> set[object]:
    categories = records.field(record, "categories", list, str(labels))
    found = {each.get("id") for each in categories if isinstance(each, dict) and each.get("name") == CATEGORY}
    if not found:
        raise BadInput(f"{labels}: no category is called {CATEGORY!r}, so nothing in it is text", "name another file")
    return found


def _id(record: Any, key: str, where: str) -> object:
    identity = records.of_kind(record, dict, where).get(key)
    return identity if isinstance(identity, str) else records.field(record, key, int, where)


def _is_skipped(annotation: Any, where: str) -> bool:
    """Tell what MMOCR leaves out: what is marked so, and what has no extent."""
    if annotation.get("ignore"):
        return True
    box = shapes.numbers(records.field(annotation, "bbox", list, where), where)
    return records.number(annotation, "area", where) <= 0 or len(box) != _LEAST_POINTS or box[2] < 1 or box[3] < 1


def _region(annotation: Any, where: str) -> Region:
    """Return the first polygon of the segmentation, which is the only one that MMOCR looks at."""
    polygons = records.field(annotation, "segmentation", list, where)
    if not polygons:
        raise BadInput(f"{where}: 'segmentation' is empty", "correct the annotation")
    flat = shapes.numbers(records.of_kind(polygons[0], list, f"{where}: 'segmentation'[0]"), where)
    return Region(shapes.polygon(flat, where, least=_LEAST_POINTS))
