"""Pictures as bytes, PIL images or arrays become `Pixels`, or a `BadInput` that says why not.

JPEG and PNG are decoded by OpenCV, as MMOCR does, so that pixels agree to the last bit; it is also the fastest way, and other
threads run meanwhile. Pillow decodes everything else, and whatever has an alpha channel.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from ocrdeploy.errors import BadInput
from ocrdeploy.headers import COPY_AGAIN, check_size, open_image, pillow
from ocrdeploy.vocabulary import Colour, Orientation, Pixels

DEFAULT_MAX_PIXELS = 200_000_000
"""The largest picture that is read unless a larger one is allowed: a telephone's 16320 x 12240 fit in."""

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(
    data: bytes,
    *,
    name: str,
    colour: Colour = Colour.RGB,
    orientation: Orientation = Orientation.EXIF,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> Pixels:
    """Decode the first frame of a JPEG, PNG, TIFF, WebP, BMP or GIF file.

    The array is contiguous and the caller's own: (H, W, 3) RGB (for `Colour.BGR` too: channels are swapped where the tensor is
    filled), or (H, W) for gray, which for JPEG (the Y plane) and PNG is what OpenCV decodes as gray. 16 bits become 8 by their
    upper byte; alpha is laid on white. A TIFF's orientation is always applied, as OpenCV does. Raises `BadInput`.
    """
    image = open_image(data, name=name, max_pixels=max_pixels)
    animated = getattr(image, "is_animated", False)
    if isinstance(image, JpegImageFile | PngImageFile) and not animated and not image.has_transparency_data:
        return _decode_with_opencv(data, name, colour, orientation)
    return from_pil(image, name=name, colour=colour, orientation=orientation, max_pixels=max_pixels)


def from_pil(
    image: Image.Image,
    *,
    name: str,
    colour: Colour = Colour.RGB,
    orientation: Orientation = Orientation.EXIF,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> Pixels:
    """Return the pixels of a PIL image of any mode, as `decode` does; what it has not read of its file is read now."""
    check_size(*image.size, name=name, max_pixels=max_pixels)
    with pillow(name, max_pixels):
        image.load()
        # Pillow has turned a TIFF upright while loading it.
        if orientation is Orientation.EXIF and not isinstance(image, TiffImageFile):
            image = _upright(image)
        return _pixels(image, colour)


def from_array(array: Any) -> Pixels:
    """Return `array`, or a contiguous copy of it, if it is RGB, uint8 and (H, W, 3); raises `BadInput` if it is not."""
    if not isinstance(array, np.ndarray):
        raise BadInput(
            f"a value of type {type(array).__name__} is not a picture", "pass a path, bytes, a PIL image, or an RGB uint8 array"
        )
    if array.dtype != np.uint8 or array.shape[2:] != (3,) or not array.size:
        what = f"an array has to be RGB, uint8 and (H, W, 3), and this one is {array.dtype} and {array.shape}"
        raise BadInput(what, "convert it, or pass a PIL image")
    return np.ascontiguousarray(array)


def _decode_with_opencv(data: bytes, name: str, colour: Colour, orientation: Orientation) -> Pixels:
    flags = cv2.IMREAD_GRAYSCALE if colour is Colour.GRAY else cv2.IMREAD_COLOR_RGB
    if orientation is Orientation.IGNORE:
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise BadInput(f"{name!r} cannot be decoded: {error.err}", "convert it to a plain PNG") from error
    if pixels is None:
        raise BadInput(f"{name!r} is damaged: its header can be read, but its pixels cannot", COPY_AGAIN)
    return np.asarray(pixels, np.uint8)


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG)
    except Exception:  # noqa: BLE001  # A picture is still a picture where its EXIF is damaged, which shows in many ways.
        return image
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _pixels(image: Image.Image, colour: Colour) -> Pixels:
    if image.mode in {"I", "F"}:
        image = _stretched(image)
    elif image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    gray = colour is Colour.GRAY
    mode = "L" if gray and image.mode in {"1", "L"} else "RGB"
    pixels = np.array(image if image.mode == mode else image.convert(mode))
    # OpenCV's weights, to which models were trained, not Pillow's, which round otherwise.
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8) if gray and mode == "RGB" else pixels


def _stretched(image: Image.Image) -> Image.Image:
    """Return a picture of 32-bit numbers, which do not say what is white, with its darkest at 0 and its brightest at 255."""
    values = np.nan_to_num(np.asarray(image, np.float64))
    low, high = values.min(), values.max()
    return Image.fromarray(((values - low) * (255 / (high - low or 1)) + 0.5).astype(np.uint8))
