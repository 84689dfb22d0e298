"""A page: its text in rows, its JSON, and the annotated picture that it writes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ocrdeploy.errors import BadInput, OcrdError
from ocrdeploy.page import Page
from ocrdeploy.vocabulary import Region


def box(left: float, top: float, text: str = "", width: float = 40, height: float = 10) -> Region:
    right, bottom = left + width, top + height
    return Region(((left, top), (right, top), (right, bottom), (left, bottom)), text, 0.9, 0.8)


def page(*regions: Region) -> Page:
    return Page("scans/a.png", "a", 200, 100, regions, None, {"decode": 1.23456}, np.full((100, 200, 3), 255, np.uint8))


FAILED = Page("scans/b.png", "b", error=BadInput("'scans/b.png' is empty", "copy it again"))


def test_text_has_a_line_for_each_row_and_a_space_between_its_regions() -> None:
    regions = [box(100, 11, "right"), box(10, 50, "below"), box(10, 10, "left")]
    assert page(*regions).rows == [[2, 0], [1]]
    assert page(*regions).text == "left right\nbelow"


def test_regions_without_text_leave_neither_spaces_nor_lines() -> None:
    assert page(box(10, 10, "a"), box(60, 10), box(110, 10, "b"), box(10, 50)).text == "a b"
    assert page(box(10, 10), box(10, 50)).text == ""
    assert page().text == ""
    assert page().rows == []
    assert FAILED.text == ""


def test_a_line_that_is_the_whole_picture_has_its_text() -> None:
    assert page(Region(text="word")).text == "word"


def test_json_has_the_agreed_keys_and_rounded_numbers() -> None:
    region = Region(((1.23456, 2.0), (3.0, 2.0), (3.0, 4.0)), "é", 0.123456789, 0.987654321, (0.5,), "label")
    assert page(region, Region(text="whole")).to_dict() == {
        "image": "scans/a.png",
        "width": 200,
        "height": 100,
        "regions": [
            {"polygon": [[1.23, 2.0], [3.0, 2.0], [3.0, 4.0]], "text": "é", "score": 0.12346, "detection_score": 0.98765},
            {"polygon": [], "text": "whole", "score": 1.0, "detection_score": None},
        ],
        "timings_ms": {"decode": 1.235},
    }
    assert list(page().to_dict()) == ["image", "width", "height", "regions", "timings_ms"]
    json.dumps(page(region).to_dict())


def test_the_json_of_a_failed_page_says_why_and_nothing_else() -> None:
    assert FAILED.to_dict() == {"image": "scans/b.png", "error": {"problem": "'scans/b.png' is empty", "fix": "copy it again"}}


@pytest.mark.parametrize(
    ("suffix", "form"), [(".png", "PNG"), (".jpg", "JPEG"), (".JPEG", "JPEG"), (".webp", "WEBP"), (".tif", "TIFF")]
)
def test_the_annotated_picture_is_written_in_the_format_of_its_suffix(tmp_path: Path, suffix: str, form: str) -> None:
    target = tmp_path / "new" / f"annotated{suffix}"
    page(box(10, 10, "text")).save(target)
    with Image.open(target) as image:
        assert image.format == form
        assert image.height >= 100
        assert image.width >= 200
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_saving_needs_no_path_object_and_replaces_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "annotated.png"
    target.write_bytes(b"older")
    page(box(10, 10)).save(str(target))
    assert target.read_bytes().startswith(b"\x89PNG")


def test_saving_does_not_change_the_page(tmp_path: Path) -> None:
    made = page(box(10, 10, "text"))
    assert made.pixels is not None
    made.save(tmp_path / "annotated.png")
    assert np.all(made.pixels == 255)


@pytest.mark.parametrize("name", ["annotated.xyz", "annotated", "annotated.", ".png.", "annotated.psd", "annotated.xbm"])
def test_a_suffix_that_no_picture_is_written_to_is_a_sentence_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="cannot write a picture as ") as caught:
        page(box(10, 10)).save(tmp_path / name)
    assert caught.value.fix == "use .png or .jpg"
    assert list(tmp_path.iterdir()) == []


def test_a_picture_too_large_for_its_format_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    wide = Page("a", "a", 70_000, 1, pixels=np.zeros((1, 70_000, 3), np.uint8))
    with pytest.raises(BadInput, match=r"cannot write a picture as \.jpg: "):
        wide.save(tmp_path / "annotated.jpg")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for target in (tmp_path / "file" / "annotated.png", Path(os.devnull) / "annotated.png"):
        with pytest.raises(OcrdError, match="cannot write") as caught:
            page(box(10, 10)).save(target)
        assert str(target) in caught.value.problem
        assert caught.value.fix == "choose a folder that can be written and has room"


def test_a_failed_page_has_nothing_to_save(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"scans/b\.png was not read"):
        FAILED.save(tmp_path / "annotated.png")
    assert list(tmp_path.iterdir()) == []
