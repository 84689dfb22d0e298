"""CTC recognition: MMOCR's results and PP-OCR's, from one family with other options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ocrdeploy.errors import BadInput
from ocrdeploy.families import ctc
from ocrdeploy.vocabulary import Batch, Height, InputSpec, ModelSpec, Placement, Region, Task

CHARSET = tuple("abc")


def recognizer(charset: tuple[str, ...] = CHARSET, **options: Any) -> ModelSpec:
    return ModelSpec("a-reader", "ctc", Task.RECOGNITION, InputSpec("x", Height(32)), ("scores",), options, charset)


def placed(ratio: float = 1.0, index: int = 0) -> Placement:
    return Placement(index, (32, 100), (32, round(1000 * ratio)), (32, 1000))


def read(model: ModelSpec, scores: NDArray[Any], ratio: float = 1.0) -> Region:
    (prediction,) = ctc.ocrd_postprocess(model, {"scores": scores[None]}, Batch({}, (placed(ratio),)))
    (region,) = prediction.regions
    return region


def steps(classes: list[int], probability: float = 0.7, number: int = 4) -> NDArray[np.float32]:
    scores = np.full((len(classes), number), (1 - probability) / (number - 1), np.float32)
    scores[np.arange(len(classes)), classes] = probability
    return scores


def test_texts_and_scores_are_those_of_mmocr(reference_folder: Path) -> None:
    golden = json.loads((reference_folder / "open" / "ctc.json").read_text())
    arrays = np.load(reference_folder / "open" / "ctc.npz")
    for case in golden["cases"]:
        classes = golden["convertors"][case["convertor"]]["idx2char"]
        ratios = [1.0 if ratio is None else ratio for ratio in case["valid_ratio"]]
        batch = Batch({}, tuple(placed(ratio, index) for index, ratio in enumerate(ratios)))
        predictions = ctc.ocrd_postprocess(recognizer(tuple(classes[1:])), {"scores": arrays[case["logits"]]}, batch)
        regions = [prediction.regions[0] for prediction in predictions]
        assert [region.text for region in regions] == case["texts"]
        for region, indexes, scores in zip(regions, case["indexes"], case["scores"], strict=True):
            assert region.text == "".join(classes[index] for index in indexes)
            assert list(region.char_scores) == pytest.approx(scores, abs=1e-5)
            assert region.score == pytest.approx(np.mean(scores) if scores else 0.0, abs=1e-5)
    assert len(golden["cases"]) > 30


def test_texts_of_probabilities_are_those_of_rapidocr() -> None:
    utils = pytest.importorskip("rapidocr.ch_ppocr_rec.utils", reason="compares with rapidocr, which is not installed")
    charset = [chr(0x4E00 + index) for index in range(500)]
    scores = np.random.default_rng(3).random((6, 40, 502), np.float32)
    scores[:, :, 0] += np.random.default_rng(4).random((6, 40)) < 0.5
    scores /= scores.sum(axis=2, keepdims=True)
    expected, _ = utils.CTCLabelDecode(character=list(charset))(scores)
    batch = Batch({}, tuple(placed(0.3, index) for index in range(6)))
    model = recognizer((*charset, " "), softmax=False, skip_padding=False)
    found = [prediction.regions[0] for prediction in ctc.ocrd_postprocess(model, {"scores": scores}, batch)]
    assert [region.text for region in found] == [text for text, _ in expected]
    assert [region.score for region in found] == pytest.approx([score for _, score in expected], abs=2e-5)


def test_repeats_merge_unless_a_blank_parts_them() -> None:
    assert read(recognizer(softmax=False), steps([1, 1, 0, 1, 2, 2, 0, 0, 3])).text == "aabc"


def test_repeats_stay_where_they_are_not_merged() -> None:
    assert read(recognizer(softmax=False, merge_repeated=False), steps([1, 1, 0, 1, 2, 2])).text == "aaabb"


def test_only_steps_over_the_picture_are_read() -> None:
    scores = steps([1, 0, 2, 0, 3, 0, 1, 0])
    assert read(recognizer(softmax=False), scores, 0.3).text == "ab"  # ceil(8 * 0.3) steps
    assert read(recognizer(softmax=False), scores, 2.0).text == "abca"
    assert read(recognizer(softmax=False, skip_padding=False), scores, 0.3).text == "abca"


def test_scores_are_probabilities_with_and_without_softmax() -> None:
    scores = steps([1, 2], probability=0.7)
    assert read(recognizer(softmax=False), scores).char_scores == pytest.approx((0.7, 0.7))
    assert read(recognizer(), np.log(scores) + 50).char_scores == pytest.approx((0.7, 0.7))


def test_logits_of_any_size_give_a_probability() -> None:
    region = read(recognizer(), np.array([[-1e30, 1e30, 0, 0], [3e38, 0, 0, -3e38]], np.float32))
    assert (region.text, region.score) == ("a", 1.0)


def test_nothing_read_has_no_score() -> None:
    assert read(recognizer(), steps([0, 0, 0])) == Region(text="", score=0.0)
    assert read(recognizer(), np.zeros((0, 4), np.float32)) == Region(text="", score=0.0)


@pytest.mark.parametrize(("blank", "expected"), [(0, "abc"), (3, "abc"), (-1, "abc"), (1, "abc")])
def test_the_blank_may_be_any_class(blank: int, expected: str) -> None:
    classes = [index for index in range(4) if index != blank % 4]
    assert read(recognizer(softmax=False, blank=blank), steps([*classes, blank % 4])).text == expected


def test_a_character_may_be_several_letters() -> None:
    assert read(recognizer(("<UKN>", "ffi", "x"), softmax=False), steps([2, 1, 3])).text == "ffi<UKN>x"


@pytest.mark.parametrize("number", [3, 5])
def test_another_number_of_classes_than_characters_names_both(number: int) -> None:
    with pytest.raises(BadInput, match=f"tells {number} classes apart, .* names 3 characters") as caught:
        read(recognizer(), steps([0], number=number))
    assert f"the {number - 1} characters" in caught.value.fix


def test_a_blank_that_is_no_class_is_a_sentence() -> None:
    with pytest.raises(BadInput, match="is class 4, and it has 4"):
        read(recognizer(blank=4), steps([0]))


def test_rows_do_not_depend_on_each_other() -> None:
    scores = np.random.default_rng(5).normal(size=(7, 30, 4)).astype(np.float32)
    batch = Batch({}, tuple(placed(0.9, index) for index in range(7)))
    together = ctc.ocrd_postprocess(recognizer(), {"scores": scores}, batch)
    assert [prediction.index for prediction in together] == list(range(7))
    for row, prediction in zip(scores, together, strict=True):
        assert read(recognizer(), row, 0.9) == prediction.regions[0]


def test_the_family_announces_itself() -> None:
    info = ctc.ocrd_family()
    assert (info.name, info.task, info.options["blank"]) == ("ctc", Task.RECOGNITION, 0)
