"""The pictures that models are compared on, and how they come together in batches."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from ocrdeploy import drawn, sources
from ocrdeploy.errors import BadInput
from ocrdeploy.verification import pictures, windows
from ocrdeploy.verification.pictures import DERIVED, Gallery, Origin, Size, Specimen
from ocrdeploy.vocabulary import Colour, InputSpec, Orientation, ShortSide, Task


def plain(height: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.full((height, width, 3), 200, np.uint8)


@pytest.mark.parametrize("size", [(480, 640), (64, 64), (9, 200), (1, 1)])
def test_drawn_pictures_have_their_size_and_are_the_same_for_the_same_seed(size: Size) -> None:
    for draw in (drawn.page, drawn.line):
        first = draw(size, 1)
        assert first.shape == (*size, 3)
        assert first.dtype == np.uint8
        np.testing.assert_array_equal(first, draw(size, 1))
        assert not np.array_equal(first, draw(size, 2))


def test_drawn_pages_hold_several_lines_and_lines_are_filled() -> None:
    def dark(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        return np.asarray(pixels.max(axis=2) < 140)

    blurred = cv2.dilate(dark(drawn.page((480, 640), 3)).astype(np.uint8), np.ones((9, 25), np.uint8))
    assert cv2.connectedComponents(blurred)[0] - 1 >= 3
    columns = np.flatnonzero(dark(drawn.line((48, 320), 3)).any(axis=0))
    assert columns[0] < 20
    assert columns[-1] > 200


def test_others_are_derived_from_the_first_of_the_given_pictures() -> None:
    given = [(f"{index}.png", plain(40, 60)) for index in range(4)]
    found = list(Gallery(Task.DETECTION, None).specimens(given))
    assert [each.number for each in found] == list(range(1, 13))
    assert [each.name for each in found if each.origin is Origin.GIVEN] == ["0.png", "1.png", "2.png", "3.png"]
    assert [each.name for each in found[1:5]] == [f"0.png, {words}" for words in DERIVED]
    assert [each.size for each in found[:5]] == [(40, 60), (20, 30), (60, 90), (40, 90), (60, 60)]
    assert len(found) == len(given) + 2 * len(DERIVED)


def test_no_picture_is_derived_that_would_be_too_small() -> None:
    found = list(Gallery(Task.RECOGNITION, None).specimens([("low.png", plain(10, 60))]))
    assert "low.png, half the size" not in [each.name for each in found]


def test_where_one_size_is_taken_a_picture_of_that_size_is_derived_or_drawn() -> None:
    found = list(Gallery(Task.DETECTION, (64, 96)).specimens([("a.png", plain(40, 60))]))
    assert found[-1].name == "a.png, as 96 x 64"
    assert found[-1].size == (64, 96)
    assert {each.size for each in Gallery(Task.DETECTION, (64, 96)).specimens([])} == {(64, 96)}


def test_every_second_line_for_a_classifier_stands_on_its_head() -> None:
    upright, turned = (list(Gallery(task, None).specimens([]))[1].pixels for task in (Task.RECOGNITION, Task.CLASSIFICATION))
    np.testing.assert_array_equal(turned, upright[::-1, ::-1])


def test_pictures_are_decoded_as_the_spec_says(tmp_path: Path) -> None:
    image = Image.new("RGB", (30, 20), "red")
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif)
    image.save(tmp_path / "pages.tiff", save_all=True, append_images=[image])
    gray = InputSpec("x", ShortSide(32), colour=Colour.GRAY, orientation=Orientation.IGNORE)
    inputs = sources.find([tmp_path])
    found = dict(pictures.read(inputs, gray))
    assert found[f"{tmp_path}/a.jpg"].shape == (20, 30)
    assert [pixels.shape for name, pixels in found.items() if "pages" in name] == [(20, 30, 3)] * 2
    assert dict(pictures.read(inputs, InputSpec("x", ShortSide(32))))[f"{tmp_path}/a.jpg"].shape == (30, 20, 3)


def test_a_picture_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    for name in ("broken.png", "missing.png"):
        with pytest.raises(BadInput, match=name):
            list(pictures.read(sources.find([tmp_path / name]), InputSpec("x", ShortSide(32))))


def specimens(*sizes: Size) -> list[Specimen]:
    return [Specimen(number, str(number), plain(*size), Origin.GIVEN) for number, size in enumerate(sizes, 1)]


def draw(size: Size) -> Specimen:
    return Specimen(0, "drawn", plain(*size), Origin.DRAWN)


def test_windows_hold_pictures_of_one_shape_and_the_smallest_are_filled() -> None:
    given = specimens((8, 9), (20, 30), (8, 9), (50, 50), (9, 9), (8, 9))
    found = list(windows.windows(given, lambda each: None if each.size == (9, 9) else each.size, draw, 3))
    assert [[each.number for each in window] for window in found] == [[1, 3, 6], [2, 0, 0], [4]]
    assert {each.size for each in found[1]} == {(20, 30)}


def test_few_pictures_wait_for_others_of_their_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "WAITING_BYTES", 10_000)
    seen: list[int] = []

    def place(specimen: Specimen) -> Size:
        seen.append(specimen.number)
        return specimen.size

    found = windows.windows(iter(specimens(*[(8, 8 + number) for number in range(100)])), place, draw, 5)
    assert [each.number for each in next(found)] == [23]  # 8 x 3 bytes for each column: 9,768 of 22 pictures, 10,488 of 23
    assert len(seen) == 23
    rest = sorted(each.number for window in found for each in window if each.number)
    assert rest == [*range(1, 23), *range(24, 101)]


def test_batches_are_shuffled_and_have_no_picture_twice() -> None:
    window = specimens(*[(8, 8)] * 5)
    assert list(windows.batches(window, 1)) == [[each] for each in window]
    (five,) = windows.batches(window, 5)
    assert five != window
    assert sorted(each.number for each in five) == [1, 2, 3, 4, 5]
    (two,) = windows.batches(window, 2)
    assert len({each.number for each in two}) == 2
    assert list(windows.batches(window[:2], 3)) == []


def test_batches_of_a_fixed_number_are_filled_up() -> None:
    window = specimens(*[(8, 8)] * 3)
    assert [[each.number for each in batch] for batch in windows.filled(window, 2)] == [[1, 2], [3, 1]]
    assert [[each.number for each in batch] for batch in windows.filled(window[:1], 4)] == [[1, 1, 1, 1]]
    assert [[each.number for each in batch] for batch in windows.filled(window, 1)] == [[1], [2], [3]]
