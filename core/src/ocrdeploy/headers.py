"""What a picture file says of itself before it is decoded: its format, its size, and whether it is all there."""

from __future__ import annotations

import io
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from ocrdeploy.errors import BadInput

COPY_AGAIN = "copy or download it again"

_SIGNATURES: tuple[tuple[bytes, type[ImageFile]], ...] = (
    (b"\xff\xd8\xff", JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"II*\0", TiffImageFile),
    (b"MM\0*", TiffImageFile),
    (b"II+\0", TiffImageFile),
    (b"MM\0+", TiffImageFile),
    (b"BM", BmpImageFile),
    (b"GIF87a", GifImageFile),
    (b"GIF89a", GifImageFile),
)
_PILLOW = threading.Lock()


def open_image(data: bytes, *, name: str, max_pixels: int) -> ImageFile:
    """Read a file's header; raises `BadInput` unless it is a picture of at most `max_pixels`, and JPEG and PNG are whole."""
    if not data:
        raise BadInput(f"{name!r} is empty", COPY_AGAIN)
    kind = _kind(data)
    if kind is None:
        problem = f"{name!r} is not a picture: it begins with {data[:12]!r}, unlike JPEG, PNG, TIFF, WebP, BMP, GIF and PDF"
        raise BadInput(problem, "pass a picture; one of another format has to be converted, to PNG for instance")
    if kind is WebPImageFile:
        # Pillow allocates memory for a WebP picture before it tells the size.
        check_size(*_webp_size(data), name=name, max_pixels=max_pixels)
    stream = io.BytesIO(data)
    with pillow(name, max_pixels):
        # Not `Image.open`: it asks formats that nobody wants here, and a program for some of them.
        image = kind(stream)
    check_size(*image.size, name=name, max_pixels=max_pixels)
    # Pillow has stopped at the first scan of a JPEG: an end marker after it is the picture's, not that of a thumbnail.
    if (kind is JpegImageFile and data.rfind(b"\xff\xd9", stream.tell()) < 0) or (
        kind is PngImageFile and not _png_is_whole(data)
    ):
        raise BadInput(f"{name!r} is cut short or damaged: the file ends before the picture does", COPY_AGAIN)
    return image


def check_size(width: int, height: int, *, name: str, max_pixels: int, instead: str = "") -> None:
    """Raise `BadInput` for a picture of more than `max_pixels`; `instead` is a remedy besides a higher limit."""
    if (area := width * height) > max_pixels:
        raise BadInput(
            f"{name!r} declares {width} x {height} pixels, which is more than the limit of {max_pixels}",
            f"{instead and instead + ', or, '}if you trust the file, raise the limit: --max-pixels {area} (max_pixels in Python)",
        )


@contextmanager
def pillow(name: str, max_pixels: int) -> Iterator[None]:
    """Turn whatever Pillow raises for a bad file into `BadInput`, with our limit in the place of its own, and no warnings.

    Both are settings of the whole process, so one thread at a time changes them, and puts them back.
    """
    with _PILLOW, warnings.catch_warnings(action="ignore"):
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
        try:
            yield
        except MemoryError as error:
            raise BadInput(
                f"{name!r} does not fit into the memory that is left", "make it smaller, or run with more memory"
            ) from error
        except Exception as error:  # Decoders raise anything for bytes that they were not meant for.
            why = str(error).rstrip(".") or type(error).__name__
            raise BadInput(f"{name!r} is cut short or damaged: {why}", COPY_AGAIN) from error
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _kind(data: bytes) -> type[ImageFile] | None:
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return WebPImageFile
    return next((kind for signature, kind in _SIGNATURES if data.startswith(signature)), None)


def _webp_size(data: bytes) -> tuple[int, int]:
    """Return the (width, height) that the first chunk of a WebP file declares."""
    kind, body = data[12:16], data[20:30].ljust(10, b"\0")
    if kind == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack("<HH", body[6:10])
    return width & 0x3FFF, height & 0x3FFF


def _png_is_whole(data: bytes) -> bool:
    """Tell whether every chunk up to the end chunk is there, and those that the picture is made of have their checksum."""
    view, start = memoryview(data), 8
    while start + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        end = start + 12 + length
        if end > len(data):
            return False
        (checksum,) = struct.unpack_from(">I", data, end - 4)
        if kind in {b"IHDR", b"PLTE", b"IDAT"} and zlib.crc32(view[start + 4 : end - 4]) != checksum:
            return False
        if kind == b"IEND":
            return True
        start = end
    return False
