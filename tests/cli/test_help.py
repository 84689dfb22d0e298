from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable
from subprocess import CompletedProcess, Popen

import click
import pytest

import ocrdeploy
from ocrdeploy import cli
from ocrdeploy.cli.run import run

Ocrd = Callable[..., CompletedProcess[str]]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        *([verb, "--help"] for verb in ("run", "export", "backends", "models", "eval", "datasets", "profile", "migrate")),
    ],
)
def test_help_imports_click_and_the_standard_library_only(arguments: list[str]) -> None:
    program = f"""
import json, sys
before = set(sys.modules)
from ocrdeploy.cli import main
try:
    main({arguments!r})
finally:
    json.dump(sorted({{name.partition(".")[0] for name in set(sys.modules) - before}} - sys.stdlib_module_names), sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: ocrd")
    assert json.loads(done.stderr) == ["click", "ocrdeploy"]


def test_every_verb_has_its_line_and_its_command() -> None:
    context = click.Context(cli.ocrd, info_name="ocrd")
    lines = cli.ocrd.get_help(context)
    for name, line in cli.COMMANDS.items():
        command = cli.ocrd.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert re.search(rf"^  {name} +{re.escape(line)}$", lines, re.MULTILINE)


def test_help_fits_80_columns(ocrd: Ocrd) -> None:
    for arguments in (
        ["--help"],
        ["run", "--help"],
        ["export", "--help"],
        ["backends", "--help"],
        ["models", "show", "--help"],
        ["verify", "--help"],
        ["eval", "--help"],
        ["datasets", "check", "--help"],
        ["profile", "--help"],
        ["migrate", "--help"],
    ):
        assert max(map(len, ocrd(*arguments).stdout.splitlines())) <= 80


def test_run_takes_every_setting_of_the_reader_and_documents_its_default() -> None:
    from ocrdeploy.reader import Reader

    reader = {name: parameter.default for name, parameter in inspect.signature(Reader).parameters.items() if name != "plugins"}
    options = {option.name: option for option in run.params if isinstance(option, click.Option)}
    assert set(reader) <= set(options)
    for name in ("backend", "device", "threads", "batch_size", "dpi", "max_pixels"):
        assert f"[default: {reader[name]}" in str(options[name].help), name


def test_version(ocrd: Ocrd) -> None:
    done = ocrd("--version")
    assert (done.returncode, done.stdout) == (0, f"ocrd, version {ocrdeploy.__version__}\n")


def test_without_a_command_the_help_goes_to_standard_error(ocrd: Ocrd) -> None:
    done = ocrd()
    assert (done.returncode, done.stdout) == (2, "")
    assert "Commands:" in done.stderr


def test_an_unknown_command_names_the_nearest(ocrd: Ocrd) -> None:
    done = ocrd("bakcends")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: there is no command 'bakcends'; did you mean 'backends'?\nfix:   see 'ocrd --help'\n"


def test_python_m_ocrdeploy_is_the_same_command(start: Callable[..., Popen[str]]) -> None:
    out, err = start("--version").communicate()
    assert (out, err) == (f"ocrd, version {ocrdeploy.__version__}\n", "")


def test_both_scripts_are_this_function() -> None:
    from importlib.metadata import distribution

    scripts = {point.name: point.load() for point in distribution("ocrdeploy").entry_points if point.group == "console_scripts"}
    assert scripts == {"ocrd": cli.main, "ocrdeploy": cli.main}


def test_the_shell_completes_commands_options_and_their_words() -> None:
    from click.shell_completion import BashComplete

    complete = BashComplete(cli.ocrd, {}, "ocrd", "_OCRD_COMPLETE")
    assert [item.value for item in complete.get_completions([], "ba")] == ["backends"]
    assert "--recognizer" in [item.value for item in complete.get_completions(["run"], "--rec")]
    assert [item.value for item in complete.get_completions(["run", "--format"], "")] == ["text", "json", "tsv"]
