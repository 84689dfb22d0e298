"""What a model pack says of its models is complete and so, before anything is run."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from ocrdeploy import artifact, spec
from ocrdeploy.errors import OcrdError
from ocrdeploy.testing.demands import demand, listed
from ocrdeploy.testing.pack import Model
from ocrdeploy.testing.processes import Child
from ocrdeploy.vocabulary import Task

STATIC_S = 0.5


def test_listing_models_is_quick_and_imports_no_runtime(pack: str, tmp_path: Path) -> None:
    children = [Child(tmp_path / str(number), "announce", name=pack) for number in range(2)]
    answers = [child.answer() for child in children]
    demand(None not in answers, f"`ocrd --help` would end in a crash while it loads the plugin: {children[0].said()}")
    compiled = listed(answers[0]["compiled"])
    demand(compiled == "nothing", f"every `ocrd` command, even `ocrd --help`, would wait until {compiled} is imported")
    took = min(found["took_s"] for found in answers)
    demand(took <= STATIC_S, f"every `ocrd` command, even `ocrd --help`, would start {took:.1f} s later")


def test_the_family_is_installed_and_for_this_task(model: Model) -> None:
    families = model.plugins.families
    family = families.get(model.listed.family)
    if family is None:
        pytest.fail(f"{model.listed.name} could not be used: there is no family {model.listed.family!r} here", pytrace=False)
    demand(
        family.task is model.listed.task,
        f"{model.listed.name} would be used for the wrong task: it is for {model.listed.task}, and its family for {family.task}",
    )
    unknown = sorted(set(model.listed.options) - set(family.options))
    demand(
        not unknown, f"an option would have no effect, or be refused when it is too late: {family.name} has no {listed(unknown)}"
    )


def test_the_file_is_the_one_that_its_hash_names(model: Model) -> None:
    found = model.artifact()
    demand(found.path.is_file(), f"{model.listed.name} could not be opened: there is no file {found.path}")
    digest = artifact.sha256(found.path)
    demand(
        found.sha256 == digest,
        f"a damaged download of {model.listed.name} would not be noticed, and what is built from it never be fresh: the "
        f"artifact says {found.sha256[:12]!r}, and the file has {digest[:12]!r}",
    )


def test_the_spec_that_comes_with_the_file_is_complete(model: Model) -> None:
    complete = model.artifact().model
    try:
        again = spec.from_json(spec.to_json(complete), complete.name)
    except OcrdError as error:
        pytest.fail(f"{complete.name} could not be used as it is: {error.problem}", pytrace=False)
    demand(
        spec.to_dict(again) == spec.to_dict(complete), f"the spec of {complete.name} changes when it is written and read again"
    )
    twice = sorted(character for character, count in Counter(complete.charset).items() if count > 1)
    demand(not twice, f"two classes would be read as the same character {listed(twice)}: is the charset in class order?")
    known = replace(complete, charset=model.listed.charset)
    demand(
        spec.to_dict(known) == spec.to_dict(model.listed),
        f"`ocrd models` would show another {complete.name} than the one that runs: only the charset may differ",
    )


def test_the_shapes_fit_the_pictures(model: Model) -> None:
    shapes = model.listed.input.shapes
    if shapes is None:
        pytest.skip(f"the spec of {model.listed.name} names no shapes; backends that build engines ask the user for them")
    axis = model.listed.input.layout.index("C")
    channels = {shape[axis] for shape in (shapes.min, shapes.opt, shapes.max)}
    demand(
        channels == {model.listed.input.channels},
        f"an engine of {model.listed.name} would be built for {listed(sorted(channels))} channels, and pictures have "
        f"{model.listed.input.channels}",
    )


def test_the_file_has_the_inputs_and_outputs_of_the_spec(model: Model) -> None:
    found = model.artifact()
    if found.format != "onnx":
        pytest.skip(f"only an ONNX file is looked into, and this is {found.format}")
    import onnx

    graph = onnx.load(found.path, load_external_data=False).graph
    constants = {each.name for each in graph.initializer}
    takes = {port.name for port in graph.input} - constants
    wanted = {found.model.input.name, *(side.name for side in found.model.input.side_inputs)}
    demand(
        takes == wanted, f"{found.model.name} could not be run: the file takes {listed(sorted(takes))}, the spec names {wanted}"
    )
    missing = sorted(set(found.model.outputs) - {port.name for port in graph.output})
    demand(not missing, f"{found.model.name} could not be read: the file has no output {listed(missing)}")


def test_a_recognizer_has_characters_and_others_have_none(model: Model) -> None:
    found = model.artifact().model
    recognizes = found.task is Task.RECOGNITION
    demand(bool(found.charset) == recognizes, f"{found.name} is for {found.task}, and has {len(found.charset)} characters")
