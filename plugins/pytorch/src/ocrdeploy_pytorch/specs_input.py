"""A config's test pipeline as an `InputSpec`: how MMOCR prepares a picture, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ocrdeploy.vocabulary import (
    Align,
    Colour,
    Exact,
    Fit,
    Height,
    InputSpec,
    Interpolation,
    Orientation,
    Resize,
    Rounding,
    Shapes,
)
from ocrdeploy_pytorch.config_error import ConfigError
from ocrdeploy_pytorch.specs_section import Section, quoted

NAME = "input"
"""What the tensor is called, as MMOCR's own export called it."""

FIX = "change the test pipeline to what is supported; for each of MMOCR's own six configs it is"

COLOURS: Mapping[str, tuple[Colour, Orientation]] = {
    "color": (Colour.BGR, Orientation.EXIF),
    "color_ignore_orientation": (Colour.BGR, Orientation.IGNORE),
    "grayscale": (Colour.GRAY, Orientation.EXIF),
    "grayscale_ignore_orientation": (Colour.GRAY, Orientation.IGNORE),
}
"""`LoadImageFromFile.color_type`: what is decoded."""

INTERPOLATIONS: Mapping[str, Interpolation] = {
    "bilinear": Interpolation.LINEAR,
    "nearest": Interpolation.NEAREST,
    "bicubic": Interpolation.CUBIC,
    "area": Interpolation.AREA,
}

MAP_STRIDE = 4
"""Detectors' maps are this much smaller than the tensor, or were on the way; a tensor must hold it without a rest."""

USUAL_PICTURE = (720, 1280)
MOST_LINES = 16
MOST_LINE_WIDTH = 64
"""How many lines, and how wide a line in heights, an engine is built for."""


@dataclass(slots=True)
class Recipe:
    """What the steps of a pipeline have said so far; `stage` is the last one's place in the only order that is supported."""

    scale_of_flip: tuple[int, int] | None = None
    stage: int = 0
    colour: Colour = Colour.BGR
    orientation: Orientation = Orientation.EXIF
    resize: Resize | None = None
    align: Align = Align.PAD
    interpolation: Interpolation = Interpolation.LINEAR
    divisor: int = 1
    scale: float = 1.0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @property
    def channels(self) -> int:
        """1 for gray, else 3."""
        return 1 if self.colour is Colour.GRAY else 3


def input_of(config: Mapping[str, Any]) -> InputSpec:
    """Return how a picture becomes the tensor. Raises `ConfigError` for a step that cannot be done exactly as MMOCR does it."""
    recipe = Recipe()
    _take_steps(_pipeline(config), "data.test.pipeline", recipe)
    if recipe.resize is None or not recipe.mean:
        lacks = "Resize or ResizeOCR" if recipe.resize is None else "Normalize"
        raise ConfigError(f"data.test.pipeline of the config has no {lacks}", FIX)
    if isinstance(recipe.resize, Exact) and (recipe.resize.height % recipe.divisor or recipe.resize.width % recipe.divisor):
        raise ConfigError("data.test.pipeline of the config stretches to one size and pads it: that is not supported", FIX)
    return InputSpec(
        name=NAME,
        resize=recipe.resize,
        colour=recipe.colour,
        mean=recipe.mean,
        std=recipe.std,
        scale=recipe.scale,
        align=recipe.align,
        pad_to=recipe.divisor,
        interpolation=recipe.interpolation,
        orientation=recipe.orientation,
        shapes=shapes_of(recipe.resize, recipe.channels, recipe.divisor),
    )


def _pipeline(config: Mapping[str, Any]) -> list[Any]:
    """Return the test pipeline: the data set's, or that of the sets inside it, which must then be one and the same."""
    data = Section(config.get("data"), "data", FIX).section("test")
    found = data.take("pipeline")
    if found is None:
        parts = [part for each in _listed(data.take("datasets")) for part in _listed(each)]
        candidates = [part.get("pipeline") for part in parts if isinstance(part, Mapping)]
    else:
        candidates = found if found and isinstance(found, list) and all(isinstance(each, list) for each in found) else [found]
    if not candidates or not isinstance(candidates[0], list):
        raise ConfigError("the config has no data.test.pipeline: how to prepare a picture is not known", FIX)
    if any(each != candidates[0] for each in candidates):
        raise ConfigError("data.test of the config has several pipelines, which differ", "leave one data set under data.test")
    pipeline: list[Any] = candidates[0]
    return pipeline


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _take_steps(steps: object, place: str, recipe: Recipe) -> None:
    if not isinstance(steps, list):
        raise ConfigError(f"{place} of the config is {quoted(steps)}, and must be a list of steps", FIX)
    for index, given in enumerate(steps):
        section = Section(given, f"{place}[{index}]", FIX)
        name = section.kind(tuple(STEPS))
        stage, read = STEPS[name]
        if stage <= recipe.stage and stage < _FORMATTED:
            raise ConfigError(f"{section.place} of the config, {name}, stands where it has no place", FIX)
        recipe.stage = max(stage, recipe.stage)
        read(section, recipe)
        section.done()


def _load(section: Section, recipe: Recipe) -> None:
    recipe.colour, recipe.orientation = COLOURS[section.choice("color_type", tuple(COLOURS), "color")]
    section.choice("to_float32", (False,), default=False)
    section.choice("channel_order", ("bgr",), "bgr")
    section.without_bearing("file_client_args")


def _one_scale(section: Section, recipe: Recipe) -> None:
    """`MultiScaleFlipAug`, where it neither flips nor has several scales."""
    recipe.scale_of_flip = _size(section, "img_scale")
    section.choice("scale_factor", (None,))
    section.choice("flip", (False,), default=False)
    section.without_bearing("flip_direction")
    _take_steps(section.take("transforms"), f"{section.place}.transforms", recipe)


def _one_rotation(section: Section, recipe: Recipe) -> None:
    """`MultiRotateAugOCR`, where it does not rotate."""
    section.choice("rotate_degrees", (None, 0, [0]))
    section.without_bearing("force_rotate")
    _take_steps(section.take("transforms"), f"{section.place}.transforms", recipe)


def _size(section: Section, name: str) -> tuple[int, int]:
    """Return an `img_scale`: one pair, or a list that holds one."""
    given = section.take(name)
    pairs = given if isinstance(given, list) else [given]
    pair = pairs[0] if len(pairs) == 1 else None
    if not isinstance(pair, tuple) or len(pair) != 2 or not all(type(each) is int and each > 0 for each in pair):  # noqa: PLR2004
        raise section.error(name, f"is {quoted(given)}, and only one pair of whole numbers, (1333, 736), is supported")
    return pair


def _resize(section: Section, recipe: Recipe) -> None:
    inner = _size(section, "img_scale") if section.has("img_scale") else None
    scale = recipe.scale_of_flip or inner
    if scale is None:
        raise section.error("img_scale", "is missing, and so is that of MultiScaleFlipAug")
    keeps = section.flag("keep_ratio", default=True)
    recipe.resize = Fit(max(scale), min(scale)) if keeps else Exact(height=scale[1], width=scale[0])
    recipe.align = Align.PAD if keeps else Align.STRETCH
    recipe.interpolation = INTERPOLATIONS[section.choice("interpolation", tuple(INTERPOLATIONS), "bilinear")]
    section.choice("ratio_range", (None,))
    section.choice("backend", ("cv2",), "cv2")
    section.choice("override", (False,), default=False)
    section.without_bearing("multiscale_mode", "bbox_clip_border")


def _resize_line(section: Section, recipe: Recipe) -> None:
    height, divisor = section.whole("height", least=1), 1 / section.number("width_downsample_ratio", 1 / 16)
    least, most = (None if section.take(name) is None else 0 for name in ())  # placeholder
    del least, most, height, divisor
    recipe.align = Align.STRETCH


STEPS: Mapping[str, tuple[int, Callable[[Section, Recipe], None]]] = {}
_FORMATTED = 6
