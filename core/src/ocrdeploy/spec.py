"""`ModelSpec` as JSON and YAML: written into artifacts, read from files, every mistake named with its place."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocrdeploy.errors import BadInput
from ocrdeploy.vocabulary import ModelSpec

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

RULES = ("fit", "short_side", "height", "exact")
EXAMPLE = "ocrd models show NAME prints a whole one"


@cache
def _adapter() -> TypeAdapter[ModelSpec]:
    from pydantic import TypeAdapter

    return TypeAdapter(ModelSpec)


def to_dict(model: ModelSpec) -> dict[str, Any]:
    """Return `model` as plain dictionaries, lists, strings and numbers."""
    made: dict[str, Any] = _adapter().dump_python(model, mode="json")
    return made


def to_json(model: ModelSpec, *, indent: int | None = None) -> str:
    """Return `model` as JSON."""
    return _adapter().dump_json(model, indent=indent).decode()


def from_json(text: str | bytes, where: str) -> ModelSpec:
    """Read a `ModelSpec`; `where` names the source in complaints. Raises `BadInput`."""
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where}: not JSON: {error}", f"write a model specification: {EXAMPLE}") from None
    return from_plain(plain, where)


def from_plain(plain: object, where: str) -> ModelSpec:
    """Make a `ModelSpec` of dictionaries and lists, as JSON or YAML gives them. Raises `BadInput`."""
    from pydantic import ValidationError

    if not isinstance(plain, dict):
        raise BadInput(f"{where}: a model specification is a mapping, not {type(plain).__name__}", EXAMPLE)
    try:
        return _adapter().validate_json(json.dumps(plain), strict=True)
    except ValidationError as error:
        raise BadInput(f"{where}: {_first_complaint(error, plain)}", f"correct the specification ({EXAMPLE})") from None


def read_file(path: Path) -> ModelSpec:
    """Read a `ModelSpec` from a JSON or YAML file, or from a manifest, whose `model` it is. Raises `BadInput`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise BadInput(f"cannot read the specification {path}: {reason}", "name a JSON or YAML file") from None
    plain = _yaml(text, path) if path.suffix.lower() in {".yaml", ".yml"} else _json(text, path)
    if isinstance(plain, dict) and isinstance(plain.get("model"), dict):
        plain = plain["model"]
    return from_plain(plain, str(path))


def _json(text: str, path: Path) -> object:
    try:
        plain: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: not JSON: {error}", f"write a model specification: {EXAMPLE}") from None
    return plain


def _yaml(text: str, path: Path) -> object:
    import yaml

    try:
        plain: object = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise BadInput(f"{path}: not YAML: {error}", f"write a model specification: {EXAMPLE}") from None
    return plain


def _first_complaint(error: ValidationError, plain: dict[str, Any]) -> str:
    """Say what is wrong first; among the four resize rules, only what concerns the one that was meant."""
    meant = plain.get("input", {}).get("resize", {}) if isinstance(plain.get("input"), dict) else {}
    rule = meant.get("rule") if isinstance(meant, dict) else None
    complaints = error.errors(include_url=False)
    if any("resize" in each["loc"] for each in complaints):
        if rule not in RULES:
            return f"input.resize.rule is {rule!r}, not one of {', '.join(RULES)}"
        member = "".join(part.capitalize() for part in str(rule).split("_"))
        complaints = [each for each in complaints if "resize" not in each["loc"] or member in each["loc"]] or complaints
    first = complaints[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}"
