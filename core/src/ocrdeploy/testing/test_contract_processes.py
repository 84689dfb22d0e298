"""Several processes: they agree, and one that is killed leaves nothing that harms the next."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from ocrdeploy.testing.demands import demand, difference
from ocrdeploy.testing.processes import Child
from ocrdeploy.testing.subject import Subject


def test_fresh_processes_agree(subject: Subject, tmp_path: Path) -> None:
    asked = [(network.artifact, network.batch(2)) for network in subject.networks.values()]
    for network in subject.networks.values():
        subject.file(network)  # built once: the children find it in the cache
    # Python mixes up the order of sets and hashes of strings anew in each process; here it is sure to.
    children = [_answering(subject, tmp_path / seed, asked, {"PYTHONHASHSEED": seed}) for seed in ("1", "2")]
    for child in children:
        answers = child.answer()
        demand(answers is not None, f"a second `ocrd run` would fail where the first one works: {child.said()}")
        for network, outputs, (_, inputs) in zip(subject.networks.values(), answers, asked, strict=True):
            wrong = difference(outputs, network.expected(inputs), _precision(subject))
            demand(not wrong, f"the same picture would get another text in the next process: {wrong}")


@pytest.mark.skipif(sys.platform != "linux", reason="a process that writes too much is killed on Linux only")
def test_a_process_that_is_killed_while_it_writes_leaves_nothing_half_written(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [(network.artifact, network.batch(1)) for network in subject.networks.values()]
    least = min(subject.file(network).path.stat().st_size for network in subject.networks.values())
    children = {}
    # In one cache the build is killed; in the other it is done, and what a session may write for itself is killed.
    for name, share in (("build", 0.1), ("session", 0.4)):
        cache = tmp_path / name / "cache"
        monkeypatch.setenv("OCRDEPLOY_CACHE", str(cache))
        for network in subject.networks.values() if name == "session" else ():
            subject.file(network)
        variables = {"OCRDEPLOY_CACHE": str(cache)}
        children[cache] = _answering(subject, tmp_path / name / "child", asked, variables, most_bytes=max(1, int(share * least)))
    for cache, child in children.items():
        child.ended()
        monkeypatch.setenv("OCRDEPLOY_CACHE", str(cache))
        for network in subject.networks.values():
            inputs = network.batch(1)
            with subject.session(network) as session:
                wrong = difference(session.run(inputs), network.expected(inputs), session.loaded().precision)
            demand(not wrong, f"after a build that was interrupted, all later runs would be wrong: {wrong}")


def _precision(subject: Subject) -> str:
    with subject.session(next(iter(subject.networks.values()))) as session:
        return session.loaded().precision


def _answering(subject: Subject, folder: Path, asked: Any, variables: dict[str, str], most_bytes: int = 0) -> Child:
    return Child(folder, "answer", variables, name=subject.name, device=subject.device, asked=asked, most_bytes=most_bytes)
