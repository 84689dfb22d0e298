"""Planted faults: each is found, in words that name it; and none is found where there is none."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from ocrdeploy import hookimpl
from ocrdeploy.errors import BadInput, OcrdError
from ocrdeploy.families import classifier, ctc, dbnet
from ocrdeploy.plugins import Plugins
from ocrdeploy.verification import Candidate, Report, Verdict, verify
from ocrdeploy.vocabulary import (
    Artifact,
    BackendInfo,
    Exact,
    Height,
    InferOptions,
    InputSpec,
    Loaded,
    ModelSpec,
    Pixels,
    Probe,
    Session,
    ShortSide,
    Task,
    Tensors,
)

Install: TypeAlias = Callable[..., Plugins]
Fault: TypeAlias = Callable[[NDArray[np.float32]], NDArray[Any]]

CENTRED: Mapping[str, Any] = {"mean": (127.5,), "std": (127.5,)}
DETECTOR = ModelSpec("find", "dbnet", Task.DETECTION, InputSpec("x", ShortSide(32), pad_to=32, **CENTRED), ("maps",))
RECOGNIZER = ModelSpec(
    "read",
    "ctc",
    Task.RECOGNITION,
    InputSpec("x", Height(16, min_width=8), **CENTRED),
    ("scores",),
    {"softmax": False},
    tuple("abc"),
)
CLASSIFIER = ModelSpec(
    "turn", "classifier", Task.CLASSIFICATION, InputSpec("x", Exact(16, 32), **CENTRED), ("y",), {"labels": ("0", "180")}
)


def network(model: ModelSpec, pixels: NDArray[np.float32]) -> NDArray[Any]:
    """Answer something that depends on every pixel: maps of ink, letters by the darkness of 8 columns, or the darker half."""
    ink: NDArray[Any] = np.clip(0.5 - 0.45 * pixels.mean(axis=1), 0.01, 0.99)
    if model.task is Task.DETECTION:
        return ink[:, None]
    if model.task is Task.CLASSIFICATION:
        halves: NDArray[Any] = np.stack([ink[:, :8].mean(axis=(1, 2)), ink[:, 8:].mean(axis=(1, 2))], axis=1)
        answer: NDArray[Any] = halves / halves.sum(axis=1, keepdims=True)
        return answer
    columns = ink[:, :, : ink.shape[2] // 8 * 8].mean(axis=1).reshape(len(ink), -1, 8).mean(axis=2)
    scores: NDArray[Any] = np.exp(-30 * np.abs(columns[..., None] - np.array([0.2, 0.35, 0.6, 0.85])))
    scores /= scores.sum(axis=-1, keepdims=True)
    return scores


@dataclass
class Fake(Session):
    """The network with a fault."""

    model: ModelSpec
    fault: Fault
    precision: str

    def run(self, inputs: Tensors) -> Tensors:
        ((name, pixels),) = inputs.items()
        assert name == self.model.input.name
        answer = self.fault(network(self.model, pixels).astype(np.float32))
        return {name: answer.copy() for name in self.model.outputs}

    def loaded(self) -> Loaded:
        return Loaded("1.0", "cpu", precision=self.precision)

    def close(self) -> None:
        pass


class Backend:
    ocrd_contract = 1

    def __init__(self, name: str, fault: Fault, precision: str = "fp32") -> None:
        self.name, self.fault, self.precision = name, fault, precision

    @hookimpl
    def ocrd_backend(self) -> BackendInfo:
        return BackendInfo(self.name, runs=("any",))

    @hookimpl
    def ocrd_probe(self) -> Probe:
        return Probe(version="1.0")

    @hookimpl
    def ocrd_infer(self, model: ModelSpec) -> Session:
        return Fake(model, self.fault, self.precision)


def healthy(answer: NDArray[np.float32]) -> NDArray[np.float32]:
    return answer


@pytest.fixture
def compare(install: Install, tmp_path: Path) -> Callable[..., Report]:
    """Compare the network with itself, B having a fault."""

    def run(
        model: ModelSpec,
        fault: Fault = healthy,
        *,
        pictures: Sequence[tuple[str, Pixels]] = (),
        other: ModelSpec | None = None,
        precision: str = "fp32",
        reference: Fault = healthy,
        **settings: Any,
    ) -> Report:
        plugins = install(
            good=Backend("good", reference), bad=Backend("bad", fault, precision), dbnet=dbnet, ctc=ctc, classifier=classifier
        )
        a = Candidate(Artifact(tmp_path / "a", "any", "", model), "good")
        b = Candidate(Artifact(tmp_path / "b", "any", "", other or model), "bad", InferOptions())
        found = verify(plugins, a, b, pictures or some(model.task), **settings)
        json.dumps(found.to_dict(), allow_nan=False)
        assert found.first_difference in str(found)
        return found

    return run


def some(task: Task) -> list[tuple[str, Pixels]]:
    """A few small pictures with dark boxes on white, all different."""
    made = []
    for index in range(4):
        pixels = np.full((64, 96, 3) if task is Task.DETECTION else (16, 48, 3), 245, np.uint8)
        if task is Task.DETECTION:
            pixels[10:24, 10 : 50 + 8 * index] = 20 + 5 * index
            pixels[40:54, 20 + 4 * index : 80] = 15
        else:
            for place in range(4):
                pixels[:, 8 + 8 * place : 16 + 8 * place] = (20, 90, 160)[(index * (place + 2) + place) % 3]
        made.append((f"{index}.png", pixels))
    return made


@pytest.mark.parametrize("model", [DETECTOR, RECOGNIZER, CLASSIFIER], ids=lambda model: model.task)
def test_without_a_fault_they_agree_and_the_evidence_is_counted(compare: Callable[..., Report], model: ModelSpec) -> None:
    found = compare(model)
    assert found.verdict is Verdict.AGREE
    assert found.agree
    assert found.tensors_agree
    assert found.first_difference == ""
    seen = found.evidence
    assert seen.given == 4
    assert seen.derived == 8
    assert set(seen.batches) == {1, 2, 3, 5}
    assert seen.batches[1] == seen.pictures
    assert seen.tensors == seen.rows == sum(rows * count for rows, count in seen.batches.items())
    assert {Task.DETECTION: seen.boxes, Task.RECOGNITION: seen.characters, Task.CLASSIFICATION: seen.answers}[model.task] > 8
    assert model.task is Task.CLASSIFICATION or len(seen.sizes) >= 3
    assert f"{seen.tensors} tensors" in str(found)


@pytest.mark.parametrize("model", [DETECTOR, RECOGNIZER, CLASSIFIER], ids=lambda model: model.task)
def test_drawn_pictures_serve_where_none_are_given(compare: Callable[..., Report], model: ModelSpec) -> None:
    found = compare(model, pictures=iter(()), batches=(1, 2))
    assert found.agree, str(found)
    assert (found.evidence.given, found.evidence.derived) == (0, 0)
    assert found.evidence.drawn >= 4


def test_swapped_rows_are_named(compare: Callable[..., Report]) -> None:
    found = compare(RECOGNIZER, lambda answer: answer[::-1])
    assert not found.agree
    assert "it is A's answer to the picture in row" in found.first_difference
    assert ", batch of 2, row 0: A reads " in found.first_difference
    assert found.differences[0].batch == 2


def test_a_repeated_row_is_named(compare: Callable[..., Report]) -> None:
    found = compare(DETECTOR, lambda answer: np.repeat(answer[:1], len(answer), axis=0))
    assert ", batch of 2, row 1: " in found.first_difference
    assert "it repeats row 0" in found.first_difference


def test_garbage_behind_the_first_row_is_seen(compare: Callable[..., Report]) -> None:
    def zero_rows(answer: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.concatenate([answer[:1], np.zeros_like(answer[1:])])

    found = compare(RECOGNIZER, zero_rows)
    assert ", batch of 2, row 1: " in found.first_difference
    assert "alone, B agrees on this picture" in found.first_difference


def test_a_batch_that_is_ignored_is_named(compare: Callable[..., Report]) -> None:
    found = compare(DETECTOR, lambda answer: answer[:1])
    assert found.first_difference.endswith("B's output 'maps' has the shape (1, 1, 64, 96) for a batch of 2")
    assert found.counts["rows"] >= 3


@pytest.mark.parametrize("model", [DETECTOR, RECOGNIZER], ids=lambda model: model.task)
def test_noise_is_seen_in_tensors_and_measured(compare: Callable[..., Report], model: ModelSpec) -> None:
    chance = np.random.default_rng(0)
    found = compare(model, lambda answer: (answer + chance.normal(0, 1e-2, answer.shape)).astype(np.float32))
    assert found.verdict is Verdict.DIFFER
    assert not found.tensors_agree
    assert found.counts["tensor"] == found.evidence.rows
    (measured,) = found.tensors
    assert 0.02 < measured.max_abs < 0.06
    assert 0.007 < measured.mean_abs < 0.009
    assert measured.cosine < 1


def test_answers_in_half_precision_are_named(compare: Callable[..., Report]) -> None:
    found = compare(CLASSIFIER, lambda answer: answer.astype(np.float16).astype(np.float32))
    assert "all numbers of B are half-precision numbers, and its session says fp32" in found.first_difference


def test_half_precision_that_is_said_is_allowed(compare: Callable[..., Report]) -> None:
    found = compare(CLASSIFIER, lambda answer: answer.astype(np.float16), precision="fp16")
    assert found.agree
    assert found.tolerance.atol == 2e-2
    assert not compare(CLASSIFIER, lambda answer: answer.astype(np.float16), precision="fp16", atol=0, rtol=0).agree


def test_a_dropped_box_is_named(compare: Callable[..., Report]) -> None:
    def drop(answer: NDArray[np.float32]) -> NDArray[np.float32]:
        answer[..., answer.shape[2] // 2 :, :] = 0
        return answer

    found = compare(DETECTOR, drop)
    assert "picture 1 of " in found.first_difference
    assert "(0.png), alone: A finds 2 boxes, B finds 1 box: only A has the box " in found.first_difference


def test_one_changed_character_is_named(compare: Callable[..., Report]) -> None:
    def change(answer: NDArray[np.float32]) -> NDArray[np.float32]:
        first = answer.argmax(axis=2)[0].nonzero()[0][0]
        answer[0, first] = np.roll(answer[0, first], 1)
        return answer

    found = compare(RECOGNIZER, change)
    kind, words = found.differences[0].kind, found.differences[0].words
    assert kind == "text"
    assert words.startswith("A reads 'cbac', B reads 'bac'")


def test_nan_is_named(compare: Callable[..., Report]) -> None:
    def spoil(answer: NDArray[np.float32]) -> NDArray[np.float32]:
        answer[..., 0, 0] = np.nan
        return answer

    found = compare(DETECTOR, spoil)
    assert "output 'maps' has 1 NaN in B and 0 in A, first at [0, 0, 0]" in found.first_difference
    both = compare(DETECTOR, spoil, reference=spoil)
    assert both.agree
    assert any("NaN and 0 infinite numbers in A and B alike" in limit for limit in both.limits)


def test_another_shape_is_named(compare: Callable[..., Report]) -> None:
    found = compare(DETECTOR, lambda answer: answer[..., ::2, ::2])
    assert "a row of output 'maps' has the shape (1, 64, 96) in A and (1, 32, 48) in B" in found.first_difference


def test_an_answer_that_flips_while_the_tensors_agree_is_called_that(compare: Callable[..., Report]) -> None:
    picture = np.full((16, 48, 3), 245, np.uint8)
    tie = 0.5 - 0.45 * (np.arange(256) - 127.5) / 127.5
    picture[:, 16:32] = np.abs(tie - (0.35 + 0.6) / 2).argmin()
    found = compare(
        RECOGNIZER,
        lambda answer: answer + np.array([0, 0.02, 0, -0.02], np.float32),
        pictures=[("tie.png", picture)],
        atol=1,
        rtol=1,
    )
    assert found.tensors_agree
    assert not found.agree
    assert "the tensors agree" in found.first_difference


def test_a_backend_that_fails_in_batches_is_a_difference_and_one_that_refuses_them_is_said(
    compare: Callable[..., Report],
) -> None:
    def alone_only(error: OcrdError) -> Fault:
        def answer(given: NDArray[np.float32]) -> NDArray[np.float32]:
            if len(given) > 1:
                raise error
            return given

        return answer

    failed = compare(RECOGNIZER, alone_only(OcrdError("the reshape met 2 rows")))
    assert failed.first_difference.endswith("A answers, and B fails: the reshape met 2 rows")
    refused = compare(RECOGNIZER, alone_only(BadInput("only one row is taken")))
    assert refused.agree
    assert set(refused.evidence.batches) == {1}
    assert any("B does not take 2 x 3 x 16 x 48: only one row is taken" in limit for limit in refused.limits)
    assert "not compared: B does not take 2 x " in str(refused)


def test_a_backend_that_never_answers_is_an_error(compare: Callable[..., Report]) -> None:
    def never(_: NDArray[np.float32]) -> NDArray[np.float32]:
        raise OcrdError("the device is gone")

    with pytest.raises(OcrdError, match="the device is gone"):
        compare(RECOGNIZER, never)


def test_no_boxes_and_no_characters_are_not_the_same(compare: Callable[..., Report]) -> None:
    white = np.full((64, 64, 3), 255, np.uint8)
    found = compare(DETECTOR, pictures=[("white.png", white)], batches=(1,))
    assert found.evidence.drawn == 0
    assert found.verdict is Verdict.NOT_VERIFIED
    assert not found.agree
    assert found.tensors_agree
    assert found.missing.startswith("the tensors agree, and no boxes were compared: in 5 pictures")
    assert "--images" in found.fix
    assert "no characters were compared" in compare(RECOGNIZER, pictures=[("white.png", white)], batches=(1,)).missing


def test_pictures_that_cannot_become_tensors_are_said(compare: Callable[..., Report]) -> None:
    found = compare(DETECTOR, pictures=[("strip.png", np.zeros((10_000, 8, 3), np.uint8))])
    assert found.missing == "nothing was compared"
    assert any("strip.png" in limit for limit in found.limits)


def test_other_preprocessing_options_and_characters_are_said_first(compare: Callable[..., Report]) -> None:
    shifted = replace(
        RECOGNIZER,
        name="other",
        rank=7,
        input=replace(RECOGNIZER.input, name="image", mean=(127.5, 127.5, 120.0)),
        options={"softmax": False, "merge_repeated": False},
        charset=("a", "b", "d"),
        outputs=("probabilities",),
    )
    found = compare(RECOGNIZER, other=shifted)
    assert [difference.words for difference in found.differences[:3]] == [
        "the specs differ in input.mean: [127.5, 127.5, 127.5] in A, [127.5, 127.5, 120.0] in B",
        "the specs differ in options.merge_repeated: True in A, False in B",
        "the specs differ in charset: character 2 is 'c' in A, 'd' in B",
    ]
    assert found.first_difference == found.differences[0].words
    assert found.tensors_agree
    same = replace(
        shifted, input=replace(RECOGNIZER.input, name="image", mean=(127.5,) * 3), options={"softmax": False, "blank": 0}
    )
    assert compare(RECOGNIZER, other=replace(same, charset=RECOGNIZER.charset)).agree


def test_models_of_different_tasks_are_not_compared(compare: Callable[..., Report]) -> None:
    with pytest.raises(BadInput, match="A is a recognition model, and B is a detection model"):
        compare(RECOGNIZER, other=DETECTOR)


def test_only_the_first_differences_are_kept_in_words_and_all_are_counted(compare: Callable[..., Report]) -> None:
    found = compare(DETECTOR, lambda answer: answer + np.float32(0.01))
    assert len(found.differences) == 20
    assert sum(found.counts.values()) > 20
    assert f"{found.counts['tensor']} x tensor" in str(found)
