"""What `ocrd_build` writes: one file, where it was asked to, and what it says of it is so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from ocrdeploy import artifact, backend, chain
from ocrdeploy.errors import OcrdError
from ocrdeploy.testing.demands import demand, listed, refusal
from ocrdeploy.testing.networks import Network
from ocrdeploy.testing.subject import Subject, said
from ocrdeploy.vocabulary import Artifact, BuildOptions


@pytest.fixture
def source(subject: Subject, network: Network, tmp_path: Path) -> Artifact:
    """Return a copy of the file that the backend builds from, alone in a folder."""
    if not subject.info.builds_from:
        pytest.skip(f"the backend {subject.name} builds nothing: it opens the model's own file")
    found = chain.prepare(subject.plugins, network.artifact, subject.name, subject.options(), note=lambda _: None)
    path = tmp_path / "source" / found.path.name
    path.parent.mkdir()
    path.write_bytes(found.path.read_bytes())
    return Artifact(path, found.format, artifact.sha256(path), found.model)


def _files(folder: Path) -> Mapping[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _build(subject: Subject, source: Artifact, target: Path) -> Artifact:
    target.parent.mkdir(exist_ok=True)
    target.touch()
    return backend.build(subject.plugins, subject.name, source, target, BuildOptions(device=subject.device))


def test_a_build_writes_its_target_and_nothing_else(
    subject: Subject, source: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    before = _files(tmp_path)
    target = tmp_path / "target" / "built.model"
    try:
        _build(subject, source, target)
    except OcrdError as error:
        pytest.fail(f"a user could not build a network of a few usual layers: {said(error)}", pytrace=False)
    after = _files(tmp_path)
    changed = [name for name, content in before.items() if after.get(name) != content]
    demand(not changed, f"a build would destroy the model that it is made from: it changed {listed(changed)}")
    others = sorted(set(after) - set(before) - {str(target.relative_to(tmp_path))})
    demand(not others, f"builds would leave files in the folders of a user: {listed(others)}")
    demand(target.stat().st_size > 0, "a build would end well, and leave an empty file")


def test_what_a_build_says_of_its_file_is_so(subject: Subject, source: Artifact, tmp_path: Path) -> None:
    target = tmp_path / "target" / "built.model"
    made = _build(subject, source, target)
    opened = subject.info.runs[0]
    demand(made.path == target, f"the file would be looked for elsewhere: path is {made.path}, not {target}")
    demand(made.format == opened, f"the file could not be opened: its format is {made.format!r}, and runs[0] is {opened!r}")
    demand(
        made.sha256 == artifact.sha256(target),
        f"a file that was damaged or exchanged later would not be noticed: sha256 is {made.sha256[:12]!r}...",
    )
    demand(
        made.parent_sha256 == source.sha256,
        "a changed model would not be built again: parent_sha256 is not the sha256 of the source",
    )
    demand(made.model == source.model, "the built file would be used otherwise than its source: its spec is another one")


def test_a_cut_source_is_refused(subject: Subject, source: Artifact, tmp_path: Path) -> None:
    whole = source.path.read_bytes()
    for left in (len(whole) // 2, len(whole) - 1, 0):
        source.path.write_bytes(whole[:left])
        target = tmp_path / "target" / f"{left}.model"
        refusal(lambda target=target: _build(subject, source, target), "a model that is cut short would be built, or crash")  # type: ignore[misc]
