"""A call reaches the plugin that is named, inside the wrappers of all."""

from __future__ import annotations

from collections.abc import Callable, Generator
from importlib.metadata import EntryPoint
from itertools import permutations
from typing import Any

import pytest

from ocrdeploy import BadPlugin, UnknownName, hookimpl
from ocrdeploy.faults import culprit
from ocrdeploy.plugins import discover

Make = Callable[..., EntryPoint]


def wrapper(hook: str, log: list[str], name: str) -> dict[str, Any]:
    """A wrapper of `hook` that logs; it stands beside the plugin's own implementation, so it has a name of its own."""

    def around() -> Generator[None, Any, Any]:
        log.append(f"{name} before")
        answer = yield
        log.append(f"{name} after")
        return answer

    return {f"around_{hook}": hookimpl(wrapper=True, specname=hook)(around)}


def raises() -> None:
    message = "oh"
    raise ValueError(message)


def test_only_the_named_plugin_answers(backend: Make) -> None:
    points = [backend("a", infer=lambda: "from a"), backend("b", infer=lambda: "from b")]
    for order in permutations(points):
        found = discover(order)
        assert found.call("a", "ocrd_infer", model=1, artifact=2, options=3) == "from a"
        assert found.call("b", "ocrd_infer", model=1, artifact=2, options=3) == "from b"


def test_where_the_named_plugin_answers_nothing_nobody_answers_for_it(backend: Make) -> None:
    found = discover([backend("a", infer=lambda: None), backend("b", infer=lambda: "from b")])
    assert found.call("a", "ocrd_infer", model=1, artifact=2, options=3) is None


def test_a_hook_is_given_the_arguments_that_it_takes(backend: Make) -> None:
    found = discover([backend("a", infer=lambda options, model: (model, options))])
    assert found.call("a", "ocrd_infer", model=1, artifact=2, options=3) == (1, 3)


def test_a_plugin_that_announces_nothing_wins_no_call(backend: Make, stranger: Make) -> None:
    thief = stranger("thief", ocrd_infer=hookimpl(tryfirst=True)(lambda: "stolen"))
    for order in permutations([thief, backend("a", infer=lambda: "from a")]):
        found = discover(order)
        assert [broken.name for broken in found.broken] == ["thief"]
        assert found.call("a", "ocrd_infer", model=1, artifact=2, options=3) == "from a"


def test_wrappers_of_all_plugins_run_around_every_call(backend: Make, stranger: Make) -> None:
    for order in permutations(range(3)):
        log: list[str] = []
        points = [
            backend("a", infer=lambda log=log: log.append("a") or "from a", hooks=wrapper("ocrd_infer", log, "a's")),
            backend("b", infer=lambda: "from b", hooks=wrapper("ocrd_infer", log, "b's")),
            stranger("timer", **wrapper("ocrd_infer", log, "timer's")),
        ]
        found = discover([points[index] for index in order])
        assert found.broken == ()
        assert found.call("a", "ocrd_infer", model=1, artifact=2, options=3) == "from a"
        # The last in the alphabet is the outermost, however they were installed.
        assert log == ["timer's before", "b's before", "a's before", "a", "a's after", "b's after", "timer's after"]


def test_a_wrapper_of_one_hook_leaves_the_others_alone(backend: Make, stranger: Make) -> None:
    log: list[str] = []
    found = discover([backend("a", infer=lambda: "from a"), stranger("timer", **wrapper("ocrd_probe", log, "timer's"))])
    found.call("a", "ocrd_infer", model=1, artifact=2, options=3)
    assert log == []


def test_a_wrapper_may_change_the_answer(backend: Make, stranger: Make) -> None:
    def around() -> Generator[None, str, str]:
        answer = yield
        return answer.upper()

    shout = stranger("shout", ocrd_infer=hookimpl(wrapper=True)(around))
    found = discover([backend("a", infer=lambda: "from a"), shout])
    assert found.call("a", "ocrd_infer", model=1, artifact=2, options=3) == "FROM A"


def test_wrappers_of_a_broken_plugin_do_not_run(backend: Make) -> None:
    log: list[str] = []
    found = discover([backend("a", infer=lambda: "from a"), backend("b", runs=(), hooks=wrapper("ocrd_infer", log, "b's"))])
    assert [broken.name for broken in found.broken] == ["b"]
    found.call("a", "ocrd_infer", model=1, artifact=2, options=3)
    assert log == []


def test_a_call_of_a_broken_plugin_says_why_and_what_mends_it(entry_point: Make) -> None:
    found = discover([entry_point("nova", "no_such_module_here")])
    with pytest.raises(BadPlugin, match=r"plugin 'nova' \(stranger-nova\) is broken: ModuleNotFoundError") as caught:
        found.call("nova", "ocrd_probe")
    assert "pip uninstall stranger-nova" in caught.value.fix


def test_a_call_of_a_disabled_plugin_says_so(backend: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCRDEPLOY_DISABLED_PLUGINS", "nova")
    with pytest.raises(UnknownName, match="'nova' is disabled") as caught:
        discover([backend("nova")]).call("nova", "ocrd_probe")
    assert "OCRDEPLOY_DISABLED_PLUGINS" in caught.value.fix


def test_a_call_of_a_plugin_that_is_not_there_brings_the_nearest_name(backend: Make) -> None:
    with pytest.raises(UnknownName, match=r"unknown plugin 'nva' \(did you mean 'nova'\?\)"):
        discover([backend("nova")]).call("nva", "ocrd_probe")


def test_a_call_of_a_hook_that_the_plugin_lacks_names_its_distribution(backend: Make) -> None:
    found = discover([backend("nova"), backend("vega", hooks={"ocrd_build": hookimpl(lambda: "built")})])
    assert found.implements("vega", "ocrd_build")
    assert not found.implements("nova", "ocrd_build")
    with pytest.raises(BadPlugin, match="plugin 'nova' does not implement ocrd_build") as caught:
        found.call("nova", "ocrd_build", model=1, source=2, target=3, options=4)
    assert "stranger-nova 1.5" in caught.value.fix


def test_who_raised_is_told_from_whom_it_passed_through(backend: Make, stranger: Make) -> None:
    def before() -> Generator[None, Any, Any]:
        raises()
        return (yield)

    def after() -> Generator[None, Any, Any]:
        yield
        raises()

    def around() -> Generator[None, Any, Any]:
        return (yield)

    for at_fault, infer, wraps in (("a", raises, around), ("wrap", None, before), ("wrap", None, after)):
        quiet = stranger("quiet", ocrd_infer=hookimpl(wrapper=True)(around))
        wrap = stranger("wrap", ocrd_infer=hookimpl(wrapper=True)(wraps))
        found = discover([backend("a", infer=infer or (lambda: "from a")), quiet, wrap])
        with pytest.raises(ValueError, match="oh") as caught:
            found.call("a", "ocrd_infer", model=1, artifact=2, options=3)
        assert culprit(found, "a", caught.value) == at_fault
