"""What the backend says of itself, at every start of every command, and whether it can run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from ocrdeploy import backend
from ocrdeploy.testing.demands import demand, listed
from ocrdeploy.testing.processes import Child
from ocrdeploy.testing.subject import Subject
from ocrdeploy.vocabulary import Probe

STATIC_S, PROBE_S = 0.5, 3.0
"""What loading a plugin, and a probe, may take here. The contract says less; a busy machine is nobody's fault."""


def test_static_hooks_are_quick_and_import_no_runtime(subject: Subject, tmp_path: Path) -> None:
    children = [Child(tmp_path / str(number), "announce", name=subject.name) for number in range(2)]
    answers = [child.answer() for child in children]
    demand(None not in answers, f"`ocrd --help` would end in a crash while it loads the plugin: {children[0].said()}")
    compiled = listed(answers[0]["compiled"])
    demand(compiled == "nothing", f"every `ocrd` command, even `ocrd --help`, would wait until {compiled} is imported")
    took = min(found["took_s"] for found in answers)
    demand(took <= STATIC_S, f"every `ocrd` command, even `ocrd --help`, would start {took:.1f} s later")


def test_the_probe_answers_and_does_not_raise(subject: Subject, tmp_path: Path) -> None:
    found = Child(tmp_path / "probe", "probe", name=subject.name, hidden=False).answer()
    demand(found is not None, "`ocrd backends` would end in a crash: the probe ends the process")
    demand(
        "raised" not in found, f"`ocrd backends` would show an error instead of a remedy: the probe raises {found.get('raised')}"
    )
    answer = found["answer"]
    demand(isinstance(answer, Probe), f"`ocrd backends` could not show what the probe returns, {answer!r}, which is no Probe")
    demand(bool(answer.version), "`ocrd backends` could not say which version runs: Probe.version is empty")
    demand(
        found["took_s"] <= PROBE_S, f"`ocrd backends` would hang: the probe takes {found['took_s']:.1f} s, where 1 s is allowed"
    )


def test_the_probe_names_a_remedy_where_the_runtime_is_missing(subject: Subject, tmp_path: Path) -> None:
    child = Child(tmp_path / "probe", "probe", name=subject.name, hidden=True)
    found = child.answer()
    demand(found is not None, f"`ocrd backends` would end in a crash where the runtime is missing: {child.said()}")
    if not found["hidden"]:
        pytest.skip(f"the distribution of {subject.name} requires nothing that could be missing")
    words = f"where {listed(found['hidden'])} is not installed"
    demand("raised" not in found, f"`ocrd backends` would show no remedy {words}: the probe raises {found.get('raised')}")
    answer = found["answer"]
    demand(isinstance(answer, Probe), f"`ocrd backends` could not show what the probe returns {words}: {answer!r}")
    demand(
        bool(answer.fix) or answer.ok, f"`ocrd backends` would leave a user alone {words}: Probe.fix is empty ({answer.problem})"
    )


def test_the_probe_says_the_same_twice(subject: Subject) -> None:
    first, second = (subject.plugins.call(subject.name, "ocrd_probe") for _ in range(2))
    demand(first == second, f"`ocrd backends` would change its mind: the probe says {first}, then {second}")
    told = backend.probe(subject.plugins, subject.name)
    demand(told.ok, f"the backend cannot run here: {told.problem}")


@pytest.mark.parametrize("field", ["runs", "builds_from", "precisions", "options"])
def test_names_can_be_written_on_a_command_line(subject: Subject, field: str) -> None:
    names: Sequence[str] = getattr(subject.info, field)
    odd = [name for name in names if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name)]
    demand(not odd, f"a user could not write {listed(odd)} on a command line, or in a file's name (BackendInfo.{field})")
    twice = {name for name in names if names.count(name) > 1}
    demand(not twice, f"`ocrd backends` would list {listed(sorted(twice))} twice (BackendInfo.{field})")


def test_what_is_announced_is_implemented(subject: Subject) -> None:
    builds = subject.plugins.implements(subject.name, "ocrd_build")
    info = subject.info
    demand(bool(info.precisions), "no model could be opened: BackendInfo.precisions is empty")
    demand(builds or not info.builds_from, f"a build from {listed(info.builds_from)} would fail: there is no ocrd_build")
    demand(bool(info.builds_from) or not builds, "ocrd_build would never be called: BackendInfo.builds_from is empty")
