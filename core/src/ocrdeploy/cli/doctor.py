"""`ocrd doctor`: this environment on one page, and what mends what is wrong with it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from ocrdeploy.cli import messages
from ocrdeploy.cli.streams import emit, json_text, printable, protected_stdout, terminal_columns
from ocrdeploy.cli.tables import table

if TYPE_CHECKING:
    from ocrdeploy.doctor.examination import Examination
    from ocrdeploy.doctor.plugin_rows import PluginRow
    from ocrdeploy.doctor.runtimes import Imported

WIDTH = 110
"""Where lines are broken that go to no terminal."""

EPILOG = """\b
Exit codes: 0 nothing is broken (there may be warnings), 1 something is."""


@click.command(epilog=EPILOG)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.option(
    "--timeout", metavar="SECONDS", type=click.FloatRange(1, 3600), default=60.0, help="For each import.  [default: 60]"
)
@messages.options
@click.pass_context
def doctor(ctx: click.Context, as_json: bool, timeout: float) -> None:
    """Say what is wrong with this environment, and what mends it.

    Runtimes are imported in processes of their own, side by side.
    """
    from ocrdeploy.doctor.examination import examine

    with protected_stdout() as out:
        found = examine(timeout)
        if as_json:
            emit(out, json_text(found.to_dict(), indent=2) + "\n")
        else:
            emit(out, printable(_page(found, terminal_columns(out))))
    ctx.exit(1 if found.broken else 0)


def _page(found: Examination, room: int) -> str:
    parts = [
        "".join(_fact(name, value, room or WIDTH) for name, value in _machine(found)),
        _imports(found.runtimes, room),
        _plugins(found.plugins, room),
        "".join(_finding(each.severity, each.problem, each.fix) for each in found.findings),
        _verdict(found),
    ]
    return "\n".join(filter(None, parts))


def _machine(found: Examination) -> Iterable[tuple[str, str]]:
    known: dict[str, Any] = found.machine
    libraries = [f"{name} {version}" for name, version in known.get("cuda_distributions", {}).items()]
    limit = known.get("memory_limit_gib")
    driver = known.get("driver") or "none"
    yield "python", f"{known.get('python', '?')}  {known.get('executable', '')}"
    yield "ocrdeploy", found.ocrdeploy
    yield "system", str(known.get("platform", "?"))
    yield "cpu", f"{known.get('cpu', '?')}, {known.get('cores', '?')} cores for this process"
    yield "memory", f"{known.get('memory_gib', '?')} GiB" + (f", of which {limit} may be used" if limit else "")
    yield "gpu", str(known.get("gpu") or "none")
    yield "driver", driver + (f", for CUDA {known['driver_cuda']}" if known.get("driver_cuda") else "")
    yield "cuda", ", ".join([*known.get("cuda_libraries", ()), *libraries]) or "no libraries"
    yield "libraries", ", ".join(f"{each.distribution} {each.version}" for each in found.libraries)


def _fact(name: str, value: str, width: int) -> str:
    return (
        textwrap.fill(value, max(width, 40), initial_indent=f"{name:9}  ", subsequent_indent=" " * 11, break_on_hyphens=False)
        + "\n"
    )


def _imports(rows: Iterable[Imported], room: int) -> str:
    cells = [
        (each.module, each.version or "-", each.distribution, f"{each.seconds:.1f} s" if each.seconds is not None else "fails")
        for each in rows
    ]
    return table(("runtime", "version", "distribution", "import"), cells, room) if cells else ""


def _plugins(rows: Iterable[PluginRow], room: int) -> str:
    own = [each for each in rows if each.distribution == "ocrdeploy" and each.state == "ready"]
    cells = [
        (
            each.name,
            " ".join(each.kinds) or "-",
            f"{each.distribution} {each.version}".strip(),
            each.device or "-",
            str(each.state),
        )
        for each in rows
        if each not in own
    ]
    if own:
        cells.append((f"{len(own)} built in", "families, datasets", "ocrdeploy", "-", "ready"))
    return table(("plugin", "kind", "distribution", "device", "state"), cells, room) if cells else ""


def _finding(severity: str, problem: str, fix: str) -> str:
    return f"{severity}: {problem}\n" + (f"  fix: {fix}\n" if fix else "")


def _verdict(found: Examination) -> str:
    warnings = len(found.findings) - found.broken
    said = f"{found.broken} broken" if found.broken else "nothing is broken"
    return f"{said}, {warnings} warning{'' if warnings == 1 else 's'} (in {found.took_s:.1f} s)\n"
