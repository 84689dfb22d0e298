"""A config's test pipeline as an `InputSpec`: how MMOCR prepares a picture, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ocrdeploy.vocabulary import Align, Colour, Exact, Fit, Height, InputSpec, Interpolation, Orientation, Resize, Rounding
from ocrdeploy_pytorch.config.error import ConfigError
from ocrdeploy_pytorch.specs.section import Section, quoted
from ocrdeploy_pytorch.specs.shapes import shapes_of
from ocrdeploy_pytorch.specs.six import NAME

FIX = "change data.test.pipeline to steps that are supported: those of MMOCR's six configs are"

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


@dataclass(slots=True)
class Recipe:
    """What the steps have said so far; `stage` is the last one's place in the only order that is supported."""

    stage: int = 0
    scale_of_flip: tuple[int, int] | None = None
    colour: Colour = Colour.BGR
    orientation: Orientation = Orientation.EXIF
    resize: Resize | None = None
    align: Align = Align.STRETCH
    interpolation: Interpolation = Interpolation.LINEAR
    divisor: int = 1
    pad_value: float = 0.0
    scale: float = 1.0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @property
    def channels(self) -> int:
        """1 for gray, else 3."""
        return 1 if self.colour is Colour.GRAY else 3


def input_of(config: Mapping[str, Any], batches: tuple[int, int, int]) -> InputSpec:
    """Return how a picture becomes the tensor; `batches` are for `InputSpec.shapes`.

    Raises `ConfigError` for a step that cannot be done exactly as MMOCR does it.
    """
    recipe = Recipe()
    _take_steps(_pipeline(config), "data.test.pipeline", recipe)
    if recipe.resize is None or not recipe.mean:
        lacks = "Resize or ResizeOCR" if recipe.resize is None else "Normalize or ToTensorOCR"
        raise ConfigError(f"data.test.pipeline of the config has no {lacks}", FIX)
    return InputSpec(
        name=NAME,
        resize=recipe.resize,
        colour=recipe.colour,
        mean=recipe.mean,
        std=recipe.std,
        scale=recipe.scale,
        align=recipe.align,
        pad_to=recipe.divisor,
        pad_value=recipe.pad_value,
        interpolation=recipe.interpolation,
        orientation=recipe.orientation,
        shapes=shapes_of(recipe.resize, recipe.channels, recipe.divisor, batches),
    )


def _pipeline(config: Mapping[str, Any]) -> list[Any]:
    """Return the test pipeline: that of data.test, else that of the data sets in it; several must be one and the same."""
    test = Section(config.get("data"), "data", FIX).section("test")
    found = test.take("pipeline")
    if found is None:
        parts = [part for each in _listed(test.take("datasets")) for part in _listed(each)]
        candidates = [part.get("pipeline") for part in parts if isinstance(part, Mapping)]
    elif isinstance(found, list) and found and all(isinstance(each, list) for each in found):
        candidates = found
    else:
        candidates = [found]
    if not candidates or not isinstance(candidates[0], list):
        raise ConfigError("the config has no data.test.pipeline, so how to prepare a picture is not known", FIX)
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
        if stage <= recipe.stage and stage < FORMATTING:
            raise ConfigError(f"{section.place} of the config is {name!r}, which is not supported after the steps before it", FIX)
        recipe.stage = max(stage, recipe.stage)
        read(section, recipe)
        section.done()


def _load(section: Section, recipe: Recipe) -> None:
    recipe.colour, recipe.orientation = COLOURS[section.choice("color_type", tuple(COLOURS), "color")]
    section.choice("to_float32", (False,), default=False)
    section.choice("channel_order", ("bgr",), "bgr")
    section.without_bearing("file_client_args")


def _one_scale(section: Section, recipe: Recipe) -> None:
    """`MultiScaleFlipAug`, where it has one scale and does not flip."""
    recipe.scale_of_flip = _size(section)
    section.choice("scale_factor", (None,))
    section.choice("flip", (False,), default=False)
    section.without_bearing("flip_direction")
    _take_steps(section.take("transforms"), f"{section.place}.transforms", recipe)


def _one_rotation(section: Section, recipe: Recipe) -> None:
    """`MultiRotateAugOCR`, where it does not rotate."""
    section.choice("rotate_degrees", (None, 0, [0]))
    section.without_bearing("force_rotate")
    _take_steps(section.take("transforms"), f"{section.place}.transforms", recipe)


def _size(section: Section) -> tuple[int, int]:
    """Return the `img_scale`: a pair, or a list that holds one pair."""
    given = section.take("img_scale")
    pair = given[0] if isinstance(given, list) and len(given) == 1 else given
    if isinstance(pair, tuple):  # MMOCR takes a list for several scales
        match pair:
            case (int(first), int(second)) if first > 0 and second > 0:
                return first, second
    raise section.error("img_scale", f"is {quoted(given)}, and only one pair of whole numbers is supported, such as (1333, 736)")


def _resize(section: Section, recipe: Recipe) -> None:
    """MMDetection's `Resize`. Inside `MultiScaleFlipAug` its own scale is not looked at, by MMOCR neither."""
    if recipe.scale_of_flip is None:
        scale = _size(section)
    else:
        scale = recipe.scale_of_flip
        section.without_bearing("img_scale")
    keeps = section.flag("keep_ratio", default=True)
    recipe.resize = Fit(max(scale), min(scale)) if keeps else Exact(height=scale[1], width=scale[0])
    recipe.align = Align.PAD if keeps else Align.STRETCH
    recipe.interpolation = INTERPOLATIONS[section.choice("interpolation", tuple(INTERPOLATIONS), "bilinear")]
    section.choice("ratio_range", (None,))
    section.choice("backend", ("cv2",), "cv2")
    section.choice("override", (False,), default=False)
    section.without_bearing("multiscale_mode", "bbox_clip_border")


def _flip(section: Section, recipe: Recipe) -> None:
    """`RandomFlip`, which does nothing where `MultiScaleFlipAug` said not to flip."""
    if recipe.scale_of_flip is None:
        raise ConfigError(f"{section.place} of the config is 'RandomFlip', which answers differently each time", FIX)
    section.without_bearing("flip_ratio", "direction")


def _resize_line(section: Section, recipe: Recipe) -> None:
    """`ResizeOCR`, to a width of its own for each line, or to one width for all."""
    height = section.whole("height", least=1)
    least, most = _width(section, "min_width"), _width(section, "max_width")
    ratio = section.number("width_downsample_ratio", 1 / 16)
    keeps = section.flag("keep_aspect_ratio", default=True)
    section.choice("backend", (None, "cv2"))
    section.without_bearing("img_pad_value", "padding_mode")  # what is padded is refused below
    recipe.align = Align.STRETCH
    if most and (not keeps or least >= most):
        recipe.resize = Exact(height, most)
    elif keeps and not most:
        if not 0 < ratio <= 1:
            raise section.error("width_downsample_ratio", f"is {ratio!r}, and must be above 0 and at most 1")
        recipe.resize = Height(height, width_multiple=int(1 / ratio), rounding=Rounding.NEAREST, min_width=least or 1)
    elif keeps:
        raise section.error("max_width", f"is {most}: to pad lines of their own width to it is not supported, None is")
    else:
        raise section.error("max_width", "is missing, and keep_aspect_ratio=False needs it")


def _width(section: Section, name: str) -> int:
    """Return a width, 0 for None."""
    value = section.take(name)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise section.error(name, f"is {quoted(value)}, and must be None or a whole number from 1 on")
    return value


def _normalize(section: Section, recipe: Recipe) -> None:
    recipe.mean, recipe.std = section.numbers("mean", recipe.channels), section.numbers("std", recipe.channels)
    if section.flag("to_rgb", default=True) and recipe.colour is Colour.BGR:
        recipe.colour = Colour.RGB


def _to_tensor(_: Section, recipe: Recipe) -> None:
    recipe.scale = 1 / 255
    recipe.mean, recipe.std = (0.0,) * recipe.channels, (1.0,) * recipe.channels


def _normalize_tensor(section: Section, recipe: Recipe) -> None:
    if not recipe.mean or recipe.scale == 1:
        raise ConfigError(f"{section.place} of the config is 'NormalizeOCR', and only after ToTensorOCR it is supported", FIX)
    recipe.mean, recipe.std = section.numbers("mean", recipe.channels), section.numbers("std", recipe.channels)


def _pad(section: Section, recipe: Recipe) -> None:
    recipe.divisor = section.whole("size_divisor", least=1)
    section.choice("size", (None,))
    section.choice("pad_to_square", (False,), default=False)
    given = section.take("pad_val", 0)
    value = given.get("img", 0) if isinstance(given, Mapping) else given
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise section.error("pad_val", f"is {quoted(given)}, and must be a number")
    recipe.pad_value = float(value)
    match recipe.resize:
        case Fit():
            return
        case Exact(height=height, width=width) if height % recipe.divisor == width % recipe.divisor == 0:
            recipe.divisor = 1
        case _:
            raise ConfigError(
                f"{section.place} of the config is 'Pad', which is supported after Resize(keep_ratio=True) only", FIX
            )


def _format(section: Section, _: Recipe) -> None:
    section.without_bearing("keys", "meta_keys", "img_to_float", "pad_val")


FORMATTING = 9
"""The stage from which on steps no longer change the picture, and may come in any order."""

STEPS: Mapping[str, tuple[int, Callable[[Section, Recipe], None]]] = {
    "LoadImageFromFile": (1, _load),
    "LoadImageFromNdarray": (1, _load),
    "MultiScaleFlipAug": (2, _one_scale),
    "MultiRotateAugOCR": (2, _one_rotation),
    "Resize": (3, _resize),
    "ResizeOCR": (3, _resize_line),
    "RandomFlip": (4, _flip),
    "Normalize": (5, _normalize),
    "ToTensorOCR": (5, _to_tensor),
    "NormalizeOCR": (6, _normalize_tensor),
    "Pad": (7, _pad),
    "ImageToTensor": (FORMATTING, _format),
    "DefaultFormatBundle": (FORMATTING, _format),
    "Collect": (FORMATTING, _format),
}
"""The steps that are supported: the stage of each, which must rise, and what reads its arguments."""
