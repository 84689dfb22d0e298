"""A picture with two answers side by side."""

from __future__ import annotations

from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import numpy as np
import pytest
from PIL import Image

from ocrdeploy import diptych
from ocrdeploy.diptych import Panel
from ocrdeploy.vocabulary import Artifact, InferOptions, Loaded, ModelSpec, Pixels, Prediction, Region

BOX = ((2.0, 2.0), (30.0, 2.0), (30.0, 10.0), (2.0, 10.0))


class Answering:
    """A pipeline that has its answer ready."""

    regions: tuple[Region, ...] = ()
    asked: tuple[Any, ...] = ()

    def __init__(self, _: object, *asked: Any) -> None:
        type(self).asked = asked
        self.backend = "vega"

    def predict(self, pictures: list[Pixels]) -> list[Prediction]:
        return [Prediction(index, self.regions) for index, _ in enumerate(pictures)]

    def loaded(self) -> Loaded:
        return Loaded("2.5", "cpu")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass


@pytest.fixture
def source(tmp_path: Any, detector: ModelSpec) -> Artifact:
    return Artifact(tmp_path / "find.onnx", "onnx", "", detector)


@pytest.mark.parametrize(
    ("regions", "said"),
    [
        ((), "0 regions"),
        ((Region(BOX), Region(BOX)), "2 regions"),
        ((Region(text="EXIT"),), "'EXIT'"),
        ((Region(label="180"),), "'180'"),
    ],
)
def test_a_panel_says_who_answered_what(
    source: Artifact, monkeypatch: pytest.MonkeyPatch, regions: tuple[Region, ...], said: str
) -> None:
    monkeypatch.setattr(diptych, "Pipeline", Answering)
    monkeypatch.setattr(Answering, "regions", regions)
    options = InferOptions(threads=1)
    panel = diptych.answer(object(), source, "auto", np.zeros((40, 60), np.uint8), options)  # type: ignore[arg-type]
    assert panel.title == f"find.onnx on vega 2.5: {said}"
    assert panel.regions == regions
    assert Answering.asked == (source, "auto", options)


def test_two_panels_stand_side_by_side_under_titles_of_one_height() -> None:
    left = Panel("a short title", Image.new("RGB", (300, 100), (255, 0, 0)), ())
    right = replace(
        left, title="a title that is a good deal wider than its picture is", image=Image.new("RGB", (50, 80), (0, 0, 255))
    )
    drawn = np.asarray(diptych.draw(left, right))
    red, blue = (drawn == (255, 0, 0)).all(axis=2), (drawn == (0, 0, 255)).all(axis=2)
    assert (red.sum(), blue.sum()) == (300 * 100, 50 * 80)
    assert np.argmax(red.any(axis=1)) == np.argmax(blue.any(axis=1)), "both pictures begin at one height"
    assert drawn.shape[1] > 300 + 50 + 200, "no title is cut off"
