"""The typed front of the plugins: what it asks, what it checks, and whom it blames."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ocrdeploy import BadInput, BadPlugin, OcrdError, Unavailable, UnknownName, hookimpl
from ocrdeploy import backend as front
from ocrdeploy.plugins import discover
from ocrdeploy.vocabulary import (
    Artifact,
    Batch,
    BuildOptions,
    FamilyInfo,
    Fit,
    InferOptions,
    InputSpec,
    Loaded,
    ModelSpec,
    Placement,
    Prediction,
    Probe,
    Task,
    Tensors,
)

Make = Callable[..., EntryPoint]

MODEL = ModelSpec("m", "moon", Task.DETECTION, InputSpec("x", Fit(64, 64)), outputs=("y",))
ARTIFACT = Artifact(Path("m.onnx"), "onnx", "0" * 64, MODEL)
BROKEN_LEG = Probe(problem="it has a broken leg", fix="wait six weeks")


class Echo:
    """A session as it should be."""

    def run(self, inputs: Tensors) -> Tensors:
        return {"y": inputs["x"]}

    def loaded(self) -> Loaded:
        return Loaded("1", "cpu")

    def close(self) -> None: ...


def echo() -> Echo:
    return Echo()


class Clumsy:
    """A session that fails at everything."""

    def run(self, inputs: Tensors) -> Tensors:
        raise ZeroDivisionError(f"{len(inputs)} by zero")

    def loaded(self) -> Loaded:
        raise ZeroDivisionError

    def close(self) -> None:
        raise ZeroDivisionError


def fails(*_: object) -> None:
    message = "oh"
    raise ValueError(message)


def exits() -> None:
    raise SystemExit(2)


def on_purpose() -> None:
    raise BadInput("the file is mouldy", "dry it")


# choose


def test_auto_is_the_highest_rank_that_can_run_and_reaches_the_format(backend: Make) -> None:
    points = [
        backend("low", rank=1),
        backend("good", rank=2),
        backend("lame", rank=3, probe=lambda: BROKEN_LEG),
        backend("other", rank=4, runs=("engine",)),
    ]
    assert front.choose(discover(points), "auto", ["onnx"]) == "good"


def test_what_stands_lower_than_the_choice_is_not_asked(backend: Make) -> None:
    points = [backend("low", rank=1, probe=fails), backend("good", rank=2)]
    found = discover(points)
    front.choose(found, "auto", ["onnx"])
    assert list(found.probed) == ["good"]


def test_a_format_is_reached_by_building_too(backend: Make) -> None:
    found = discover([backend("builder", runs=("engine",), builds_from=("onnx",))])
    assert front.choose(found, "auto", ["onnx"]) == "builder"


def test_a_checkpoint_reaches_whatever_takes_onnx(backend: Make) -> None:
    assert front.choose(discover([backend("a")]), "a", ["checkpoint"]) == "a"


def test_two_of_one_rank_are_an_error_that_names_both(backend: Make) -> None:
    found = discover([backend("a", rank=1), backend("b", rank=1), backend("c", rank=0)])
    with pytest.raises(OcrdError, match="backends a and b have the same rank") as caught:
        front.choose(found, "auto", ["onnx"])
    assert caught.value.fix == "choose one: --backend a"


def test_two_of_one_rank_are_no_error_where_one_cannot_run(backend: Make) -> None:
    found = discover([backend("a", rank=1, probe=lambda: BROKEN_LEG), backend("b", rank=1)])
    assert front.choose(found, "auto", ["onnx"]) == "b"


def test_where_nothing_can_run_every_reason_is_given(backend: Make, entry_point: Make) -> None:
    points = [
        backend("lame", probe=lambda: BROKEN_LEG),
        backend("other", runs=("engine",)),
        entry_point("nova", "no_such_module_here"),
    ]
    with pytest.raises(Unavailable) as caught:
        front.choose(discover(points), "auto", ["onnx"])
    for reason in ("lame: it has a broken leg", "other opens engine", "nova is broken: ModuleNotFoundError"):
        assert reason in caught.value.problem


def test_without_backends_the_remedy_is_to_install_one() -> None:
    with pytest.raises(Unavailable, match="none is installed") as caught:
        front.choose(discover([]), "auto", ["onnx"])
    assert "pip install" in caught.value.fix


def test_an_unknown_backend_brings_the_nearest_name(backend: Make) -> None:
    with pytest.raises(UnknownName, match=r"unknown backend 'onnxrt' \(did you mean 'onnxruntime'\?\)") as caught:
        front.choose(discover([backend("onnxruntime"), backend("zzz")]), "onnxrt", ["onnx"])
    assert caught.value.fix == "use one of: onnxruntime, zzz"


def test_a_plugin_that_is_no_backend_is_no_backend(backend: Make, stranger: Make) -> None:
    moon = stranger("moon", ocrd_family=hookimpl(lambda: FamilyInfo("moon", Task.DETECTION)))
    with pytest.raises(UnknownName, match="unknown backend 'moon'"):
        front.choose(discover([backend("a"), moon]), "moon", ["onnx"])


def test_a_broken_backend_is_explained(entry_point: Make) -> None:
    with pytest.raises(BadPlugin, match=r"'nova' \(stranger-nova\) is broken"):
        front.choose(discover([entry_point("nova", "no_such_module_here")]), "nova", ["onnx"])


def test_a_named_backend_that_cannot_run_here_names_those_that_can(backend: Make) -> None:
    points = [backend("lame", probe=lambda: BROKEN_LEG), backend("a"), backend("b"), backend("other", runs=("engine",))]
    with pytest.raises(Unavailable, match="backend 'lame' cannot run here: it has a broken leg") as caught:
        front.choose(discover(points), "lame", ["onnx"])
    assert caught.value.fix == "wait six weeks, or use one of: a, b"


def test_a_named_backend_that_does_not_open_the_format_says_what_it_opens(backend: Make) -> None:
    with pytest.raises(Unavailable, match="backend 'other' opens engine, and this model comes as onnx"):
        front.choose(discover([backend("other", runs=("engine",))]), "other", ["onnx"])


# sessions


def test_a_session_is_opened_and_used(backend: Make) -> None:
    found = discover([backend("a", infer=echo)])
    session = front.open_session(found, "a", ARTIFACT, InferOptions())
    assert session.run({"x": np.zeros(3)})["y"].shape == (3,)
    assert session.loaded() == Loaded("1", "cpu")
    session.close()


def test_a_precision_that_the_backend_does_not_have_is_refused(backend: Make) -> None:
    with pytest.raises(UnknownName, match="unknown precision of backend 'a' 'fp61'"):
        front.open_session(discover([backend("a", infer=echo)]), "a", ARTIFACT, InferOptions(precision="fp61"))


def test_an_option_that_the_backend_does_not_have_brings_the_nearest_name(backend: Make) -> None:
    found = discover([backend("a", infer=echo, options=("spinning",))])
    with pytest.raises(UnknownName, match="did you mean 'spinning'"):
        front.open_session(found, "a", ARTIFACT, InferOptions(extra={"spining": "on"}))


def with_session(session: object) -> Callable[[], object]:
    return lambda: session


def opened_by(backend: Make, infer: Callable[..., Any]) -> Any:
    return front.open_session(discover([backend("a", infer=infer)]), "a", ARTIFACT, InferOptions())


def test_what_a_plugin_throws_names_it_and_its_distribution(backend: Make) -> None:
    with pytest.raises(BadPlugin) as caught:
        opened_by(backend, fails_plainly)
    assert caught.value.problem == "plugin 'a' (stranger-a 1.5) failed while opening m.onnx: ValueError: oh"
    assert "pip uninstall stranger-a" in caught.value.fix
    assert isinstance(caught.value.__cause__, ValueError)


def fails_plainly() -> None:
    fails()


def test_a_plugin_that_exits_ends_nothing_but_its_call(backend: Make) -> None:
    with pytest.raises(BadPlugin, match=r"\(stranger-a 1.5\) failed while opening m.onnx: SystemExit: 2"):
        opened_by(backend, exits)


def test_what_a_plugin_raises_on_purpose_passes(backend: Make) -> None:
    with pytest.raises(BadInput, match="the file is mouldy") as caught:
        opened_by(backend, on_purpose)
    assert caught.value.fix == "dry it"


def test_something_that_is_no_session_is_told(backend: Make) -> None:
    with pytest.raises(BadPlugin, match=r"\(stranger-a 1.5\) returned str from ocrd_infer, not Session"):
        opened_by(backend, lambda: "session")


def test_a_session_that_fails_is_blamed_on_its_plugin(backend: Make) -> None:
    session = opened_by(backend, with_session(Clumsy()))
    with pytest.raises(BadPlugin, match=r"'a' \(stranger-a 1.5\) failed while running m.onnx: ZeroDivisionError: 1 by zero"):
        session.run({"x": np.zeros(1)})
    with pytest.raises(BadPlugin, match="failed while saying what it loaded"):
        session.loaded()
    with pytest.raises(BadPlugin, match="failed while closing"):
        session.close()


def test_a_session_that_answers_something_else_is_told(backend: Make) -> None:
    class Odd(Echo):
        def run(self, inputs: Tensors) -> Tensors:
            return [inputs["x"]]  # type: ignore[return-value]

        def loaded(self) -> Loaded:
            return None  # type: ignore[return-value]

    session = opened_by(backend, with_session(Odd()))
    with pytest.raises(BadPlugin, match=r"returned list from Session.run, not Mapping"):
        session.run({"x": np.zeros(1)})
    with pytest.raises(BadPlugin, match=r"returned NoneType from Session.loaded, not Loaded"):
        session.loaded()


# build, artifacts, describe


def built(backend: Make, target: Path, build: Callable[..., Any]) -> Artifact:
    found = discover([backend("a", hooks={"ocrd_build": hookimpl(build)})])
    return front.build(found, "a", ARTIFACT, target, BuildOptions())


def test_a_build_that_wrote_nothing_is_told(backend: Make, tmp_path: Path) -> None:
    with pytest.raises(BadPlugin, match=r"\(stranger-a 1.5\) built nothing at"):
        built(backend, tmp_path / "target", lambda: ARTIFACT)


def test_a_build_that_fails_is_blamed_on_its_plugin(backend: Make, tmp_path: Path) -> None:
    with pytest.raises(BadPlugin, match=r"failed while building from m.onnx: ValueError: oh"):
        built(backend, tmp_path / "target", fails_plainly)


def test_a_build_that_returns_a_path_is_told(backend: Make, tmp_path: Path) -> None:
    with pytest.raises(BadPlugin, match="from ocrd_build, not Artifact"):
        built(backend, tmp_path / "target", lambda target: target)


def test_a_pack_that_returns_no_artifact_is_told(stranger: Make) -> None:
    point = stranger("pack", ocrd_models=hookimpl(lambda: [MODEL]), ocrd_artifact=hookimpl(lambda model: model.name))
    with pytest.raises(BadPlugin, match=r"plugin 'pack' \(stranger-pack 1.5\) returned str from ocrd_artifact"):
        front.artifact_of_model(discover([point]), MODEL)


def describer(stranger: Make, name: str, answer: Callable[[], Any]) -> EntryPoint:
    return stranger(name, ocrd_describe=hookimpl(lambda: answer()))  # noqa: PLW0108 - the mark must not go on `answer`


def test_whoever_knows_a_file_describes_it_though_others_fail(stranger: Make) -> None:
    points = [
        describer(stranger, "a", fails),
        describer(stranger, "b", lambda: None),
        describer(stranger, "c", lambda: "a model"),
        describer(stranger, "d", lambda: MODEL),
    ]
    assert front.describe(discover(points), Path("x.py")) is MODEL


def test_where_nobody_knows_a_file_who_failed_is_told(stranger: Make) -> None:
    points = [describer(stranger, "a", fails), describer(stranger, "b", lambda: None)]
    with pytest.raises(BadPlugin, match=r"plugin 'a' \(stranger-a 1.5\) failed while describing x.py"):
        front.describe(discover(points), Path("x.py"))
    assert front.describe(discover(points[1:]), Path("x.py")) is None


def test_whoever_says_on_purpose_what_is_wrong_with_a_file_is_heard(stranger: Make) -> None:
    points = [describer(stranger, "a", on_purpose), describer(stranger, "b", lambda: MODEL)]
    with pytest.raises(BadInput, match="mouldy"):
        front.describe(discover(points), Path("x.py"))


# families


def predictions(stranger: Make, postprocess: Callable[..., Any]) -> list[Prediction]:
    moon = stranger(
        "moon",
        ocrd_family=hookimpl(lambda: FamilyInfo("moon", Task.DETECTION)),
        ocrd_postprocess=hookimpl(postprocess),
    )
    batch = Batch({}, tuple(Placement(index, (8, 8), (8, 8), (8, 8)) for index in (4, 2)))
    return front.postprocess(discover([moon]), MODEL, {}, batch)


def test_predictions_come_in_the_order_of_the_batch(stranger: Make) -> None:
    made = [Prediction(4), Prediction(2)]
    assert predictions(stranger, lambda: made) == made


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ([Prediction(2), Prediction(4)], r"returned predictions for the pictures \[2, 4\] of a batch that holds \[4, 2\]"),
        ([Prediction(4)], r"the pictures \[4\] of a batch that holds \[4, 2\]"),
        ([4, 2], "returned int from ocrd_postprocess, not Prediction"),
        (None, "returned NoneType from ocrd_postprocess, not list"),
    ],
)
def test_predictions_that_do_not_fit_the_batch_are_told(stranger: Make, answer: Any, problem: str) -> None:
    with pytest.raises(BadPlugin, match=problem):
        predictions(stranger, lambda: answer)


def test_a_family_that_fails_is_blamed(stranger: Make) -> None:
    with pytest.raises(BadPlugin, match=r"'moon' \(stranger-moon 1.5\) failed while post-processing m: ValueError: oh"):
        predictions(stranger, fails_plainly)


def test_a_family_that_is_broken_is_explained(entry_point: Make) -> None:
    with pytest.raises(BadPlugin, match=r"'moon' \(stranger-moon\) is broken"):
        front.check_family(discover([entry_point("moon", "no_such_module_here")]), MODEL)


def test_a_family_that_is_not_there_brings_the_nearest_name(stranger: Make) -> None:
    moons = stranger("moons", ocrd_family=hookimpl(lambda: FamilyInfo("moons", Task.DETECTION)))
    with pytest.raises(UnknownName, match="did you mean 'moons'"):
        front.check_family(discover([moons]), MODEL)
