from __future__ import annotations

import logging
import math
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from ocrdeploy import fonts
from ocrdeploy.drawing import annotate
from ocrdeploy.errors import BadInput
from ocrdeploy.vocabulary import Pixels, Region

BUILT_IN = (fonts.FontFile(""),)
BOX = ((100, 100), (500, 100), (500, 180), (100, 180))


def photo(height: int = 600, width: int = 800, value: int = 90) -> Pixels:
    return np.full((height, width, 3), value, np.uint8)


def panel(image: Image.Image) -> Pixels:
    """The right half, where the texts are."""
    return np.asarray(image)[:, image.width // 2 + 1 :]


def ink(pixels: Pixels) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is nearly black."""
    y, x = np.nonzero(pixels.max(axis=2) < 80)
    return int(x.min()), int(y.min()), int(x.max()), int(y.max())


@pytest.fixture(autouse=True)
def _forget_fonts() -> Iterator[None]:
    yield
    fonts.installed.cache_clear()
    fonts._warn.cache_clear()


@pytest.fixture
def latin_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_packaged", lambda: ())
    fonts.installed.cache_clear()


@pytest.fixture
def cjk() -> None:
    if fonts.installed() == BUILT_IN:
        pytest.skip("needs the extra ocrdeploy[fonts]")


def turned(degrees: float, width: float = 300, height: float = 60) -> tuple[tuple[float, float], ...]:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    corners = ((-width, -height), (width, -height), (width, height), (-width, height))
    return tuple((400 + (x * c - y * s) / 2, 300 + (x * s + y * c) / 2) for x, y in corners)


def test_boxes_alone_keep_the_size_of_the_picture() -> None:
    image = annotate(photo(), [Region(BOX)])
    assert (image.mode, image.size) == ("RGB", (800, 600))
    drawn = np.asarray(image)
    assert (drawn[300:] == 90).all(), "far from the box nothing is drawn"
    assert (np.abs(drawn[100, 100:500].astype(int) - 90).max(axis=1) > 40).all(), "the outline is drawn"
    inside = drawn[140, 300].astype(int)
    assert 0 < np.abs(inside - 90).max() < 60, "the inside is tinted, and can be seen through"


def test_nothing_found_gives_the_picture() -> None:
    assert (np.asarray(annotate(photo(), [])) == 90).all()


def test_the_picture_that_is_given_stays_as_it_is() -> None:
    pixels = photo()
    annotate(pixels, [Region(BOX, "text")])
    assert (pixels == 90).all()


def test_a_text_stands_in_its_place_in_a_panel_to_the_right() -> None:
    image = annotate(photo(), [Region(BOX, "RIVER STREET")])
    assert image.size == (2 * 800 + 1, 600)
    left, top, right, bottom = ink(panel(image))
    assert 100 <= left < right <= 500
    assert 100 <= top < bottom <= 180
    assert right - left > 250
    assert bottom - top > 30


def test_a_long_text_fits_its_box() -> None:
    left, top, right, bottom = ink(panel(annotate(photo(), [Region(BOX, "a very long text " * 4)])))
    assert 100 <= left < right <= 500
    assert 100 <= top < bottom <= 180


@pytest.mark.parametrize("degrees", [-60, -20, 0, 15, 45, 75])
def test_a_slanted_text_is_drawn_along_its_slope(degrees: float) -> None:
    drawn = panel(annotate(photo(), [Region(turned(degrees), "abcabcabcabc")]))
    y, x = np.nonzero(drawn.max(axis=2) < 80)
    values, vectors = np.linalg.eigh(np.cov(x, y))
    along = vectors[:, values.argmax()]
    slope = math.degrees(math.atan2(along[1], along[0]))
    assert abs((slope - degrees + 90) % 180 - 90) < 3
    assert abs(x.mean() - 400) < 20
    assert abs(y.mean() - 300) < 20


def test_a_tall_box_has_its_text_turned() -> None:
    drawn = panel(annotate(photo(), [Region(turned(0, 50, 300), "VERTICAL")]))
    left, top, right, bottom = ink(drawn)
    assert bottom - top > 3 * (right - left)


@pytest.mark.usefixtures("cjk")
def test_a_tall_east_asian_text_is_a_column_of_upright_characters() -> None:
    drawn = panel(annotate(photo(), [Region(turned(0, 70, 300), "一一一")]))
    rows = (drawn[180:420, 400 - 25 : 400 + 25].max(axis=2) < 80).any(axis=1)
    starts = int((np.diff(rows.astype(int)) == 1).sum())
    assert starts == 3, "three horizontal strokes, one below the other"


@pytest.mark.usefixtures("cjk")
@pytest.mark.parametrize(
    "text",
    ["street", "straße", "中文路牌", "繁體中文", "ひらがなカタカナ", "한국어 간판", "Привет, мир", "Ελληνικά", "№ 5 € ½ → ①"],
)
def test_scripts_have_a_font(text: str, caplog: pytest.LogCaptureFixture) -> None:
    annotate(photo(), [Region(BOX, text)])
    assert not caplog.records
    font = fonts.font_for(text)
    shapes = {bytes(fonts.load(font, 20).getmask(character)) for character in set(text) - {" "}}
    assert len(shapes) == len(set(text) - {" "}), "no two characters look alike, as boxes for missing ones would"


@pytest.mark.usefixtures("latin_only")
def test_a_script_without_a_font_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        annotate(photo(), [Region(BOX, "中文"), Region(BOX, "文字"), Region(BOX, "ไทย"), Region(BOX, "plain")])
    messages = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(messages) == 2
    assert "CJK characters" in messages[0]
    assert "Thai" in messages[1]
    assert all("pip install 'ocrdeploy[fonts]'" in message and "OCRDEPLOY_FONTS" in message for message in messages)


@pytest.mark.usefixtures("latin_only")
def test_pillows_own_font_is_enough_for_latin(caplog: pytest.LogCaptureFixture) -> None:
    left, _, right, _ = ink(panel(annotate(photo(), [Region(BOX, "RIVER STREET")])))
    assert right - left > 250
    assert not caplog.records


@pytest.mark.usefixtures("cjk")
def test_a_font_that_the_user_names_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    path = fonts.installed()[0].path
    monkeypatch.setenv("OCRDEPLOY_FONTS", path)
    fonts.installed.cache_clear()
    assert fonts.installed()[0] == fonts.FontFile(path, 0)
    assert fonts.font_for("中文").face == 0


def test_a_font_that_is_not_one_is_an_error_with_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("OCRDEPLOY_FONTS", f"{tmp_path}/no.ttf")
    fonts.installed.cache_clear()
    with pytest.raises(BadInput, match=r"no\.ttf") as caught:
        annotate(photo(), [Region(BOX, "text")])
    assert "OCRDEPLOY_FONTS" in caught.value.fix


def test_a_region_without_a_polygon_is_the_whole_picture() -> None:
    left, top, right, bottom = ink(panel(annotate(photo(120, 640), [Region((), "word")])))
    assert right - left > 150
    assert bottom - top > 60


def test_a_small_picture_is_enlarged() -> None:
    assert annotate(photo(32, 100), [Region((), "word")]).size == (2 * 400 + 1, 128)


def test_a_picture_of_fine_print_is_enlarged_until_it_can_be_read() -> None:
    lines = [Region(((10, y), (300, y), (300, y + 9), (10, y + 9)), "fine print") for y in range(10, 900, 20)]
    assert annotate(photo(1000, 800), lines).height == 2000


def test_a_large_picture_keeps_its_size() -> None:
    assert annotate(photo(2600, 3000), [Region(BOX, "word")]).size == (6001, 2600)


def test_strokes_grow_with_the_picture() -> None:
    def rows_above_the_edge(side: int) -> int:
        drawn = np.asarray(annotate(photo(side, side), [Region(((9, side // 2), (side, side // 2), (side, side), (9, side)))]))
        return int((drawn[: side // 2, side // 2] != 90).any(axis=1).sum())

    assert 1 <= rows_above_the_edge(700) <= 3
    assert rows_above_the_edge(2800) >= 2 * rows_above_the_edge(700)


@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (4000, 1), (7, 3)])
def test_extreme_pictures_are_drawn(shape: tuple[int, int]) -> None:
    for regions in ([], [Region((), "word")], [Region(((0, 0), (1, 0), (1, 1), (0, 1)), "word")]):
        assert annotate(photo(*shape), regions).height >= shape[0]


@pytest.mark.parametrize(
    "polygon",
    [
        ((5, 5),),
        ((5, 5), (50, 50)),
        ((5, 5), (5, 5), (5, 5), (5, 5)),
        ((-1e9, -1e9), (1e9, -1e9), (1e9, 1e9), (-1e9, 1e9)),
        ((math.nan, 0), (math.inf, 0), (9, 9)),
        tuple((400 + 100 * math.cos(a), 300 + 40 * math.sin(a)) for a in range(14)),
    ],
)
def test_odd_polygons_are_drawn(polygon: tuple[tuple[float, float], ...]) -> None:
    assert annotate(photo(), [Region(polygon, "text")]).height >= 600


def test_a_gray_picture_is_drawn_in_colour() -> None:
    assert annotate(np.full((600, 800), 90, np.uint8), [Region(BOX)]).mode == "RGB"


def test_texts_of_spaces_and_control_characters_are_drawn(caplog: pytest.LogCaptureFixture) -> None:
    annotate(photo(), [Region(BOX, " \u3000\t"), Region(BOX, "a\nb\x07c"), Region(BOX, "\u200b")])
    assert not caplog.records
