from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from types import TracebackType
from typing import Any, Self

import numpy as np
import pytest

from ocrdeploy import reader
from ocrdeploy.cli.results import Results, as_json, as_tsv
from ocrdeploy.errors import BadInput
from ocrdeploy.page import Page
from ocrdeploy.sources import Input
from ocrdeploy.vocabulary import Loaded, Region

Ocrd = Callable[..., CompletedProcess[str]]

SQUARE = ((1.0, 2.0), (31.04, 2.0), (31.0, 12.0), (1.0, 12.0))


class FakeReader:
    """Stands for `ocrdeploy.Reader`: what it says of a picture is written in the picture's file."""

    settings: dict[str, Any]
    chosen = ("backend auto: toy",)
    notes = ("1 denormal weight was flushed to zero",)
    loaded: dict[str, Loaded]
    closed = 0

    def __init__(self, **settings: Any) -> None:
        type(self).settings = settings
        self.loaded = {"detector": Loaded("1", "cpu", chosen="")}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        type(self).closed += 1

    def read(self, inputs: Iterable[Input]) -> Iterator[Page]:
        for each in inputs:
            if each.error is not None:
                yield Page(each.name, each.stem, error=each.error)
                continue
            assert each.path is not None
            for number, line in enumerate(each.path.read_text(encoding="utf-8").split("\f"), 1):
                yield self._page(each, number if "\f" in each.path.read_text(encoding="utf-8") else 0, line)

    def _page(self, item: Input, number: int, text: str) -> Page:
        name, stem = (f"{item.name}#{number}", f"{item.stem}-p{number:04}") if number else (item.name, item.stem)
        if text == "interrupt":
            raise KeyboardInterrupt
        if text == "bad":
            return Page(name, stem, error=BadInput(f"{name!r} is damaged", "copy it again"))
        score = 0.987654321
        regions = tuple(Region(SQUARE, "" if line == "box" else line, score, 0.5) for line in text.splitlines())
        return Page(name, stem, 40, 20, regions, None, {"decode": 1.23456}, np.zeros((20, 40, 3), np.uint8))


@pytest.fixture(autouse=True)
def fake_reader(monkeypatch: pytest.MonkeyPatch) -> type[FakeReader]:
    made = type("FakeReader", (FakeReader,), {})
    monkeypatch.setattr(reader, "Reader", made)
    return made


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Make a folder of "pictures", given their texts by name, and go there."""

    def make(**texts: str) -> Path:
        for name, text in texts.items():
            path = tmp_path / f"{name.replace('__', '/')}.png"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        return tmp_path

    return make


Folder = Callable[..., Path]


def test_the_text_of_one_picture_stands_alone(ocrd: Ocrd, folder: Folder) -> None:
    folder(sign="Bäckerei\n麵包")
    done = ocrd("run", "sign.png", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Bäckerei 麵包\n", "")


def test_several_pictures_have_a_heading_each(ocrd: Ocrd, folder: Folder) -> None:
    folder(a="one", b="", c="three")
    done = ocrd("run", ".", "-q")
    assert done.stdout == "== ./a.png ==\none\n\n== ./b.png ==\n\n== ./c.png ==\nthree\n"


def test_pages_of_one_file_have_a_heading_each(ocrd: Ocrd, folder: Folder) -> None:
    folder(a="one\ftwo")
    assert ocrd("run", "a.png", "-q").stdout == "== a.png#1 ==\none\n\n== a.png#2 ==\ntwo\n"


def test_a_picture_without_text_is_no_error(ocrd: Ocrd, folder: Folder) -> None:
    folder(a="")
    done = ocrd("run", "a.png", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_boxes_without_text_are_printed_as_corners(ocrd: Ocrd, folder: Folder) -> None:
    folder(a="box\nbox")
    assert ocrd("run", "a.png", "-q", "--task", "detect").stdout == "1,2 31,2 31,12 1,12  0.988\n" * 2


def test_json_is_one_object_a_line_in_input_order(ocrd: Ocrd, folder: Folder) -> None:
    folder(a="one", b="bad", c='"quoted" 麵包')
    done = ocrd("run", "c.png", "b.png", "a.png", "missing.png", "--format", "json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["image"] for line in lines] == ["c.png", "b.png", "a.png", "missing.png"]
    assert lines[2] == {
        "image": "a.png",
        "width": 40,
        "height": 20,
        "regions": [
            {"polygon": [[1, 2], [31.04, 2], [31, 12], [1, 12]], "text": "one", "score": 0.98765, "detection_score": 0.5}
        ],
        "timings_ms": {"decode": 1.235},
    }
    assert "麵包" in done.stdout
    assert lines[1] == {"image": "b.png", "error": {"problem": "'b.png' is damaged", "fix": "copy it again"}}
    assert set(lines[3]["error"]) == {"problem", "fix"}
    assert "error" not in done.stderr
    assert done.returncode == 1


def test_tsv_is_one_region_a_line(ocrd: Ocrd, folder: Folder) -> None:
    folder(a="tab\there, back\\slash\nbox")
    header, *rows = ocrd("run", "a.png", "--format", "tsv", "-q").stdout.splitlines()
    assert header.split("\t") == ["image", "index", "text", "score", "detection_score", "polygon"]
    assert rows[0].split("\t") == ["a.png", "0", "tab\\there, back\\\\slash", "0.9877", "0.5000", "1,2 31,2 31,12 1,12"]
    assert rows[1].split("\t")[:3] == ["a.png", "1", ""]


@pytest.mark.parametrize("form", ["text", "tsv"])
def test_a_bad_picture_is_an_error_on_standard_error_and_the_others_are_read(ocrd: Ocrd, folder: Folder, form: str) -> None:
    folder(a="one", b="bad", c="three")
    done = ocrd("run", "a.png", "b.png", "c.png", "-q", "--format", form)
    assert done.returncode == 1
    assert done.stderr == "error: 'b.png' is damaged\nfix:   copy it again\n"
    assert "one" in done.stdout
    assert "three" in done.stdout


def test_what_auto_chose_is_said_once_and_the_rest_to_those_who_ask(ocrd: Ocrd, folder: Folder) -> None:
    folder(a="one", b="two")
    chosen, more = "note: backend auto: toy\n", "info: 1 denormal weight was flushed to zero\n"
    assert ocrd("run", "a.png", "b.png").stderr == chosen
    assert ocrd("run", "a.png", "-v").stderr == chosen + more
    assert ocrd("run", "a.png", "-q").stderr == ""


def test_options_reach_the_reader_and_what_is_not_given_is_left_to_it(
    ocrd: Ocrd, folder: Folder, fake_reader: type[FakeReader]
) -> None:
    folder(a="one")
    ocrd("run", "a.png")
    assert fake_reader.settings == {"task": "ocr", "custom_ops": (), "backend_options": {}}
    ocrd(
        *("run", "a.png", "--task", "recognize", "--recognizer", "r", "--recognizer-spec", "r.json", "--classifier", "none"),
        *(
            "--backend",
            "toy",
            "--device",
            "cuda:1",
            "--precision",
            "fp16",
            "--provider",
            "P",
            "--threads",
            "3",
            "--batch-size",
            "2",
        ),
        *("--custom-ops", "a.so", "--custom-ops", "b.so", "--backend-option", "k=v", "--min-score", "0.25", "--dpi", "300"),
        *("--max-pixels", "1000"),
    )
    assert fake_reader.settings == {
        "task": "recognize",
        "recognizer": "r",
        "recognizer_spec": Path("r.json"),
        "classifier": "none",
        "backend": "toy",
        "device": "cuda:1",
        "precision": "fp16",
        "provider": "P",
        "threads": 3,
        "batch_size": 2,
        "custom_ops": (Path("a.so"), Path("b.so")),
        "backend_options": {"k": "v"},
        "min_score": 0.25,
        "dpi": 300,
        "max_pixels": 1000,
    }
    assert fake_reader.closed == 2


def test_networks_is_short_for_the_backend_option(ocrd: Ocrd, folder: Folder, fake_reader: type[FakeReader]) -> None:
    folder(a="one")
    ocrd("run", "a.png", "--networks", "mmocr", "--backend-option", "k=v")
    assert fake_reader.settings["backend_options"] == {"k": "v", "networks": "mmocr"}
    assert "networks" not in fake_reader.settings
    assert "did you mean 'mmocr'" in ocrd("run", "a.png", "--networks", "mmorc").stderr


def test_trust_engine_is_short_for_the_backend_option(ocrd: Ocrd, folder: Folder, fake_reader: type[FakeReader]) -> None:
    folder(a="one")
    ocrd("run", "a.png", "--trust-engine")
    assert fake_reader.settings["backend_options"] == {"trust_engine": "yes"}
    ocrd("run", "a.png")
    assert fake_reader.settings.get("backend_options") in (None, {})


def test_an_interrupt_keeps_what_was_read(ocrd: Ocrd, folder: Folder, fake_reader: type[FakeReader]) -> None:
    folder(a="one", b="interrupt", c="three")
    done = ocrd("run", ".", "-q", "--format", "json", "-o", "read")
    assert done.returncode == 130
    assert [json.loads(line)["image"] for line in done.stdout.splitlines()] == ["./a.png"]
    assert sorted(path.name for path in Path("read").iterdir()) == ["a.annotated.png", "a.json"]
    assert fake_reader.closed == 1


def test_a_folder_of_outputs_holds_a_json_and_a_picture_each(ocrd: Ocrd, folder: Folder) -> None:
    folder(a="one", sub__b="two\fthree", c="bad")
    done = ocrd("run", ".", "-q", "--format", "json", "-o", "read")
    assert done.returncode == 1
    files = sorted(str(path.relative_to("read")) for path in Path("read").rglob("*") if path.is_file())
    pages = ["a", "sub/b-p0001", "sub/b-p0002"]
    assert files == [f"{page}{suffix}" for page in pages for suffix in (".annotated.png", ".json")]
    assert (Path("read") / "a.json").read_text(encoding="utf-8") == done.stdout.splitlines(keepends=True)[0]
    assert (Path("read") / "a.annotated.png").read_bytes().startswith(b"\x89PNG")


def test_an_output_that_exists_is_refused_before_anything_is_read(
    ocrd: Ocrd, folder: Folder, fake_reader: type[FakeReader]
) -> None:
    folder(a="one", b="two")
    kept = Path("read/b.json")
    kept.parent.mkdir()
    kept.write_text("kept", encoding="utf-8")
    done = ocrd("run", "a.png", "b.png", "-o", "read")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: read/b.json exists already\nfix:   give --overwrite")
    assert not hasattr(fake_reader, "settings")
    assert kept.read_text(encoding="utf-8") == "kept"
    assert ocrd("run", "a.png", "b.png", "-o", "read", "--overwrite").returncode == 0
    assert json.loads(kept.read_text(encoding="utf-8"))["image"] == "b.png"


def test_a_page_whose_output_exists_is_refused_and_the_others_are_written(ocrd: Ocrd, folder: Folder) -> None:
    folder(a="one\ftwo")
    Path("read").mkdir()
    Path("read/a-p0001.json").touch()
    done = ocrd("run", "a.png", "-q", "-o", "read")
    assert done.returncode == 1
    assert done.stderr.startswith("error: a.png#1: read/a-p0001.json exists already\nfix:   ")
    assert "one" in done.stdout
    assert Path("read/a-p0002.json").exists()
    assert not Path("read/a-p0001.annotated.png").exists()


def test_a_page_never_overwrites_what_this_run_wrote(ocrd: Ocrd, folder: Folder) -> None:
    folder(**{"a": "one\ftwo", "a-p0002": "another"})
    done = ocrd("run", "a.png", "a-p0002.png", "-q", "-o", "read", "--overwrite")
    assert done.returncode == 1
    assert "two pictures would write read/a-p0002.json" in done.stderr


def test_an_input_is_never_overwritten(ocrd: Ocrd, folder: Folder) -> None:
    folder(**{"a": "one", "a.annotated": "mine"})
    done = ocrd("run", ".", "-o", ".", "--overwrite")
    assert (done.returncode, done.stdout) == (1, "")
    assert "a.annotated.png would be overwritten, and it is one of the pictures" in done.stderr
    assert Path("a.annotated.png").read_text(encoding="utf-8") == "mine"


def test_two_inputs_with_one_output_are_named(ocrd: Ocrd, folder: Folder) -> None:
    folder(left__a="one", right__a="two")
    done = ocrd("run", "left/a.png", "right/a.png", "-o", "read/deep")
    assert (done.returncode, done.stdout) == (1, "")
    assert "left/a.png" in done.stderr
    assert "right/a.png" in done.stderr
    assert not Path("read").exists()
    assert ocrd("run", "left/a.png", "right/a.png").returncode == 0


def test_a_folder_that_cannot_be_written_is_a_sentence(ocrd: Ocrd, folder: Folder, fake_reader: type[FakeReader]) -> None:
    folder(a="one")
    done = ocrd("run", "a.png", "-o", "a.png/read")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: cannot write to a.png/read: Not a directory\n")
    assert "fix:   " in done.stderr
    assert not hasattr(fake_reader, "settings")


def test_a_full_disk_is_a_sentence_for_each_picture(ocrd: Ocrd, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(a="one", b="two")

    def full(_page: Page, _path: Path) -> None:
        raise BadInput("cannot write read/a.annotated.png: No space left on device", "make room")

    monkeypatch.setattr(Page, "save", full)
    done = ocrd("run", "a.png", "b.png", "-q", "-o", "read")
    assert done.returncode == 1
    assert done.stderr.count("No space left on device") == 2
    assert "one" in done.stdout
    assert "two" in done.stdout
    assert not Path("read").exists()


def test_a_name_that_is_not_utf8_harms_no_format(ocrd: Ocrd, folder: Folder) -> None:
    place = folder()
    try:
        Path(os.fsdecode(os.fsencode(place) + b"/caf\xe9.png")).write_text("one", encoding="utf-8")
    except OSError:
        pytest.skip("this file system takes no such names")
    for form in ("text", "json", "tsv"):
        done = ocrd("run", str(place), os.fsdecode(b"missing\xe8.png"), "--format", form, "-o", f"read-{form}")
        assert done.returncode == 1
        assert "one" in done.stdout
        done.stdout.encode("utf-8")
        done.stderr.encode("utf-8")


def test_json_is_valid_where_the_terminal_has_few_characters() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii", errors="backslashreplace")
    Results(out, "json").add(Page("麵包.png", regions=(Region(SQUARE, "é🙂"),)))
    line = raw.getvalue().decode("ascii")
    assert json.loads(line)["image"] == "麵包.png"
    assert json.loads(line)["regions"][0]["text"] == "é🙂"


def test_a_lone_surrogate_is_escaped_in_json_and_in_text() -> None:
    page = Page("caf\udce9.png", regions=(Region(SQUARE, "half \ud83d"),))
    assert json.loads(as_json(page).encode())["image"] == "caf\\xe9.png"
    assert json.loads(as_json(page).encode())["regions"][0]["text"] == "half \\ud83d"
    assert as_tsv(page).encode().startswith(b"caf\\xe9.png\t0\thalf \\ud83d\t")
