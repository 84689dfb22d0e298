"""Every kind of dataset in each of its forms: what is told from the files, and what is read."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from ocrdeploy import samples, sources
from ocrdeploy.datasets import places
from ocrdeploy.errors import BadInput
from ocrdeploy.plugins import Plugins, discover
from ocrdeploy.samples import Dataset
from ocrdeploy.vocabulary import Region, Sample

Write = Callable[..., Path]
BOX = ((1.0, 2.0), (9.0, 2.0), (9.0, 6.0), (1.0, 6.0))
FOURTEEN = [(x, 2) for x in range(1, 8)] + [(x, 6) for x in range(7, 0, -1)]
CTW = ",".join(f"{x},{y}" for x, y in FOURTEEN)
BENT = tuple((float(x), float(y)) for x, y in FOURTEEN)


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return discover()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write files, by keyword `files` a mapping of names to contents; a name of a picture alone makes one of 40 x 30."""

    def written(*pictures: str, **files: str | bytes) -> Path:
        for name in pictures:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 30), "white").save(path)
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path

    return written


def sniffed(plugins: Plugins, path: Path, kind: str) -> Dataset:
    """Read a dataset whose kind nobody names, which is `kind`, and of no other kind by any other's sniff."""
    answers = [name for name, info in plugins.datasets.items() if info.sniff(path)]
    assert [name for name in answers if name != "pictures"] == ([] if kind == "pictures" else [kind])
    read = samples.load(plugins, str(path))
    assert read.kind == kind
    return read


def only(dataset: Dataset) -> Sample:
    (sample,) = dataset.samples
    return sample


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_icdar2015_beside_its_pictures(plugins: Plugins, write: Write, ends: str, mark: str) -> None:
    lines = [mark + "1,2,9,2,9,6,1,6,Hi, you", "1,2,9,2,9,6,1,6,###", "1.5,2,9,2,9,6,1,6,", ""]
    root = write("img_2.jpg", "img_10.jpg", **{"gt_img_2.txt": ends.join(lines), "gt_img_10.txt": "1,2,9,2,9,6,1,6,b"})
    read = sniffed(plugins, root, "icdar2015")
    assert read.names == ("img_2.jpg", "img_10.jpg")
    first = read.samples[0]
    assert first.image == root / "img_2.jpg"
    assert first.regions == (Region(BOX, "Hi, you"), Region(((1.5, 2.0), *BOX[1:]), ""))
    assert first.ignored == (Region(BOX, "###"),)
    assert first.where == f"{root / 'gt_img_2.txt'}:1,3,2"
    assert (read.labelled, read.texts, read.polygons) == (True, True, True)
    assert samples.missing(read) == []


@pytest.mark.parametrize(
    ("labels", "pictures"),
    [
        ("ch4_test_gt", "ch4_test_images"),
        ("annotations/test", "imgs/test"),
        ("gt", "images"),
        ("labels", "."),
    ],
)
def test_pictures_are_found_in_the_usual_places(plugins: Plugins, write: Write, labels: str, pictures: str) -> None:
    root = write(f"{pictures}/img_1.jpg", "ch4_training_images/img_1.jpg", **{f"{labels}/gt_img_1.txt": "1,2,9,2,9,6,1,6,a"})
    for path in (root, root / labels):
        read = samples.load(plugins, f"icdar2015:{path}")
        assert only(read).image.resolve() == (root / pictures / "img_1.jpg").resolve()


def test_pictures_in_a_folder_below_the_labels(plugins: Plugins, write: Write) -> None:
    root = write("imgs/img_1.jpg", **{"gt_img_1.txt": "1,2,9,2,9,6,1,6,a"})
    assert sniffed(plugins, root, "icdar2015").names == ("imgs/img_1.jpg",)


@pytest.mark.parametrize(
    "pictures", [("a_images/img_1.jpg", "b_images/img_1.jpg"), ("img_1.jpg", "img_1.png"), ("a/img_1.jpg", "b/img_1.jpg")]
)
def test_nobody_guesses_which_of_two_pictures_is_labelled(plugins: Plugins, write: Write, pictures: tuple[str, str]) -> None:
    root = write(*pictures, **{"gt_img_1.txt": "1,2,9,2,9,6,1,6,a"})
    with pytest.raises(BadInput, match="not clear which picture is labelled") as caught:
        samples.load(plugins, str(root))
    assert str(root / "gt_img_1.txt") in caught.value.problem


def test_labels_in_a_zip_beside_the_folder_of_pictures(plugins: Plugins, write: Write) -> None:
    root = write("ch4_test_images/img_1.jpg", "ch4_training_images/img_1.jpg")
    with zipfile.ZipFile(root / "Challenge4_Test_Task1_GT.zip", "w") as packed:
        packed.writestr("gt_img_1.txt", "1,2,9,2,9,6,1,6,a\r\n")
    read = sniffed(plugins, root, "icdar2015")
    assert read.names == ("ch4_test_images/img_1.jpg",)
    assert only(read).where == f"{root / 'Challenge4_Test_Task1_GT.zip' / 'gt_img_1.txt'}:1"


def test_files_that_label_no_picture_are_left_alone(plugins: Plugins, write: Write) -> None:
    root = write("img_1.jpg", **{"img_1.txt": "1,2,9,2,9,6,1,6,a", "README.txt": "hello", "res_img_1.txt": "1,2"})
    assert only(sniffed(plugins, root, "icdar2015")).regions == (Region(BOX, "a"),)


@pytest.mark.parametrize("line", ['1, 2, 9, 6, "a ""b"", c"', '1 2 9 6 "a ""b"", c"'])
def test_icdar2013_in_both_forms(plugins: Plugins, write: Write, line: str) -> None:
    root = write("img_1.jpg", **{"gt_img_1.txt": line + "\r\n"})
    assert only(sniffed(plugins, root, "icdar2013")).regions == (Region(BOX, 'a ""b"", c'),)


def test_icdar2003_words(plugins: Plugins, write: Write) -> None:
    xml = """<?xml version="1.0" encoding="iso-8859-1"?>
<tagset>
  <image>
    <imageName>a/1.jpg</imageName>
    <resolution x="40" y="30" />
    <taggedRectangles>
      <taggedRectangle x="1.0" y="2.0" width="8.0" height="4.0" offset="0.0" rotation="0.0" userName="admin">
        <tag>caf\xe9 &amp; bar</tag>
        <segmentation><xOff>3.0</xOff></segmentation>
      </taggedRectangle>
    </taggedRectangles>
  </image>
</tagset>"""
    root = write("a/1.jpg", **{"words.xml": xml.encode("latin-1"), "locations.xml": "<tagset></tagset>"})
    read = only(sniffed(plugins, root, "icdar2003"))
    assert read.regions == (Region(BOX, "café & bar"),)
    assert read.where == f"{root / 'words.xml'}:7"


def test_icdar2003_words_that_are_cut_out(plugins: Plugins, write: Write) -> None:
    root = write("word/1.jpg", **{"word.xml": '<imagelist>\n<image file="word/1.jpg" tag="self" />\n</imagelist>'})
    read = only(sniffed(plugins, root, "icdar2003"))
    assert (read.regions, read.where) == ((Region(text="self"),), f"{root / 'word.xml'}:2")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (f"{CTW},two, words", "two, words"),
        (f"{CTW},CARE", ""),
        (CTW, ""),
        (f"{CTW},####two words", "two words"),
        ("1,2,7,6," + ",".join(f"{x - 1},{y - 2}" for x, y in FOURTEEN), ""),
        ("1,2,6,4," + ",".join(f"{x - 1},{y - 2}" for x, y in FOURTEEN), ""),
    ],
)
def test_ctw1500_in_its_forms(plugins: Plugins, write: Write, line: str, text: str) -> None:
    root = write("1001.jpg", **{"1001.txt": line})
    assert only(sniffed(plugins, root, "ctw1500")).regions == (Region(BENT, text),)


def test_ctw1500_reads_care_where_other_texts_are_read_too(plugins: Plugins, write: Write) -> None:
    root = write("1001.jpg", **{"1001.txt": f"{CTW},CARE\n{CTW},MORE\n{CTW},###"})
    read = only(sniffed(plugins, root, "ctw1500"))
    assert [region.text for region in read.regions] == ["CARE", "MORE"]
    assert len(read.ignored) == 1


def test_totaltext_as_arrays(plugins: Plugins, write: Write) -> None:
    arrays = (
        "x: [[1 9\n  9 1]], y: [[2 2 6 6]], ornt: [u'c'], transcriptions: [u\"it's [1]\"]\n"
        "x: [[1 9 9 1]], y: [[2 2 6 6]], ornt: [u'#'], transcriptions: [u'#']\n"
    )
    read = only(sniffed(plugins, write("img1.jpg", **{"poly_gt_img1.txt": arrays}), "totaltext"))
    assert (read.regions, read.ignored) == ((Region(BOX, "it's [1]"),), (Region(BOX, "#"),))
    assert read.where.endswith("poly_gt_img1.txt:1,3")


def test_totaltext_as_plain_lines(plugins: Plugins, write: Write) -> None:
    root = write("img1.jpg", **{"poly_gt_img1.txt": "1,2,9,2,9,6,1,6,15\n1,2,9,2,9,6,a,b\n1,2,9,2,9,6,###"})
    read = only(sniffed(plugins, root, "totaltext"))
    assert read.regions == (Region(BOX, "15"), Region(BOX[:3], "a,b"))
    assert len(read.ignored) == 1


def coco(*annotations: dict[str, object]) -> str:
    usual = {"image_id": 7, "category_id": 1, "bbox": [1, 2, 8, 4], "area": 32, "iscrowd": 0}
    polygon = [1, 2, 9, 2, 9, 6, 1, 6]
    return json.dumps(
        {
            "images": [{"id": 7, "file_name": "test/img_1.jpg", "height": 30, "width": 40}],
            "categories": [{"id": 1, "name": "text"}, {"id": 2, "name": "figure"}],
            "annotations": [{**usual, "segmentation": [polygon, [0, 0, 1, 1, 0, 1]], **each} for each in annotations],
        }
    )


def test_mmocr_coco_takes_and_leaves_what_mmocr_does(plugins: Plugins, write: Write) -> None:
    labels = coco(
        {}, {"iscrowd": 1}, {"ignore": True}, {"area": 0}, {"bbox": [1, 2, 0.5, 4]}, {"bbox": [1, 2, 8, 0]}, {"category_id": 2}
    )
    root = write("imgs/test/img_1.jpg", **{"instances_test.json": labels})
    read = sniffed(plugins, root, "mmocr-coco")
    assert read.names == ("imgs/test/img_1.jpg",)
    assert (only(read).regions, only(read).ignored) == ((Region(BOX),), (Region(BOX),))


@pytest.mark.parametrize("line", ["a/1.jpg two words", '{"filename": "a/1.jpg", "text": "two words"}'])
def test_mmocr_text_in_both_forms(plugins: Plugins, write: Write, line: str) -> None:
    root = write("a/1.jpg", **{"test_label.txt": line + "\n"})
    read = sniffed(plugins, root, "mmocr-text")
    assert only(read).regions == (Region(text="two words"),)
    assert (read.texts, read.polygons) == (True, False)


def test_mmocr1_detection_recognition_and_both(plugins: Plugins, write: Write) -> None:
    def labels(*instances: dict[str, object]) -> str:
        return json.dumps({"metainfo": {}, "data_list": [{"img_path": "1.jpg", "instances": list(instances)}]})

    polygon, box = [1, 2, 9, 2, 9, 6, 1, 6], [1, 2, 9, 6]
    root = write("1.jpg", **{"det.json": labels({"polygon": polygon, "bbox": box, "ignore": False}, {"bbox": box, "ignore": 1})})
    found = only(sniffed(plugins, root, "mmocr1"))
    assert (found.regions, found.ignored) == ((Region(BOX),), (Region(BOX),))
    write(**{"det.json": labels({"text": "a b"})})
    assert only(sniffed(plugins, root, "mmocr1")).regions == (Region(text="a b"),)
    write(**{"det.json": labels({"polygon": polygon, "text": "a b"})})
    assert only(sniffed(plugins, root, "mmocr1")).regions == (Region(BOX, "a b"),)


def test_a_list_and_its_folder(plugins: Plugins, write: Write) -> None:
    root = write("a/1.png", "a/2.png", **{"rec.txt": "a/1.png\ttwo words\r\na/2.png\tLine\u2028B\r\n"})
    for path in (root, root / "rec.txt"):
        read = sniffed(plugins, path, "list")
        assert [sample.regions[0].text for sample in read.samples] == ["two words", "Line\u2028B"]
        assert read.samples[1].where == f"{root / 'rec.txt'}:2"


def test_iiit5k_and_its_file(plugins: Plugins, write: Write) -> None:
    root = write("test/1.png", **{"test_labels.tsv": "test/1.png\tPRIVATE\n"})
    for path in (root, root / "test_labels.tsv"):
        assert only(sniffed(plugins, path, "iiit5k")).regions == (Region(text="PRIVATE"),)


def test_words_json(plugins: Plugins, write: Write) -> None:
    words = [{"file": "a/1.jpg", "words": [{"bbox": [1, 2, 8.0, 4], "text": "EXIT"}]}]
    root = write("a/1.jpg", **{"words.json": json.dumps(words)})
    assert only(sniffed(plugins, root, "words-json")).regions == (Region(BOX, "EXIT"),)


def test_paddleocr(plugins: Plugins, write: Write) -> None:
    points = [[1, 2], [9, 2], [9, 6], [1, 6]]
    entries = [{"transcription": text, "points": points} for text in ("EXIT", "###", "*")]
    root = write("icdar/1.jpg", "icdar/2.jpg", **{"label.txt": f"icdar/1.jpg\t{json.dumps(entries)}\nicdar/2.jpg\t[]\n"})
    read = sniffed(plugins, root, "paddleocr")
    assert read.samples[0].regions == (Region(BOX, "EXIT"),)
    assert [region.text for region in read.samples[0].ignored] == ["###", "*"]
    assert (read.samples[1].regions, read.samples[1].labelled) == ((), True)


def test_pictures_without_labels_are_what_nobody_else_knows(plugins: Plugins, write: Write) -> None:
    root = write("b/10.jpg", "b/2.PNG", ".hidden.png", **{"notes.txt": "hello"})
    read = sniffed(plugins, root, "pictures")
    assert read.names == ("b/2.PNG", "b/10.jpg")
    assert not read.labelled
    assert list(samples.faults(read)) == []
    assert sniffed(plugins, root / "b" / "10.jpg", "pictures").names == ("10.jpg",)


@pytest.mark.parametrize("where", [".", "annotations", "annotations/test", ".."])
def test_places_are_found_from_a_relative_path_too(
    plugins: Plugins, write: Write, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    labels = "1,2,9,2,9,6,1,6,a"
    root = write("imgs/test/img_1.jpg", "imgs/img_2.jpg", **{"annotations/test/gt_img_1.txt": labels})
    if where == "..":
        root = root / "annotations"
    monkeypatch.chdir(root)
    read = samples.load(plugins, f"icdar2015:{where}")
    assert samples.missing(read) == []
    assert only(read).image.name == "img_1.jpg"
    monkeypatch.chdir(root if where == ".." else root / "annotations")
    for path in ("test", "test/gt_img_1.txt"):
        assert samples.missing(samples.load(plugins, f"icdar2015:{path}")) == []


def test_a_document_among_pictures_is_left_out_aloud(plugins: Plugins, write: Write, caplog: pytest.LogCaptureFixture) -> None:
    root = write("a.jpg", **{"b.pdf": b"%PDF-1.7"})
    assert samples.load(plugins, str(root)).names == ("a.jpg",)
    assert f"{root / 'b.pdf'} is a document, not a picture" in caplog.text


def test_the_suffixes_of_pictures_are_those_that_are_found_elsewhere() -> None:
    assert {*places.PICTURES, ".pdf"} == set(sources.SUFFIXES)
