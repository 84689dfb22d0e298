"""`ocrd datasets`: which kinds of dataset are understood, and whether one is as it should be."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ocrdeploy.cli import messages
from ocrdeploy.cli.streams import emit, json_text, printable, protected_stdout, terminal_columns
from ocrdeploy.cli.tables import table, trouble

if TYPE_CHECKING:
    from ocrdeploy.plugins import Plugin, Plugins
    from ocrdeploy.samples import Dataset
    from ocrdeploy.survey import Survey

SHEETS = (".jpeg", ".jpg", ".png")

SHOWN = 20
"""How many faults of each kind are printed."""

EPILOG = """\b
Examples:
  ocrd datasets check photos/
  ocrd datasets check icdar2015:ch4_test/ --sheet sheet.png
\b
Exit codes: 0 the dataset can be used, 1 pictures are missing or labels
cannot be used."""


@click.group(invoke_without_command=True)
@messages.options
@click.pass_context
def datasets(ctx: click.Context) -> None:
    """List the kinds of dataset that are understood, or check a dataset."""
    if ctx.invoked_subcommand is None:
        _list(as_json=False)


@datasets.command("list")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@messages.options
def list_kinds(as_json: bool) -> None:
    """List the kinds of dataset, and which distribution brings each."""
    _list(as_json=as_json)


def _list(*, as_json: bool) -> None:
    from ocrdeploy.plugins import discover

    with protected_stdout() as out:
        found = _facts(discover())
        emit(out, json_text(found, indent=2) + "\n" if as_json else printable(_kinds(found, terminal_columns(out))))


def _facts(plugins: Plugins) -> dict[str, Any]:
    kinds = [
        {"kind": kind, "distribution": plugins.installed[kind].distribution, "what": _what(plugins.installed[kind])}
        for kind in plugins.datasets
    ]
    broken = [{"name": each.name, "problem": each.why, "fix": each.fix} for each in plugins.broken]
    return {"kinds": kinds, "broken": broken}


def _what(plugin: Plugin) -> str:
    """Return the first line of the docstring of the module that reads a kind: its authors say there what it is."""
    reads = vars(plugin.routed).get("ocrd_samples")
    module = sys.modules.get(getattr(reads, "__module__", ""))
    return (inspect.getdoc(module) or "").partition("\n")[0]


def _kinds(found: dict[str, Any], room: int) -> str:
    rows = [(each["kind"], each["distribution"], each["what"]) for each in found["kinds"]]
    text = table(("kind", "from", "what"), rows, room) if rows else "no kind of dataset is understood\n"
    return text + "".join(trouble(f"{each['name']} is broken", each) for each in found["broken"])


def _suffix(_ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    if value is not None and value.suffix.lower() not in SHEETS:
        raise click.BadParameter(f"{str(value)!r} does not end in .png or .jpg", param=param)
    return value


@datasets.command(epilog=EPILOG)
@click.argument("dataset", metavar="[KIND:]PATH")
@click.option("--sheet", metavar="FILE", type=click.Path(path_type=Path), callback=_suffix, help="Draw up to 24 of the pictures.")
@click.option("--seed", metavar="N", type=int, default=0, help="Which pictures are drawn.  [default: 0]")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@messages.options
@click.pass_context
def check(ctx: click.Context, dataset: str, sheet: Path | None, seed: int, as_json: bool) -> None:
    """Read a dataset, count what is in it, and say what is odd about it.

    PATH is a folder, a label file, or a zip. Where KIND is left out, it is told from what is there ('ocrd datasets list').
    """
    from ocrdeploy import samples
    from ocrdeploy.plugins import discover
    from ocrdeploy.survey import survey

    with protected_stdout() as out:
        read = samples.load(discover(), dataset)
        found = survey(read)
        if sheet is not None:
            _draw(read, sheet, seed)
        emit(out, json_text(found.to_dict(), indent=2) + "\n" if as_json else printable(_for_people(found)))
    ctx.exit(1 if found.missing else 0)


def _draw(dataset: Dataset, sheet: Path, seed: int) -> None:
    from ocrdeploy import contact_sheet
    from ocrdeploy.artifact import write_atomically

    page = contact_sheet.draw(dataset, contact_sheet.choose(len(dataset.samples), seed=seed))
    with write_atomically(sheet) as temporary:
        page.save(temporary)


def _for_people(found: Survey) -> str:
    dataset = found.dataset
    missing = f", {found.missing} of them missing" if found.missing else ""
    rows = [
        ("pictures", f"{len(dataset.samples)}{missing}{'' if dataset.labelled else ', not labelled'}"),
        ("regions", f"{found.regions}, and {found.ignored} that are ignored"),
        ("texts", str(found.texts)),
        ("characters", f"{len(found.characters)}: {''.join(sorted(found.characters))}" if found.characters else "0"),
        ("widths", _range([width for _, width in found.sizes])),
        ("heights", _range([height for height, _ in found.sizes])),
    ]
    text = f"{dataset.path}: {dataset.kind}\n" + "".join(f"  {name:10}  {value}\n" for name, value in rows)
    return text + "".join(_listed(kind, [each.words for each in faults]) for kind, faults in found.by_kind.items())


def _range(values: list[int]) -> str:
    if not values:
        return "unknown: no picture can be opened"
    return f"{min(values)} to {max(values)} pixels" if min(values) < max(values) else f"{values[0]} pixels"


def _listed(kind: str, words: list[str]) -> str:
    more = f"  and {len(words) - SHOWN} more\n" if len(words) > SHOWN else ""
    return f"\n{kind}: {len(words)}\n" + "".join(f"  {each}\n" for each in words[:SHOWN]) + more
