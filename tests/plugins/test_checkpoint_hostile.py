"""Checkpoints that would run something, or exhaust the machine: a sentence each, nothing executed, in bounds.

All are made here, and loaded in one process with limits, which reports what became of each.
"""

from __future__ import annotations

import builtins
import functools
import io
import json
import operator
import os
import pickle
import subprocess
import sys
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="measures and limits memory as Linux does")

SECONDS = 5.0
GIBIBYTE = 2**30

LOADER = """
import json, os, resource, sys, time, warnings
warnings.simplefilter("error")
from pathlib import Path
import torch
from ocrdeploy import OcrdError
from ocrdeploy_pytorch import checkpoint, specs
from ocrdeploy_pytorch.networks.build import build

torch.set_num_threads(1)
model = specs.SIX["crnn_academic_dataset"]
with torch.device("meta"):
    network = build(model.network)
pages = int(Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**30,) * 2)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = {}
for path in sys.argv[1:]:
    started = time.process_time()
    try:
        checkpoint.load(network, Path(path), model)
        said = ["loaded", "", ""]
    except OcrdError as error:
        said = ["refused", error.problem, error.fix]
    except BaseException as error:
        said = ["raised", f"{type(error).__name__}: {error}", ""]
    found[path] = [*said, time.process_time() - started]
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
print(json.dumps({"found": found, "grown": grown}))
"""


class Calls:
    """Something that calls `function` when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.function, self.arguments

    def __call__(self, *_: Any) -> None:
        """It may be what another one calls."""


def touch(path: Path) -> str:
    return f"open({str(path)!r}, 'w').close()"


CALLS: dict[str, Callable[[Path], Any]] = {
    "system": lambda canary: Calls(os.system, f"touch {canary}"),
    "exec": lambda canary: Calls(builtins.exec, touch(canary)),
    "eval": lambda canary: Calls(builtins.eval, touch(canary)),
    "open": lambda canary: Calls(builtins.open, str(canary), "w"),
    "run": lambda canary: Calls(subprocess.run, ["touch", str(canary)]),
    "getattr chain": lambda canary: Calls(Calls(getattr, Calls(__import__, "os"), "system"), f"touch {canary}"),
    "nested in arguments": lambda canary: Calls(OrderedDict, [("a", Calls(os.system, f"touch {canary}"))]),
    "partial": lambda canary: Calls(functools.partial(os.system, f"touch {canary}")),
    "attrgetter": lambda canary: Calls(operator.methodcaller("touch"), canary),
    "pickle within": lambda canary: Calls(pickle.loads, pickle.dumps(Calls(os.system, f"touch {canary}"))),
    "torch's own gadget": lambda canary: Calls(torch.storage._load_from_bytes, saved(Calls(os.system, f"touch {canary}"))),
}
"""What a pickle may be made to call. None of it happens while the files are made."""

PLACES: dict[str, Callable[[Any], Any]] = {
    "top": lambda bad: bad,
    "state_dict": lambda bad: {"meta": {}, "state_dict": OrderedDict(a=torch.zeros(1), b=bad)},
    "meta": lambda bad: {"meta": {"epoch": 3, "config": bad}, "state_dict": OrderedDict(a=torch.zeros(1))},
}


def saved(value: Any, *, new: bool = True) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, _use_new_zipfile_serialization=new)
    return stream.getvalue()


def rewritten(data: bytes, change: Callable[[str, bytes], bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """The zip archive with each part changed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w", method) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return stream.getvalue()


def with_pickle(pickled: bytes) -> bytes:
    return rewritten(saved({"a": torch.zeros(1)}), lambda name, data: pickled if name.endswith("data.pkl") else data)


MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
LEGACY_HEAD = MAGIC + pickle.dumps(1001, protocol=2) + pickle.dumps({"little_endian": True}, protocol=2)


def legacy_with_pickle(pickled: bytes) -> bytes:
    return LEGACY_HEAD + pickled + pickle.dumps([], protocol=2)


def storage(count: bytes) -> bytes:
    """A pickled tensor of one number whose storage declares `count` of them, in pickle's own spelling."""
    storage_id = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu" + count
    head = b"\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n("
    return head + storage_id + b"tQK\x00K\x01\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtRs."


def legacy_storage(count: bytes) -> bytes:
    # The old format has one more field, for views.
    pickled = storage(count + b"N")
    return LEGACY_HEAD + pickled + pickle.dumps(["0"], protocol=2) + (1).to_bytes(8, "little") + bytes(4)


VAST = b"\x8a\x08" + (2**60).to_bytes(8, "little")
MANY = b"\x8a\x08" + (2**33).to_bytes(8, "little")
DEEP = 200_000
DEEP_KEY = b"\x80\x02})" + b"\x85" * DEEP + b"K\x01s."
DEEP_LIST = b"\x80\x02" + b"]" * DEEP + b"a" * (DEEP - 1) + b"."
LONG_STRING = b"\x80\x02X\xff\xff\xff\xffabc."
LONG_STRING_8 = b"\x80\x04\x8d" + (2**62).to_bytes(8, "little") + b"abc."
MILLIONS = b"\x80\x02]" + b"Na" * 600_000 + b"."
STACK_GLOBAL = b"\x80\x02X\x05\x00\x00\x00posixX\x06\x00\x00\x00system\x93X\x04\x00\x00\x00true\x85R."
INST = b"(S'touch CANARY'\nios\nsystem\n."
OLD_NAMES = b"\x80\x02c__builtin__\neval\nX\x01\x00\x00\x001\x85R."
EXTENSION = b"\x80\x02\x82\x01."
OUT_OF_BOUNDS = storage(b"K\x01").replace(b"tQK\x00K\x01\x85K\x01\x85", b"tQM\xff\xffM\xff\xff\x85K\x01\x85")
UNDERFLOW = b"\x80\x02tR."
HUGE_VIEW = {"decoder.decoder.1.embedding.bias": torch.zeros(1).expand(10**12)}


def overlapping() -> bytes:
    """An archive in which two hundred parts are the same bytes."""
    data = saved({"a": torch.zeros(10_000)})
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        stream = io.BytesIO(data)
        with zipfile.ZipFile(stream, "a") as more:
            part = archive.getinfo(next(name for name in archive.namelist() if name.endswith("/data/0")))
            for index in range(200):
                copy = zipfile.ZipInfo(f"archive/data/{index + 1}")
                for field in ("header_offset", "compress_size", "file_size", "CRC"):
                    setattr(copy, field, getattr(part, field))
                more.filelist.append(copy)
                more.NameToInfo[copy.filename] = copy
            more._didModify = True  # type: ignore[attr-defined]
        return stream.getvalue()


def bomb() -> bytes:
    zeros = bytes(300_000_000)
    stream = io.BytesIO(rewritten(saved({"a": torch.zeros(1)}), lambda _, data: data, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/1", zeros)
    return stream.getvalue()


BYTES: dict[str, tuple[Callable[[], bytes], str]] = {
    "zip bomb": (bomb, "is compressed"),
    "overlapping parts": (overlapping, "declares more than the file holds"),
    "a storage of 2**60 numbers": (lambda: with_pickle(storage(VAST)), "is cut short or damaged"),
    "a storage of 2**33 numbers": (lambda: with_pickle(storage(MANY)), "is cut short or damaged"),
    "an old storage of 2**60 numbers": (lambda: legacy_storage(VAST), "declares more than fits"),
    "an old storage of 2**33 numbers": (lambda: legacy_storage(MANY), "declares more than fits"),
    "a view outside of its storage": (lambda: with_pickle(OUT_OF_BOUNDS), "is cut short or damaged"),
    "a view of 4 TB": (lambda: saved(HUGE_VIEW), "does not fit crnn_academic_dataset"),
    "a deep key": (lambda: with_pickle(DEEP_KEY), "deep"),
    "a deep list": (lambda: with_pickle(DEEP_LIST), "deep"),
    "an old deep key": (lambda: legacy_with_pickle(DEEP_KEY), "deep"),
    "a string longer than the file": (lambda: with_pickle(LONG_STRING), "is cut short or damaged"),
    "an old string longer than the file": (lambda: legacy_with_pickle(LONG_STRING), "is cut short or damaged"),
    "a string of 2**62 bytes": (lambda: legacy_with_pickle(LONG_STRING_8), "protocol 4"),
    "millions of operations": (lambda: with_pickle(MILLIONS), "more than 1000000 pickle operations"),
    "a name from the stack": (lambda: with_pickle(STACK_GLOBAL), "STACK_GLOBAL"),
    "an old instance": (lambda: legacy_with_pickle(INST), "pickle operation"),
    "a name of Python 2": (lambda: legacy_with_pickle(OLD_NAMES), "__builtin__.eval"),
    "an extension code": (lambda: with_pickle(EXTENSION), "EXT1"),
    "an empty stack": (lambda: with_pickle(UNDERFLOW), "is cut short or damaged"),
    "a bad second pickle": (lambda: MAGIC + pickle.dumps(Calls(os.getcwd), protocol=2), "posix.getcwd"),
    "a bad last pickle": (
        lambda: LEGACY_HEAD + pickle.dumps({}, protocol=2) + pickle.dumps(Calls(os.getcwd), protocol=2),
        "posix.getcwd",
    ),
}


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    what: str
    problem: str
    fix: str
    seconds: float


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("canary") / "sang"


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory, canary: Path) -> Iterator[dict[str, Outcome]]:
    """What became of each file, by the case's name, after all were loaded in one process."""
    folder = tmp_path_factory.mktemp("hostile")
    made: dict[str, bytes] = {name: make() for name, (make, _) in BYTES.items()}
    for call, make in CALLS.items():
        for place, put in PLACES.items():
            for form in ("zip", "legacy"):
                made[f"{call}, {place}, {form}"] = saved(put(make(canary)), new=form == "zip")
    paths = {name: folder / f"{number}.pth" for number, name in enumerate(made)}
    for name, path in paths.items():
        path.write_bytes(made[name].replace(b"CANARY", str(canary).encode()))
    assert not canary.exists()
    done = subprocess.run(
        [sys.executable, "-c", LOADER, *map(str, paths.values())], capture_output=True, text=True, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout)
    assert said["grown"] < GIBIBYTE
    yield {name: Outcome(*said["found"][str(path)]) for name, path in paths.items()}
    assert not canary.exists()


NAMED = {
    "system": "posix.system",
    "exec": "exec",
    "eval": "eval",
    "open": "open",
    "run": ".run",  # of "commands", as Python 2 called subprocess
    "getattr chain": "getattr",
    "nested in arguments": "posix.system",
    "partial": "functools.partial",
    "attrgetter": "operator.methodcaller",
    "pickle within": "loads",
    "torch's own gadget": "torch.storage._load_from_bytes",
}


@pytest.mark.parametrize("form", ["zip", "legacy"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("call", CALLS)
def test_a_pickle_that_would_run_something_is_refused_by_name(
    call: str, place: str, form: str, outcomes: dict[str, Outcome], canary: Path
) -> None:
    outcome = outcomes[f"{call}, {place}, {form}"]
    assert outcome.what == "refused", outcome.problem
    assert NAMED[call] in outcome.problem
    assert "nothing of it was run" in outcome.problem
    assert not canary.exists()


@pytest.mark.parametrize("name", BYTES)
def test_a_file_that_would_exhaust_the_machine_is_refused(name: str, outcomes: dict[str, Outcome], canary: Path) -> None:
    outcome = outcomes[name]
    assert outcome.what == "refused", outcome.problem
    assert BYTES[name][1] in outcome.problem
    assert not canary.exists()


def test_every_refusal_is_one_short_sentence_with_a_remedy_and_quick(outcomes: dict[str, Outcome]) -> None:
    assert len(outcomes) >= 40
    for name, outcome in outcomes.items():
        assert "\n" not in outcome.problem, name
        assert len(outcome.problem) < 500, name
        assert outcome.fix, name
        assert outcome.seconds < SECONDS, name


def test_the_calls_would_be_made_by_an_ordinary_unpickler(tmp_path: Path) -> None:
    canary = tmp_path / "sang"
    for call, make in CALLS.items():
        with warnings.catch_warnings(action="ignore"):  # of the file that is opened and left so
            torch.load(io.BytesIO(saved({"meta": make(canary)})), weights_only=False)
        assert canary.exists(), call
        canary.unlink()
