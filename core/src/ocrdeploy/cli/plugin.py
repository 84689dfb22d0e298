"""`ocrd plugin`: list what is installed, make a new plugin, check one, and bring or remove one with pip."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ocrdeploy.cli import messages
from ocrdeploy.cli.streams import emit, json_text, printable, protected_stdout, terminal_columns
from ocrdeploy.cli.tables import table, trouble
from ocrdeploy.errors import BadInput, OcrdError

if TYPE_CHECKING:
    from ocrdeploy.doctor.checkup import Checkup
    from ocrdeploy.doctor.plugin_rows import PluginRow

CORE = "ocrdeploy"
WANTING = 3
KINDS = ("backend", "models", "dataset")

CHECK_EPILOG = """\b
Examples:
  ocrd plugin check ./ocrdeploy-nova
  ocrd plugin check nova --static
\b
Exit codes: 0 good, 1 it could not be judged, 3 found wanting."""

PIP = {"ignore_unknown_options": True, "help_option_names": ["-h", "--help"]}
"""What `install` and `uninstall` do not know is pip's."""


@click.group()
def plugin() -> None:
    """List, make, check, install and uninstall plugins."""


@plugin.command("list")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@messages.options
def list_plugins(as_json: bool) -> None:
    """List the plugins: where each is from, its hooks and wrappers, its state."""
    from dataclasses import asdict

    from ocrdeploy.backend import probe_all
    from ocrdeploy.doctor.plugin_rows import rows
    from ocrdeploy.plugins import discover

    with protected_stdout() as out:
        plugins = discover()
        found = rows(plugins, probe_all(plugins))
        if as_json:
            emit(out, json_text({"plugins": [asdict(row) for row in found]}, indent=2) + "\n")
        else:
            emit(out, printable(_listed(found, terminal_columns(out))))


def _listed(rows: list[PluginRow], room: int) -> str:
    cells = [
        (
            row.name,
            f"{row.distribution} {row.version}".strip(),
            " ".join(hook.removeprefix("ocrd_") for hook in row.hooks) or "-",
            " ".join(hook.removeprefix("ocrd_") for hook in row.wrappers) or "-",
            str(row.state),
        )
        for row in rows
    ]
    text = table(("name", "distribution", "hooks", "wrappers", "state"), cells, room)
    said = (({"problem": row.problem or "disabled", "fix": row.fix}, row) for row in rows if row.state != "ready")
    return text + "".join(trouble(f"{row.name}, {row.state}", facts) for facts, row in said)


@plugin.command()
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), default="backend", help="What it brings.  [default: backend]")
@click.option(
    "--into", metavar="FOLDER", type=click.Path(path_type=Path), default=Path(), help="Where.  [default: the current folder]"
)
@messages.options
def new(name: str, kind: str, into: Path) -> None:
    """Make the package of a new plugin NAME, which works as it is: ./ocrdeploy-NAME.

    The last line of what is printed is its folder.
    """
    from ocrdeploy.scaffold.package import Kind, create

    with protected_stdout() as out:
        folder = create(name, Kind(kind), into)
        if not messages.quiet():
            emit(out, printable(_next_steps(folder, name, kind)))
        emit(out, printable(str(folder)) + "\n")


def _next_steps(folder: Path, name: str, kind: str) -> str:
    import shlex

    where = str(folder) if folder.is_absolute() else f"./{folder}"
    steps = [f"pip install -e {shlex.quote(where)}", f"ocrd plugin check {name}"]
    if kind != "dataset":
        option = {"backend": "--ocrd-backend", "models": "--ocrd-models"}[kind]
        steps.append(f"pytest --pyargs ocrdeploy.testing {option}={name}")
    return "Next:\n" + "".join(f"  {step}\n" for step in steps) + "\n"


@plugin.command(epilog=CHECK_EPILOG)
@click.argument("what", metavar="PATH|NAME")
@click.option("--static", is_flag=True, help="Without the contract suite.")
@messages.options
@click.pass_context
def check(ctx: click.Context, what: str, static: bool) -> None:
    """Check a plugin: an installed one, or the folder of one, which need not be installed."""
    from ocrdeploy.doctor import checkup, projects

    with protected_stdout() as out:
        candidate = projects.find(what)
        with projects.shown(candidate) as path:
            found = [checkup.check(candidate, name, path, static=static) for name in candidate.names]
        emit(out, printable("\n".join(map(_verdict, found))))
    if any(not each.good for each in found):
        ctx.exit(WANTING)
    if unjudged := [each for each in found if each.unjudged]:
        raise OcrdError(f"plugin {unjudged[0].name!r} could not be judged", "see above; --static leaves the contract suite out")


def _verdict(found: Checkup) -> str:
    kinds = ", ".join(found.row.get("kinds", ())) or "unknown kind"
    text = f"{found.name} ({found.distribution}): {kinds}\n"
    for each in found.findings:
        text += f"  {each.severity}: {each.problem}\n    fix: {each.fix}\n"
    for option, result in found.suites.items():
        skipped = f", {result.skipped} skipped" if result.skipped else ""
        text += f"  contract suite, {option}: {result.passed} passed, {len(result.failures)} failed{skipped}\n"
        for name, message in result.failures.items():
            text += f"    {name}: " + message.replace("\n", "\n      ") + "\n"
    if found.unjudged:
        text += f"  contract suite: not run, {found.unjudged}\n"
    return text + f"  verdict: {_in_a_word(found)}\n"


def _in_a_word(found: Checkup) -> str:
    if not found.good:
        return "found wanting"
    return "nothing wrong was found, and it was not judged whole" if found.unjudged else "good"


@plugin.command(context_settings=PIP)
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True, type=click.UNPROCESSED)
def install(specs: tuple[str, ...]) -> None:
    """Install plugins with pip, into the Python that runs this: SPEC... is handed to 'pip install'.

    A distribution (ocrdeploy-nova), a folder (-e ./ocrdeploy-nova), a file; options are pip's.
    """
    _pip("install", *specs)


@plugin.command(context_settings=PIP)
@click.argument("specs", metavar="NAME...", nargs=-1, required=True, type=click.UNPROCESSED)
def uninstall(specs: tuple[str, ...]) -> None:
    """Remove plugins with pip: NAME is a plugin, or its distribution. It does not have to work.

    Options are pip's: with -y it does not ask.
    """
    _pip("uninstall", *map(_distribution, specs))


def _distribution(name: str) -> str:
    """Return the distribution of the plugin `name`, as its metadata tell: nothing of it is imported."""
    if name.startswith("-"):
        return name
    from importlib.metadata import entry_points

    owners = sorted({point.dist.name for point in entry_points(group=CORE) if point.name == name and point.dist})
    if CORE in (name, *owners):
        raise BadInput(f"{name!r} is part of ocrdeploy itself", "to remove all of it: pip uninstall ocrdeploy")
    if len(owners) > 1:
        problem = f"{' and '.join(owners)} both claim the name {name!r}"
        raise BadInput(problem, f"name one of them: ocrd plugin uninstall {owners[0]}")
    return owners[0] if owners else name


def _pip(*arguments: str) -> None:
    """Run pip for this interpreter, with our streams. Raises `OcrdError` where it fails; it has said why."""
    import subprocess
    import sys
    from importlib.util import find_spec

    if find_spec("pip") is None:
        words: Any = " ".join(arguments)
        raise OcrdError(f"this Python ({sys.executable}) has no pip", f"python -m ensurepip, or: uv pip {words}")
    done = subprocess.run([sys.executable, "-m", "pip", *arguments], check=False)  # noqa: S603 - what the user asked for
    if done.returncode:
        raise OcrdError(f"'pip {' '.join(arguments)}' failed", "see what it says above")
