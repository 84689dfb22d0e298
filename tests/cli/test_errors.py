from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess, Popen

import click
import pytest

from ocrdeploy import cli
from ocrdeploy.cli import messages, options, streams
from ocrdeploy.errors import OcrdError, UnknownName

Ocrd = Callable[..., CompletedProcess[str]]
Start = Callable[..., Popen[str]]
Site = Callable[[str, str], Path]


def _fails_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `ocrd backends` end with `error`."""

    def fail() -> None:
        raise error

    monkeypatch.setattr("ocrdeploy.plugins.discover", fail)


def test_an_error_is_printed_with_its_remedy(ocrd: Ocrd, monkeypatch: pytest.MonkeyPatch) -> None:
    _fails_with(OcrdError("the lamp is dark", "light it"), monkeypatch)
    done = ocrd("backends")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "error: the lamp is dark\nfix:   light it\n")


def test_an_error_without_a_remedy_is_one_line(ocrd: Ocrd, monkeypatch: pytest.MonkeyPatch) -> None:
    _fails_with(OcrdError("the lamp is dark"), monkeypatch)
    assert ocrd("backends").stderr == "error: the lamp is dark\n"


def test_a_long_error_and_an_odd_file_name_stay_readable(capsys: pytest.CaptureFixture[str]) -> None:
    messages.complain("caf\udce9.jpg: cut\nshort", "")
    assert capsys.readouterr().err == "error: caf\\xe9.jpg: cut\n       short\n"


def test_a_fault_of_ours_is_a_sentence_and_with_debug_a_traceback(ocrd: Ocrd, monkeypatch: pytest.MonkeyPatch) -> None:
    _fails_with(ZeroDivisionError("division by zero"), monkeypatch)
    done = ocrd("backends")
    assert done.returncode == 1
    assert done.stderr == (
        "error: ocrd met a fault of its own: ZeroDivisionError: division by zero\n"
        "fix:   run it again with --debug for the traceback, and report it\n"
    )
    assert "Traceback" in ocrd("backends", "--debug").stderr
    assert "Traceback" not in ocrd("backends").stderr


def test_debug_shows_where_an_error_comes_from(ocrd: Ocrd, monkeypatch: pytest.MonkeyPatch) -> None:
    _fails_with(OcrdError("the lamp is dark"), monkeypatch)
    done = ocrd("backends", "--debug")
    assert "Traceback" in done.stderr
    assert done.stderr.endswith("error: the lamp is dark\n")


def test_debug_holds_for_what_stands_before_it(ocrd: Ocrd) -> None:
    assert "Traceback" in ocrd("run", "a.png", "--task", "paint", "--debug").stderr


def test_out_of_memory_is_no_fault_of_ours(ocrd: Ocrd, monkeypatch: pytest.MonkeyPatch) -> None:
    _fails_with(MemoryError(), monkeypatch)
    done = ocrd("backends")
    assert done.returncode == 1
    assert "--max-pixels" in done.stderr


def test_an_interrupt_is_quiet_and_ends_with_130(ocrd: Ocrd, monkeypatch: pytest.MonkeyPatch) -> None:
    _fails_with(KeyboardInterrupt(), monkeypatch)
    done = ocrd("backends")
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "")


def test_a_fault_that_looks_like_the_end_of_the_input_is_no_interrupt(ocrd: Ocrd, monkeypatch: pytest.MonkeyPatch) -> None:
    _fails_with(EOFError("ran out of input"), monkeypatch)
    done = ocrd("backends")
    assert done.returncode == 1
    assert "EOFError: ran out of input" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run"], "Missing argument 'PATH...'"),
        (["run", "a.png", "--threads", "-3"], "'--threads'"),
        (["run", "a.png", "--backend-option", "fast"], "'fast' is not KEY=VALUE"),
        (["run", "a.png", "--foramt", "json"], "--format"),
        (["run", "a.png", ""], "a path is empty"),
        (["models", "show"], "Missing argument 'NAME'"),
    ],
)
def test_wrong_usage_ends_with_2_and_points_to_the_help(ocrd: Ocrd, arguments: list[str], said: str) -> None:
    done = ocrd(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr.splitlines()[0]
    verb = " ".join(word for word in arguments if word.isalpha() and word in {"run", "models", "show"})
    assert f"fix:   see 'ocrd {verb} --help'" in done.stderr


@pytest.mark.parametrize(
    ("option", "value", "near"),
    [
        ("--task", "recognise", "recognize"),
        ("--format", "jsn", "json"),
        ("--device", "gpu", "cpu"),
        ("--device", "cuda:x", "cuda:0"),
    ],
)
def test_an_unknown_word_ends_with_1_and_names_the_nearest(ocrd: Ocrd, option: str, value: str, near: str) -> None:
    done = ocrd("run", "a.png", option, value)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"unknown {option[2:]} {value!r} (did you mean {near!r}?)" in done.stderr
    assert done.stderr.splitlines()[1].startswith("fix:   use ")


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:12"])
def test_devices_as_they_are_spelled(device: str) -> None:
    parameter = click.Option(["--device"])
    assert options.device(click.Context(cli.ocrd), parameter, device) == device
    with pytest.raises(UnknownName):
        options.device(click.Context(cli.ocrd), parameter, f"{device}x")


def test_pairs_keep_what_follows_the_first_equals_sign() -> None:
    parameter = click.Option(["--backend-option"])
    assert options.pairs(click.Context(cli.ocrd), parameter, ["a=1", "b=x=y", "c="]) == {"a": "1", "b": "x=y", "c": ""}


PRINTS = """
import atexit, ctypes, os, sys
libc = ctypes.CDLL(None)
print("from Python at import")
libc.printf(b"from C at import, not flushed")
os.system("echo from a child")
atexit.register(print, "from Python at exit")
sys.__stdout__.write("from Python by the back door")
ocrd_contract = 1
"""


def test_what_plugins_print_goes_to_standard_error(site: Site, start: Start) -> None:
    site("chatty", PRINTS)
    process = start("backends", "--json")
    out, err = process.communicate(timeout=60)
    assert "backends" in json.loads(out)
    for said in ("Python at import", "C at import", "a child", "at exit", "back door"):
        assert f"from {said}" in err or said in err
        assert said not in out
    assert process.returncode == 0


def test_standard_output_is_given_back(capfd: pytest.CaptureFixture[str]) -> None:
    with streams.protected_stdout() as out:
        click.echo("noise")
        out.write("answer\n")
    click.echo("later")
    assert capfd.readouterr() == ("answer\nlater\n", "noise\n")


def test_a_closed_pipe_ends_quietly(start: Start) -> None:
    process = start("backends", "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=60) == 1
    assert process.stderr.read() == ""


def test_closed_standard_streams_are_no_fault(tmp_path: Path) -> None:
    command = f"{sys.executable} -m ocrdeploy backends"
    assert subprocess.run(f"{command} >&- 2>{tmp_path}/err", shell=True, check=False).returncode == 0
    assert (tmp_path / "err").read_text(encoding="utf-8") == ""
    assert subprocess.run(f"{command} 2>&- >{tmp_path}/out", shell=True, check=False).returncode == 0
    assert (tmp_path / "out").read_text(encoding="utf-8") != ""


def test_no_room_for_the_output_is_a_sentence() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full, a device that is always full")
    with full.open("w", encoding="utf-8") as stream, pytest.raises(OcrdError, match="No space left"):
        streams.emit(stream, "x" * 100_000)
