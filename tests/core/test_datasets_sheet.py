"""Contact sheets: who is shown, and that what counts, what is ignored and what is missing can be told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ocrdeploy import contact_sheet
from ocrdeploy.samples import Dataset
from ocrdeploy.vocabulary import Region, Sample

BOX = ((10.0, 10.0), (90.0, 10.0), (90.0, 50.0), (10.0, 50.0))


def dataset(folder: Path, *samples: Sample) -> Dataset:
    return Dataset("nova", folder, samples, tuple(sample.image.name for sample in samples), folder)


def picture(folder: Path, name: str = "a.png", size: tuple[int, int] = (100, 60)) -> Path:
    Image.new("RGB", size, (0, 0, 90)).save(folder / name)
    return folder / name


def holds(page: Image.Image, colour: tuple[int, int, int]) -> int:
    """Count the pixels that are nearly of this colour, below the legend."""
    pixels = np.asarray(page, np.int64)[40:]
    return int((np.abs(pixels - colour).max(axis=2) < 40).sum())


def test_the_choice_is_seeded_in_order_and_of_no_more_than_asked() -> None:
    assert contact_sheet.choose(5) == [0, 1, 2, 3, 4]
    chosen = contact_sheet.choose(3000)
    assert chosen == sorted(set(chosen)) == contact_sheet.choose(3000)
    assert len(chosen) == contact_sheet.MOST
    assert chosen != contact_sheet.choose(3000, seed=1)


@pytest.mark.parametrize(("counted", "ignored"), [((Region(BOX),), ()), ((), (Region(BOX),)), ((), ())])
def test_what_counts_and_what_is_ignored_have_their_own_colours(
    tmp_path: Path, counted: tuple[Region, ...], ignored: tuple[Region, ...]
) -> None:
    other = Sample(picture(tmp_path, "b.png"), (Region(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))),))
    page = contact_sheet.draw(dataset(tmp_path, Sample(picture(tmp_path), counted, ignored), other), [0])
    assert (holds(page, contact_sheet.COUNTED) > 200) is bool(counted)
    assert (holds(page, contact_sheet.IGNORED) > 200) is bool(ignored)


def test_an_ignored_outline_is_dashed(tmp_path: Path) -> None:
    regions = (Region(BOX),)
    counted = contact_sheet.draw(dataset(tmp_path, Sample(picture(tmp_path), regions)), [0])
    ignored = contact_sheet.draw(dataset(tmp_path, Sample(picture(tmp_path), (), regions)), [0])
    assert holds(ignored, contact_sheet.IGNORED) < 0.8 * holds(counted, contact_sheet.COUNTED)


def test_the_page_grows_with_the_pictures_up_to_four_in_a_row(tmp_path: Path) -> None:
    sample = Sample(picture(tmp_path), (Region(text="word"),))
    pages = [contact_sheet.draw(dataset(tmp_path, *[sample] * count), range(count)) for count in (4, 5)]
    assert pages[0].width == pages[1].width
    assert pages[1].height > 1.5 * pages[0].height


def test_odd_pictures_are_shown_as_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"nothing")
    read = dataset(
        tmp_path,
        Sample(tmp_path / "gone.png", (Region(BOX),)),
        Sample(tmp_path / "bad.png", (Region(BOX),)),
        Sample(picture(tmp_path, "thin.png", (1, 900)), (Region(((-1e300, 0.0), (1e300, 0.0), (0.0, 1e300)), "wide\n\0"),)),
        Sample(picture(tmp_path, "flat.png", (9000, 1)), (), (Region(((-1e300, 0.0), (1e300, 0.0), (0.0, 1e300))),)),
        Sample(picture(tmp_path, "long.png"), (Region(BOX, "x" * 500),)),
        Sample(Path("memory"), (Region(text="a"),), data=picture(tmp_path, "b.png").read_bytes()),
        Sample(picture(tmp_path, "none.png"), labelled=False),
    )
    page = contact_sheet.draw(read, range(7))
    assert page.width < 1400
    assert len(np.unique(np.asarray(page).reshape(-1, 3), axis=0)) > 50
