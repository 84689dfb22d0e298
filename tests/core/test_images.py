from __future__ import annotations

import io
import struct
import threading
import warnings
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ocrdeploy.errors import BadInput
from ocrdeploy.images import DEFAULT_MAX_PIXELS, decode, from_array, from_pil
from ocrdeploy.vocabulary import Colour, Orientation, Pixels

FORMATS = ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF"]


def photo(height: int = 40, width: int = 60) -> Pixels:
    """A smooth picture with an edge, which every format keeps recognisable."""
    y, x = np.mgrid[:height, :width]
    picture = np.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)], axis=-1).astype(np.uint8)
    picture[: height // 4, : width // 4] = (250, 20, 20)
    return picture


def encode(image: Image.Image | Pixels, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(stream, kind, **options)
    return stream.getvalue()


def opencv(data: bytes, flags: int) -> NDArray[Any]:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    assert pixels is not None
    return pixels


def bomb(kind: str, side: int = 30_000) -> bytes:
    """A small file that declares side x side pixels."""
    if kind == "PNG":
        chunks = (
            (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)),
            (b"IDAT", zlib.compress(bytes(999))),
            (b"IEND", b""),
        )
        body = (struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks)
        return b"\x89PNG\r\n\x1a\n" + b"".join(body)
    if kind == "WEBP":
        return b"RIFF" + struct.pack("<I", 100) + b"WEBPVP8X" + struct.pack("<II", 10, 0) + (side - 1).to_bytes(3, "little") * 2
    small = encode(photo(3, 5), kind)
    replacements = {
        "JPEG": (b"\xff\xc0\x00\x11\x08\x00\x03\x00\x05", b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", side, side)),
        "GIF": (struct.pack("<HH", 5, 3), struct.pack("<HH", side, side)),
        "BMP": (struct.pack("<ii", 5, 3), struct.pack("<ii", side, side)),
    }
    if kind == "TIFF":
        for tag, old in ((256, 5), (257, 3)):
            small = small.replace(struct.pack("<HHII", tag, 4, 1, old), struct.pack("<HHII", tag, 4, 1, side))
            small = small.replace(struct.pack("<HHIHH", tag, 3, 1, old, 0), struct.pack("<HHII", tag, 4, 1, side))
        return small
    return small.replace(*replacements[kind])


@pytest.mark.parametrize("kind", FORMATS)
def test_each_format_becomes_contiguous_rgb(kind: str) -> None:
    pixels = decode(encode(photo(), kind), name="x")
    assert pixels.dtype == np.uint8
    assert pixels.shape == (40, 60, 3)
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable
    assert np.abs(pixels.astype(int) - photo()).mean() < 10


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_lossless_formats_keep_every_pixel(kind: str) -> None:
    np.testing.assert_array_equal(decode(encode(photo(), kind), name="x"), photo())


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 30}])
def test_a_jpeg_decodes_as_opencv_does_it(options: dict[str, Any]) -> None:
    data = encode(photo(), "JPEG", **options)
    np.testing.assert_array_equal(decode(data, name="x"), opencv(data, cv2.IMREAD_COLOR)[..., ::-1])
    np.testing.assert_array_equal(decode(data, name="x", colour=Colour.BGR), decode(data, name="x"))


def test_photographs_decode_as_opencv_does_it(data_folder: Path) -> None:
    files = sorted((data_folder / "icdar03_scene").rglob("*.JPG"))[:10] + sorted((data_folder / "iiit5k").rglob("*.png"))[:10]
    assert len(files) == 20
    for file in files:
        data = file.read_bytes()
        np.testing.assert_array_equal(decode(data, name=file.name), opencv(data, cv2.IMREAD_COLOR)[..., ::-1])
        np.testing.assert_array_equal(decode(data, name=file.name, colour=Colour.GRAY), opencv(data, cv2.IMREAD_GRAYSCALE))


@pytest.mark.parametrize("kind", FORMATS)
def test_gray_is_decoded_as_opencv_does_it(kind: str) -> None:
    data = encode(photo(), kind)
    gray = decode(data, name="x", colour=Colour.GRAY)
    assert gray.shape == (40, 60)
    if kind in {"JPEG", "PNG"}:
        np.testing.assert_array_equal(gray, opencv(data, cv2.IMREAD_GRAYSCALE))
    else:
        np.testing.assert_array_equal(gray, cv2.cvtColor(decode(data, name="x"), cv2.COLOR_RGB2GRAY))


def test_gray_of_a_jpeg_is_its_y_plane_and_not_a_conversion() -> None:
    data = encode(photo(), "JPEG", quality=20)
    converted = cv2.cvtColor(decode(data, name="x"), cv2.COLOR_RGB2GRAY)
    assert (decode(data, name="x", colour=Colour.GRAY) != converted).any()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_gray_is_scaled_and_not_clipped(kind: str) -> None:
    ramp = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)
    pixels = decode(encode(Image.fromarray(ramp), kind), name="x")
    np.testing.assert_array_equal(pixels[..., 0], ramp >> 8)
    np.testing.assert_array_equal(decode(encode(Image.fromarray(ramp), kind), name="x", colour=Colour.GRAY), ramp >> 8)


def test_16_bit_colour_is_scaled_and_not_clipped() -> None:
    ramp = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)
    deep = np.stack([ramp, ramp.T, ramp[::-1]], axis=-1)
    for suffix in (".png", ".tif"):
        written, data = cv2.imencode(suffix, deep[..., ::-1])
        assert written
        np.testing.assert_array_equal(decode(data.tobytes(), name="x"), deep >> 8)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_32_bit_numbers_are_stretched(dtype: type[np.generic]) -> None:
    ramp = np.linspace(-1000, 1000, 64).astype(dtype).reshape(8, 8)
    pixels = decode(encode(Image.fromarray(ramp), "TIFF"), name="x", colour=Colour.GRAY)
    assert (pixels[0, 0], pixels[-1, -1]) == (0, 255)
    assert (np.diff(pixels.ravel().astype(int)) > 0).all()


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("1", "PNG"),
        ("1", "TIFF"),
        ("1", "BMP"),
        ("L", "JPEG"),
        ("L", "PNG"),
        ("L", "TIFF"),
        ("P", "PNG"),
        ("P", "BMP"),
        ("P", "GIF"),
    ],
)
def test_gray_palette_and_two_colours(mode: str, kind: str) -> None:
    image = Image.fromarray(photo()).convert(mode)
    expected = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(decode(encode(image, kind), name="x") - expected).max() <= (30 if kind == "JPEG" else 0)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk(kind: str) -> None:
    red = decode(encode(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), kind), name="x")
    assert np.abs(red - np.array([255, 0, 0])).max() <= 3


@pytest.mark.parametrize(("mode", "kind"), [("LA", "PNG"), ("RGBA", "PNG"), ("RGBA", "WEBP"), ("RGBA", "TIFF"), ("PA", "PNG")])
@pytest.mark.parametrize("colour", [Colour.RGB, Colour.GRAY])
def test_alpha_is_laid_on_white(mode: str, kind: str, colour: Colour) -> None:
    black = Image.new("RGBA", (9, 8), (0, 0, 0, 255))
    black.paste((0, 0, 0, 0), (0, 0, 9, 4))
    black.paste((0, 0, 0, 128), (0, 4, 9, 6))
    if mode == "PA":
        data = encode(black.quantize(16), kind)  # a palette with a tRNS chunk
    else:
        data = encode(black.convert(mode), kind, **({"lossless": True} if kind == "WEBP" else {}))
    pixels = decode(data, name="x", colour=colour)
    assert pixels.ndim == (2 if colour is Colour.GRAY else 3)
    assert (pixels[:4] == 255).all()
    assert (np.abs(pixels[4:6].astype(int) - 127) <= 1).all()
    assert (pixels[6:] == 0).all()


def test_a_transparent_colour_is_white() -> None:
    image = Image.new("RGB", (8, 8), (1, 2, 3))
    assert (decode(encode(image, "PNG", transparency=(1, 2, 3)), name="x") == 255).all()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_of_an_animation_is_read(kind: str) -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in ((200, 0, 0), (0, 200, 0))]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:])
    assert np.abs(decode(data, name="x") - np.array([200, 0, 0])).max() <= 5


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_or_ignored(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(photo(), kind, exif=exif)
    turned = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: np.rot90(p, -1),
        7: lambda p: np.rot90(p, 2).transpose(1, 0, 2),
        8: lambda p: np.rot90(p, 1),
    }[orientation](photo())
    for given, expected in ((Orientation.EXIF, turned), (Orientation.IGNORE, turned if kind == "TIFF" else photo())):
        pixels = decode(data, name="x", orientation=given)
        assert pixels.shape == expected.shape
        assert pixels.flags.c_contiguous
        assert np.abs(pixels.astype(int) - expected).mean() < 10


def test_exif_orientation_applies_to_gray_and_to_alpha() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(encode(photo(), "JPEG", exif=exif), name="x", colour=Colour.GRAY).shape == (60, 40)
    assert decode(encode(Image.fromarray(photo()).convert("RGBA"), "PNG", exif=exif), name="x").shape == (60, 40, 3)


def test_a_picture_with_damaged_exif_is_read() -> None:
    assert decode(encode(photo(), "WEBP", exif=b"Exif\0\0nonsense"), name="x").shape == (40, 60, 3)
    assert decode(encode(photo(), "JPEG", exif=b"Exif\0\0nonsense"), name="x").shape == (40, 60, 3)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.98])
def test_a_file_cut_in_the_middle_is_refused(kind: str, part: float, capfd: pytest.CaptureFixture[str]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (120, 90, 3), np.uint8)
    data = encode(noise, kind)
    with pytest.raises(BadInput, match=r"^'photo' is (cut short|damaged)") as caught:
        decode(data[: int(len(data) * part)], name="photo")
    assert caught.value.fix == "copy or download it again"
    assert capfd.readouterr().err == "", "a decoder wrote to standard error by itself"


@pytest.mark.parametrize("options", [{"compression": "tiff_lzw"}, {"compression": "jpeg"}, {"compression": "tiff_deflate"}])
def test_a_compressed_tiff_cut_in_the_middle_is_refused(options: dict[str, Any]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (120, 90, 3), np.uint8)
    data = encode(noise, "TIFF", **options)
    with pytest.raises(BadInput, match="is cut short or damaged"):
        decode(data[: len(data) // 2], name="photo")


def test_a_jpeg_cut_after_its_thumbnail_is_refused() -> None:
    exif = Image.Exif()
    exif[0x9286] = encode(photo(), "JPEG")  # a whole JPEG with its end marker, inside of the EXIF segment
    data = encode(np.random.default_rng(0).integers(0, 256, (120, 90, 3), np.uint8), "JPEG", exif=exif)
    assert b"\xff\xd9" in data[: len(data) // 2]
    with pytest.raises(BadInput, match="is cut short"):
        decode(data[: len(data) // 2], name="photo")


def test_what_follows_the_end_of_a_jpeg_does_not_matter() -> None:
    data = encode(photo(), "JPEG")
    np.testing.assert_array_equal(decode(data + bytes(999), name="x"), decode(data, name="x"))


def test_a_png_with_a_flipped_bit_is_refused() -> None:
    data = bytearray(encode(photo(), "PNG"))
    data[len(data) // 2] ^= 1
    with pytest.raises(BadInput, match="is cut short or damaged"):
        decode(bytes(data), name="photo")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "'photo.jpg' is empty"),
        (b"Hello, this is a text\n", r"'photo.jpg' is not a picture: it begins with b'Hello, this "),
        (b"BM", "'photo.jpg' is cut short"),
        (b"\xff\xd8\xff", "'photo.jpg' is cut short"),
        (b"RIFF\0\0\0\0WEBP", "'photo.jpg' is cut short"),
        (b"%PDF-1.7", "'photo.jpg' is not a picture"),
    ],
)
def test_what_is_not_a_picture_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(BadInput, match=problem) as caught:
        decode(data, name="photo.jpg")
    assert caught.value.fix


@pytest.mark.parametrize("kind", FORMATS)
def test_a_decompression_bomb_is_refused_by_its_header(kind: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BadInput, match="declares 30000 x 30000 pixels, which is more than the limit of") as caught:
            decode(bomb(kind), name="bomb")
    assert "--max-pixels 900000000" in caught.value.fix


@pytest.mark.parametrize("kind", FORMATS)
def test_the_limit_is_ours_and_not_pillows(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(photo(), kind)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert decode(data, name="x", max_pixels=40 * 60).shape == (40, 60, 3)
    assert Image.MAX_IMAGE_PIXELS == 10
    with pytest.raises(BadInput, match="more than the limit of 2399"):
        decode(data, name="x", max_pixels=40 * 60 - 1)
    assert Image.MAX_IMAGE_PIXELS == 10


def test_the_limit_admits_the_largest_telephone_pictures() -> None:
    assert DEFAULT_MAX_PIXELS >= 16320 * 12240


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (4000, 1)])
def test_extreme_shapes_decode(kind: str, shape: tuple[int, int]) -> None:
    assert decode(encode(np.full((*shape, 3), 255, np.uint8), kind), name="x").shape == (*shape, 3)


def test_decoding_in_threads_leaves_pillow_as_it_was() -> None:
    limit, filters = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    files = [encode(photo(), kind) for kind in FORMATS]
    results: list[int] = []

    def work() -> None:
        results.extend(decode(data, name="x", max_pixels=10_000).shape[0] for data in files * 5)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [40] * (4 * 5 * len(files))
    assert limit == Image.MAX_IMAGE_PIXELS
    assert list(warnings.filters) == filters


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16", "RGBX", "RGBa"]
)
def test_a_pil_image_of_any_mode_is_read(mode: str) -> None:
    image = Image.new(mode, (6, 4))
    assert from_pil(image, name="x").shape == (4, 6, 3)
    assert from_pil(image, name="x", colour=Colour.GRAY).shape == (4, 6)


def test_a_pil_image_that_is_cut_or_too_large_is_refused() -> None:
    data = encode(photo(), "JPEG")
    with pytest.raises(BadInput, match="'x' is cut short or damaged"):
        from_pil(Image.open(io.BytesIO(data[: len(data) - 200])), name="x")
    with pytest.raises(BadInput, match="declares 60 x 40 pixels"):
        from_pil(Image.open(io.BytesIO(data)), name="x", max_pixels=100)


def test_an_array_is_taken_as_it_is() -> None:
    array = photo()
    assert from_array(array) is array
    assert from_array(array[:, ::-1]).flags.c_contiguous


@pytest.mark.parametrize(
    "array",
    [photo()[..., 0], photo().astype(np.float32), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8), [[1]], None],
)
def test_another_array_is_refused(array: object) -> None:
    with pytest.raises(BadInput, match=r"RGB, uint8|is not a picture") as caught:
        from_array(array)
    assert caught.value.fix
