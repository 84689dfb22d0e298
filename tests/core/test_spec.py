"""Model specifications as JSON and YAML: nothing is lost on the way, and every mistake is a sentence that names its place."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from ocrdeploy import spec
from ocrdeploy.errors import BadInput
from ocrdeploy.vocabulary import (
    Align,
    Colour,
    Exact,
    Fit,
    Height,
    InputSpec,
    Interpolation,
    ModelSpec,
    Orientation,
    Quantity,
    Resize,
    Rounding,
    Shapes,
    ShortSide,
    SideInput,
    Task,
)

RESIZES: list[Resize] = [
    Fit(1333, 736),
    ShortSide(736),
    ShortSide(736, 2000),
    Height(48, width_multiple=32, min_width=320, max_width=3200),
    Height(32, width_multiple=4, rounding=Rounding.CEIL),
    Exact(48, 192),
]
SIDES = tuple(SideInput(f"side_{quantity}", quantity, "int64") for quantity in Quantity)


def model(**changes: Any) -> ModelSpec:
    image = InputSpec("input", Fit(1333, 736), mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
    return replace(ModelSpec("dbnet", "dbnet", Task.DETECTION, image, ("maps",)), **changes)


def with_input(**changes: Any) -> ModelSpec:
    return model(input=replace(model().input, **changes))


RECOGNIZER = model(task=Task.RECOGNITION, charset=("a", "é", "本", '"', "\\", " ", "\u3000", "🙂", "\x7f", "ﬁ"))
SOUND = {
    **{f"resize {index}": with_input(resize=resize) for index, resize in enumerate(RESIZES)},
    "stretched to the nearest": with_input(resize=Height(32, 16, Rounding.NEAREST, 32), align=Align.STRETCH),
    "side inputs": with_input(side_inputs=SIDES),
    "shapes": with_input(shapes=Shapes((1, 3, 32, 32), (1, 3, 736, 1280), (8, 3, 2016, 2016))),
    "gray": with_input(colour=Colour.GRAY, mean=(127.0,), std=(127.0,), orientation=Orientation.IGNORE),
    "channels last": with_input(layout="NHWC", colour=Colour.BGR, interpolation=Interpolation.AREA, pad_to=32, pad_value=-1.5),
    "numbers without a short decimal": with_input(scale=1 / 255, mean=(0.1 + 0.2,), std=(1e-17,)),
    "recognizer": RECOGNIZER,
    "classifier": model(task=Task.CLASSIFICATION, options={"labels": ["0", "180"], "threshold": 0.9}, rank=-3),
    "options": model(options={"dilate": True, "nothing": None, "nested": {"list": [1, 2.5, "x", [False]]}}),
    "outputs": model(outputs=("maps", "kernels", "embedding")),
}


@pytest.mark.parametrize("kind", SOUND)
def test_json_keeps_everything(kind: str) -> None:
    assert spec.from_json(spec.to_json(SOUND[kind]), "here") == SOUND[kind]
    assert spec.from_json(spec.to_json(SOUND[kind], indent=2).encode(), "here") == SOUND[kind]


@pytest.mark.parametrize("kind", SOUND)
@pytest.mark.parametrize("suffix", [".json", ".yaml", ".yml", ".YAML"])
def test_files_keep_everything(tmp_path: Path, kind: str, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    plain = spec.to_dict(SOUND[kind])
    written = json.dumps(plain) if suffix == ".json" else yaml.safe_dump(plain, allow_unicode=True)
    path.write_text(written, encoding="utf-8")
    assert spec.read_file(path) == SOUND[kind]


def test_a_specification_made_by_a_plugin_from_read_only_values_is_written() -> None:
    ours = model(options=MappingProxyType({"threshold": 0.3}))
    assert spec.from_json(spec.to_json(ours), "here") == model(options={"threshold": 0.3})


def test_what_is_left_out_is_the_default() -> None:
    shortest = {
        "name": "m",
        "family": "dbnet",
        "task": "detection",
        "input": {"name": "x", "resize": {"rule": "exact", "height": 8, "width": 9}},
        "outputs": ["y"],
    }
    assert spec.from_plain(shortest, "here") == ModelSpec("m", "dbnet", Task.DETECTION, InputSpec("x", Exact(8, 9)), ("y",))


def test_a_whole_number_serves_where_any_number_does() -> None:
    plain = spec.to_dict(model())
    plain["input"].update(mean=[127], std=[1], scale=2)
    assert spec.from_plain(plain, "here").input.mean == (127.0,)


def test_a_manifest_serves_as_the_file_of_its_model(tmp_path: Path) -> None:
    path = tmp_path / "model.engine.json"
    path.write_text(json.dumps({"model": spec.to_dict(RECOGNIZER), "sha256": "0"}))
    assert spec.read_file(path) == RECOGNIZER


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(spec.to_json(RECOGNIZER), encoding="utf-8-sig")
    assert spec.read_file(path) == RECOGNIZER


def put(*place: str | int, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(plain: Any) -> None:
        for part in place[:-1]:
            plain = plain[part]
        plain[place[-1]] = value

    return change


def drop(*place: str) -> Callable[[dict[str, Any]], None]:
    def change(plain: dict[str, Any]) -> None:
        for part in place[:-1]:
            plain = plain[part]
        del plain[place[-1]]

    return change


HUGE = 10**30
SHAPES = {"min": [1, 3, 32, 32], "opt": [1, 3, 64, 64], "max": [1, 3, 96, 96]}
SIDE = {"name": "scale", "quantity": "scale"}
# What is wrong, and the words that the complaint must begin with.
MISTAKES: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "an unknown field": (put("inputs", value={}), "inputs: "),
    "an unknown field of the input": (put("input", "color", value="rgb"), "input.color: "),
    "an unknown field of a rule": (put("input", "resize", "size", value=1), "input.resize.size: "),
    "a field of another rule": (put("input", "resize", "height", value=1), "input.resize.height: "),
    "an unknown field of the shapes": (put("input", "shapes", value={**SHAPES, "usual": []}), "input.shapes.usual: "),
    "an unknown field of a side input": (put("input", "side_inputs", value=[{**SIDE, "type": 1}]), "input.side_inputs.0.type: "),
    "no name": (drop("name"), "name: "),
    "no outputs": (drop("outputs"), "outputs: "),
    "no input": (drop("input"), "input: "),
    "no resize": (drop("input", "resize"), "input.resize: "),
    "a rule without its size": (drop("input", "resize", "short"), "input.resize.short: "),
    "shapes without the largest": (put("input", "shapes", value={"min": [1], "opt": [1]}), "input.shapes.max: "),
    "a name that is a number": (put("name", value=7), "name: "),
    "a size that is text": (put("input", "resize", "long", value="1333"), "input.resize.long: "),
    "a size with a fraction": (put("input", "resize", "long", value=1333.5), "input.resize.long: "),
    "a size that is true": (put("input", "resize", "long", value=True), "input.resize.long: "),
    "outputs that are text": (put("outputs", value="maps"), "outputs: "),
    "an output that is a number": (put("outputs", value=["maps", 1]), "outputs.1: "),
    "a mean that is one number": (put("input", "mean", value=0.5), "input.mean: "),
    "a mean of text": (put("input", "mean", value=["0.5"]), "input.mean.0: "),
    "options that are a list": (put("options", value=[]), "options: "),
    "an input that is a list": (put("input", value=[]), "input: "),
    "a resize that is a list": (put("input", "resize", value=[]), "input.resize: "),
    "a resize that is nothing": (put("input", "resize", value=None), "input.resize: "),
    "an unknown rule": (put("input", "resize", "rule", value="crop"), "input.resize.rule is 'crop', not one of fit, "),
    "a rule that is a list": (put("input", "resize", "rule", value=["fit"]), "input.resize.rule is ['fit'], not one of fit, "),
    "sizes of no rule": (put("input", "resize", value={"side": 3}), "input.resize.rule is missing; it is one of fit, "),
    "an unknown task": (put("task", value="translation"), "task: "),
    "an unknown colour": (put("input", "colour", value="RGB"), "input.colour: "),
    "an unknown layout": (put("input", "layout", value="CHW"), "input.layout: "),
    "an unknown quantity": (put("input", "side_inputs", value=[{**SIDE, "quantity": "age"}]), "input.side_inputs.0.quantity: "),
    "an empty name": (put("name", value=" "), "name must not be empty"),
    "no output": (put("outputs", value=[]), "outputs must name at least one output"),
    "a detector with a charset": (put("charset", value=["a"]), "charset belongs to a recognition model only"),
    "a recognizer without a charset": (put("task", value="recognition"), "charset is what a recognition model writes with"),
    "two means": (put("input", "mean", value=[1, 2]), "input.mean must be one finite number, or one for each channel"),
    "no mean": (put("input", "mean", value=[]), "input.mean must be"),
    "four deviations": (put("input", "std", value=[1, 2, 3, 4]), "input.std must be"),
    "three means of gray": (put("input", "colour", value="gray"), "input.mean must be"),
    "a deviation of zero": (put("input", "std", value=[1, 0, 1]), "input.std must not be 0"),
    "a deviation of minus zero": (put("input", "std", value=[-0.0]), "input.std must not be 0"),
    "a mean that is no number": (put("input", "mean", value=[float("nan")]), "input.mean must be one finite number"),
    "an infinite deviation": (put("input", "std", value=[float("inf")]), "input.std must be one finite number"),
    "an infinite scale": (put("input", "scale", value=float("-inf")), "input.scale must be a finite number"),
    "a scale of zero": (put("input", "scale", value=0), "input.scale must be a finite number other than 0"),
    "padding that is no number": (put("input", "pad_value", value=float("nan")), "input.pad_value must be"),
    "padding to nothing": (put("input", "pad_to", value=0), "input.pad_to must be from 1 to 65536"),
    "padding to a negative number": (put("input", "pad_to", value=-32), "input.pad_to must be"),
    "padding to a huge number": (put("input", "pad_to", value=HUGE), "input.pad_to must be"),
    "a size of zero": (put("input", "resize", "short", value=0), "input.resize.short is 0, and must be from 1 to 65536"),
    "a negative size": (put("input", "resize", "long", value=-5), "input.resize.long is -5, and must be from 1 to 65536"),
    "a huge size": (put("input", "resize", "long", value=HUGE), f"input.resize.long is {HUGE}, and must be"),
    "a height of zero": (
        put("input", "resize", value={"rule": "exact", "height": 0, "width": 9}),
        "input.resize.height is 0, and must be from 1",
    ),
    "a negative limit": (
        put("input", "resize", value={"rule": "short_side", "minimum": 736, "max_long": -1}),
        "input.resize.max_long is -1, and must be from 0",
    ),
    "a multiple of zero": (
        put("input", "resize", value={"rule": "height", "height": 48, "width_multiple": 0}),
        "input.resize.width_multiple is 0",
    ),
    "limits that cross": (
        put("input", "resize", value={"rule": "height", "height": 48, "min_width": 320, "max_width": 160}),
        "input.resize has a max_width that is less than its min_width",
    ),
    "a line that would be cut": (
        put("input", "resize", value={"rule": "height", "height": 48, "width_multiple": 16, "rounding": "nearest"}),
        "input.align must be 'stretch'",
    ),
    "shapes of two ranks": (put("input", "shapes", value={**SHAPES, "opt": [1, 3, 64]}), "input.shapes must be"),
    "shapes of three axes": (put("input", "shapes", value={name: [3, 32, 32] for name in SHAPES}), "input.shapes must be"),
    "shapes out of order": (put("input", "shapes", value={**SHAPES, "opt": [1, 3, 64, 128]}), "input.shapes must be"),
    "a shape with nothing in it": (put("input", "shapes", value={**SHAPES, "min": [0, 3, 32, 32]}), "input.shapes must be"),
    "two side inputs of one name": (put("input", "side_inputs", value=[SIDE, SIDE]), "input.side_inputs and the image input"),
    "a side input called as the image": (
        put("input", "side_inputs", value=[{**SIDE, "name": "input"}]),
        "input.side_inputs and the image input must all have different names",
    ),
    "a side input of text": (
        put("input", "side_inputs", value=[{**SIDE, "dtype": "str"}]),
        "input.side_inputs have a dtype that is not one of float16, ",
    ),
}


def one_sentence(error: BadInput, where: str) -> str:
    """Return what is said after the place, having checked its form."""
    assert error.problem.startswith(f"{where}: ")
    assert "\n" not in error.problem + error.fix
    assert error.fix
    return error.problem.removeprefix(f"{where}: ")


@pytest.mark.parametrize("kind", MISTAKES)
def test_each_mistake_is_named_with_its_place(kind: str) -> None:
    change, said = MISTAKES[kind]
    plain = copy.deepcopy(spec.to_dict(model()))
    change(plain)
    with pytest.raises(BadInput) as caught:
        spec.from_plain(plain, "model.json")
    assert one_sentence(caught.value, "model.json").startswith(said)


NOT_JSON = {
    "nothing": "",
    "half of it": spec.to_json(model())[:-5],
    "YAML": "name: x\n",
    "too deep": "[" * 100_000,
    "a number too long to read": "[" + "9" * 10_000 + "]",
}


@pytest.mark.parametrize("kind", NOT_JSON)
def test_what_is_not_json_is_called_that(kind: str) -> None:
    with pytest.raises(BadInput) as caught:
        spec.from_json(NOT_JSON[kind], "here")
    assert one_sentence(caught.value, "here").startswith("not JSON: ")


def test_bytes_that_are_no_text_are_not_json() -> None:
    with pytest.raises(BadInput, match="here: not JSON: "):
        spec.from_json(b"\xff\xfe\xfa", "here")


@pytest.mark.parametrize("text", ["[]", "7", "null", '"dbnet"', "true", "NaN"])
def test_what_is_not_a_mapping_is_called_what_it_is(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        spec.from_json(text, "here")
    name = type(json.loads(text)).__name__
    assert one_sentence(caught.value, "here") == f"a model specification is a mapping, not {name}"


def deep(levels: int) -> Any:
    nested: Any = 1
    for _ in range(levels):
        nested = [nested]
    return nested


def endless() -> list[Any]:
    circle: list[Any] = []
    circle.append(circle)
    return circle


ODD_VALUES = {
    "half a character": "\ud800",
    "nested a thousand times": deep(900),
    "nested a hundred thousand times": deep(100_000),
    "a circle": endless(),
    "a set": {1, 2},
    "bytes": b"x",
    "a number too long to write": 10**5000,
}


@pytest.mark.parametrize("kind", ODD_VALUES)
def test_values_that_no_json_holds_are_a_sentence(kind: str) -> None:
    plain = {**spec.to_dict(model()), "options": {"odd": ODD_VALUES[kind]}}
    with pytest.raises(BadInput) as caught:
        spec.from_plain(plain, "here")
    assert one_sentence(caught.value, "here")


NOT_YAML = {
    "a tab": "name:\n\t- x",
    "an open bracket": "{name: [",
    "an object of Python": "!!python/object/apply:os.system ['true']",
    "two documents": "a: 1\n---\nb: 2\n",
    "a day that never was": "name: 2024-13-45",
    "a number too long to read": "rank: " + "9" * 10_000,
    "too deep": "[" * 3_000,
}


@pytest.mark.parametrize("kind", NOT_YAML)
def test_what_is_not_yaml_is_called_that(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "model.yaml"
    path.write_text(NOT_YAML[kind])
    with pytest.raises(BadInput) as caught:
        spec.read_file(path)
    assert one_sentence(caught.value, str(path)).startswith("not YAML: ")


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words", "!!set {a, b}"])
def test_yaml_that_is_no_mapping_is_called_what_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "model.yaml"
    path.write_text(text)
    with pytest.raises(BadInput, match="a model specification is a mapping, not "):
        spec.read_file(path)


def test_yaml_that_holds_what_json_cannot_say_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "model.yaml"
    path.write_text("name: 2024-12-24\n")
    with pytest.raises(BadInput) as caught:
        spec.read_file(path)
    assert one_sentence(caught.value, str(path)).startswith("it holds what JSON cannot say: ")


def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    binary = tmp_path / "model.json"
    binary.write_bytes(b"\xff\xd8\xff\xe0")
    for path, reason in ((tmp_path / "missing.json", "No such file"), (tmp_path, "directory"), (binary, "not UTF-8 text")):
        with pytest.raises(BadInput, match=reason) as caught:
            spec.read_file(path)
        assert str(path) in caught.value.problem
        assert caught.value.fix == "name a JSON or YAML file"


def test_a_sound_specification_passes_the_check() -> None:
    for each in SOUND.values():
        spec.check(each, "here")
