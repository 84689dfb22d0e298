"""What is found, and what becomes of a plugin that cannot be used."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from itertools import permutations
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Any

import pytest

from ocrdeploy import hookimpl
from ocrdeploy.plugins import Broken, Plugins, discover
from ocrdeploy.vocabulary import (
    BackendInfo,
    DatasetInfo,
    FamilyInfo,
    Fit,
    InputSpec,
    ModelSpec,
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


def test_the_built_in_families_come_in_through_the_public_entry_points() -> None:
    found = discover()
    assert {"dbnet", "ctc", "classifier"} <= set(found.families)
    assert found.distribution("dbnet").split()[0] == "ocrdeploy"


def test_the_stranger_of_this_repository_comes_in_through_its_entry_point() -> None:
    found = discover()
    assert found.backends["fake"].builds_from == ("onnx",)
    assert found.distribution("fake") == "ocrdeploy-fake 0.1.0"


def test_without_entry_points_there_are_no_plugins() -> None:
    found = discover([])
    assert (dict(found.backends), dict(found.families), dict(found.models), found.broken) == ({}, {}, {}, ())


def test_a_disabled_plugin_is_not_even_imported(entry_point: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCRDEPLOY_DISABLED_PLUGINS", " nova ,other,")
    found = discover([entry_point("nova", "there_is_no_such_module")])
    assert found.broken == ()
    assert found.disabled == ("nova",)


def test_what_a_plugin_announces_is_found_under_its_name(stranger: Make, backend: Make) -> None:
    family = FamilyInfo("moon", Task.RECOGNITION, {"width": 3})
    dataset = DatasetInfo("stars", sniff=Path.is_dir)
    found = discover(
        [
            backend("nova", rank=1),
            backend("vega", rank=2),
            stranger("moon", ocrd_family=hookimpl(lambda: family)),
            stranger("stars", ocrd_dataset=hookimpl(lambda: dataset)),
            stranger(
                "pack",
                ocrd_models=hookimpl(lambda: [model("low", rank=1), model("high", rank=2)]),
                ocrd_artifact=hookimpl(lambda: None),
            ),
        ]
    )
    assert found.broken == ()
    assert list(found.backends) == ["vega", "nova"]
    assert found.families == {"moon": family}
    assert found.datasets == {"stars": dataset}
    assert list(found.models) == ["high", "low"]
    assert found.owner_of_model("low") == "pack"
    assert found.distribution("nova") == "stranger-nova 1.5"


def test_a_plugin_may_be_an_object_in_a_module(stranger: Make, entry_point: Make) -> None:
    class Nova:
        ocrd_contract = 1

        @hookimpl
        def ocrd_family(self) -> FamilyInfo:
            return FamilyInfo("nova", Task.DETECTION)

    module = stranger("unused", plugin=Nova()).value
    assert "nova" in discover([entry_point("nova", f"{module}:plugin")]).families


def test_a_plugin_that_does_not_say_its_contract_is_broken(stranger: Make) -> None:
    assert "ocrd_contract = 1" in only_broken(stranger("nova", ocrd_contract=None)).why


def test_a_plugin_of_another_contract_is_broken_before_its_hooks_are_looked_at(stranger: Make) -> None:
    broken = only_broken(stranger("nova", ocrd_contract=2, ocrd_backend=hookimpl(lambda strange: strange)))
    assert broken.why == "it speaks contract 2; this ocrdeploy speaks contract 1"


def test_a_plugin_with_an_unmarked_hook_is_broken(stranger: Make) -> None:
    broken = only_broken(stranger("nova", ocrd_backend=lambda: BackendInfo("nova", runs=("onnx",))))
    assert "ocrd_backend is not marked" in broken.why


def test_a_hook_that_does_not_exist_brings_the_nearest_name(stranger: Make) -> None:
    broken = only_broken(stranger("nova", ocrd_backends=hookimpl(lambda: None)))
    assert "did you mean ocrd_backend?" in broken.why


def test_of_a_plugin_that_fails_at_the_last_step_nothing_stays_registered(backend: Make) -> None:
    # pluggy refuses a wrapper that does not yield, after the plugin's own hooks went in.
    wrapper = {"around": hookimpl(wrapper=True, specname="ocrd_probe")(lambda: None)}
    found = discover([backend("nova", hooks=wrapper), backend("vega")])
    assert [broken.name for broken in found.broken] == ["nova"]
    assert {name for name, _ in found.manager.list_name_plugin()} == {"vega", "vega:wrappers"}


def words(*points: EntryPoint) -> str:
    return only_broken(*points).why


def test_an_import_error_is_told(entry_point: Make) -> None:
    assert words(entry_point("nova", "no_such_module_here")) == "ModuleNotFoundError: No module named 'no_such_module_here'"


def test_an_entry_point_to_a_missing_object_is_told(entry_point: Make) -> None:
    assert "no_such_thing" in words(entry_point("nova", "json:no_such_thing"))


def test_an_entry_point_that_can_lead_nowhere_is_told(entry_point: Make) -> None:
    assert "neither a module nor an object" in words(entry_point("nova", "not a module!"))


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("raise SystemExit(3)", "it calls sys.exit(3) when it is imported"),
        ("x = = 1", "SyntaxError: invalid syntax ("),
        (r"raise ImportError('\n  compiled for another numpy\nupgrade it')", "ImportError: compiled for another numpy"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("def f(): f()\nf()", "RecursionError: "),
    ],
)
def test_whatever_an_import_throws_is_told(
    entry_point: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, why: str
) -> None:
    (tmp_path / "nova_hooks.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert words(entry_point("nova", "nova_hooks")).startswith(why)


def test_an_interrupt_during_an_import_is_the_users(entry_point: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "interrupted_hooks.py").write_text("raise KeyboardInterrupt", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        discover([entry_point("nova", "interrupted_hooks")])


def test_what_a_plugin_prints_is_kept_off_standard_output_and_reported_as_its_own(
    stranger: Make, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def family() -> FamilyInfo:
        print("hello from nova")  # noqa: T201
        return FamilyInfo("nova", Task.DETECTION)

    discover([stranger("nova", ocrd_family=hookimpl(family))])
    assert capsys.readouterr().out == ""
    assert caplog.messages == ["plugin 'nova' (stranger-nova) prints: hello from nova"]


@pytest.mark.parametrize(
    "source", ["sys.stdout.flush()", "sys.stdout.encoding", "sys.stdout.buffer", "sys.stdout = io.StringIO()"]
)
def test_a_plugin_finds_a_whole_standard_output_and_leaves_it_as_it_was(
    entry_point: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], source: str
) -> None:
    module = f"output_hooks_{abs(hash(source))}"
    family = "ocrd_family = hookimpl(lambda: FamilyInfo('nova', Task.DETECTION))"
    header = (
        "import io, sys\nfrom ocrdeploy import hookimpl\nfrom ocrdeploy.vocabulary import FamilyInfo, Task\nocrd_contract = 1"
    )
    (tmp_path / f"{module}.py").write_text(f"{header}\n{source}\n{family}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert discover([entry_point("nova", module)]).broken == ()
    print("as before")  # noqa: T201
    assert capsys.readouterr().out == "as before\n"


def test_other_threads_print_where_they_always_did(stranger: Make, capsys: pytest.CaptureFixture[str]) -> None:
    def family() -> FamilyInfo:
        other = Thread(target=print, args=("from another thread",))
        other.start()
        other.join()
        return FamilyInfo("nova", Task.DETECTION)

    discover([stranger("nova", ocrd_family=hookimpl(family))])
    assert capsys.readouterr().out == "from another thread\n"


def test_several_threads_may_look_for_plugins_at_a_time(stranger: Make) -> None:
    before = sys.stdout

    def family() -> FamilyInfo:
        sleep(0.005)
        return FamilyInfo("nova", Task.DETECTION)

    points = [stranger("nova", ocrd_family=hookimpl(family))]
    threads = [Thread(target=discover, args=(points,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sys.stdout is before


def test_the_traceback_of_a_broken_plugin_can_be_had(entry_point: Make, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "ocrdeploy.plugins"):
        discover([entry_point("nova", "no_such_module_here")])
    assert "Traceback" in caplog.text


def test_two_plugins_of_one_name_are_both_broken_and_both_named(backend: Make) -> None:
    found = discover([backend("nova", distribution="nova-one"), backend("nova", distribution="nova-two"), backend("vega")])
    assert list(found.installed) == ["vega"]
    assert sorted(broken.distribution for broken in found.broken) == ["nova-one", "nova-two"]
    for broken in found.broken:
        assert broken.why == "the name 'nova' is claimed more than once, by: nova-one, nova-two"
        assert broken.fix == "keep one: pip uninstall nova-one or nova-two"


def test_nobody_takes_a_name_from_the_core(stranger: Make) -> None:
    (own,) = [point for point in discover_points() if point.name == "dbnet"]
    thief = stranger("dbnet", ocrd_family=hookimpl(lambda: FamilyInfo("dbnet", Task.DETECTION)))
    for points in permutations([own, thief]):
        found = discover(points)
        assert found.distribution("dbnet").split()[0] == "ocrdeploy"
        assert [(broken.distribution, broken.fix) for broken in found.broken] == [
            ("stranger-dbnet", "keep one: pip uninstall stranger-dbnet")
        ]


def discover_points() -> Iterator[EntryPoint]:
    from importlib.metadata import distribution

    return iter(distribution("ocrdeploy").entry_points.select(group="ocrdeploy"))


def pack(stranger: Make, name: str, *models: str) -> EntryPoint:
    listed = [model(each) for each in models]
    return stranger(name, ocrd_models=hookimpl(lambda: listed), ocrd_artifact=hookimpl(lambda: None))


def test_two_packs_with_a_model_of_one_name_are_both_broken_and_both_named(stranger: Make) -> None:
    found = discover([pack(stranger, "one", "x", "y"), pack(stranger, "two", "y"), pack(stranger, "three", "z")])
    assert list(found.models) == ["z"]
    assert {broken.name: broken.why for broken in found.broken} == dict.fromkeys(
        ["one", "two"], "the model name 'y' is claimed more than once, by: one, two"
    )
    assert {name for name, _ in found.manager.list_name_plugin()} == {"three", "three:wrappers"}


def test_a_pack_that_lists_a_name_twice_is_broken(stranger: Make) -> None:
    assert words(pack(stranger, "one", "x", "x")) == "the model name 'x' is claimed more than once, by: one"


def test_the_order_of_installation_decides_nothing(backend: Make, stranger: Make, entry_point: Make) -> None:
    points = [backend("b", rank=1), backend("a", rank=1), entry_point("c", "no_such_module_here"), pack(stranger, "d", "x")]

    def seen(found: Plugins) -> object:
        registered = [name for name, _ in found.manager.list_name_plugin()]
        return list(found.installed), list(found.backends), found.broken, registered

    first, *others = [seen(discover(order)) for order in permutations(points)]
    assert all(other == first for other in others)
