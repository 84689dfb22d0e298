"""The command `ocrd`: verbs that are loaded when they are called, and the one place where errors are printed.

This module imports click and the standard library only, so that `ocrd --help` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import click

from ocrdeploy import __version__
from ocrdeploy.errors import OcrdError, nearest

COMMANDS: Mapping[str, str] = {
    "run": "Read the text of pictures.",
    "export": "Write a checkpoint as an ONNX file.",
    "build": "Build a backend's own format from an ONNX file.",
    "inspect": "Say what a model file is.",
    "verify": "Compare two models, or one on two backends.",
    "eval": "Measure a model on every backend: one table.",
    "datasets": "List the kinds of dataset, or check one.",
    "profile": "Recommend the shapes to build an engine for.",
    "migrate": "Translate a command of MMOCR's deployment tools.",
    "backends": "List the backends, and what each of them lacks here.",
    "models": "List the models that are known by name, or show one.",
    "plugin": "List, make, check, install plugins.",
    "doctor": "Say what is wrong with this environment.",
}
"""Every verb and its line of help. The verb `x` is the command `x` of the module `ocrdeploy.cli.x`, but for `MODULES`."""

MODULES: Mapping[str, str] = {"eval": "evaluate"}
"""Verbs that have another name inside: `eval` is Python's."""


class _Verbs(click.Group):
    """A group whose commands are imported when they are needed, and whose help needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in COMMANDS:
            return None
        module = MODULES.get(cmd_name, cmd_name)
        command: click.Command = getattr(import_module(f"ocrdeploy.cli.{module}"), module)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            near = nearest(args[0], COMMANDS)
            ctx.fail(f"there is no command {args[0]!r}" + (f"; did you mean {near!r}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


INTERRUPTED = 130

EPILOG = """\b
Tab completion in bash:  eval "$(_OCRD_COMPLETE=bash_source ocrd)"
(zsh_source and fish_source are for the other shells)"""


@click.group(cls=_Verbs, epilog=EPILOG, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ocrd")
@click.pass_context
def ocrd(ctx: click.Context) -> None:
    """Deploy text detectors and recognizers.

    'ocrd COMMAND --help' explains a command.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(2)
    from ocrdeploy.cli import messages

    messages.configure()


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run a command line (default: the process's own) and exit: 0 done, 1 error, 2 usage, 130 interrupted."""
    code = _exit_code(argv)
    if argv is None and "ocrdeploy.cli.streams" in sys.modules:
        from ocrdeploy.cli.streams import give_up_stdout

        give_up_stdout()
    sys.exit(code)


def _exit_code(argv: Sequence[str] | None) -> int:
    """Run a command line and turn whatever ends it into an exit code and, where there is something to say, an error."""
    name = "ocrdeploy" if Path(sys.argv[0]).stem == "ocrdeploy" else "ocrd"
    try:
        return ocrd.main(argv, prog_name=name, standalone_mode=False) or 0
    except (click.Abort, KeyboardInterrupt) as stopped:
        # Click takes the end of standard input for an interrupt; nothing here asks for input, so it is a fault.
        return _fault(stopped.__cause__) if isinstance(stopped.__cause__, EOFError) else INTERRUPTED
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "ocrd"
        return _end(error, error.format_message(), f"see '{where} --help'", code=2)
    except OcrdError as error:
        return _end(error, error.problem, error.fix)
    except MemoryError as error:
        return _end(
            error, "there is not enough memory for this", "try a smaller --batch-size or --max-pixels, or fewer --threads"
        )
    except Exception as error:  # noqa: BLE001 - what is left is a fault of ours, and a user is not helped by its traceback
        return _fault(error)


def _fault(error: Exception) -> int:
    problem = f"ocrd met a fault of its own: {type(error).__name__}: {error}"
    return _end(error, problem, "run it again with --debug for the traceback, and report it")


def _end(error: Exception, problem: str, fix: str, code: int = 1) -> int:
    from ocrdeploy.cli import messages

    messages.trace(error)
    messages.complain(problem, fix)
    return code
