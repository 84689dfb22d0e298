"""What a user gets wrong is a sentence with a remedy: files, and batches that the model does not take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ocrdeploy.errors import OcrdError
from ocrdeploy.testing.demands import demand, difference, refusal
from ocrdeploy.testing.networks import Network
from ocrdeploy.testing.subject import Subject, answer
from ocrdeploy.vocabulary import Artifact

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0"


@pytest.fixture
def file(subject: Subject, network: Network, tmp_path: Path) -> Artifact:
    """Return a copy of the file that the backend opens, which a test may spoil."""
    whole = subject.file(network)
    path = tmp_path / whole.path.name
    path.write_bytes(whole.path.read_bytes())
    return replace(whole, path=path)


@pytest.mark.parametrize("left", [0, 1, 100, 0.1, 0.5, 0.9, -1])
def test_a_cut_file_is_refused(subject: Subject, file: Artifact, left: float) -> None:
    whole = file.path.read_bytes()
    kept = whole[: int(left * len(whole))] if 0 < left < 1 else whole[: int(left)]
    file.path.write_bytes(kept)
    words = f"a download that broke off after {len(kept)} of {len(whole)} bytes would not be noticed, or crash"
    refusal(lambda: subject.open(file), words)


@pytest.mark.parametrize("content", [PNG, b"Dear Sir or Madam\n" * 50, bytes(range(256)) * 20], ids=["png", "text", "bytes"])
def test_a_file_of_another_format_is_refused(subject: Subject, file: Artifact, content: bytes) -> None:
    file.path.write_bytes(content)
    refusal(lambda: subject.open(file), f"a file that is no model ({content[:8]!r}...) would not be noticed, or crash")


def test_a_file_that_is_not_there_is_refused(subject: Subject, file: Artifact) -> None:
    file.path.unlink()
    error = refusal(lambda: subject.open(file), "a model that was moved away would end in a crash")
    demand(file.path.name in error.problem, f"the error does not say which file is missing: {error.problem}")


def test_a_spec_of_another_file_is_refused(subject: Subject, network: Network, file: Artifact) -> None:
    if network.artifact.format != "onnx":
        pytest.skip(f"a {network.artifact.format} need not have names for its inputs and outputs")
    model = file.model
    for wrong, words in (
        (replace(model, input=replace(model.input, name="nobodys")), "input"),
        (replace(model, outputs=("nobodys",)), "output"),
    ):

        def use(wrong: object = replace(file, model=wrong)) -> None:
            assert isinstance(wrong, Artifact)
            session = subject.open(wrong)
            try:
                session.run({wrong.model.input.name: network.batch(1)[model.input.name]})
            finally:
                session.close()

        refusal(use, f"a spec that names an {words} which the file has not would go unnoticed")


def test_a_batch_that_the_model_does_not_take_is_refused(subject: Subject, network: Network) -> None:
    name, pixels = network.artifact.model.input.name, network.batch(2)[network.artifact.model.input.name]
    batches = {
        "with no picture": {},
        "under another name": {"nobodys": pixels},
        "of one picture without the axis of the batch": {name: pixels[0]},
        "with an axis too many": {name: pixels[None]},
        "with a channel too many": {name: np.concatenate([pixels, pixels[:, :1]], axis=1)},
    }
    with subject.session(network) as session:
        for words, inputs in batches.items():
            refusal(lambda inputs=inputs: session.run(inputs), f"a batch {words} would give nonsense, or crash")  # type: ignore[misc]
        inputs = network.batch(2)
        wrong = difference(answer(session, inputs), network.expected(inputs), session.loaded().precision)
        demand(not wrong, f"after one bad batch all that follow would be wrong: {wrong}")


def test_numbers_of_another_type_are_refused_or_read_rightly(subject: Subject, network: Network) -> None:
    inputs = network.batch(1)
    with subject.session(network) as session:
        for kind in (np.float64, np.float16):
            given = {name: array.astype(kind) for name, array in inputs.items()}
            try:
                found = session.run(given)
            except OcrdError:
                refusal(lambda given=given: session.run(given), f"a batch of {kind.__name__} would end in a crash")  # type: ignore[misc]
                continue
            wrong = difference(found, network.expected(given), session.loaded().precision)
            demand(not wrong, f"a batch of {kind.__name__} would be misread in silence: {wrong}")
