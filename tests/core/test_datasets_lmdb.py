"""MMOCR's LMDB files in their three forms, and what is said where the package lmdb is missing."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from ocrdeploy import samples
from ocrdeploy.errors import BadInput
from ocrdeploy.plugins import Plugins, discover
from ocrdeploy.vocabulary import Region

lmdb = pytest.importorskip("lmdb", reason="needs the package lmdb: pip install 'ocrdeploy[lmdb]'")


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return discover()


def written(folder: Path, values: Mapping[str, bytes]) -> Path:
    with lmdb.open(str(folder), map_size=1 << 20) as environment, environment.begin(write=True) as transaction:
        for key, value in values.items():
            transaction.put(key.encode(), value)
    (folder / "lock.mdb").unlink(missing_ok=True)
    return folder


def test_pictures_are_in_the_file(plugins: Plugins, tmp_path: Path) -> None:
    values = {"num-samples": b"2", "image-000000001": b"\xff\xd8one", "label-000000001": "né".encode()}
    root = written(tmp_path / "set", {**values, "image-000000002": b"two", "label-000000002": b"a b"})
    read = samples.load(plugins, str(root))
    assert (read.kind, read.names) == ("mmocr-lmdb", ("image-000000001", "image-000000002"))
    assert [sample.data for sample in read.samples] == [b"\xff\xd8one", b"two"]
    assert [sample.regions for sample in read.samples] == [(Region(text="né"),), (Region(text="a b"),)]
    assert samples.missing(read) == []
    assert not (root / "lock.mdb").exists()
    other = samples.load(plugins, str(written(tmp_path / "other", {**values, "image-000000001": b"x", "num-samples": b"1"})))
    assert other.fingerprint != read.fingerprint


@pytest.mark.parametrize(
    "values",
    [
        {"total_number": b"1", "0": b"a/1.jpg two words"},
        {"num-samples": b"1", "label-000000001": b'{"filename": "a/1.jpg", "text": "two words"}'},
    ],
)
def test_labels_only(plugins: Plugins, tmp_path: Path, values: Mapping[str, bytes]) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jpg").touch()
    (sample,) = samples.load(plugins, str(written(tmp_path / "labels.lmdb", values))).samples
    assert (sample.image, sample.regions, sample.data) == (tmp_path / "a" / "1.jpg", (Region(text="two words"),), b"")


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"num-samples": b"2", "image-000000001": b"x", "label-000000001": b"a"}, "label-000000002 is missing"),
        ({"num-samples": b"none"}, "'num-samples' is b'none'"),
        ({"total_number": b"0"}, "'total_number' is b'0'"),
        ({"other": b"1"}, "neither 'num-samples' nor 'total_number'"),
        ({"total_number": b"1", "0": b"a.jpg \xff"}, "0 is not UTF-8: byte 6 of it is 0xFF"),
    ],
)
def test_what_is_wrong_is_named(plugins: Plugins, tmp_path: Path, values: Mapping[str, bytes], problem: str) -> None:
    with pytest.raises(BadInput) as caught:
        samples.load(plugins, str(written(tmp_path / "set", values)))
    assert problem in caught.value.problem
    assert str(tmp_path / "set") in caught.value.problem


def test_a_file_that_is_cut_short_is_no_crash(plugins: Plugins, tmp_path: Path) -> None:
    root = written(tmp_path / "set", {"num-samples": b"1", "image-000000001": b"x", "label-000000001": b"a"})
    data = (root / "data.mdb").read_bytes()
    (root / "data.mdb").write_bytes(data[:100])
    with pytest.raises(BadInput, match="cannot be read as LMDB"):
        samples.load(plugins, f"mmocr-lmdb:{root}")


def test_the_missing_package_is_named_with_its_command(plugins: Plugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = written(tmp_path / "set", {"num-samples": b"1"})
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(BadInput) as caught:
        samples.load(plugins, str(root))
    assert caught.value.fix == "pip install 'ocrdeploy[lmdb]'"
