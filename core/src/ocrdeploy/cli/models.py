"""`ocrd models`: the models that plugins know by name; `ocrd models show`: all that there is to know of one."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import click

from ocrdeploy.cli import messages
from ocrdeploy.cli.streams import emit, json_text, printable, protected_stdout, terminal_columns
from ocrdeploy.cli.tables import table, trouble
from ocrdeploy.errors import OcrdError, unknown

if TYPE_CHECKING:
    from ocrdeploy.plugins import Plugins
    from ocrdeploy.vocabulary import ModelSpec, Task

log = logging.getLogger(__name__)

WITHOUT_FILE = "the model's file cannot be used, so this specification is what its plugin knows without it"


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@messages.options
@click.pass_context
def models(ctx: click.Context, as_json: bool) -> None:
    """List the models that are known by name, and whether their weights are here."""
    if ctx.invoked_subcommand is not None:
        return
    from ocrdeploy.plugins import discover

    with protected_stdout() as out:
        rows = _facts(discover())
        emit(
            out, json_text({"models": rows}, indent=2) + "\n" if as_json else printable(_for_people(rows, terminal_columns(out)))
        )


@models.command()
@click.argument("name")
@messages.options
def show(name: str) -> None:
    """Print the whole specification of the model NAME as JSON, as --detector-spec and --recognizer-spec take it."""
    from ocrdeploy.plugins import discover

    with protected_stdout() as out:
        emit(out, printable(_specification(discover(), name)) + "\n")


def _specification(plugins: Plugins, name: str) -> str:
    from ocrdeploy import backend, spec

    if name not in plugins.models:
        raise unknown(
            "model", name, plugins.models, "" if plugins.models else "install a model pack: pip install ocrdeploy-ppocr"
        )
    model = plugins.models[name]
    try:
        model = backend.artifact_of_model(plugins, model).model
    except OcrdError as error:
        log.warning("%s: %s (%s)", WITHOUT_FILE, error.problem, error.fix)
    return _indented(spec.to_dict(model))


def _indented(plain: dict[str, Any]) -> str:
    """Return a specification as JSON for people: indented, and its thousands of characters on one line."""
    charset = json.dumps(plain.pop("charset"), ensure_ascii=False)
    return json.dumps(plain, ensure_ascii=False, indent=2).removesuffix("\n}") + f',\n  "charset": {charset}\n}}'


def _facts(plugins: Plugins) -> list[dict[str, Any]]:
    """Return a row for each model, as JSON has it."""
    from ocrdeploy.vocabulary import Task

    defaults = {_default(plugins, task) for task in Task}
    rows = []
    for name, model in plugins.models.items():
        owner = plugins.installed[plugins.owner_of_model(name)]
        row = {"name": name, "task": str(model.task), "family": model.family, "rank": model.rank, "default": name in defaults}
        rows.append({**row, "plugin": owner.name, "distribution": owner.distribution, **_weights(plugins, model)})
    return rows


def _default(plugins: Plugins, task: Task) -> str:
    from ocrdeploy import models

    try:
        return models.default(plugins, task).model.name
    except OcrdError:
        return ""


def _weights(plugins: Plugins, model: ModelSpec) -> dict[str, Any]:
    from ocrdeploy.backend import artifact_of_model

    try:
        found = artifact_of_model(plugins, model)
    except OcrdError as error:
        return {"ok": False, "path": "", "sha256": "", "problem": error.problem, "fix": error.fix}
    return {"ok": True, "path": str(found.path), "sha256": found.sha256, "problem": "", "fix": ""}


def _for_people(rows: list[dict[str, Any]], room: int) -> str:
    if not rows:
        return "no model is known by name\n  fix: pip install ocrdeploy-ppocr\n"
    cells = [
        (
            row["name"],
            row["task"],
            row["family"],
            row["plugin"],
            "yes" if row["default"] else "",
            "here" if row["ok"] else "missing",
        )
        for row in rows
    ]
    text = table(("name", "task", "family", "plugin", "default", "weights"), cells, room)
    return text + "".join(trouble(f"{which} cannot be used", said) for which, said in _troubles(rows))


def _troubles(rows: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Return who has what trouble, each trouble once: models whose complaints differ in their names only share one, of NAME."""
    alike: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        if not row["ok"]:
            key = (row["problem"].replace(row["name"], "NAME"), row["fix"].replace(row["name"], "NAME"))
            alike.setdefault(key, []).append(row)
    return [
        (f"{len(same)} models, {same[0]['name']} and others,", {"problem": problem, "fix": fix})
        if len(same) > 1
        else (same[0]["name"], same[0])
        for (problem, fix), same in alike.items()
    ]
