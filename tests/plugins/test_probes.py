"""Whether a backend can run here: asked side by side, once, with a limit, and of nobody's failure does another suffer."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint
from threading import Event
from time import monotonic, sleep
from types import MappingProxyType
from typing import Any

import pytest

from ocrdeploy import BadInput, UnknownName
from ocrdeploy import backend as front
from ocrdeploy.plugins import discover
from ocrdeploy.vocabulary import Probe

Make = Callable[..., EntryPoint]


def fails() -> None:
    message = "oh"
    raise ValueError(message)


def test_a_probe_that_hangs_is_left_behind(backend: Make) -> None:
    never = Event()
    points = [backend(name, probe=never.wait) for name in ("a", "b", "c")] + [backend("good")]
    found = discover(points)
    started = monotonic()
    answers = front.probe_all(found, timeout_s=0.5)
    assert monotonic() - started < 1.4, "three that hang take as long as one"
    assert answers["good"].ok
    assert answers["a"].problem == "its probe did not answer within 0.5 seconds"
    assert "pip uninstall stranger-a" in answers["a"].fix
    never.set()


def test_a_backend_that_is_not_there_is_no_probe_but_an_error(backend: Make) -> None:
    with pytest.raises(UnknownName, match="did you mean 'good'"):
        front.probe(discover([backend("good")]), "god")


def test_a_probe_is_asked_once(backend: Make) -> None:
    asked: list[str] = []

    def probe() -> Probe:
        asked.append("a")
        return Probe()

    found = discover([backend("a", probe=probe)])
    for _ in range(3):
        front.probe(found, "a")
        front.choose(found, "auto", ["onnx"])
    assert asked == ["a"]


def hoards() -> None:
    raise MemoryError("all of it")


def exits() -> None:
    raise SystemExit(2)


@pytest.mark.parametrize(
    ("probe", "problem"),
    [
        (fails, "plugin 'a' (stranger-a 1.5) failed while saying whether it can run here: ValueError: oh"),
        (exits, "plugin 'a' (stranger-a 1.5) failed while saying whether it can run here: SystemExit: 2"),
        (hoards, "its probe failed: MemoryError: all of it"),
        (lambda: None, "plugin 'a' (stranger-a 1.5) returned NoneType from ocrd_probe, not Probe"),
        (lambda: Probe(version=1.2), "its Probe.version is 1.2, not str"),  # type: ignore[arg-type]
        (lambda: Probe(details={"gpu": 1}), "its Probe.details is {'gpu': 1}, not Mapping[str, str]"),  # type: ignore[dict-item]
    ],
)
def test_a_probe_that_fails_is_a_problem_of_its_own(backend: Make, probe: Callable[[], Any], problem: str) -> None:
    answers = front.probe_all(discover([backend("a", probe=probe), backend("good")]))
    assert answers["good"].ok
    assert answers["a"].problem == problem
    assert "pip uninstall stranger-a" in answers["a"].fix


def test_the_details_of_a_probe_may_be_any_mapping(backend: Make) -> None:
    # A command copies them to print them, and a mappingproxy cannot be copied.
    found = discover([backend("a", probe=lambda: Probe(details=MappingProxyType({"gpu": "none"})))])
    assert type(front.probe(found, "a").details) is dict


def test_the_time_for_a_probe_comes_from_the_environment(backend: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCRDEPLOY_PROBE_TIMEOUT", "0.05")
    answer = front.probe(discover([backend("a", probe=lambda: sleep(0.3))]), "a")
    assert answer.problem == "its probe did not answer within 0.05 seconds"


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "inf"])
def test_a_time_that_is_none_is_told(backend: Make, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("OCRDEPLOY_PROBE_TIMEOUT", value)
    with pytest.raises(BadInput, match=f"OCRDEPLOY_PROBE_TIMEOUT is '{value}'"):
        front.probe(discover([backend("a")]), "a")


def test_unless_told_otherwise_a_probe_has_ten_seconds(monkeypatch: pytest.MonkeyPatch, backend: Make) -> None:
    monkeypatch.delenv("OCRDEPLOY_PROBE_TIMEOUT", raising=False)
    found = discover([backend("a", probe=Event().wait)])
    waited: list[float | None] = []
    monkeypatch.setattr("threading.Thread.join", lambda _thread, timeout: waited.append(timeout))
    assert "within 10 seconds" in front.probe(found, "a").problem
    assert waited == [pytest.approx(10, abs=1)]
