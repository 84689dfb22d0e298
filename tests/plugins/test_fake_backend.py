"""The stranger of this repository: it does what it says, through the same doors as any other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from threading import Thread
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from ocrdeploy_fake import stripes
from ocrdeploy_fake.network import converted

from ocrdeploy import BadInput, OcrdError, Reader, Unavailable, backend
from ocrdeploy.plugins import discover
from ocrdeploy.vocabulary import Artifact, InferOptions, ModelSpec, Session, Threads


def built(folder: Path, model: ModelSpec) -> Path:
    path = folder / "network.fake"
    path.write_bytes(converted(stripes.write_onnx(model, folder / "network.onnx")))
    return path


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """The fake recognizer as a file."""
    return built(tmp_path, stripes.RECOGNIZER)


def opened(path: Path, model: ModelSpec = stripes.RECOGNIZER, **options: Any) -> Session:
    return backend.open_session(discover(), "fake", Artifact(path, "fake", "", model), InferOptions(**options))


def line(text: str) -> dict[str, Any]:
    pixels = stripes.draw([text]).astype(np.float32).transpose(2, 0, 1)[None]
    return {"line": pixels / 127.5 - 1}


def read(scores: Any) -> str:
    """Decode one row as CTC does; one-hot scores need no softmax."""
    classes = scores.argmax(axis=1)
    starts = np.flatnonzero(np.diff(classes, prepend=0))
    return "".join(stripes.CHARSET[classes[start] - 1] for start in starts if classes[start])


@pytest.fixture
def models(tmp_path: Path) -> dict[str, Any]:
    """ONNX files for the detector, the recognizer and the classifier of a `Reader`."""
    roles = {"detector": stripes.DETECTOR, "recognizer": stripes.RECOGNIZER, "classifier": stripes.CLASSIFIER}
    return {role: str(stripes.write_onnx(model, tmp_path / f"{role}.onnx")) for role, model in roles.items()}


def test_pages_of_stripes_are_read_from_end_to_end(models: dict[str, Any]) -> None:
    random = Random(7)
    pages = [["".join(random.choices("abcd", k=random.randint(1, 9))) for _ in range(3)] for _ in range(10)]
    with Reader(backend="fake", **models) as reader:
        assert [page.text.split() for page in reader.read(stripes.draw(page) for page in pages)] == pages
        assert {loaded.provider for loaded in reader.loaded.values()} == {"numpy"}


def test_a_white_page_has_no_text(models: dict[str, Any]) -> None:
    with Reader(backend="fake", **models) as reader:
        (page,) = reader.read(stripes.draw([]))
    assert (page.error, page.text) == (None, "")


def test_it_never_wins_against_a_real_backend() -> None:
    assert min(info.rank for info in discover().backends.values()) == discover().backends["fake"].rank


def test_a_row_is_read_alone_or_among_others(network: Path) -> None:
    session = opened(network)
    alone = [session.run(line(text))["scores"] for text in ("abcd", "dcba")]
    together = session.run({"line": np.concatenate([line("abcd")["line"], line("dcba")["line"]])})["scores"]
    assert [read(row) for row in together] == ["abcd", "dcba"]
    assert np.array_equal(together, np.concatenate(alone))


def test_answers_are_the_callers_and_inputs_stay_as_they_are(network: Path) -> None:
    session, inputs = opened(network), line("abc")
    before = inputs["line"].copy()
    first = session.run(inputs)["scores"]
    kept = first.copy()
    session.run(line("ddd"))
    assert np.array_equal(inputs["line"], before)
    assert np.array_equal(first, kept)
    assert first.flags.c_contiguous
    assert first.flags.owndata


def test_the_layout_of_the_spec_is_kept(tmp_path: Path) -> None:
    model = replace(stripes.RECOGNIZER, input=replace(stripes.RECOGNIZER.input, layout="NHWC"))
    (scores,) = opened(built(tmp_path, model), model).run({"line": line("abcd")["line"].transpose(0, 2, 3, 1)})["scores"]
    assert read(scores) == "abcd"


@pytest.mark.parametrize("width", [1, 3, 4, 5])
def test_the_narrowest_lines_have_a_step(network: Path, width: int) -> None:
    scores = opened(network).run({"line": np.ones((1, 3, 48, width), np.float32)})["scores"]
    assert scores.shape == (1, -(-width // 4), 5)


def test_several_threads_may_run_it_as_it_says(network: Path) -> None:
    session = opened(network)
    assert session.loaded().threads is Threads.ANY
    found: dict[str, str] = {}

    def work(text: str) -> None:
        found[text] = read(session.run(line(text))["scores"][0])

    threads = [Thread(target=work, args=(text,)) for text in ("a", "bb", "ccc", "dddd")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {text: text for text in ("a", "bb", "ccc", "dddd")}


def test_what_numpy_cannot_do_is_refused(network: Path) -> None:
    for options in ({"device": "cuda:0"}, {"provider": "CUDA"}, {"custom_ops": (network,)}):
        with pytest.raises(Unavailable, match="the fake backend") as caught:
            opened(network, **options)
        assert caught.value.fix


def test_a_file_that_is_no_fake_network_is_refused(network: Path) -> None:
    whole = network.read_bytes()
    for cut in (0, 1, 30, len(whole) // 2, len(whole) - 3):
        network.write_bytes(whole[:cut])
        with pytest.raises(BadInput, match=r"network.fake is not a fake network, or is cut short"):
            opened(network)


def test_a_spec_of_another_file_is_refused(network: Path) -> None:
    with pytest.raises(BadInput, match=r"network.fake is not what the spec of stripes-det says: it takes line and gives scores"):
        opened(network, stripes.DETECTOR)


@pytest.mark.parametrize("operator", ["Sinh", "MaxPool"])
def test_what_the_runtime_has_not_is_refused_when_it_is_built(tmp_path: Path, operator: str) -> None:
    import onnx

    path = stripes.write_onnx(stripes.DETECTOR, tmp_path / "network.onnx")
    model = onnx.load(path)
    model.graph.node[-1].op_type = operator
    model.graph.node[-1].attribute.append(onnx.helper.make_attribute("dilations", [2, 2]))
    onnx.save(model, path)
    with pytest.raises(BadInput, match=rf"the fake runtime has no {operator} with .*dilations"):
        converted(path)


@pytest.mark.parametrize(
    ("model", "reference"),
    [
        (stripes.DETECTOR, stripes.detect),
        (stripes.RECOGNIZER, lambda ink: stripes.recognize(ink, 5)),
        (stripes.CLASSIFIER, stripes.classify),
    ],
    ids=["detector", "recognizer", "classifier"],
)
@pytest.mark.parametrize("width", [1, 3, 4, 5, 64])
def test_the_graphs_answer_what_they_are_to(tmp_path: Path, model: ModelSpec, reference: Any, width: int) -> None:
    pixels = np.random.default_rng(width).choice(np.array([-1, 1], np.float32), (3, 1, 48, width)).repeat(3, axis=1)
    found = opened(built(tmp_path, model), model).run({model.input.name: pixels})
    assert np.array_equal(found[model.outputs[0]], reference(pixels.mean(axis=1) < -0.25))


def test_a_delay_is_a_number_of_milliseconds(network: Path) -> None:
    session = opened(network, extra={"delay_ms": "30"})
    started = perf_counter()
    session.run(line("a"))
    assert perf_counter() - started >= 0.03
    with pytest.raises(BadInput, match="delay_ms is 'long'"):
        opened(network, extra={"delay_ms": "long"})


def test_inputs_that_the_model_does_not_take_are_refused(network: Path) -> None:
    session = opened(network)
    for inputs in ({}, {"picture": np.zeros((1, 3, 8, 8))}, {"line": np.zeros((3, 8, 8))}):
        with pytest.raises(BadInput, match="takes pictures"):
            session.run(inputs)


def test_a_closed_session_says_so(network: Path) -> None:
    session = opened(network)
    session.close()
    session.close()
    with pytest.raises(OcrdError, match="is closed"):
        session.run(line("a"))
