"""Files of several pages, TIFF and PDF, become one picture a page."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from math import ceil
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from ocrdeploy.errors import BadInput, OcrdError
from ocrdeploy.headers import COPY_AGAIN, check_size, open_image, pillow
from ocrdeploy.images import decode, from_pil
from ocrdeploy.vocabulary import Pixels

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

NumberedPage: TypeAlias = tuple[int, Pixels | OcrdError]
"""A page's number, from 1, or 0 for the only page of its file; and its pixels, or why there are none."""

_PDF_HEADER_WITHIN = 1024
_PDF_WRONG_PASSWORD = 4
_POINTS_PER_INCH = 72
_TIFF_SUBFILE_TYPE = 254
_TIFF_REDUCED = 1
_PDFIUM = threading.Lock()


def read_pages(data: bytes, *, name: str, dpi: int, max_pixels: int) -> Iterator[NumberedPage]:
    """Decode a picture file or a PDF page by page, RGB and upright; raises `BadInput` where the whole file is bad."""
    if b"%PDF-" in data[:_PDF_HEADER_WITHIN]:
        yield from _read_pdf(data, name, dpi, max_pixels)
    elif data.startswith((b"II", b"MM")):
        yield from _read_tiff(data, name, max_pixels)
    else:
        yield 0, decode(data, name=name, max_pixels=max_pixels)


def _read_tiff(data: bytes, name: str, max_pixels: int) -> Iterator[NumberedPage]:
    image = open_image(data, name=name, max_pixels=max_pixels)
    frames, fault = _tiff_frames(image, name, max_pixels)

    def decode_page(index: int, page_name: str) -> Pixels:
        if fault and index == len(frames):
            raise fault
        with pillow(page_name, max_pixels):
            image.seek(frames[index])
        return from_pil(image, name=page_name, max_pixels=max_pixels)

    yield from _each_page(name, len(frames) + (fault is not None), decode_page)


def _tiff_frames(image: ImageFile, name: str, max_pixels: int) -> tuple[list[int], OcrdError | None]:
    """Return which frames are pages, not smaller copies of one, and what stands in the way of finding more."""
    assert isinstance(image, TiffImageFile)
    frames: list[int] = []
    frame = 0
    while True:
        try:
            with pillow(f"{name}#{len(frames) + 1}", max_pixels):
                image.seek(frame)
        except BadInput as error:
            return frames, None if isinstance(error.__cause__, EOFError) else error
        if frame == 0 or not image.tag_v2.get(_TIFF_SUBFILE_TYPE, 0) & _TIFF_REDUCED:
            frames.append(frame)
        frame += 1


def _read_pdf(data: bytes, name: str, dpi: int, max_pixels: int) -> Iterator[NumberedPage]:
    document = _open_pdf(data, name)
    try:
        with _PDFIUM:
            count = len(document)
        if not count:
            raise BadInput(f"{name!r} is a PDF without pages", COPY_AGAIN)
        yield from _each_page(name, count, lambda index, page_name: _render(document, index, page_name, dpi, max_pixels))
    finally:
        with _PDFIUM:
            document.close()


def _each_page(name: str, count: int, decode_page: Callable[[int, str], Pixels]) -> Iterator[NumberedPage]:
    """Decode the pages of a file one by one, each by its index and its name, so that a bad one costs no other."""
    for index in range(count):
        number = index + 1 if count > 1 else 0
        try:
            pixels = decode_page(index, f"{name}#{number}" if number else name)
        except OcrdError as error:
            yield number, error
        else:
            yield number, pixels


def _open_pdf(data: bytes, name: str) -> PdfDocument:
    try:
        from pypdfium2 import PdfDocument, PdfiumError
    except ImportError as error:
        raise BadInput(f"{name!r} is a PDF, which is read by pypdfium2", "pip install 'ocrdeploy[pdf]'") from error
    try:
        # PDFium may be called by one thread at a time.
        with _PDFIUM:
            document = PdfDocument(data)
            document.init_forms()
    except PdfiumError as error:
        if error.err_code == _PDF_WRONG_PASSWORD:
            raise BadInput(f"{name!r} is locked with a password", "save a copy of it without a password") from error
        raise BadInput(f"{name!r} is cut short or damaged: {error}", COPY_AGAIN) from error
    return document


def _render(document: PdfDocument, index: int, name: str, dpi: int, max_pixels: int) -> Pixels:
    from pypdfium2 import PdfiumError

    scale = dpi / _POINTS_PER_INCH
    try:
        with _PDFIUM:
            page = document[index]
            try:
                width, height = (ceil(side * scale) for side in page.get_size())
                check_size(width, height, name=name, max_pixels=max_pixels, instead="choose a lower --dpi")
                bitmap = page.render(scale=scale, rev_byteorder=True)
                # The bitmap's memory is PDFium's, and its rows may be padded.
                pixels = np.array(bitmap.to_numpy(), np.uint8, order="C")
                bitmap.close()
                return pixels
            finally:
                page.close()
    except PdfiumError as error:
        raise BadInput(f"{name!r} is damaged: {error}", COPY_AGAIN) from error
