"""A plugin that uses what goes away is told so, with the day until which it works, and works."""

from __future__ import annotations

import logging
import sys
from datetime import date
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

from ocrdeploy import deprecations, hookimpl, hookspecs
from ocrdeploy.announcements import HOOKS
from ocrdeploy.deprecations import Deprecation
from ocrdeploy.plugins import discover
from ocrdeploy.vocabulary import BackendInfo, ModelSpec, Probe

GOING = {
    ("ocrd_infer", "model"): Deprecation("0.3", date(2027, 6, 1), "take artifact.model"),
    ("ocrd_probe", ""): Deprecation("0.4", date(2028, 1, 1), "announce it in BackendInfo"),
}


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> EntryPoint:
    module = ModuleType("old_fashioned")

    def infer(model: ModelSpec) -> None:
        raise AssertionError(model)

    vars(module).update(
        ocrd_contract=hookspecs.CONTRACT,
        ocrd_backend=hookimpl(lambda: BackendInfo("old", runs=("onnx",))),
        ocrd_probe=hookimpl(lambda: Probe()),  # noqa: PLW0108 - a class cannot bear the mark
        ocrd_infer=hookimpl(infer),
    )
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return EntryPoint("old", module.__name__, "ocrdeploy")


def test_it_is_told_with_the_date_and_works(
    plugin: EntryPoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(deprecations, "DEPRECATED", GOING)
    with caplog.at_level(logging.WARNING, "ocrdeploy"):
        found = discover([plugin])
    assert "old" in found.backends
    assert sorted(record.getMessage().partition(": ")[2] for record in caplog.records) == [
        "ocrd_probe is deprecated since 0.4 and may go away after 2028-01-01: announce it in BackendInfo",
        "the argument model of ocrd_infer is deprecated since 0.3 and may go away after 2027-06-01: take artifact.model",
    ]


def test_who_does_not_use_it_is_not_told(
    plugin: EntryPoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(deprecations, "DEPRECATED", {("ocrd_infer", "options"): GOING["ocrd_infer", "model"]})
    assert "old" in discover([plugin]).backends
    assert caplog.records == []


def test_what_is_deprecated_is_there() -> None:
    for hook, argument in deprecations.DEPRECATED:
        assert hook in HOOKS
        assert not argument or argument in HOOKS[hook]
