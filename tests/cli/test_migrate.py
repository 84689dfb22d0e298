from __future__ import annotations

import io
import shlex
from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

from ocrdeploy import cli
from ocrdeploy.migration.tools import TOOLS

Ocrd = Callable[..., CompletedProcess[str]]

OLD = "python tools/deployment/pytorch2onnx.py c.py m.pth det 'a b.jpg' --verify --verbose"
NEW = "ocrd export c.py m.pth --image 'a b.jpg' -o tmp.onnx --overwrite --device cuda:0 --opset 11 --verify -v --static\n"


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    def given(data: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))

    return given


def test_standard_output_has_the_command_and_standard_error_a_note_for_each_parameter(ocrd: Ocrd) -> None:
    done = ocrd("migrate", OLD)
    assert (done.returncode, done.stdout) == (0, NEW)
    notes = done.stderr.splitlines()
    assert all(note.startswith("note: ") for note in notes)
    assert notes[3].startswith("note: image_path 'a b.jpg': --image 'a b.jpg' (")
    assert notes[4].startswith("note: --output-file, not given, was tmp.onnx: -o tmp.onnx --overwrite (")
    assert "note: --opset-version, not given, was 11: --opset 11 (the default here is 17)" in notes
    assert ocrd("migrate", "-q", OLD).stderr == ""


def test_the_words_may_stand_alone_with_options_that_are_the_tools_own(ocrd: Ocrd) -> None:
    assert ocrd("migrate", "-q", *shlex.split(OLD)).stdout == NEW
    assert ocrd("migrate", *shlex.split(OLD), "--debug").returncode == 1, "--debug is not ours here"


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_a_script_may_come_on_standard_input(ocrd: Ocrd, stdin: Callable[[bytes], None], arguments: list[str]) -> None:
    stdin(f"set -e\n{OLD}\n\npython deploy_test.py c.py caf\xe9.onnx det ONNXRuntime\n".encode("latin-1"))
    lines = ocrd("migrate", "-q", *arguments).stdout.splitlines(keepends=True)
    assert lines[0] == NEW
    assert lines[1].startswith("ocrd eval 'caf\\xe9.onnx' --dataset KIND:PATH ")


def test_what_is_no_such_command_is_an_error(ocrd: Ocrd, stdin: Callable[[bytes], None]) -> None:
    stdin(b"")
    for arguments in ([], ["python tools/train.py c.py"], ["python", "tools/train.py"], [""]):
        done = ocrd("migrate", *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert "calls none of MMOCR's deployment tools" in done.stderr
        assert done.stderr.endswith("fix:   give a command that runs one of pytorch2onnx.py, onnx2tensorrt.py, deploy_test.py\n")


def test_a_wrong_command_prints_nothing_of_the_others(ocrd: Ocrd) -> None:
    done = ocrd("migrate", f"{OLD}\n{OLD} --fast")
    assert (done.returncode, done.stdout) == (1, "")
    assert "unrecognized arguments: --fast" in done.stderr


def test_a_terminal_is_not_waited_for(ocrd: Ocrd, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal())
    done = ocrd("migrate")
    assert (done.returncode, done.stderr) == (2, "error: the command to translate is missing\nfix:   see 'ocrd migrate --help'\n")


def test_every_verb_is_there() -> None:
    assert {tool.verb for tool in TOOLS.values()} <= set(cli.COMMANDS)


def test_help_fits_80_columns(ocrd: Ocrd) -> None:
    assert max(map(len, ocrd("migrate", "--help").stdout.splitlines())) <= 80
