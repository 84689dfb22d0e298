"""The shapes of an engine, judged before TensorRT sees them: what is wrong with them is said in a sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ocrdeploy.errors import BadInput, OcrdError
from ocrdeploy.onnxgraph.checks import Signature
from ocrdeploy.vocabulary import (
    BuildOptions,
    Colour,
    Exact,
    Fit,
    Height,
    InputSpec,
    ModelSpec,
    Quantity,
    Shapes,
    SideInput,
    Task,
)
from ocrdeploy_tensorrt import settings
from ocrdeploy_tensorrt.profiles import profiles

DETECTOR = ModelSpec("det", "dbnet", Task.DETECTION, InputSpec("x", Fit(1333, 736), pad_to=32), ("maps",))
LINES = ModelSpec("rec", "ctc", Task.RECOGNITION, InputSpec("x", Height(32), colour=Colour.GRAY), ("scores",))
FIXED = ModelSpec("cls", "classifier", Task.CLASSIFICATION, InputSpec("x", Exact(48, 192)), ("scores",))
OPEN = Signature("x", "float32", ("N", 3, "H", "W"))
GOOD = Shapes((1, 3, 32, 32), (1, 3, 736, 1312), (4, 3, 1344, 1344))


def test_shapes_that_fit_are_the_profile_of_the_image_input() -> None:
    assert profiles(DETECTOR, GOOD, [OPEN]) == {"x": GOOD}


def test_without_shapes_the_models_own_are_taken() -> None:
    model = replace(DETECTOR, input=replace(DETECTOR.input, shapes=GOOD))
    assert profiles(model, None, [OPEN]) == {"x": GOOD}


def test_without_any_the_command_that_recommends_some_is_named() -> None:
    with pytest.raises(BadInput, match="det does not say for which shapes to build") as raised:
        profiles(DETECTOR, None, [OPEN])
    assert "ocrd profile det --images PICTURES --options" in raised.value.fix


def test_a_side_input_has_the_batches_of_the_image_input() -> None:
    sides = (SideInput("scale", Quantity.SCALE), SideInput("ratio", Quantity.VALID_RATIO))
    model = replace(DETECTOR, input=replace(DETECTOR.input, side_inputs=sides))
    inputs = [OPEN, Signature("scale", "float32", ("N", 2)), Signature("ratio", "float32", ("N",))]
    found = profiles(model, GOOD, inputs)
    assert found["scale"] == Shapes((1, 2), (1, 2), (4, 2))
    assert found["ratio"] == Shapes((1,), (1,), (4,))


def changed(end: str, *shape: int) -> Shapes:
    return replace(GOOD, **{end: shape})


@pytest.mark.parametrize(
    ("wanted", "problem", "fix"),
    [
        (changed("max", 4, 3, 1344), "--max-shape 4x3x1344 is no shape for det", "give four numbers"),
        (changed("min", 0, 3, 32, 32), "--min-shape 0x3x32x32 is no shape for det", "give four numbers"),
        (
            changed("opt", 1, 1, 736, 1312),
            "--opt-shape 1x1x736x1312 contradicts det, which always has 3 channels",
            "give 3 there",
        ),
        (
            changed("max", 1, 3, 400, 608),
            "the height of --max-shape 1x3x400x608 is 400, and det takes multiples of 32",
            "384 or 416",
        ),
        (changed("min", 1, 3, 32, 16), "the width of --min-shape 1x3x32x16 is 16", "give 32"),
        (changed("opt", 1, 3, 1376, 64), "the height of the shapes is min 32, opt 1376, max 1344", "ocrd profile det"),
        (changed("opt", 8, 3, 64, 64), "the batch of the shapes is min 1, opt 8, max 4", "ocrd profile det"),
    ],
)
def test_shapes_that_contradict_the_model_or_each_other(wanted: Shapes, problem: str, fix: str) -> None:
    with pytest.raises(BadInput) as raised:
        profiles(DETECTOR, wanted, [OPEN])
    assert problem in raised.value.problem
    assert fix in raised.value.fix


def test_lines_have_the_height_of_their_model() -> None:
    wanted = Shapes((1, 1, 32, 32), (8, 1, 48, 128), (16, 1, 48, 512))
    with pytest.raises(BadInput, match="--opt-shape 8x1x48x128 contradicts rec, which always has a height of 32"):
        profiles(LINES, wanted, [Signature("x", "float32", ("N", 1, 32, "W"))])


def test_pictures_of_one_size_have_no_other() -> None:
    wanted = Shapes((1, 3, 48, 192), (8, 3, 48, 192), (16, 3, 48, 320))
    with pytest.raises(BadInput, match="which always has a width of 192"):
        profiles(FIXED, wanted, [Signature("x", "float32", (-1, 3, "?", "?"))])


@pytest.mark.parametrize(
    ("dims", "problem"),
    [
        ((1, 3, "H", "W"), "--max-shape 4x3x1344x1344 contradicts the graph: the batch of its input 'x' is fixed at 1"),
        (("N", 3, 736, 1312), "--min-shape 1x3x32x32 contradicts the graph: the height of its input 'x' is fixed at 736"),
        (("N", 3, "H"), "the input 'x' of the graph has 3 axes, not 4"),
    ],
)
def test_axes_that_the_graph_fixes_are_no_others(dims: tuple[int | str, ...], problem: str) -> None:
    with pytest.raises(BadInput) as raised:
        profiles(DETECTOR, GOOD, [Signature("x", "float32", dims)])
    assert problem in raised.value.problem
    assert "ocrd export" in raised.value.fix


def test_an_axis_below_one_is_open_as_old_exporters_write_it() -> None:
    assert profiles(DETECTOR, GOOD, [Signature("x", "float32", (-1, 3, 0, "?"))]) == {"x": GOOD}


def test_the_graph_and_the_specification_name_the_same_inputs() -> None:
    with pytest.raises(BadInput, match="an input 'other', which the specification of det does not name"):
        profiles(DETECTOR, GOOD, [OPEN, Signature("other", "float32", ("N",))])
    with pytest.raises(BadInput, match=r"no input 'x', which its specification names \(it has: none\)"):
        profiles(DETECTOR, GOOD, [])


def test_shapes_in_the_order_of_a_layout_with_the_channels_last() -> None:
    model = replace(DETECTOR, input=replace(DETECTOR.input, layout="NHWC"))
    wanted = Shapes((1, 32, 32, 3), (1, 64, 64, 3), (2, 128, 96, 3))
    assert profiles(model, wanted, [Signature("x", "float32", ("N", "H", "W", 3))]) == {"x": wanted}
    with pytest.raises(BadInput, match="the height of --min-shape 1x3x32x32 is 3"):
        profiles(model, GOOD, [OPEN])


def test_options_in_words_become_settings() -> None:
    extra = {
        "min_shape": "1x3x32x32",
        "opt_shape": "1,3,64,64",
        "max_shape": "2x3x128x128",
        "workspace_gib": "1.5",
        "timing_cache": "t.cache",
        "version_compatible": "yes",
        "hardware_compatibility": "ampere+",
        "resize": "any",
    }
    found = settings.read(BuildOptions(extra=extra))
    assert found.shapes == Shapes((1, 3, 32, 32), (1, 3, 64, 64), (2, 3, 128, 128))
    assert (found.workspace_gib, str(found.timing_cache)) == (1.5, "t.cache")
    assert (found.version_compatible, found.hardware, found.any_resize) == (True, "ampere+", True)


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ({"min_shape": "1x3x32x32"}, "min_shape without opt_shape, max_shape"),
        ({"min_shape": "a", "opt_shape": "1", "max_shape": "1"}, "min_shape is 'a', which is no shape"),
        ({"workspace_gib": "-1"}, "workspace_gib is '-1'"),
        ({"workspace_gib": "inf"}, "workspace_gib is 'inf'"),
        ({"hardware_compatibility": "hopper"}, "unknown value of hardware_compatibility 'hopper'"),
        ({"version_compatible": "true"}, "unknown value of version_compatible 'true'"),
    ],
)
def test_a_value_that_an_option_does_not_take_is_named(extra: dict[str, str], problem: str) -> None:
    with pytest.raises(OcrdError, match=problem):
        settings.read(BuildOptions(extra=extra))
