"""`ocrd backends`: what is installed, what can run here, and what mends the rest."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ocrdeploy.cli import messages
from ocrdeploy.cli.streams import emit, json_text, printable, protected_stdout, terminal_columns
from ocrdeploy.cli.tables import table, trouble

if TYPE_CHECKING:
    from ocrdeploy.plugins import Plugins
    from ocrdeploy.vocabulary import Probe

INSTALL = "pip install 'ocrdeploy-onnxruntime[cpu]'"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@messages.options
def backends(as_json: bool) -> None:
    """List the backends, what each of them lacks here, and the plugins that are broken."""
    from ocrdeploy.backend import probe_all
    from ocrdeploy.plugins import discover

    with protected_stdout() as out:
        plugins = discover()
        found = _facts(plugins, probe_all(plugins))
        emit(out, json_text(found, indent=2) + "\n" if as_json else printable(_for_people(found, terminal_columns(out))))


def _facts(plugins: Plugins, probes: dict[str, Probe]) -> dict[str, Any]:
    """Return all there is to say, as JSON has it."""
    rows = [
        {
            **asdict(info),
            "distribution": plugins.installed[name].distribution,
            "distribution_version": plugins.installed[name].version,
            "ok": probes[name].ok,
            **asdict(probes[name]),
            # Which of several products with one interface is meant, for a backend that has such; '' for the others.
            "flavour": probes[name].details.get("flavour", ""),
        }
        for name, info in plugins.backends.items()
    ]
    broken = [
        {"name": each.name, "distribution": each.distribution, "problem": each.why, "fix": each.fix} for each in plugins.broken
    ]
    return {"backends": rows, "broken": broken, "disabled": list(plugins.disabled)}


def _more(row: dict[str, Any]) -> str:
    """Return what there is to say of a backend that comes in flavours, beside its row in the table."""
    told = {name: row["details"].get(name, "") for name in ("flavour", "driver")}
    return f"\n{row['name']}: {', '.join(f'{name} {fact}' for name, fact in told.items() if fact)}\n"


def _for_people(found: dict[str, Any], room: int) -> str:
    rows = [
        (
            each["name"],
            each["version"] or "-",
            each["device"] or "-",
            " ".join((*each["runs"], *each["builds_from"])),
            " ".join(each["precisions"]),
            "ready" if each["ok"] else "cannot run",
        )
        for each in found["backends"]
    ]
    text = table(("name", "version", "device", "formats", "precisions", "state"), rows, room)
    if not rows:
        text = f"no backend is installed\n  fix: {INSTALL}\n"
    text += "".join(_more(each) for each in found["backends"] if each["flavour"])
    for each in found["backends"]:
        if not each["ok"]:
            text += trouble(f"{each['name']} cannot run here", each)
    for each in found["broken"]:
        text += trouble(f"{each['name']} is broken ({each['distribution']})", each)
    if found["disabled"]:
        text += f"\ndisabled by OCRDEPLOY_DISABLED_PLUGINS: {', '.join(found['disabled'])}\n"
    return text
