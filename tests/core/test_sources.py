from __future__ import annotations

import gc
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import AppendingTiffWriter

from ocrdeploy import sources
from ocrdeploy.errors import BadInput
from ocrdeploy.sources import Input, Picture, as_input, check_outputs, find, pictures, read_ahead
from ocrdeploy.vocabulary import Pixels


def picture(value: int = 200, width: int = 6, height: int = 4) -> Pixels:
    return np.full((height, width, 3), value, np.uint8)


def png(value: int = 200) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture(value)).save(stream, "PNG")
    return stream.getvalue()


def tiff(*values: int) -> bytes:
    stream = io.BytesIO()
    first, *others = (Image.fromarray(picture(value)) for value in values)
    first.save(stream, "TIFF", save_all=True, append_images=others)
    return stream.getvalue()


def read(*paths: str | Path, max_pixels: int = 10_000, dpi: int = 72) -> list[Picture]:
    return list(pictures(find(paths), dpi=dpi, max_pixels=max_pixels))


def problem_of(item: Input | Picture) -> str:
    assert item.error is not None
    assert isinstance(item.error, BadInput)
    assert item.error.fix
    return item.error.problem


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("img10.png", "img2.png", "IMG1.PNG", "sub/b.png", "sub/deep/c.jpeg", "notes.txt", ".hidden.png", ".git/d.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png())
    return tmp_path / "photos"


@pytest.fixture
def as_an_ordinary_user() -> Iterator[Path]:
    """Give up the rights of root, whom no permission stops, and give a folder that others can enter."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        root = os.geteuid() == 0
        yield Path(name)
        if root:
            os.seteuid(0)


def give_up_root() -> None:
    if os.geteuid() == 0:
        os.seteuid(65534)


def test_a_folder_comes_in_natural_order_with_what_lies_below_it(folder: Path) -> None:
    found = find(["photos"])
    assert [item.name for item in found] == [
        "photos/IMG1.PNG",
        "photos/img2.png",
        "photos/img10.png",
        "photos/sub/b.png",
        "photos/sub/deep/c.jpeg",
    ]
    assert [item.stem for item in found] == ["IMG1", "img2", "img10", "sub/b", "sub/deep/c"]
    assert [item.path and item.path.resolve() for item in found] == [folder / item.name.removeprefix("photos/") for item in found]


@pytest.mark.parametrize("given", ["./photos", "photos/", "../{}/photos"])
def test_names_begin_as_the_user_wrote_them(folder: Path, given: str) -> None:
    given = given.format(folder.parent.name)
    names = [item.name for item in find([given])]
    assert names[0] == given.rstrip("/") + "/IMG1.PNG"
    assert find([given + "/img2.png"])[0].stem == "img2"


def test_numbers_sort_by_value_wherever_they_stand(tmp_path: Path) -> None:
    names = ["1", "a", "a1b2", "a1b10", "a01b3", "a2", "b", "\u0661", "\uff12"]
    for name in names:
        (tmp_path / f"{name}.png").touch()
    assert [item.stem for item in find([tmp_path])][:6] == ["1", "a", "a1b2", "a01b3", "a1b10", "a2"]


def test_a_file_is_read_whatever_its_suffix(tmp_path: Path) -> None:
    (tmp_path / "scan.dat").write_bytes(png())
    (tmp_path / "archive.tar.png").write_bytes(png())
    assert [(item.name, item.stem) for item in find([tmp_path / "scan.dat", tmp_path / "archive.tar.png"])] == [
        (f"{tmp_path}/scan.dat", "scan"),
        (f"{tmp_path}/archive.tar.png", "archive.tar"),
    ]
    assert read(tmp_path / "scan.dat")[0].pixels is not None


def test_the_order_of_the_command_line_is_kept(folder: Path) -> None:
    assert [item.stem for item in find(["photos/img2.png", folder / "sub", "photos/img10.png"])] == [
        "img2",
        "b",
        "deep/c",
        "img10",
    ]


def test_a_missing_file_is_an_error_and_the_others_are_read(folder: Path) -> None:
    first, second = read("photos/img3.png", "photos/img2.png")
    assert problem_of(first) == "'photos/img3.png' does not exist"
    assert first.error is not None
    assert str(folder.parent) in first.error.fix
    assert second.error is None


def test_a_folder_without_pictures_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    (found,) = find([tmp_path])
    assert problem_of(found).startswith(f"the folder {str(tmp_path)!r} holds no pictures (.bmp, .gif, ")
    assert found.stem == tmp_path.name


@pytest.mark.parametrize("path", ["", "\0", "a" * 5000, "photos/img2.png/x"])
@pytest.mark.usefixtures("folder")
def test_a_path_that_cannot_be_is_an_error(path: str) -> None:
    assert problem_of(find([path])[0])


def test_a_file_that_may_not_be_read(as_an_ordinary_user: Path) -> None:
    file = as_an_ordinary_user / "secret.png"
    file.write_bytes(png())
    file.chmod(0)
    give_up_root()
    (found,) = read(file)
    assert problem_of(found) == f"you may not read {str(file)!r}"


def test_a_folder_that_may_not_be_read_hides_no_other(as_an_ordinary_user: Path) -> None:
    (as_an_ordinary_user / "a.png").write_bytes(png())
    secret = as_an_ordinary_user / "secret"
    secret.mkdir()
    (secret / "b.png").write_bytes(png())
    secret.chmod(0)
    give_up_root()
    first, second = find([as_an_ordinary_user])
    assert first.error is None
    assert problem_of(second) == f"you may not read {str(secret)!r}"
    assert problem_of(find([secret])[0]) == f"you may not read {str(secret)!r}"
    assert problem_of(find([secret / "b.png"])[0]) == f"you may not read {str(secret / 'b.png')!r}"


def test_a_name_that_is_not_utf8_can_be_printed_written_and_read(tmp_path: Path) -> None:
    name = os.path.join(os.fsencode(tmp_path), b"caf\xe9\n.png")  # noqa: PTH118  # Path takes no bytes.
    Path(os.fsdecode(name)).write_bytes(png())
    for given in (tmp_path, os.fsdecode(name)):
        (found,) = read(given)
        assert found.name == f"{tmp_path}/caf%E9%0A.png"
        assert found.stem == "caf%E9%0A"
        assert json.dumps(found.name).encode("ascii")
        assert found.name.encode("utf-8")
        assert found.error is None


def test_standard_input_is_one_picture() -> None:
    (found,) = find(["-"], stdin=io.BytesIO(png(7)))
    assert (found.name, found.stem) == ("-", "stdin")
    (page,) = pictures([found])
    assert page.pixels is not None
    assert (page.pixels == 7).all()
    (empty,) = pictures(find(["-"], stdin=io.BytesIO()))
    assert problem_of(empty) == "'-' is empty"


def test_values_in_memory_are_inputs(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(png(9))
    values: list[Any] = [tmp_path / "p.png", str(tmp_path / "p.png"), png(9), Image.fromarray(picture(9)), picture(9)]
    pages = list(pictures([as_input(value, index) for index, value in enumerate(values)]))
    assert [page.stem for page in pages] == ["p", "p", "picture-0003", "picture-0004", "picture-0005"]
    for page in pages:
        np.testing.assert_array_equal(page.pixels, picture(9))


@pytest.mark.parametrize("value", [b"", b"text", 5, np.zeros((3, 3), np.uint8), "/nowhere/x.png", "/", "\0"])
def test_bad_values_in_memory_are_pictures_with_an_error(value: Any) -> None:
    (page,) = pictures([as_input(value, 0)])
    assert page.pixels is None
    assert problem_of(page)


@pytest.mark.usefixtures("folder")
def test_outputs_of_one_name_are_refused() -> None:
    check_outputs(find(["photos", "photos/sub/deep/c.jpeg"]))
    for paths in (["photos", "photos/img2.png"], ["photos/img2.png", "photos/IMG2.PNG"]):
        with pytest.raises(BadInput, match="img2") as caught:
            check_outputs(find(paths))
        assert all(path in caught.value.problem for path in ("photos/img2.png", paths[1]))
        assert "rename" in caught.value.fix


def test_outputs_of_one_composed_name_are_refused() -> None:
    with pytest.raises(BadInput, match="would have the same name"):
        check_outputs([Input("caf\u00e9.png", "caf\u00e9"), Input("cafe\u0301.png", "cafe\u0301")])


def test_outputs_of_pages_are_compared_too() -> None:
    page = Input("scan-p0001.png", "scan-p0001")
    check_outputs([page, Input("scan.png", "scan"), Input("scan-p0002.png", "scan-p0002")])
    with pytest.raises(BadInput, match=r"'scan.tif' and 'scan-p0001.png'"):
        check_outputs([page, Input("scan.tif", "scan")])


def test_pages_of_a_tiff_are_numbered_where_there_are_several(tmp_path: Path) -> None:
    (tmp_path / "one.tif").write_bytes(tiff(1))
    (tmp_path / "two.tif").write_bytes(tiff(10, 20))
    pages = read(tmp_path)
    assert [(page.name.rpartition("/")[2], page.stem) for page in pages] == [
        ("one.tif", "one"),
        ("two.tif#1", "two-p0001"),
        ("two.tif#2", "two-p0002"),
    ]
    assert [page.pixels is not None and int(page.pixels[0, 0, 0]) for page in pages] == [1, 10, 20]


def test_the_first_pages_of_a_cut_tiff_are_read(tmp_path: Path) -> None:
    data = tiff(10, 20, 30)
    (tmp_path / "cut.tif").write_bytes(data[: len(data) - 150])
    first, second, third = read(tmp_path / "cut.tif")
    assert (first.error, second.error) == (None, None)
    assert third.stem == "cut-p0003"
    assert "cut.tif#3' is cut short or damaged" in problem_of(third)


def test_a_smaller_copy_in_a_tiff_is_no_page(tmp_path: Path) -> None:
    with AppendingTiffWriter(str(tmp_path / "pyramid.tif")) as writer:
        Image.fromarray(picture(1)).save(writer, "TIFF")
        writer.newFrame()
        Image.fromarray(picture(1, 3, 2)).save(writer, "TIFF", tiffinfo={254: 1})
        writer.newFrame()
    with Image.open(tmp_path / "pyramid.tif") as written:
        assert getattr(written, "n_frames", 1) == 2
    (page,) = read(tmp_path / "pyramid.tif")
    assert page.stem == "pyramid"
    assert page.pixels is not None
    assert page.pixels.shape == (4, 6, 3)


def test_a_page_that_is_too_large_costs_no_other(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(picture(1)).save(stream, "TIFF", save_all=True, append_images=[Image.fromarray(picture(2, 50, 50))])
    (tmp_path / "t.tif").write_bytes(stream.getvalue())
    first, second = read(tmp_path / "t.tif", max_pixels=100)
    assert first.error is None
    assert "declares 50 x 50 pixels" in problem_of(second)


def pdf(pages: int, side_pt: int = 144) -> bytes:
    pdfium = pytest.importorskip("pypdfium2", reason="needs the extra ocrdeploy[pdf]")
    document = pdfium.PdfDocument.new()
    for _ in range(pages):
        document.new_page(side_pt, side_pt / 2)
    stream = io.BytesIO()
    document.save(stream)
    document.close()
    return stream.getvalue()


def test_pages_of_a_pdf_are_drawn_at_the_dpi_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf(1))
    (tmp_path / "b.pdf").write_bytes(pdf(2))
    pages = read(tmp_path, dpi=36)
    assert [page.stem for page in pages] == ["a", "b-p0001", "b-p0002"]
    for page in pages:
        assert page.pixels is not None
        assert page.pixels.shape == (36, 72, 3)
        assert page.pixels.flags.c_contiguous
        assert (page.pixels == 255).all()


def test_colours_of_a_pdf_are_rgb(tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2", reason="needs the extra ocrdeploy[pdf]")
    Image.new("RGB", (10, 10), (250, 10, 20)).save(tmp_path / "red.pdf")
    (page,) = read(tmp_path / "red.pdf")
    assert page.pixels is not None
    assert np.abs(page.pixels.astype(int) - (250, 10, 20)).max() < 5


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"%PDF-1.7\n", "is cut short or damaged"),
        (None, "is cut short or damaged"),
        (b"%PDF-1.4\nnonsense\n%%EOF", "is cut short"),
    ],
)
def test_a_bad_pdf_is_an_error(tmp_path: Path, data: bytes | None, problem: str) -> None:
    whole = pdf(1)
    (tmp_path / "x.pdf").write_bytes(whole[: len(whole) // 2] if data is None else data)
    (page,) = read(tmp_path / "x.pdf")
    assert problem in problem_of(page)


LOCKED_PDF = """
%PDF-1.4
1 0 obj <</Type /Catalog /Pages 2 0 R>> endobj
2 0 obj <</Type /Pages /Kids [3 0 R] /Count 1>> endobj
3 0 obj <</Type /Page /Parent 2 0 R /MediaBox [0 0 9 9]>> endobj
4 0 obj <</Filter /Standard /V 1 /R 2 /Length 40 /P -4 /O <{o}> /U <{u}>>> endobj
trailer <</Root 1 0 R /Size 5 /Encrypt 4 0 R /ID [<00> <00>]>>
%%EOF
"""


def test_a_locked_pdf_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2", reason="needs the extra ocrdeploy[pdf]")
    (tmp_path / "x.pdf").write_text(LOCKED_PDF.strip().format(o="11" * 32, u="22" * 32))
    (page,) = read(tmp_path / "x.pdf")
    assert "is locked with a password" in problem_of(page)


def test_a_pdf_page_of_too_many_pixels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.pdf").write_bytes(pdf(1, side_pt=14_400))
    (page,) = read(tmp_path / "x.pdf")
    assert "declares 14400 x 7200 pixels" in problem_of(page)
    assert page.error is not None
    assert "lower --dpi" in page.error.fix
    assert "--max-pixels 103680000" in page.error.fix


def test_a_pdf_without_pypdfium2_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    (tmp_path / "x.pdf").write_bytes(b"%PDF-1.7\n")
    (page,) = read(tmp_path / "x.pdf")
    assert page.error is not None
    assert page.error.fix == "pip install 'ocrdeploy[pdf]'"


def test_decoding_is_lazy_and_timed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    real = Path.read_bytes

    def slow(path: Path) -> bytes:
        opened.append(path)
        time.sleep(0.02)
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", slow)
    pages = pictures(find([folder]))
    assert not opened
    assert next(pages).decode_ms >= 20
    assert len(opened) == 1


def test_ten_thousand_inputs_are_small(tmp_path: Path) -> None:
    for index in range(10_000):
        (tmp_path / f"{index}.png").touch()
    start = time.perf_counter()
    found = find([tmp_path])
    assert time.perf_counter() - start < 5
    assert [item.stem for item in found[9_998:]] == ["9998", "9999"]
    assert all(item.data is None for item in found)
    one = found[0]
    assert sum(map(sys.getsizeof, (one, one.name, one.stem, one.path))) < 1000


def test_read_ahead_keeps_the_order_and_ends_its_thread() -> None:
    before = threading.active_count()
    assert list(read_ahead(iter(range(100)), 3)) == list(range(100))
    assert threading.active_count() == before


def test_read_ahead_computes_at_most_its_depth_in_advance() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    stream = read_ahead(items(), 3)
    assert not made
    for taken in range(1, 10):
        next(stream)
        time.sleep(0.01)
        assert len(made) <= taken + 3


def test_read_ahead_works_beside_the_consumer() -> None:
    made = [threading.Event() for _ in range(5)]

    def items() -> Iterator[int]:
        for number, event in enumerate(made):
            event.set()
            yield number

    for number in read_ahead(items(), 1):
        following = made[min(number + 1, 4)]
        assert following.wait(5), "the next item was not made while this one was in use"


def test_read_ahead_raises_what_its_items_raise_in_its_turn() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise KeyError("three")

    stream = read_ahead(items(), 5)
    assert [next(stream), next(stream)] == [1, 2]
    with pytest.raises(KeyError, match="three"):
        next(stream)


@pytest.mark.parametrize("how", ["close", "drop"])
def test_an_abandoned_read_ahead_ends_its_thread_and_closes_its_items(how: str) -> None:
    closed: list[bool] = []

    def items() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    before = threading.active_count()
    stream = read_ahead(items(), 3)
    next(stream)
    assert threading.active_count() == before + 1
    if how == "close":
        stream.close()  # type: ignore[attr-defined]
    else:
        del stream
        gc.collect()
    assert threading.active_count() == before
    assert closed == [True]


def test_read_ahead_holds_no_picture_that_was_taken() -> None:
    class Large:
        pass

    stream = read_ahead((Large() for _ in range(20)), 2)
    taken = next(stream)
    reference = weakref.ref(taken)
    del taken
    next(stream)
    assert reference() is None


def test_the_interpreter_ends_while_reading_ahead() -> None:
    code = """
import itertools, time
from ocrdeploy.sources import read_ahead
stream = read_ahead((time.sleep(0.01) or n for n in itertools.count()), 4)
print(next(stream))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")


def test_only_known_suffixes_are_searched_for() -> None:
    assert ".pdf" in sources.SUFFIXES
    assert all(suffix == suffix.lower() for suffix in sources.SUFFIXES)
