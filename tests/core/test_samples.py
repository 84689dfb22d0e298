"""The front of the datasets: a stranger's reader, sniffing, fingerprints."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ocrdeploy import samples
from ocrdeploy.errors import BadInput, BadPlugin
from ocrdeploy.hookspecs import hookimpl
from ocrdeploy.plugins import Plugins, discover
from ocrdeploy.vocabulary import DatasetInfo, Region, Sample

Install = Callable[..., Plugins]


def reader(kind: str, read: Callable[[Path], Any], sniff: Callable[[Path], bool] = lambda _: True) -> object:
    """Return a stranger's plugin that reads datasets of this kind."""

    @hookimpl
    def ocrd_dataset() -> DatasetInfo:
        return DatasetInfo(kind, sniff)

    @hookimpl
    def ocrd_samples(path: Path) -> Any:
        return read(path)

    return SimpleNamespace(ocrd_contract=1, ocrd_dataset=ocrd_dataset, ocrd_samples=ocrd_samples)


def word(path: Path, text: str = "a") -> Sample:
    return Sample(path / "a.png", (Region(text=text),), where="stars.txt:1")


def test_a_strangers_reader_is_used_like_any_other(install: Install, tmp_path: Path) -> None:
    plugins = install(nova=reader("nova", lambda path: [word(path)]))
    for reference in (str(tmp_path), f"nova:{tmp_path}"):
        read = samples.load(plugins, reference)
        assert (read.kind, read.names, read.samples) == ("nova", ("a.png",), (word(tmp_path),))
        assert (read.path, read.root) == (tmp_path, tmp_path)


def late_failure(path: Path) -> Iterator[Sample]:
    yield word(path)
    raise KeyError("stars")


@pytest.mark.parametrize(
    ("read", "what"),
    [
        (late_failure, "failed while reading .*: KeyError: 'stars'"),
        (lambda _: 5, "returned int from ocrd_samples, not Iterable"),
        (lambda _: [5], "returned int from ocrd_samples, not Sample"),
        (lambda _: "ab", "returned str from ocrd_samples, not Sample"),
        (lambda _: [Sample("a.png")], "whose image, data or where is not"),  # type: ignore[arg-type]
        (lambda path: [Sample(path, [Region()])], "yielded regions that are no tuple"),  # type: ignore[arg-type]
        (lambda path: [Sample(path, ("a",))], "yielded regions that are no tuple"),  # type: ignore[arg-type]
        (lambda path: [Sample(path, (Region(((0, 0), (1, math.nan))),))], "with finite points"),
        (lambda path: [Sample(path, (Region((1, 2, 3)),))], "with finite points"),  # type: ignore[arg-type]
        (lambda path: [Sample(path, (Region(text=None),))], "yielded regions"),  # type: ignore[arg-type]
    ],
)
def test_a_stranger_who_fails_or_answers_nonsense_is_named(
    install: Install, tmp_path: Path, read: Callable[[Path], Any], what: str
) -> None:
    plugins = install(nova=reader("nova", read))
    with pytest.raises(BadPlugin, match=what) as caught:
        samples.load(plugins, f"nova:{tmp_path}")
    assert "plugin 'nova'" in caught.value.problem


def test_what_a_stranger_says_to_the_user_passes(install: Install, tmp_path: Path) -> None:
    def refuse(_: Path) -> Iterator[Sample]:
        raise BadInput("stars.txt:3: no star", "look up")

    with pytest.raises(BadInput, match=r"stars\.txt:3: no star"):
        samples.load(install(nova=reader("nova", refuse)), f"nova:{tmp_path}")


def test_a_reader_that_finds_nothing_is_an_error(install: Install, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds nothing that a dataset of kind 'nova' is made of"):
        samples.load(install(nova=reader("nova", lambda _: [])), f"nova:{tmp_path}")


def test_a_sniff_that_raises_harms_nobody_else(install: Install, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Path) -> bool:
        raise RuntimeError("dark")

    plugins = install(nova=reader("nova", lambda path: [word(path)], fail), good=reader("good", lambda path: [word(path)]))
    assert samples.load(plugins, str(tmp_path)).kind == "good"
    assert "plugin 'nova'" in caplog.text
    assert "dark" in caplog.text


def test_two_kinds_that_both_say_yes_are_a_question(install: Install, tmp_path: Path) -> None:
    plugins = install(**{kind: reader(kind, lambda path: [word(path)]) for kind in ("nova", "good", "pictures")})
    with pytest.raises(BadInput) as caught:
        samples.load(plugins, str(tmp_path))
    assert caught.value.problem == f"{tmp_path} could be of several kinds: good, nova"
    assert caught.value.fix == f"say which: good:{tmp_path} or nova:{tmp_path}"


def test_no_kind_at_all(install: Install, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        samples.load(install(), str(tmp_path))
    assert "none is installed" in caught.value.fix


def test_names_lead_out_of_the_folder_where_the_picture_does(install: Install, tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    plugins = install(nova=reader("nova", lambda path: [word(path.parent / "imgs")]))
    assert samples.load(plugins, f"nova:{tmp_path / 'labels'}").names == ("../imgs/a.png",)


@pytest.fixture
def words(tmp_path: Path) -> Path:
    (tmp_path / "rec.txt").write_text("a.png\tone\nb.png\ttwo\n")
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"12345")
    return tmp_path


def fingerprint(path: Path) -> str:
    return samples.load(discover(), f"list:{path}").fingerprint


def test_the_fingerprint_is_that_of_names_labels_and_pictures(words: Path) -> None:
    before = fingerprint(words)
    assert len(before) == 64
    assert before == fingerprint(words) == fingerprint(words / "rec.txt")
    (words / "rec.txt").write_bytes(b"\xef\xbb\xbfa.png\tone\r\n\r\nb.png\ttwo")
    assert fingerprint(words) == before
    (words / "rec.txt").write_text("a.png\tone\nb.png\ttoo\n")
    assert fingerprint(words) != before


@pytest.mark.parametrize(
    "change",
    [
        lambda words: (words / "a.png").write_bytes(b"123456"),
        lambda words: os.utime(words / "a.png", ns=(0, 5)),
        lambda words: (words / "a.png").unlink(),
        lambda words: (words / "rec.txt").write_text("b.png\ttwo\na.png\tone\n"),
        lambda words: (words / "rec.txt").write_text("a.png\tone\n"),
    ],
)
def test_the_fingerprint_changes_with_each_of_them(words: Path, change: Callable[[Path], object]) -> None:
    before = fingerprint(words)
    change(words)
    assert fingerprint(words) != before


def test_labels_without_pictures_are_counted_not_refused(words: Path) -> None:
    (words / "b.png").unlink()
    read = samples.load(discover(), str(words))
    assert samples.missing(read) == [1]
