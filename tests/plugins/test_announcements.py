"""What a plugin must be, and what it is told where it is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from ocrdeploy import BadInput, hookimpl
from ocrdeploy.announcements import KINDS, NEEDS
from ocrdeploy.plugins import Broken, discover
from ocrdeploy.vocabulary import (
    Artifact,
    BackendInfo,
    DatasetInfo,
    FamilyInfo,
    Fit,
    InferOptions,
    InputSpec,
    ModelSpec,
    Probe,
    Session,
    Task,
)

Make = Callable[..., EntryPoint]


def model(name: str, **changes: Any) -> ModelSpec:
    given: dict[str, Any] = {"family": "dbnet", "task": Task.DETECTION, "input": InputSpec("x", Fit(64, 64)), "outputs": ("y",)}
    return ModelSpec(name=name, **{**given, **changes})


def only_broken(*points: EntryPoint) -> Broken:
    found = discover(points)
    (broken,) = found.broken
    assert broken.name not in found.installed
    assert broken.distribution in broken.fix
    return broken


def takes_an_unknown(model: ModelSpec, modle: ModelSpec) -> Session: ...  # type: ignore[empty-body]
def takes_a_default(model: ModelSpec, options: InferOptions | None = None) -> Session: ...  # type: ignore[empty-body]
def takes_a_keyword(*, artifact: Artifact) -> Session: ...  # type: ignore[empty-body]
def takes_the_rest(**rest: object) -> Session: ...  # type: ignore[empty-body]
def takes_a_list(*everything: object) -> Session: ...  # type: ignore[empty-body]


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (
            takes_an_unknown,
            "its ocrd_infer takes modle: 'ModelSpec', which the hook does not have (it has: model, artifact, options)",
        ),
        (takes_a_default, "its ocrd_infer would never be given options: write it as a plain argument, without a default"),
        (takes_a_keyword, "its ocrd_infer would never be given artifact: write it as a plain argument, without a default"),
        (
            takes_the_rest,
            "its ocrd_infer takes **rest: 'object', which the hook does not have (it has: model, artifact, options)",
        ),
        (
            takes_a_list,
            "its ocrd_infer takes *everything: 'object', which the hook does not have (it has: model, artifact, options)",
        ),
    ],
)
def test_arguments_that_would_not_be_given_are_told(backend: Make, function: Callable[..., Any], why: str) -> None:
    assert only_broken(backend("nova", infer=function)).why == why


def test_a_hook_may_take_few_arguments_and_others_that_have_a_default(backend: Make) -> None:
    def infer(artifact: Artifact, depth: int = 3) -> Session: ...  # type: ignore[empty-body]

    assert discover([backend("nova", infer=infer)]).broken == ()


@pytest.mark.parametrize(("hook", "announcement"), NEEDS.items())
def test_who_answers_calls_must_announce_itself(stranger: Make, hook: str, announcement: str) -> None:
    broken = only_broken(stranger("nova", **{hook: hookimpl(lambda: None)}))
    assert broken.why == f"it implements {hook} without announcing itself by {announcement}"


@pytest.mark.parametrize(
    ("hook", "noun"), [("ocrd_backend", "BackendInfo"), ("ocrd_family", "FamilyInfo"), ("ocrd_dataset", "DatasetInfo")]
)
def test_an_announcement_of_another_type_is_told(stranger: Make, hook: str, noun: str) -> None:
    assert only_broken(stranger("nova", **{hook: hookimpl(lambda: "nova")})).why == f"its {hook} returned str, not {noun}"


def test_models_of_another_type_are_told(stranger: Make) -> None:
    hooks = {"ocrd_models": hookimpl(lambda: model("one")), "ocrd_artifact": hookimpl(lambda: None)}
    assert only_broken(stranger("nova", **hooks)).why == "its ocrd_models returned ModelSpec, not a sequence of ModelSpec"


def test_a_static_hook_that_raises_is_named(stranger: Make) -> None:
    def backend() -> BackendInfo:
        raise ZeroDivisionError("oh")

    assert only_broken(stranger("nova", ocrd_backend=hookimpl(backend))).why == "its ocrd_backend raised ZeroDivisionError: oh"


def test_a_static_hook_that_raises_on_purpose_is_quoted(stranger: Make) -> None:
    def backend() -> BackendInfo:
        raise BadInput("nova needs its licence file", "put it there")

    assert only_broken(stranger("nova", ocrd_backend=hookimpl(backend))).why == "nova needs its licence file"


@pytest.mark.parametrize(
    ("info", "why"),
    [
        ({"name": "venus"}, "its entry point is 'nova', and its backend calls itself 'venus'"),
        ({"runs": ()}, "its BackendInfo.runs is empty: it opens no format"),
        ({"runs": "onnx"}, "its BackendInfo.runs is 'onnx', not tuple[str, ...]"),
        ({"options": (1,)}, "its BackendInfo.options is (1,), not tuple[str, ...]"),
        ({"rank": "high"}, "its BackendInfo.rank is 'high', not int"),
    ],
)
def test_a_backend_with_a_wrong_field_is_told(backend: Make, info: Mapping[str, Any], why: str) -> None:
    assert only_broken(backend("nova", **info)).why == why


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"rank": None}, "its ModelSpec.rank is None, not int"),
        ({"task": "detection"}, "its ModelSpec.task is 'detection', not Task"),
        ({"options": ["a"]}, "its ModelSpec.options is ['a'], not Mapping[str, Any]"),
    ],
)
def test_a_model_with_a_wrong_field_is_told(stranger: Make, changes: Mapping[str, Any], why: str) -> None:
    hooks = {"ocrd_models": hookimpl(lambda: [model("one", **changes)]), "ocrd_artifact": hookimpl(lambda: None)}
    assert only_broken(stranger("nova", **hooks)).why == why


@pytest.mark.parametrize("noun", [BackendInfo, FamilyInfo, DatasetInfo, ModelSpec, Probe])
def test_every_field_that_a_plugin_announces_can_be_checked(noun: Any) -> None:
    assert {str(each.type) for each in fields(noun)} <= set(KINDS)


@pytest.mark.parametrize("missing", ["ocrd_probe", "ocrd_infer"])
def test_half_a_backend_is_broken(stranger: Make, missing: str) -> None:
    hooks: dict[str, Any] = {"ocrd_backend": hookimpl(lambda: BackendInfo("nova", runs=("onnx",)))}
    hooks |= {name: hookimpl(lambda: None) for name in ("ocrd_probe", "ocrd_infer") if name != missing}
    assert "lacks ocrd_probe or ocrd_infer" in only_broken(stranger("nova", **hooks)).why


def test_one_hook_implemented_twice_is_told(backend: Make) -> None:
    again = {"other_infer": hookimpl(specname="ocrd_infer")(lambda: None)}
    assert only_broken(backend("nova", hooks=again)).why == "it implements ocrd_infer twice, the second time as other_infer"
