"""What looks wrong with a dataset that can be used is said once each, with file and line, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from ocrdeploy import oddities, samples
from ocrdeploy.plugins import Plugins, discover
from ocrdeploy.samples import Dataset, Fault
from ocrdeploy.vocabulary import Region, Sample

GOOD = "1,1,30,1,30,9,1,9"


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return discover()


def labelled(plugins: Plugins, folder: Path, lines: str, size: tuple[int, int] = (40, 30)) -> Dataset:
    """Read one picture, (width, height) `size`, with these lines of ICDAR 2015's."""
    Image.new("RGB", size).save(folder / "img_1.jpg")
    (folder / "gt_img_1.txt").write_text(lines)
    return samples.load(plugins, f"icdar2015:{folder}")


def test_nothing_is_said_where_nothing_is_odd(plugins: Plugins, tmp_path: Path) -> None:
    lines = f"{GOOD},a\n1,10,30,10,30,19,1,19,b c\n-1,20,41,20,41,31,-1,31,###\n0,0,40,0,40,30,0,30,whole"
    assert list(samples.faults(labelled(plugins, tmp_path, lines))) == []


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        ("1,1,30,9,30,1,1,9,bow", "crossed polygon", "the outline of the region 'bow' at 1,1 crosses itself near 16,5"),
        ("1,1,30,1,15,1,1,9,bow", "crossed polygon", "the outline of the region 'bow' at 1,1 touches itself near 15,1"),
        ("1,1,30,1,30,1,1,1,flat", "no area", "the region 'flat' at 1,1 has no area"),
        ("5,5,5,5,5,5,5,5,dot", "no area", "the region 'dot' at 5,5 has no area"),
        ("1,1,45,1,45,9,1,9,far", "outside", "the region 'far' at 1,1 reaches 5 pixels out of the picture, which is 40 x 30"),
        (
            "1,-8.5,30,1,30,9,1,9,up",
            "outside",
            "the region 'up' at 1,-8.5 reaches 8.5 pixels out of the picture",
        ),
        ("90,90,95,90,95,95,90,95,###", "outside", "the region '###' at 90,90 reaches 65 pixels out"),
        ("1,10,30,10,30,19,1,19,", "empty text", "the region at 1,10 has no text"),
        ("1,10,30,10,30,19,1,19, a", "space around text", "the text ' a' begins or ends with a space"),
        ("1,10,30,10,30,19,1,19,a\u200bb", "unprintable text", "the text 'a\\u200bb' holds U+200B"),
        (f"{GOOD},first", "duplicate", "the region 'first' at 1,1 is there twice"),
    ],
)
def test_each_oddity_is_said_with_file_and_line(plugins: Plugins, tmp_path: Path, line: str, kind: str, words: str) -> None:
    read = labelled(plugins, tmp_path, f"{GOOD},first\n1,20,30,20,30,29,1,29,###\n\n{line}\n")
    (found,) = samples.faults(read)
    assert found.kind == kind
    assert found.words.startswith(f"{tmp_path / 'gt_img_1.txt'}:4: {words}")


def test_labels_alone_are_looked_at_without_a_file(plugins: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = labelled(plugins, tmp_path, f"{GOOD},a\n1,1,45,1,45,9,1,9,far")
    monkeypatch.setattr(Path, "is_file", lambda _: pytest.fail("looks for a file"))
    assert list(samples.faults(read, pictures=False)) == []


def test_missing_unreadable_and_unlabelled_pictures(plugins: Plugins, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        (tmp_path / f"gt_img_{number}.txt").write_text(f"{GOOD},a\n{GOOD},b")
    Image.new("RGB", (40, 30)).save(tmp_path / "img_1.jpg")
    Image.new("RGB", (40, 30)).save(tmp_path / "img_7.jpg")
    (tmp_path / "img_2.jpg").write_bytes(b"no picture")
    read = samples.load(plugins, str(tmp_path))
    assert samples.missing(read) == [2]
    found = {fault.kind: fault.words for fault in samples.faults(read)}
    assert set(found) == {"missing picture", "unreadable picture", "unlabelled picture"}
    assert found["missing picture"] == f"{tmp_path / 'gt_img_3.txt'}: the picture img_3.jpg does not exist"
    assert found["unreadable picture"].startswith(f"{tmp_path / 'gt_img_2.txt'}: {str(tmp_path / 'img_2.jpg')!r} ")
    assert found["unlabelled picture"] == f"{tmp_path / 'img_7.jpg'}: the picture has no label"


def test_pictures_that_another_label_file_may_label_are_not_complained_of(plugins: Plugins, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 30)).save(tmp_path / name)
    (tmp_path / "rec.txt").write_text("a.png\tone")
    assert [fault.kind for fault in samples.faults(samples.load(plugins, str(tmp_path)))] == ["unlabelled picture"]
    assert list(samples.faults(samples.load(plugins, str(tmp_path / "rec.txt")))) == []


def test_a_picture_in_which_nothing_is_labelled(plugins: Plugins, tmp_path: Path) -> None:
    (tmp_path / "gt_img_2.txt").write_text(f"{GOOD},a")
    read = labelled(plugins, tmp_path, "")
    (found,) = samples.faults(read, pictures=False)
    assert found == Fault(
        "no regions", f"{tmp_path / 'gt_img_1.txt'}: no region is labelled, so the picture counts as one without text"
    )


def test_a_word_without_text(plugins: Plugins, tmp_path: Path) -> None:
    (tmp_path / "rec.txt").write_text("a.png\t")
    (found,) = samples.faults(samples.load(plugins, str(tmp_path)), pictures=False)
    assert found == Fault("empty text", f"{tmp_path / 'rec.txt'}:1: the region has no text")


def test_a_picture_that_exif_lays_on_its_side_may_be_labelled_either_way(plugins: Plugins, tmp_path: Path) -> None:
    read = labelled(plugins, tmp_path, "1,1,29,1,29,39,1,39,tall")
    assert [fault.kind for fault in samples.faults(read)] == ["outside"]
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(tmp_path / "img_1.jpg", exif=exif)
    assert list(samples.faults(read)) == []


@pytest.mark.parametrize(
    ("where", "places"),
    [
        ("a.txt:1-2,5,3", ["a.txt:1", "a.txt:2", "a.txt:5", "a.txt:3"]),
        ("C:/a:b.txt:4-7", ["C:/a:b.txt:4", "C:/a:b.txt:5", "C:/a:b.txt:6", "C:/a:b.txt:7"]),
        ("a.txt:7", ["a.txt:7"] * 4),
        ("a.txt:1-999999999999", ["a.txt:1-999999999999"] * 4),
        ("a.json: entry 3", ["a.json: entry 3"] * 4),
        ("", ["a.png"] * 4),
    ],
)
def test_the_line_of_each_region_is_told_where_it_is_known(where: str, places: list[str]) -> None:
    sample = Sample(Path("a.png"), (Region(), Region()), (Region(), Region()), where=where)
    assert [oddities.place(sample, index) for index in range(4)] == places
