from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from PIL import Image

Ocrd = Callable[..., CompletedProcess[str]]
Site = Callable[[str, str], Path]

READER = '''"""Stars: one line for each of them."""
from ocrdeploy import hookimpl
from ocrdeploy.vocabulary import DatasetInfo, Region, Sample
ocrd_contract = 1

@hookimpl
def ocrd_dataset():
    return DatasetInfo("nova", lambda path: (path / "stars").is_file())

@hookimpl
def ocrd_samples(path):
    yield Sample(path / "a.png", (Region(text="sun"),), where="stars:1")
'''


@pytest.fixture
def words(tmp_path: Path) -> Path:
    folder = tmp_path / "words"
    folder.mkdir()
    (folder / "rec.txt").write_text("a.png\tone\nb.png\ttwo £\n", encoding="utf-8")
    Image.new("RGB", (40, 30)).save(folder / "a.png")
    Image.new("RGB", (50, 30)).save(folder / "b.png")
    return folder


@pytest.mark.parametrize("arguments", [["datasets"], ["datasets", "list"]])
def test_the_list_names_each_kind_and_who_brings_it(ocrd: Ocrd, site: Site, arguments: list[str]) -> None:
    site("nova", READER)
    done = ocrd(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    (row,) = (line for line in done.stdout.splitlines() if line.startswith("nova "))
    assert row.split(maxsplit=2) == ["nova", "ocrdeploy-nova", "Stars: one line for each of them."]
    assert sum(" ocrdeploy  " in line for line in done.stdout.splitlines()) == 14


def test_the_list_as_json(ocrd: Ocrd, site: Site) -> None:
    site("nova", READER)
    found = json.loads(ocrd("datasets", "list", "--json").stdout)
    assert {"kind": "nova", "distribution": "ocrdeploy-nova", "what": "Stars: one line for each of them."} in found["kinds"]


def test_a_broken_reader_is_named(ocrd: Ocrd, site: Site) -> None:
    site("nova", "import nothing_of_this_name\n")
    assert "nova is broken: ModuleNotFoundError" in ocrd("datasets", "list").stdout
    done = ocrd("datasets", "check", "nova:.")
    assert done.returncode == 1
    assert "plugin 'nova' (ocrdeploy-nova) is broken" in done.stderr


def test_a_good_dataset_is_counted(ocrd: Ocrd, words: Path) -> None:
    done = ocrd("datasets", "check", words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"{words}: list\n"
        "  pictures    2\n"
        "  regions     2, and 0 that are ignored\n"
        "  texts       2\n"
        "  characters  7:  enotw£\n"
        "  widths      40 to 50 pixels\n"
        "  heights     30 pixels\n"
    )


def test_json_says_all_there_is_to_say(ocrd: Ocrd, words: Path) -> None:
    found = json.loads(ocrd("datasets", "check", f"list:{words}", "--json").stdout)
    assert set(found["dataset"]) == {"kind", "path", "fingerprint", "labelled"}
    assert (found["dataset"]["kind"], found["dataset"]["path"]) == ("list", str(words))
    assert (found["pictures"], found["missing"], found["regions"], found["ignored"], found["texts"]) == (2, 0, 2, 0, 2)
    assert found["characters"] == {" ": 1, "e": 1, "n": 1, "o": 2, "t": 1, "w": 1, "£": 1}
    assert (found["widths"], found["heights"], found["faults"]) == ([40, 50], [30, 30], [])


def test_missing_pictures_are_exit_code_1(ocrd: Ocrd, words: Path) -> None:
    (words / "b.png").unlink()
    done = ocrd("datasets", "check", words)
    assert done.returncode == 1
    assert "  pictures    2, 1 of them missing\n" in done.stdout
    assert done.stdout.endswith(f"\nmissing picture: 1\n  {words / 'rec.txt'}:2: the picture b.png does not exist\n")
    found = json.loads(ocrd("datasets", "check", words, "--json").stdout)
    assert [fault["kind"] for fault in found["faults"]] == ["missing picture"]


def test_the_first_faults_of_each_kind_are_listed_and_all_are_counted(ocrd: Ocrd, tmp_path: Path) -> None:
    (tmp_path / "rec.txt").write_text("".join(f"{number}.png\ta\n" for number in range(25)))
    done = ocrd("datasets", "check", tmp_path)
    assert "missing picture: 25\n" in done.stdout
    assert done.stdout.count("does not exist") == 20
    assert done.stdout.endswith("  and 5 more\n")
    assert "  widths      unknown: no picture can be opened\n" in done.stdout


@pytest.mark.parametrize("name", ["sheet.png", "new/sheet.JPG"])
def test_a_contact_sheet_is_written_whole(ocrd: Ocrd, words: Path, tmp_path: Path, name: str) -> None:
    done = ocrd("datasets", "check", words, "--sheet", tmp_path / name)
    assert (done.returncode, done.stderr) == (0, "")
    with Image.open(tmp_path / name) as page:
        page.load()
        assert page.format == ("PNG" if name.endswith("png") else "JPEG")
    assert [each.name for each in (tmp_path / name).parent.iterdir() if "sheet" in each.name] == [Path(name).name]


def test_bad_labels_are_an_error_with_file_and_line(ocrd: Ocrd, words: Path) -> None:
    (words / "rec.txt").write_bytes(b"a.png\tone\nb.png\tcaf\xe9\n")
    done = ocrd("datasets", "check", words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"error: {words / 'rec.txt'}:2: the file is not UTF-8: byte 19 of it is 0xE9\n"
        "fix:   convert it from what it is, for instance: iconv -f ISO-8859-1 -t UTF-8 rec.txt\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (["check"], 2, "Missing argument"),
        (["check", ".", "--sheet", "sheet.gif"], 2, "does not end in .png or .jpg"),
        (["check", "stars:."], 1, "unknown kind of dataset 'stars'"),
        (["check", "nowhere"], 1, "the dataset 'nowhere' does not exist"),
        (["chekc", "."], 2, "No such command"),
    ],
)
def test_mistakes_are_said(ocrd: Ocrd, arguments: list[str], code: int, problem: str) -> None:
    done = ocrd("datasets", *arguments)
    assert done.returncode == code
    assert problem in done.stderr


def test_a_strangers_dataset_is_checked(ocrd: Ocrd, site: Site, words: Path) -> None:
    site("nova", READER)
    (words / "stars").touch()
    (words / "rec.txt").unlink()
    done = ocrd("datasets", "check", words)
    assert done.returncode == 0
    assert done.stdout.startswith(f"{words}: nova\n")
