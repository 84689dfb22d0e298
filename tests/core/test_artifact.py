"""Made files: whole or not at all, one writer at a time, and a manifest that is believed only where it can be."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ocrdeploy import artifact
from ocrdeploy.artifact import Manifest
from ocrdeploy.errors import BadInput, OcrdError
from ocrdeploy.vocabulary import ModelSpec


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def python(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def write_half(target: Path, failure: BaseException) -> None:
    with artifact.write_atomically(target) as temporary:
        temporary.write_bytes(b"half")
        raise failure


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(artifact.CACHE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_file_appears_with_its_whole_content_and_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "model.onnx"
    with artifact.write_atomically(target) as temporary:
        temporary.write_bytes(b"whole")
        assert not target.exists()
        assert (temporary.parent, temporary.suffix) == (target.parent, ".onnx")
    assert target.read_bytes() == b"whole"
    assert names(target.parent) == ["model.onnx"]


@pytest.mark.parametrize("failure", [ValueError("a bug"), BadInput("bad", "mend it"), KeyboardInterrupt(), SystemExit(3)])
@pytest.mark.parametrize("before", [None, b"the older file"])
def test_a_writer_that_fails_leaves_what_was_there(tmp_path: Path, failure: BaseException, before: bytes | None) -> None:
    target = tmp_path / "model.onnx"
    if before is not None:
        target.write_bytes(before)
    with pytest.raises(type(failure)) as caught:
        write_half(target, failure)
    assert caught.value is failure
    assert names(tmp_path) == ([] if before is None else ["model.onnx"])
    assert before is None or target.read_bytes() == before


def test_whoever_reads_the_older_file_reads_it_to_its_end(tmp_path: Path) -> None:
    target = tmp_path / "model.onnx"
    target.write_bytes(b"the older file")
    with target.open("rb") as reading:
        assert reading.read(4) == b"the "
        with artifact.write_atomically(target) as temporary:
            temporary.write_bytes(b"the newer one")
        assert reading.read() == b"older file"
    assert target.read_bytes() == b"the newer one"


KILLED = """
import sys, time
from pathlib import Path
from ocrdeploy import artifact
with artifact.write_atomically(Path(sys.argv[1])) as temporary:
    temporary.write_bytes(b"half")
    print("half", flush=True)
    time.sleep(60)
"""


def test_a_writer_that_is_killed_never_shows_half_a_file(tmp_path: Path) -> None:
    target = tmp_path / "model.onnx"
    target.write_bytes(b"the older file")
    writer = python(KILLED, target)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "half\n"
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    assert target.read_bytes() == b"the older file"
    (rubbish,) = set(names(tmp_path)) - {"model.onnx"}
    assert rubbish.startswith(".model-"), "what a killed writer leaves is hidden and is no one's target"


FULL = """
import resource, sys
from pathlib import Path
from ocrdeploy import artifact
from ocrdeploy.errors import OcrdError
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    with artifact.write_atomically(Path(sys.argv[1])) as temporary:
        temporary.write_bytes(bytes(2000))
except OcrdError as error:
    print(error.problem)
    print(error.fix)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files with setrlimit, which POSIX has")
def test_a_write_that_the_system_refuses_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "model.onnx"
    said, complaints = python(FULL, target).communicate()
    assert said.splitlines() == [
        f"cannot write {target}: {os.strerror(errno.EFBIG)}",
        "choose a folder that can be written and has room",
    ], complaints
    assert names(tmp_path) == []


def test_a_disk_that_is_full_when_the_file_is_brought_to_it_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    target = tmp_path / "page.png"
    with pytest.raises(OcrdError, match="No space left") as caught, artifact.write_atomically(target) as temporary:
        temporary.write_bytes(b"whole")
    assert caught.value.problem == f"cannot write {target}: No space left on device"
    assert names(tmp_path) == []


def a_file_for_a_folder(folder: Path) -> Path:
    folder.write_bytes(b"")
    return folder / "model.onnx"


def a_folder_for_the_target(folder: Path) -> Path:
    (folder / "model.onnx").mkdir(parents=True)
    return folder / "model.onnx"


@pytest.mark.parametrize("hinder", [a_file_for_a_folder, a_folder_for_the_target])
def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path, hinder: Callable[[Path], Path]) -> None:
    target = hinder(tmp_path / "there")
    with pytest.raises(OcrdError) as caught, artifact.write_atomically(target) as temporary:
        temporary.write_bytes(b"whole")
    assert caught.value.problem.startswith(f"cannot write {target}: ")
    assert caught.value.fix == "choose a folder that can be written and has room"
    assert [path for path in tmp_path.rglob("*") if path not in (target, target.parent)] == []


def test_the_remedy_for_the_cache_names_its_variable(cache: Path) -> None:
    cache.write_bytes(b"")  # where a folder should be; even root cannot write there
    target = cache / "model-1" / "build.engine"
    for attempt in (artifact.locked(target), artifact.write_atomically(target)):
        with pytest.raises(OcrdError) as caught, attempt:
            pytest.fail("nothing can be written there")
        assert caught.value.problem.startswith(f"cannot write {target}: ")
        assert caught.value.fix == "set OCRDEPLOY_CACHE to a folder that can be written and has room"


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o002, 0o664), (0o077, 0o600)])
def test_permissions_are_those_of_any_new_file(tmp_path: Path, umask: Callable[[int], int], mask: int, mode: int) -> None:
    umask(mask)
    with artifact.write_atomically(tmp_path / "model.onnx") as temporary:
        temporary.write_bytes(b"whole")
    assert (tmp_path / "model.onnx").stat().st_mode & 0o777 == mode


def test_a_target_of_a_long_name_is_written(tmp_path: Path) -> None:
    target = tmp_path / ("長" * 80 + ".onnx")
    with artifact.write_atomically(target) as temporary:
        temporary.write_bytes(b"whole")
    assert names(tmp_path) == [target.name]


LOCKED = """
import sys, time
from pathlib import Path
from ocrdeploy import artifact
counter = Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(20):
    with artifact.locked(counter):
        value = int(counter.read_text())
        time.sleep(0.001)
        counter.write_text(str(value + 1))
"""


def test_the_lock_lets_one_process_in_at_a_time(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    command = [sys.executable, "-c", LOCKED, str(counter)]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in both:
        process.communicate()
    assert counter.read_text() == "40"


def test_the_lock_is_released_when_the_block_fails(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="a bug"), artifact.locked(tmp_path / "model.onnx"):
            raise ValueError("a bug")


def test_whoever_waits_for_a_lock_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    target = tmp_path / "model.engine"
    waited = threading.Event()

    def wait() -> None:
        with artifact.locked(target):
            waited.set()

    with artifact.locked(target):
        thread = threading.Thread(target=wait)
        thread.start()
        assert not waited.wait(0.1)
    thread.join()
    assert waited.is_set()
    assert caplog.messages == [f"waiting for another process, which is making {target}"]


def test_the_hash_is_that_of_the_content(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"x" * 3_000_000)
    assert artifact.sha256(path) == hashlib.sha256(b"x" * 3_000_000).hexdigest()


def test_a_file_that_cannot_be_hashed_is_a_sentence(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(BadInput, match="cannot read"):
            artifact.sha256(path)


def test_the_cache_lies_where_the_variable_says_else_in_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(artifact.CACHE, str(tmp_path / "mine"))
    assert artifact.cache_folder() == tmp_path / "mine"
    monkeypatch.delenv(artifact.CACHE)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name, **_: str(tmp_path / "users" / name))
    assert artifact.cache_folder() == tmp_path / "users" / "ocrdeploy"
    monkeypatch.setenv(artifact.CACHE, "")
    assert artifact.cache_folder() == tmp_path / "users" / "ocrdeploy", "an empty variable is no folder"


@pytest.fixture
def made(tmp_path: Path, recognizer: ModelSpec) -> tuple[Path, Manifest]:
    """A made file with its manifest."""
    path = tmp_path / "build.engine"
    path.write_bytes(b"an engine")
    manifest = Manifest(
        recognizer,
        "trt-engine",
        artifact.sha256(path),
        "0" * 64,
        "build",
        options={"precision": "fp16"},
        versions={"ocrdeploy": "0.1.0", "runtime": "10.1"},
        device="NVIDIA H200",
        findings={"layers": 20},
    )
    artifact.write_manifest(path, manifest)
    return path, manifest


def test_a_manifest_comes_back_as_it_was(made: tuple[Path, Manifest]) -> None:
    path, manifest = made
    assert artifact.read_manifest(path) == manifest
    assert names(path.parent) == ["build.engine", "build.engine.json"]
    assert artifact.whats_stale(path, manifest, replace(manifest, sha256="", findings={})) == ""


def test_the_artifact_of_a_manifest_is_what_it_describes(made: tuple[Path, Manifest]) -> None:
    path, manifest = made
    described = artifact.made(path, manifest)
    assert (described.path, described.format, described.sha256) == (path, "trt-engine", artifact.sha256(path))
    assert (described.parent_sha256, described.model) == ("0" * 64, manifest.model)


CHANGES: dict[str, tuple[Any, str]] = {
    "step": ("export", "step was build, is export"),
    "parent_sha256": ("1" * 64, "parent sha256 was 000000000000, is 111111111111"),
    "options": ({"precision": "fp32", "tactics": "all"}, "options: precision was fp16, is fp32; tactics was none, is all"),
    "versions": ({"ocrdeploy": "0.1.0", "runtime": "10.2"}, "versions: runtime was 10.1, is 10.2"),
    "device": ("NVIDIA L4", "device was NVIDIA H200, is NVIDIA L4"),
    "format": ("onnx", "format was trt-engine, is onnx"),
}


@pytest.mark.parametrize("part", CHANGES)
def test_each_part_of_the_recipe_that_differs_is_named(made: tuple[Path, Manifest], part: str) -> None:
    path, manifest = made
    value, said = CHANGES[part]
    assert artifact.whats_stale(path, manifest, replace(manifest, **{part: value})) == f"out of date ({said})"


def test_every_part_of_the_recipe_is_tried_above() -> None:
    assert set(CHANGES) == set(artifact.RECIPE)


def test_another_specification_and_other_bytes_are_named(made: tuple[Path, Manifest]) -> None:
    path, manifest = made
    other = replace(manifest, model=replace(manifest.model, charset=("z",)))
    assert artifact.whats_stale(path, manifest, other) == "out of date (the model's specification changed)"
    path.write_bytes(b"another engine")
    assert artifact.whats_stale(path, manifest, manifest) == "changed since it was made"
    assert artifact.whats_stale(path, None, manifest) == "without a manifest"
    path.unlink()
    assert artifact.whats_stale(path, manifest, manifest) == "missing"


FOREIGN = {
    "empty": "",
    "not JSON": "{",
    "a list": "[]",
    "a number": "7",
    "another tool's": '{"model": "yolo", "classes": 80}',
    "nested too deeply": "[" * 100_000,
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_manifest_that_is_none_of_ours_is_not_believed(made: tuple[Path, Manifest], kind: str) -> None:
    path, _ = made
    artifact.manifest_path(path).write_text(FOREIGN[kind])
    assert artifact.read_manifest(path) is None


def test_a_manifest_that_is_missing_or_a_folder_or_no_text_is_not_believed(made: tuple[Path, Manifest]) -> None:
    path, _ = made
    beside = artifact.manifest_path(path)
    beside.write_bytes(b"\xff\xfe\x00")
    assert artifact.read_manifest(path) is None
    beside.unlink()
    assert artifact.read_manifest(path) is None
    beside.mkdir()
    assert artifact.read_manifest(path) is None


SPOILT: dict[str, Any] = {
    "format": 7,
    "sha256": None,
    "parent_sha256": ["0"],
    "step": {},
    "options": ["precision"],
    "versions": {"onnx": 1},
    "device": 0,
    "findings": {"layers": "20"},
    "model": {"name": "read"},
}


@pytest.mark.parametrize("part", SPOILT)
def test_a_manifest_with_a_part_of_another_type_is_not_believed(made: tuple[Path, Manifest], part: str) -> None:
    path, _ = made
    beside = artifact.manifest_path(path)
    plain = json.loads(beside.read_text(encoding="utf-8"))
    assert part in plain
    beside.write_text(json.dumps({**plain, part: SPOILT[part]}))
    assert artifact.read_manifest(path) is None


def test_a_manifest_with_a_part_more_or_less_is_not_believed(made: tuple[Path, Manifest]) -> None:
    path, _ = made
    beside = artifact.manifest_path(path)
    plain = json.loads(beside.read_text(encoding="utf-8"))
    beside.write_text(json.dumps({**plain, "surprise": 1}))
    assert artifact.read_manifest(path) is None
    del plain["step"]
    beside.write_text(json.dumps(plain))
    assert artifact.read_manifest(path) is None


def test_a_manifest_whose_specification_contradicts_itself_is_not_believed(made: tuple[Path, Manifest]) -> None:
    path, manifest = made
    artifact.write_manifest(path, replace(manifest, model=replace(manifest.model, charset=())))
    assert artifact.read_manifest(path) is None
