"""The documents' examples run, and print what the documents say they print.

A `python` block is executed, block after block of one document in one namespace; a `text` block right after it is what it
prints. A `console` block shows commands after `$` and what they print. A `sh` block shows commands that have only to be
understood. `...` in an output stands for anything. What "auto" chose depends on the machine: notes are not compared.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from PIL import Image, ImageDraw, ImageFont

from ocrdeploy import backend, plugins
from ocrdeploy.cli import ocrd

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENTS = (
    "README.md",
    "README.zh-CN.md",
    "docs/index.md",
    "docs/python.md",
    "docs/run.md",
    "docs/export.md",
    "docs/json.md",
    "docs/verify.md",
    "docs/datasets.md",
    "docs/migrate.md",
    "docs/profile.md",
    "docs/eval.md",
    "docs/tensorrt.md",
    "docs/tensorrt-session.md",
    "docs/precision.md",
    "docs/inspect.md",
    "docs/from-mmocr.md",
    "docs/install-mmocr.md",
    "docs/contract-suite.md",
    "docs/plugins.md",
    "docs/doctor.md",
    "docs/stability.md",
)
TUTORIALS = {
    "docs/hooks.md": "test_hooks_document.py",
    "docs/write-a-backend.md": "test_tutorial.py",
    "docs/write-a-dataset-reader.md": "test_dataset_tutorial.py",
    "docs/write-a-model-pack.md": "test_model_pack_tutorial.py",
}
"""Documents whose examples build on each other, and the test that follows each."""

BLOCK = re.compile(r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    """One code block, and what it prints, where the document says so."""

    document: str
    line: int
    kind: str
    text: str
    printed: str | None

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def examples(document: str) -> Iterator[Example]:
    text = (REPOSITORY / document).read_text(encoding="utf-8")
    found = list(BLOCK.finditer(text))
    for block, following in zip(found, [*found[1:], None], strict=True):
        follows = following is not None and following["kind"] == "text" and not text[block.end() : following.start()].strip()
        printed = following["text"] if following is not None and follows else None
        yield Example(document, text.count("\n", 0, block.start()) + 1, block["kind"], block["text"], printed)


def of_kind(kind: str) -> list[Example]:
    return [example for document in DOCUMENTS for example in examples(document) if example.kind == kind]


def assert_printed(printed: str, expected: str) -> None:
    pattern = ".*?".join(re.escape(part) for part in expected.strip().split("..."))
    if not re.fullmatch(pattern, printed.strip(), re.DOTALL):
        assert printed.strip() == expected.strip()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of the examples: the demo picture is where it is in a checkout, and sign.png is another one."""
    answer = backend.probe(plugins.discover(), "onnxruntime")
    if not answer.ok:
        pytest.skip(f"the examples need the backend onnxruntime: {answer.problem}")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "demo.png").write_bytes((REPOSITORY / "docs" / "demo.png").read_bytes())
    picture = Image.new("RGB", (480, 160), "white")
    ImageDraw.Draw(picture).text((60, 50), "NO ENTRY", "navy", ImageFont.load_default(56))
    picture.save(tmp_path / "sign.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OCRDEPLOY_DISABLED_PLUGINS", "fake")
    return tmp_path


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.usefixtures("folder")
def test_python_examples_run_and_print_what_they_say(document: str) -> None:
    namespace: dict[str, object] = {"__name__": "__main__"}
    for example in examples(document):
        if example.kind != "python":
            continue
        code = compile("\n" * example.line + example.text, str(REPOSITORY / document), "exec")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, namespace)
        if example.printed is not None:
            assert_printed(printed.getvalue(), example.printed)


@pytest.mark.parametrize("example", of_kind("console"), ids=str)
def test_console_examples_print_what_they_say(example: Example, folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for shown in re.split(r"^\$ ", example.text, flags=re.MULTILINE)[1:]:
        command, _, expected = shown.partition("\n")
        done = subprocess.run(
            ["bash", "-c", f"{command} 2>&1"],
            cwd=folder,
            env={**os.environ, "PATH": path, "PYTHONUTF8": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            encoding="utf-8",
            timeout=120,
        )
        assert_printed("".join(line for line in done.stdout.splitlines(True) if not line.startswith("note: ")), expected)


def commands() -> list[str]:
    """Every `ocrd ...` of a block of commands, without what it is piped from and where its output goes.

    What stands in $( ) is a command of its own, and not looked at where its output is put in.
    """
    outside_quotes = re.compile(r"""(?:'[^']*'|"[^"]*"|[^'"|>&])+""")
    inserted = re.compile(r"\$\((.+?)\)")
    written = [line for example in of_kind("sh") for line in example.text.splitlines()]
    lines = [part for line in written for part in (inserted.sub("", line), *inserted.findall(line))]
    parts = [part.strip() for line in lines for part in outside_quotes.findall(line)]
    return [part for part in parts if part.startswith("ocrd ")]


@pytest.mark.parametrize("command", commands())
def test_shown_commands_are_understood(command: str) -> None:
    arguments = shlex.split(command)[1:]
    verb: click.Command = ocrd
    context = click.Context(ocrd, info_name="ocrd")
    while isinstance(verb, click.Group) and arguments:
        name = arguments.pop(0)
        found = verb.get_command(context, name)
        assert found, f"there is no command {name!r}"
        verb = found
    assert verb.make_context("ocrd", arguments).args == []


def test_there_are_examples_of_every_kind() -> None:
    assert all(of_kind(kind) for kind in ("python", "text", "console", "sh"))
    assert commands()


def test_no_document_has_examples_that_are_never_run() -> None:
    pages = (*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md"))
    blocks = {page.relative_to(REPOSITORY).as_posix(): BLOCK.finditer(page.read_text(encoding="utf-8")) for page in pages}
    shown = {page for page, found in blocks.items() if any(block["kind"] in ("python", "console", "sh") for block in found)}
    assert shown - set(DOCUMENTS) - set(TUTORIALS) == set()
    assert all((Path(__file__).parent / test).is_file() for test in TUTORIALS.values())
