"""What a plugin must be before it is registered: its contract, its hooks' signatures, and what its static hooks answer."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from ocrdeploy import hookspecs
from ocrdeploy.errors import BadPlugin, OcrdError, nearest
from ocrdeploy.vocabulary import BackendInfo, DatasetInfo, FamilyInfo, InputSpec, ModelSpec, Task

T = TypeVar("T")

HOOKS: Mapping[str, frozenset[str]] = {
    name: frozenset(inspect.signature(function).parameters)
    for name, function in vars(hookspecs).items()
    if name.startswith("ocrd_")
}
"""Every hook with its arguments."""

NEEDS = {
    "ocrd_probe": "ocrd_backend",
    "ocrd_export": "ocrd_backend",
    "ocrd_build": "ocrd_backend",
    "ocrd_infer": "ocrd_backend",
    "ocrd_inspect": "ocrd_backend",
    "ocrd_artifact": "ocrd_models",
    "ocrd_postprocess": "ocrd_family",
    "ocrd_network": "ocrd_family",
    "ocrd_samples": "ocrd_dataset",
}
"""By which hook a plugin must announce itself before it may implement another: nobody answers calls for another's name."""


def _is_strings(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(item, str) for item in value)


def _is_text_by_text(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(item, str) for pair in value.items() for item in pair)


KINDS: Mapping[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "int": lambda value: isinstance(value, int),
    "tuple[str, ...]": _is_strings,
    "Mapping[str, str]": _is_text_by_text,
    "Mapping[str, Any]": lambda value: isinstance(value, Mapping) and all(isinstance(key, str) for key in value),
    "Callable[[Path], bool]": callable,
    "Task": lambda value: isinstance(value, Task),
    "InputSpec": lambda value: isinstance(value, InputSpec),
}
"""How to tell a value of each type that a field of an announced noun or of a `Probe` may have."""


@dataclass(frozen=True, slots=True)
class Announced:
    """The answers of a plugin's static hooks."""

    backend: BackendInfo | None = None
    family: FamilyInfo | None = None
    dataset: DatasetInfo | None = None
    models: tuple[ModelSpec, ...] = ()


def check_contract(plugin: object, version: int) -> None:
    """Raise `BadPlugin` unless the plugin says that it speaks contract `version`."""
    spoken = getattr(plugin, "ocrd_contract", None)
    if spoken is None:
        raise BadPlugin(f"it does not say which contract it speaks (add: ocrd_contract = {version})")
    if spoken != version:
        raise BadPlugin(f"it speaks contract {spoken!r}; this ocrdeploy speaks contract {version}")


def check_unmarked(plugin: object, attribute: str) -> None:
    """Raise `BadPlugin` for a function that has a hook's name and lacks the `hookimpl` mark, and so would never be called."""
    if attribute.startswith("ocrd_") and inspect.isroutine(getattr(plugin, attribute)):
        raise BadPlugin(f"its {attribute} is not marked with @hookimpl, so nobody would ever call it")


def check_signature(hook: str, function: Callable[..., Any]) -> None:
    """Raise `BadPlugin` for a hook that the contract does not have, or arguments that the hook does not have."""
    if hook not in HOOKS:
        near = nearest(hook, HOOKS)
        hint = f"; did you mean {near}?" if near else ""
        raise BadPlugin(f"it implements {hook}, which is no hook of contract {hookspecs.CONTRACT}{hint}")
    for name, parameter in inspect.signature(function).parameters.items():
        plain = parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        optional = parameter.default is not parameter.empty
        if name in HOOKS[hook] and (optional or not plain):
            raise BadPlugin(f"its {hook} would never be given {name}: write it as a plain argument, without a default")
        if name not in HOOKS[hook] and not optional:
            offered = ", ".join(inspect.signature(getattr(hookspecs, hook)).parameters) or "none"
            raise BadPlugin(f"its {hook} takes {parameter}, which the hook does not have (it has: {offered})")


def ask(name: str, hooks: Mapping[str, Callable[..., Any]]) -> Announced:
    """Call the static hooks among `hooks` and check the answers of the plugin `name`. Raises `BadPlugin`."""
    for hook, announcement in NEEDS.items():
        if hook in hooks and announcement not in hooks:
            raise BadPlugin(f"it implements {hook} without announcing itself by {announcement}")
    backend = _answer(hooks, "ocrd_backend", BackendInfo)
    family = _answer(hooks, "ocrd_family", FamilyInfo)
    dataset = _answer(hooks, "ocrd_dataset", DatasetInfo)
    if backend:
        _same_name(name, "backend", backend.name)
        if not backend.runs:
            raise BadPlugin("its BackendInfo.runs is empty: it opens no format")
        if "ocrd_probe" not in hooks or "ocrd_infer" not in hooks:
            raise BadPlugin("it announces a backend and lacks ocrd_probe or ocrd_infer")
    if family:
        _same_name(name, "family", family.name)
    if dataset:
        _same_name(name, "dataset", dataset.kind)
    return Announced(backend, family, dataset, _models(hooks))


def _answer(hooks: Mapping[str, Callable[..., Any]], hook: str, kind: type[T]) -> T | None:
    if hook not in hooks:
        return None
    answer = _call(hooks, hook)
    if not isinstance(answer, kind):
        raise BadPlugin(f"its {hook} returned {type(answer).__name__}, not {kind.__name__}")
    check_fields(answer)
    return answer


def _call(hooks: Mapping[str, Callable[..., Any]], hook: str) -> Any:
    try:
        return hooks[hook]()
    except OcrdError:
        raise
    except (Exception, SystemExit) as error:
        raise BadPlugin(f"its {hook} raised {type(error).__name__}: {error}") from error


def check_fields(noun: Any) -> None:
    """Raise `BadPlugin` unless the fields of a noun that a plugin made are of the types that vocabulary.py gives them.

    Python does not check them, and one plugin's mistake (a rank that is text, a version that is a number) would show
    wherever all plugins are compared or printed.
    """
    for each in fields(noun):
        value = getattr(noun, each.name)
        if not KINDS[str(each.type)](value):
            raise BadPlugin(f"its {type(noun).__name__}.{each.name} is {reprlib.repr(value)}, not {each.type}")


def _same_name(name: str, kind: str, said: str) -> None:
    if said != name:
        raise BadPlugin(f"its entry point is {name!r}, and its {kind} calls itself {said!r}")


def _models(hooks: Mapping[str, Callable[..., Any]]) -> tuple[ModelSpec, ...]:
    if "ocrd_models" not in hooks:
        return ()
    if "ocrd_artifact" not in hooks:
        raise BadPlugin("it lists models and lacks ocrd_artifact")
    answer = _call(hooks, "ocrd_models")
    if not isinstance(answer, list | tuple) or not all(isinstance(model, ModelSpec) for model in answer):
        raise BadPlugin(f"its ocrd_models returned {type(answer).__name__}, not a sequence of ModelSpec")
    for model in answer:
        check_fields(model)
    return tuple(answer)
