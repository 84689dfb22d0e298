"""How large pictures are, from their headers: no pixel is decoded, but for documents with pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from ocrdeploy import lines, sources
from ocrdeploy.errors import BadInput, OcrdError
from ocrdeploy.headers import open_image, pillow
from ocrdeploy.images import DEFAULT_MAX_PIXELS
from ocrdeploy.samples import Dataset
from ocrdeploy.vocabulary import InputSpec, ModelSpec, Orientation, Region, Sample, Task

Size: TypeAlias = tuple[int, int]
"""(height, width) in pixels."""

_WIDTH_TAG, _HEIGHT_TAG, _ORIENTATION_TAG = 0x0100, 0x0101, 0x0112
_LYING = {5, 6, 7, 8}
"""The orientations that swap the sides."""

_PAGED = (".pdf", ".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class Measured:
    """A picture, or a line cut out of one, by its name: its size as the model gets it, or why there is none."""

    name: str
    size: Size | None = None
    error: OcrdError | None = None

    def known(self) -> Size:
        """Return the size. Raises the error where there is none."""
        if self.size is None:
            assert self.error is not None
            raise self.error
        return self.size


def of_dataset(dataset: Dataset, model: ModelSpec) -> Iterator[Measured]:
    """Measure what `model` gets of a dataset: its pictures, or, where lines are labelled in them and it takes lines, those.

    A picture that is missing or damaged is a `Measured` with an error.
    """
    cut = _takes_lines(dataset, model)
    for name, sample in zip(dataset.names, dataset.samples, strict=True):
        try:
            size = upright_size(_data(sample, name), name=name, orientation=model.input.orientation)
        except OcrdError as error:
            yield Measured(name, error=error)
            continue
        if cut:
            yield from (Measured(f"{name}, line {number}", line) for number, line in _lines(size, sample.regions))
        else:
            yield Measured(name, size)


def expected(dataset: Dataset, model: ModelSpec) -> int:
    """Return how much `of_dataset` yields, if every picture can be read."""
    if not _takes_lines(dataset, model):
        return len(dataset.samples)
    return sum(bool(region.polygon) for sample in dataset.samples for region in sample.regions)


def _takes_lines(dataset: Dataset, model: ModelSpec) -> bool:
    return model.task is not Task.DETECTION and dataset.polygons


def of_inputs(inputs: Iterable[sources.Input], spec: InputSpec) -> Iterator[Measured]:
    """Measure files, and each page of a TIFF or PDF for itself."""
    for item in inputs:
        if item.error is not None:
            yield Measured(item.name, error=item.error)
        elif item.path is None or item.path.suffix.lower() in _PAGED:
            yield from map(_decoded, sources.pictures([item]))
        else:
            yield _file(item.path, item.name, spec)


def upright_size(data: bytes, *, name: str, orientation: Orientation, max_pixels: int = DEFAULT_MAX_PIXELS) -> Size:
    """Return the size that `images.decode` would give the first frame of a picture file. Raises `BadInput` as it does."""
    image = open_image(data, name=name, max_pixels=max_pixels)
    if isinstance(image, TiffImageFile):
        # Turned whatever the spec says; some versions of Pillow tell the turned size before the pixels are read, others after.
        width, height, turned = image.tag_v2[_WIDTH_TAG], image.tag_v2[_HEIGHT_TAG], True
    else:
        (width, height), turned = image.size, orientation is Orientation.EXIF
    with pillow(name, max_pixels):
        return (width, height) if turned and _orientation(image) in _LYING else (height, width)


def _orientation(image: Image.Image) -> int | None:
    exif = Image.Exif()
    if isinstance(image, JpegImageFile | PngImageFile):
        # `getexif` would decode a whole PNG to look for EXIF behind its pixels, and take XMP for EXIF, unlike OpenCV.
        exif.load(image.info.get("exif", b""))
    else:
        exif = image.getexif()
    return exif.get(_ORIENTATION_TAG)


def _data(sample: Sample, name: str) -> bytes:
    return sample.data or _bytes(sample.image, name)


def _bytes(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:  # a path with a null character is a ValueError
        raise BadInput(
            f"{name!r} cannot be read: {getattr(error, 'strerror', None) or error}", f"check the path {path}, and the disk"
        ) from None


def _file(path: Path, name: str, spec: InputSpec) -> Measured:
    try:
        return Measured(name, upright_size(_bytes(path, name), name=name, orientation=spec.orientation))
    except OcrdError as error:
        return Measured(name, error=error)


def _decoded(picture: sources.Picture) -> Measured:
    if picture.pixels is None:
        return Measured(picture.name, error=picture.error)
    return Measured(picture.name, (picture.pixels.shape[0], picture.pixels.shape[1]))


def _lines(size: Size, regions: Iterable[Region]) -> Iterator[tuple[int, Size]]:
    """Yield the number, from 1, and the size of each line that would be cut out of a picture."""
    # One byte that stands for every pixel: lines are cut as from a picture, and none has to be decoded.
    blank = np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (*size, 3))
    for number, region in enumerate(regions, 1):
        if region.polygon:
            crop = lines.cut_line(blank, region.polygon)
            yield number, (crop.shape[0], crop.shape[1])
