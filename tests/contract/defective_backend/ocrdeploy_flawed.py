"""A model pack with a family of its own, and a switch for each defect that the suite has to find: OCRDEPLOY_DEFECT=NAME.

Without a switch it is right. `DEFECTS` says for each switch what is wrong, and which test of the suite is there for it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from ocrdeploy import BadInput, hookimpl
from ocrdeploy.vocabulary import (
    Artifact,
    Batch,
    FamilyInfo,
    Height,
    InputSpec,
    ModelSpec,
    Placement,
    Prediction,
    Region,
    Shapes,
    ShortSide,
    Task,
    Tensors,
)

ocrd_contract = 1

DEFECT = os.environ.get("OCRDEPLOY_DEFECT", "")

DEFECTS: Mapping[str, tuple[str, str]] = {
    "pack-heavy": ("imports onnx at every start", "test_listing_models_is_quick_and_imports_no_runtime"),
    "pack-options": ("sets an option that the family has not", "test_the_family_is_installed_and_for_this_task"),
    "pack-orphan": ("lists a model of a family that nobody has", "test_the_family_is_installed_and_for_this_task"),
    "pack-damaged": ("does not check the file's hash", "test_the_file_is_the_one_that_its_hash_names"),
    "pack-blank": ("counts the blank among the characters twice", "test_the_spec_that_comes_with_the_file_is_complete"),
    "pack-another": ("lists another mean than it has", "test_the_spec_that_comes_with_the_file_is_complete"),
    "pack-gray": ("names shapes for one channel", "test_the_shapes_fit_the_pictures"),
    "pack-output": ("names an output that the file has not", "test_the_file_has_the_inputs_and_outputs_of_the_spec"),
    "pack-speechless": ("does not say how to get a file", "test_the_file_is_the_one_that_its_hash_names"),
    "family-counts": ("counts the pictures that it has seen", "test_post_processing_is_deterministic"),
    "family-modifies": ("makes probabilities in place", "test_post_processing_changes_nothing_that_it_is_given"),
    "family-batch": ("normalises over the batch", "test_post_processing_of_a_row_does_not_depend_on_the_others"),
    "family-tensor": ("answers boxes in the tensor's pixels", "test_boxes_are_finite_and_in_the_pictures_scale"),
    "family-nothing": ("divides by zero where there is no text", "test_post_processing_survives_any_numbers"),
    "family-infinite": ("makes boxes of numbers that are none", "test_post_processing_survives_any_numbers"),
    "family-crash": ("raises an IndexError for a white picture", "test_pictures_without_text_do_not_crash_it"),
}

if DEFECT == "pack-heavy":
    import onnx as _  # noqa: F401 - the defect

DETECTOR = ModelSpec(
    name="flawed-det",
    family="flawed",
    task=Task.DETECTION,
    input=InputSpec(
        "picture", ShortSide(32), mean=(127.5,), std=(127.5,), shapes=Shapes((1, 3, 32, 32), (1, 3, 64, 64), (4, 3, 999, 999))
    ),
    outputs=("map",),
)
RECOGNIZER = ModelSpec(
    name="flawed-rec",
    family="ctc",
    task=Task.RECOGNITION,
    input=InputSpec("line", Height(48), mean=(127.5,), std=(127.5,)),
    outputs=("scores",),
    options={"softmax": False},
    charset=("a", "b", "c", "d"),
)
SEEN: list[int] = []


@hookimpl
def ocrd_family() -> FamilyInfo:
    return FamilyInfo("flawed", Task.DETECTION, options={"threshold": 0.5})


@hookimpl
def ocrd_models() -> Sequence[ModelSpec]:
    detector, shapes = DETECTOR, DETECTOR.input.shapes
    assert shapes
    changed: Mapping[str, ModelSpec] = {
        "pack-options": replace(detector, options={"treshold": 0.4}),
        "pack-orphan": replace(detector, family="nobodys"),
        "pack-gray": replace(detector, input=replace(detector.input, shapes=replace(shapes, min=(1, 1, 32, 32)))),
        "pack-another": replace(detector, input=replace(detector.input, mean=(0.0,))),
        "pack-output": replace(detector, outputs=("maps",)),
    }
    return (changed.get(DEFECT, detector), RECOGNIZER)


@hookimpl
def ocrd_artifact(model: ModelSpec) -> Artifact:
    if DEFECT == "pack-speechless":
        raise BadInput(f"{model.name} is not here")
    from ocrdeploy_fake import stripes

    graph = {DETECTOR.name: DETECTOR, RECOGNIZER.name: RECOGNIZER}[model.name]
    path = Path(tempfile.mkdtemp()) / f"{model.name}.onnx"
    stripes.write_onnx(graph, path)
    if DEFECT == "pack-another":
        model = graph
    if DEFECT == "pack-blank" and model.charset:
        model = replace(model, charset=("a", "a", "b", "c"))
    written = sha256(b"another file" if DEFECT == "pack-damaged" else path.read_bytes()).hexdigest()
    return Artifact(path, "onnx", written, model)


@hookimpl
def ocrd_postprocess(model: ModelSpec, outputs: Tensors, batch: Batch) -> list[Prediction]:
    maps = outputs[model.outputs[0]]
    SEEN.append(len(maps))
    if DEFECT == "family-modifies":
        maps[...] = maps.clip(0, 1) * 0.999
    if DEFECT == "family-batch":
        maps = maps / max(float(abs(maps).max()), 1e-9) * (1 + float(maps[0].mean()))
    return [Prediction(place.index, tuple(_regions(row[0], place))) for row, place in zip(maps, batch.placements, strict=True)]


def _regions(row: Any, place: Placement) -> list[Region]:
    """Return the box around all that is above the threshold."""
    import numpy as np

    if DEFECT == "family-crash":
        assert np.nonzero(row > 0.5)[0][0] >= 0
    ys, xs = np.nonzero(row > 0.5)
    if DEFECT == "family-infinite":
        size = float(row.sum() / max(len(ys), 1)) if row.max() < 999 else float("inf")
        return [Region(((0, 0), (size, 0), (size, size)))]
    if DEFECT == "family-nothing":
        return [Region(score=1 / len(ys))]
    if not len(ys):
        return []
    x, y = (1.0, 1.0) if DEFECT == "family-tensor" else place.scale
    left, right, top, bottom = (float(value) for value in (xs.min() / x, (xs.max() + 1) / x, ys.min() / y, (ys.max() + 1) / y))
    score = len(SEEN) / 1000 if DEFECT == "family-counts" else 0.75
    return [Region(((left, top), (right, top), (right, bottom), (left, bottom)), score=score)]
