"""What a plugin must be before it is registered: its contract, its hooks' signatures, and what its static hooks answer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from ocrdeploy import hookspecs
from ocrdeploy.errors import BadPlugin, nearest
from ocrdeploy.vocabulary import BackendInfo, DatasetInfo, FamilyInfo, ModelSpec

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
    "ocrd_artifact": "ocrd_models",
    "ocrd_postprocess": "ocrd_family",
    "ocrd_network": "ocrd_family",
    "ocrd_samples": "ocrd_dataset",
}
"""By which hook a plugin must announce itself before it may implement another: nobody answers calls for another's name."""


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
    needed = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD) and parameter.default is parameter.empty
    ]
    wrong = [name for name in needed if name not in HOOKS[hook]]
    if wrong:
        offered = ", ".join(inspect.signature(getattr(hookspecs, hook)).parameters) or "none"
        raise BadPlugin(f"its {hook} takes {', '.join(wrong)}, which the hook does not have (it has: {offered})")


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
        _check_strings(backend)
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
    answer = hooks[hook]()
    if not isinstance(answer, kind):
        raise BadPlugin(f"its {hook} returned {type(answer).__name__}, not {kind.__name__}")
    return answer


def _same_name(name: str, kind: str, said: str) -> None:
    if said != name:
        raise BadPlugin(f"its entry point is {name!r}, and its {kind} calls itself {said!r}")


def _check_strings(info: BackendInfo) -> None:
    for each in fields(info):
        value = getattr(info, each.name)
        if each.name in {"runs", "builds_from", "precisions", "options"} and not (
            isinstance(value, tuple) and all(isinstance(item, str) for item in value)
        ):
            raise BadPlugin(f"BackendInfo.{each.name} is {value!r}, not a tuple of strings")
    if not info.runs:
        raise BadPlugin("BackendInfo.runs is empty: it opens no format")


def _models(hooks: Mapping[str, Callable[..., Any]]) -> tuple[ModelSpec, ...]:
    if "ocrd_models" not in hooks:
        return ()
    if "ocrd_artifact" not in hooks:
        raise BadPlugin("it lists models and lacks ocrd_artifact")
    answer = hooks["ocrd_models"]()
    if not isinstance(answer, list | tuple) or not all(isinstance(model, ModelSpec) for model in answer):
        raise BadPlugin(f"its ocrd_models returned {type(answer).__name__}, not a sequence of ModelSpec")
    return tuple(answer)
