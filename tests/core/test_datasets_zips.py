"""Zips as datasets: unpacked once, inside their own folder, and not at all where they are not to be trusted."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ocrdeploy import samples, zips
from ocrdeploy.errors import BadInput
from ocrdeploy.plugins import Plugins, discover

Pack = Callable[..., Path]


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return discover()


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pack:
    """Make a zip of names and contents, and a cache folder that holds nothing yet."""
    monkeypatch.setenv("OCRDEPLOY_CACHE", str(tmp_path / "cache"))

    def packed(*members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
        path = tmp_path / "set.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members:
                archive.writestr(name, content)
        return path

    return packed


def cached(tmp_path: Path) -> list[str]:
    return [each.name for each in (tmp_path / "cache" / "datasets").iterdir() if not each.name.endswith(".lock")]


def test_a_zip_is_read_as_the_folder_in_it(plugins: Plugins, pack: Pack, tmp_path: Path) -> None:
    path = pack(("top/set/rec.txt", b"a.png\tb\n"), ("top/set/a.png", b""), ("__MACOSX/._rec.txt", b"x"))
    first = samples.load(plugins, str(path))
    assert (first.kind, first.path, first.names) == ("list", path, ("a.png",))
    assert first.samples[0].where == f"{path}/rec.txt:1"
    assert samples.missing(first) == []
    (name,) = cached(tmp_path)
    assert len(name) == 16
    stamp = (first.samples[0].image).stat().st_ino
    again = samples.load(plugins, f"list:{path}")
    assert again.samples[0].image.stat().st_ino == stamp
    assert again.fingerprint == first.fingerprint


def test_a_zip_that_is_unpacked_again_is_the_same_dataset(
    plugins: Plugins, pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pack(("rec.txt", b"a.png\tb\n"), ("a.png", b""))
    first = samples.load(plugins, str(path)).fingerprint
    monkeypatch.setenv("OCRDEPLOY_CACHE", str(tmp_path / "other"))
    assert samples.load(plugins, str(path)).fingerprint == first


def test_a_complaint_speaks_of_the_zip(plugins: Plugins, pack: Pack) -> None:
    path = pack(("set/rec.txt", b"a.png\tb\nc.png\td\te\n"), ("set/a.png", b""))
    with pytest.raises(BadInput, match="2 tabs") as caught:
        samples.load(plugins, str(path))
    assert caught.value.problem.startswith(f"{path}/rec.txt:2: ")


def link() -> zipfile.ZipInfo:
    made = zipfile.ZipInfo("set/link.png")
    made.external_attr = (stat.S_IFLNK | 0o777) << 16
    return made


@pytest.mark.parametrize(
    "name", ["../out.png", "set/../../out.png", "/tmp/out.png", "C:/out.png", "..\\out.png", link()], ids=str
)
def test_nothing_reaches_out_of_its_folder(pack: Pack, tmp_path: Path, name: str | zipfile.ZipInfo) -> None:
    before = set(tmp_path.rglob("out.png"))
    path = pack(("set/rec.txt", b"a.png\tb\n"), (name, b"/etc/passwd"))
    with pytest.raises(BadInput, match="is a link or would lie outside it"):
        zips.folder_of(path)
    assert set(tmp_path.rglob("out.png")) == before
    assert cached(tmp_path) == []


def test_a_bomb_is_not_unpacked(pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zips, "ALWAYS_BYTES", 1 << 16)
    path = pack(("bomb.txt", bytes(1 << 20)))
    with pytest.raises(BadInput, match="would become 1 files of 1 MiB"):
        zips.folder_of(path)
    assert cached(tmp_path) == []
    assert zips.folder_of(pack(("random.txt", os.urandom(1 << 17)))).is_dir()


def test_a_member_that_lies_about_its_size_is_damage(pack: Pack, tmp_path: Path) -> None:
    path = pack(("a.txt", b"x" * 5000), ("b.txt", b"y"))
    data = path.read_bytes()
    size = (5000).to_bytes(4, "little")
    path.write_bytes(data.replace(size, (50).to_bytes(4, "little")))
    with pytest.raises(BadInput, match="damaged"):
        zips.folder_of(path)
    assert cached(tmp_path) == []


def test_a_damaged_zip_leaves_nothing(pack: Pack, tmp_path: Path) -> None:
    path = pack(("a.txt", os.urandom(5000)), ("b.txt", os.urandom(5000)))
    data = bytearray(path.read_bytes())
    data[7000] ^= 255
    path.write_bytes(data)
    with pytest.raises(BadInput, match="is damaged"):
        zips.folder_of(path)
    assert cached(tmp_path) == []


def test_one_name_twice_is_refused(pack: Pack) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        path = pack(("a.txt", b"1"), ("a.txt", b"2"))
    with pytest.raises(BadInput, match=r"holds 'a\.txt' twice"):
        zips.folder_of(path)


def test_an_encrypted_zip_is_refused(pack: Pack) -> None:
    path = pack(("a.txt", b"secret"))
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(signature) + offset] |= 1
    path.write_bytes(data)
    with pytest.raises(BadInput, match="is encrypted"):
        zips.folder_of(path)
