"""`ocrd inspect`: say what a model file is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from ocrdeploy.cli import messages
from ocrdeploy.cli.streams import emit, json_text, printable, protected_stdout

LISTED = 12
"""How many kept nodes and odd weights are listed for people; JSON has them all."""

_SHORT = {"float": "fp32", "float16": "fp16", "double": "fp64", "bfloat16": "bf16"}


@click.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="All of it, for machines.")
@messages.options
def inspect(path: Path, as_json: bool) -> None:
    """Say what the model file FILE is: its graph, precision, specification, how it was made, and what is odd in its weights.

    Of an engine, the backend that opens it tells what it knows.
    """
    from ocrdeploy import inspection
    from ocrdeploy.plugins import discover

    with protected_stdout() as out:
        found = inspection.inspect(discover(), path)
        emit(out, json_text(found, indent=2) + "\n" if as_json else printable(_for_people(found)))


def _for_people(found: Mapping[str, Any]) -> str:
    rows = [*_file(found), *(_graph(found) if found["format"] == "onnx" else _backends(found)), *_made(found)]
    text = f"{found['path']}\n" + "".join(f"  {title:<9}  {line}\n" for title, line in rows)
    return text + "".join(_lists(found))


def _file(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "format", f"{found['format']}, {found['size_bytes'] / 1e6:.1f} MB"
    model = found["model"]
    if model is None:
        yield "model", "none: the file carries no specification"
    else:
        yield "model", f"{model['name']} ({model['task']}, family {model['family']})"


def _graph(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for way in ("inputs", "outputs"):
        for each in found[way]:
            dims = " x ".join(str(dim) or "?" for dim in each["dims"])
            yield way.removesuffix("s"), f"{each['name']}: {each['dtype']}, {dims}"
    sets = ", ".join(f"{version}" if name == "ai.onnx" else f"{name} {version}" for name, version in found["opset"].items())
    yield "opset", f"{sets}, IR version {found['ir_version']}, by {found['producer'] or 'an unnamed producer'}"
    yield "operators", ", ".join(f"{name} {count}" for name, count in found["operators"].items()) or "none"
    counts = found["nodes_by_precision"]
    computed = "its types cannot be inferred" if counts is None else ", ".join(f"{name} {n}" for name, n in counts.items())
    yield "nodes", f"{found['nodes']}; that compute in {computed or 'floating point: none'}"
    yield "weights", _shares(found["weights"])
    if found["external_files"]:
        yield "beside it", ", ".join(found["external_files"])


def _shares(weights: Mapping[str, int]) -> str:
    floats = {name: count for name, count in weights.items() if name in _SHORT}
    total = sum(floats.values())
    shares = ", ".join(f"{_SHORT[name]} {count / total:.1%}" for name, count in floats.items()) if total else ""
    return f"{total:,} numbers: {shares}" if total else "none"


def _backends(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, told in found["backends"].items():
        if "problem" in told:
            yield name, f"cannot tell: {told['problem']}"
            if told.get("fix"):
                yield "fix", told["fix"]
        else:
            yield from ((str(key), _plain(value)) for key, value in told.items())


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        more = f" and {len(value) - LISTED} more" if len(value) > LISTED else ""
        return ", ".join(_plain(each) for each in value[:LISTED]) + more
    return str(value)


def _made(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    recipe, manifest = found.get("recipe"), found["manifest"]
    if recipe:
        versions = ", ".join(f"{name} {number}" for name, number in recipe.get("versions", {}).items())
        checkpoint = recipe.get("checkpoint_sha256", "?")[:12]
        yield "exported", f"by the {recipe.get('exporter', '?')} exporter from the checkpoint {checkpoint}"
        yield "versions", versions
    if manifest:
        fits = "" if manifest["fits"] else "; THE FILE HAS CHANGED SINCE"
        yield "made", f"by the step {manifest['step']} from {manifest['parent_sha256'][:12]}, for {manifest['device']}{fits}"
        for title in ("options", "versions", "facts", "findings"):
            if manifest[title]:
                yield title, ", ".join(f"{key} {'none' if value == '' else value}" for key, value in manifest[title].items())
    yield "sha256", found["sha256"]


def _lists(found: Mapping[str, Any]) -> Iterator[str]:
    conversion = found.get("conversion")
    if conversion:
        kept = [f"{name}: {why}" for name, why in conversion.get("kept", {}).items()]
        yield from _list(f"converted to {conversion['precision']}; nodes that stay in fp32", kept)
    if "odd_weights" in found:
        yield from _list("odd weights", [_odd(each) for each in found["odd_weights"]])


def _list(title: str, lines: list[str]) -> Iterator[str]:
    yield f"\n{title}: {len(lines) or 'none'}\n"
    yield from (f"  {line}\n" for line in lines[:LISTED])
    if len(lines) > LISTED:
        yield f"  and {len(lines) - LISTED} more (--json lists all)\n"


def _odd(each: Mapping[str, Any]) -> str:
    kind = each["kind"] if each["kind"].endswith("channels") else f"numbers are {each['kind']}"
    place = f"{each['operator']} {each['node']}" if each["node"] else "no node"
    module = f", module {each['module']}" if each["module"] else ""
    return f"{each['count']} of {each['of']} {kind}: {each['weight']} ({place}{module})"
