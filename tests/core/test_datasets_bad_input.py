"""Labels that cannot be used are errors with file and line; nothing is left out in silence."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from ocrdeploy import samples
from ocrdeploy.errors import BadInput, UnknownName
from ocrdeploy.plugins import Plugins, discover

REST = "ornt: [u'c'], transcriptions:"
QUAD = "1,2,9,2,9,6,1,6"
BOX = {"bbox": [1, 2, 8, 4], "area": 32, "image_id": 1, "category_id": 1}


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return discover()


def complaint(plugins: Plugins, reference: str) -> str:
    with pytest.raises(BadInput) as caught:
        samples.load(plugins, reference)
    assert caught.value.fix
    return caught.value.problem


@pytest.mark.parametrize(
    ("kind_and_name", "content", "problem"),
    [
        ("list rec.txt", "a.png\tb\na.png b", ":2: the line has 0 tabs"),
        ("list rec.txt", "a.png\tb\nc.png\td\te", ":2: the line has 2 tabs"),
        ("list rec.txt", "\tb", ":1: the picture has no name"),
        ("list rec.txt", "", " is empty"),
        ("list rec.txt", "\r\n  \n", " is empty"),
        ("list rec.txt", b"a.png\tb\nb.png\tcaf\xe9\n", ":2: the file is not UTF-8: byte 17 of it is 0xE9"),
        ("list rec.txt", b"\xef\xbb\xbfa.png\tcaf\xe9\n", ":1: the file is not UTF-8: byte 12 of it is 0xE9"),
        ("list rec.txt", "a.png\tb".encode("utf-16"), ":1: the file is UTF-16"),
        ("iiit5k test_labels.tsv", "", " is empty"),
        ("mmocr-text rec.txt", "a.png", ":1: there is no space"),
        ("mmocr-text rec.txt", '{"filename": "a.png"}', ":1: 'text' is missing"),
        ("mmocr-text rec.txt", '{"filename": "a.png", "text": 5}', ":1: 'text' is not text"),
        ("mmocr-text rec.txt", '{"filename": "a.png"', ":1: the JSON is broken"),
        ("icdar2015 gt_a.txt", f"{QUAD},a\n1,2,9,2,9,6,1", ":2: the line is not eight coordinates"),
        ("icdar2015 gt_a.txt", "1,2,9,2,9,6,1,nan,a", ":1: 'nan' stands where a coordinate should"),
        ("icdar2015 gt_a.txt", "1,2,9,2,9,6,1,1e999,a", ":1: '1e999' stands where"),
        ("icdar2015 gt_a.txt", "1,2,9,2,9,6,1,b,a", ":1: 'b' stands where"),
        ("icdar2013 gt_a.txt", '1 2 9 6 "a"\n1 2 9 "a"', ":2: the line is not four coordinates"),
        ("icdar2013 gt_a.txt", '1 2 9 x "a"', ":1: 'x' stands where"),
        ("ctw1500 1.txt", "1,2,3,####a", ":1: 3 coordinates, an odd number"),
        ("ctw1500 1.txt", "1,2,3,4,####a", ":1: 4 coordinates make no polygon"),
        ("ctw1500 1.txt", f"{QUAD},a", ":1: the line is not 28 coordinates"),
        ("ctw1500 1.txt", "5,5,9,9," + ",".join(["1"] * 28), ":1: 32 numbers that are not a box and offsets"),
        (
            "totaltext poly_gt_a.txt",
            f"x: [[1 9]], y: [[2 2 6]], {REST} [u'a']",
            ":1: the polygon has 2 x and 3 y",
        ),
        (
            "totaltext poly_gt_a.txt",
            f"x: [[1 9 9]], y: [[2 2 6]], {REST} [open('a')]",
            ":1: the transcription",
        ),
        ("totaltext poly_gt_a.txt", "x: [[1 9 9]], y: [[2 2 6]]", ":1: the entry is not"),
        ("totaltext poly_gt_a.txt", "1,2,a", ":1: 2 coordinates make no polygon"),
        ("paddleocr det.txt", "a.png [{}]", ":1: there is no tab"),
        ("paddleocr det.txt", "a.png\t[{]", ":1: the JSON after the tab is broken"),
        ("paddleocr det.txt", 'a.png\t[{"transcription": "a"}]', ":1: region 1: 'points' is missing"),
        ("paddleocr det.txt", 'a.png\t[{"transcription": "a", "points": [[1, 2, 3]]}]', "a point has 3 numbers"),
        ("paddleocr det.txt", 'a.png\t[{"transcription": "a", "points": [[1, NaN]]}]', "nan stands where a coordinate should"),
        ("words-json words.json", "[\n{]", ":2: the JSON is broken at column 2"),
        ("words-json words.json", '{"a": 1}', " is not a list"),
        (
            "words-json words.json",
            '[{"file": "a.png", "words": [{"bbox": [1, 2], "text": "a"}]}]',
            "entry 1 (a.png), word 1: 'bbox' has 2",
        ),
        ("words-json words.json", "", " is empty"),
        ("mmocr1 det.json", '{"data_list": []}', " is empty"),
        ("mmocr1 det.json", '{"data_list": [{"img_path": "a"}]}', "data_list[0] (a): 'instances' is missing"),
        (
            "mmocr1 det.json",
            '{"data_list": [{"img_path": "a", "instances": [{}]}]}',
            "instances[0]: there is no 'polygon'",
        ),
        (
            "mmocr1 det.json",
            '{"data_list": [{"img_path": "a", "instances": [{"polygon": [1, 2, 3]}]}]}',
            "3 coordinates, an odd",
        ),
        ("mmocr1 det.json", "[" * 5000, "the JSON cannot be read: maximum recursion"),
        ("mmocr1 det.json", "{", ":1: the JSON is broken at column 2"),
        ("icdar2003 words.xml", "<tagset>\n<image>", ":2: the XML is broken"),
        ("icdar2003 words.xml", "<tagset></tagset>", " is empty"),
        (
            "icdar2003 words.xml",
            '<tagset><image><imageName>a</imageName><taggedRectangle\nx="1" y="b"/></image></tagset>',
            ":1: 'b' stands where",
        ),
    ],
)
def test_the_complaint_names_file_and_line(
    plugins: Plugins, tmp_path: Path, kind_and_name: str, content: str | bytes, problem: str
) -> None:
    kind, name = kind_and_name.split()
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    said = complaint(plugins, f"{kind}:{path}")
    assert f"{path}" in said
    assert problem in said


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"segmentation": [[1, 2, 3, 4, 5, 6]]}, "annotations[0]: 6 coordinates make no polygon; 8 are the least"),
        ({"segmentation": []}, "annotations[0]: 'segmentation' is empty"),
        ({"segmentation": {"counts": "abc"}}, "annotations[0]: 'segmentation' is not a list"),
        ({"segmentation": [[1, 2, 3, 4, 5, 6, 7, None]]}, "annotations[0]: None stands where"),
        ({"image_id": 5, "segmentation": [[0] * 8]}, "an image with the id 5, which is not there"),
        ({"image_id": True}, "annotations[0]: 'image_id' is not a whole number"),
    ],
)
def test_coco_names_the_annotation(plugins: Plugins, tmp_path: Path, change: dict[str, object], problem: str) -> None:
    record = {"images": [{"id": 1, "file_name": "a.png"}], "categories": [{"id": 1, "name": "text"}]}
    path = tmp_path / "det.json"
    path.write_text(json.dumps({**record, "annotations": [{**BOX, **change}]}))
    assert problem in complaint(plugins, str(path))


def test_coco_without_text_is_no_labels(plugins: Plugins, tmp_path: Path) -> None:
    path = tmp_path / "det.json"
    path.write_text('{"images": [{"id": 1, "file_name": "a.png"}], "categories": [{"id": 1, "name": "cat"}], "annotations": []}')
    assert "no category is called 'text'" in complaint(plugins, str(path))


def test_xml_with_entities_is_refused(plugins: Plugins, tmp_path: Path) -> None:
    path = tmp_path / "words.xml"
    path.write_text('<?xml version="1.0"?>\n<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>\n<tagset>&b;</tagset>')
    assert f"{path}:2: the file declares a document type" in complaint(plugins, f"icdar2003:{path}")


def test_a_file_that_may_not_be_read_is_named(plugins: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rec.txt"
    path.write_text("a.png\tb")

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert complaint(plugins, f"list:{path}") == f"cannot read {path}: Permission denied"


def test_names_that_no_file_can_have_are_missing_pictures(plugins: Plugins, tmp_path: Path) -> None:
    path = tmp_path / "rec.jsonl"
    names = ["x" * 5000, "\ud800.png", "a\nb.png", "../" * 50 + "nowhere.png"]
    path.write_text("".join(json.dumps({"filename": name, "text": "a"}) + "\n" for name in names))
    read = samples.load(plugins, f"mmocr-text:{path}")
    assert samples.missing(read) == [0, 1, 2, 3]
    assert len(read.fingerprint) == 64
    assert [fault.kind for fault in samples.faults(read)] == ["missing picture"] * 4


def test_a_number_of_thousands_of_digits(plugins: Plugins, tmp_path: Path) -> None:
    path = tmp_path / "words.json"
    path.write_text(f'[{{"file": "a", "words": [{{"bbox": [1, 2, 3, {"9" * 5000}], "text": "a"}}]}}]')
    assert "the JSON cannot be read" in complaint(plugins, str(path))
    path.write_text(f'[{{"file": "a", "words": [{{"bbox": [1, 2, 3, {"9" * 500}], "text": "a"}}]}}]')
    assert "stands where a coordinate should" in complaint(plugins, str(path))


def test_many_comments_before_the_xml_take_no_time(plugins: Plugins, tmp_path: Path) -> None:
    path = tmp_path / "words.xml"
    path.write_text("<!---->" * 2000 + "<nothing/>")
    assert "is of no kind" in complaint(plugins, str(path))


def test_a_complaint_of_labels_in_a_zip_beside_the_pictures_names_the_zip(plugins: Plugins, tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "img_1.jpg")
    with zipfile.ZipFile(tmp_path / "gt.zip", "w") as packed:
        packed.writestr("gt_img_1.txt", "1,2,9,2,9,6,1,6,a\n1,2,9")
    assert f"{tmp_path / 'gt.zip' / 'gt_img_1.txt'}:2: " in complaint(plugins, str(tmp_path))


def test_label_files_that_are_all_empty(plugins: Plugins, tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"gt_img_{number}.txt").touch()
    assert "are empty, all 2 of them" in complaint(plugins, f"icdar2015:{tmp_path}")


@pytest.mark.parametrize("kind", sorted(discover().datasets))
def test_a_folder_with_nothing_in_it(plugins: Plugins, tmp_path: Path, kind: str) -> None:
    assert str(tmp_path) in complaint(plugins, f"{kind}:{tmp_path}")
    assert "is of no kind that is known here" in complaint(plugins, str(tmp_path))


@pytest.mark.parametrize("kind", sorted(discover().datasets))
def test_a_file_of_another_kind(plugins: Plugins, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "something"
    path.write_bytes(bytes(range(256)) * 8)
    if kind != "pictures":  # which finds out when it opens it
        assert str(path) in complaint(plugins, f"{kind}:{path}")
    assert not any(info.sniff(path) for info in plugins.datasets.values())


def test_several_label_files_in_a_folder_are_a_question(plugins: Plugins, tmp_path: Path) -> None:
    for name in ("train.txt", "test.txt"):
        (tmp_path / name).write_text("a.png\tb")
    said = complaint(plugins, str(tmp_path))
    assert "several label files of kind 'list': test.txt, train.txt" in said


def test_a_picture_with_two_labels(plugins: Plugins, tmp_path: Path) -> None:
    path = tmp_path / "rec.txt"
    path.write_text("a.png\tb\nc.png\td\na.png\te")
    said = complaint(plugins, str(path))
    assert said == f"{path}:3: the picture a.png is labelled a second time, and otherwise than at {path}:1"


def test_a_picture_that_is_listed_twice_alike_counts_once(plugins: Plugins, tmp_path: Path) -> None:
    path = tmp_path / "rec.txt"
    path.write_text("a.png\tb\na.png\tb")
    read = samples.load(plugins, str(path))
    assert read.names == ("a.png",)
    (noticed,) = samples.faults(read, pictures=False)
    assert (noticed.kind, noticed.words) == ("duplicate", f"{path}:2: the picture a.png is listed again (first: {path}:1)")


def test_unknown_kinds_and_paths(plugins: Plugins, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'icdar2015'"):
        samples.load(plugins, f"icdar205:{tmp_path}")
    assert "does not exist" in complaint(plugins, f"list:{tmp_path / 'nothing'}")
    assert "does not exist" in complaint(plugins, "")
    assert "does not exist" in complaint(plugins, "list:")


def test_a_path_may_hold_a_colon(plugins: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (4, 4)).save("a:b.png")
    assert samples.load(plugins, "a:b.png").names == ("a:b.png",)
    assert samples.load(plugins, "pictures:a:b.png").kind == "pictures"
