"""Detector, recognizer and line classifier together: pictures in, pages of text out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import IOBase
from itertools import islice
from pathlib import Path
from time import perf_counter
from types import MappingProxyType, TracebackType
from typing import Any, Self, TypeAlias, cast

import numpy as np

from ocrdeploy import images, lines, models, order, sources
from ocrdeploy.errors import BadInput, OcrdError, unknown
from ocrdeploy.page import Page
from ocrdeploy.pipeline import Pipeline
from ocrdeploy.plugins import Plugins, discover
from ocrdeploy.vocabulary import Artifact, InferOptions, Loaded, Pixels, Region, Task

TASKS = ("ocr", "detect", "recognize")
ROLES: Mapping[str, Task] = MappingProxyType(
    {"detector": Task.DETECTION, "recognizer": Task.RECOGNITION, "classifier": Task.CLASSIFICATION}
)
ROLES_OF_TASK = MappingProxyType(
    {"ocr": ("detector", "recognizer", "classifier"), "detect": ("detector",), "recognize": ("recognizer",)}
)
"""Which models a task needs, in the order in which they are opened; whether lines are classified depends on the recognizer."""

MIN_SCORE = MappingProxyType({"ocr": 0.5, "detect": 0.0, "recognize": 0.0})
"""The default of `min_score` for each task."""

_AHEAD = 2
"""Pictures decoded in advance: enough to hide decoding behind inference, few enough for memory to stay flat."""

_WINDOW = 4
"""Recognize: batches' worth of pictures that are looked at together, so that lines of one width find each other."""

Source: TypeAlias = "str | os.PathLike[str] | bytes | Pixels | sources.Input | Any"
"""A path, an encoded picture's bytes, a PIL image, or an RGB uint8 array (H, W, 3)."""


@dataclass(frozen=True, slots=True)
class _Choice:
    """Which model plays a role: a MODEL, "none", or None for the default; and a spec file for it."""

    model: str | None
    spec_file: Path | None


class Reader:
    """Reads text from pictures. Opens its models once; close it, or use it as a context manager.

    `task` is "ocr" (find and read text), "detect" (find it) or "recognize" (each picture is one line). Models are MODELs
    as on the command line; None takes the installed one of the highest rank, "none" for the classifier leaves it out.
    Everything that can fail before the first picture fails here, as an `OcrdError`.
    """

    def __init__(
        self,
        *,
        task: str = "ocr",
        backend: str = "auto",
        detector: str | None = None,
        recognizer: str | None = None,
        classifier: str | None = None,
        device: str = "auto",
        precision: str = "fp32",
        threads: int = 0,
        batch_size: int = 8,
        min_score: float | None = None,
        provider: str = "",
        detector_spec: str | Path | None = None,
        recognizer_spec: str | Path | None = None,
        classifier_spec: str | Path | None = None,
        custom_ops: Sequence[str | Path] = (),
        backend_options: Mapping[str, str] | None = None,
        dpi: int = 200,
        max_pixels: int = images.DEFAULT_MAX_PIXELS,
        plugins: Plugins | None = None,
    ) -> None:
        if task not in TASKS:
            raise unknown("task", task, TASKS)
        _at_least("batch_size", batch_size, 1)
        _at_least("threads", threads, 0)
        self.task = task
        self.batch_size = batch_size
        self.min_score = MIN_SCORE[task] if min_score is None else min_score
        self._dpi, self._max_pixels = dpi, max_pixels
        self._plugins = discover() if plugins is None else plugins
        self._notes: list[str] = []
        self._chosen: list[str] = []
        self._pipelines: dict[str, Pipeline] = {}
        options = InferOptions(
            device=device,
            precision=precision,
            threads=threads,
            provider=provider,
            custom_ops=tuple(Path(library) for library in custom_ops),
            extra=dict(backend_options or {}),
        )
        choices = {
            "detector": _Choice(detector, _path(detector_spec)),
            "recognizer": _Choice(recognizer, _path(recognizer_spec)),
            "classifier": _Choice(classifier, _path(classifier_spec)),
        }
        try:
            self._open(choices, backend, options)
        except BaseException:
            self.close()
            raise

    def _open(self, choices: Mapping[str, _Choice], backend: str, options: InferOptions) -> None:
        for role in ROLES_OF_TASK[self.task]:
            choice = choices[role]
            if role == "classifier" and (choice.model == "none" or (choice.model is None and not self._companions())):
                continue
            opened = Pipeline(self._plugins, self._source(role, choice), backend, options, self._note)
            self._pipelines[role] = opened
            if choice.model is None:
                self._note(f"{role}: {opened.model.name}, by default")
            self._choose(f"backend auto: {opened.backend}" if backend == "auto" else "")
            self._choose(opened.loaded().chosen)

    def _source(self, role: str, choice: _Choice) -> Artifact:
        if choice.model is not None:
            return models.resolve(self._plugins, choice.model, task=ROLES[role], spec_file=choice.spec_file)
        if choice.spec_file is not None:
            raise BadInput(f"a spec is given for the {role}, and no {role}", f"name the {role} that it describes")
        if role == "classifier":
            return models.resolve(self._plugins, self._companions()[0], task=ROLES[role])
        return models.default(self._plugins, ROLES[role], self._choose)

    def _companions(self) -> list[str]:
        """Return the classifiers, best first, of the pack that the recognizer comes from: they know its kind of lines."""
        recognizer = self._pipelines["recognizer"].model.name
        if recognizer not in self._plugins.models:
            return []
        pack = self._plugins.installed[self._plugins.owner_of_model(recognizer)]
        return [
            name for name, model in self._plugins.models.items() if model.task is Task.CLASSIFICATION and model in pack.models
        ]

    def _note(self, sentence: str) -> None:
        if sentence and sentence not in self._notes:
            self._notes.append(sentence)

    def _choose(self, sentence: str) -> None:
        if sentence and sentence not in self._chosen:
            self._chosen.append(sentence)

    @property
    def chosen(self) -> tuple[str, ...]:
        """What "auto" chose, a sentence each."""
        return tuple(self._chosen)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was taken by default and what was made on the way, a sentence each."""
        return tuple(self._notes)

    @property
    def loaded(self) -> Mapping[str, Loaded]:
        """What really runs, by role: detector, classifier, recognizer."""
        return {role: pipeline.loaded() for role, pipeline in self._pipelines.items()}

    @property
    def pipelines(self) -> Mapping[str, Pipeline]:
        """The opened models, by role; the reader closes them."""
        return MappingProxyType(self._pipelines)

    @property
    def spent_ms(self) -> Mapping[str, Mapping[str, float]]:
        """Where the time of all pictures so far went, in milliseconds, by role: "preprocess", "infer" and "postprocess"."""
        return {role: dict(pipeline.spent_ms) for role, pipeline in self._pipelines.items()}

    def read(self, source: Source | Iterable[Source], *, on_error: str = "page") -> Iterator[Page]:
        """Read one picture or many, lazily and in order; a TIFF or PDF of several pages gives a `Page` for each.

        A picture that cannot be read gives a `Page` with its `error`, and the others are read; `on_error="raise"` raises it.
        """
        if on_error not in ("page", "raise"):
            raise unknown("value of on_error", on_error, ("page", "raise"))
        inputs = (_as_input(each, index) for index, each in enumerate(_each(source)))
        return self._pages(inputs, raises=on_error == "raise")

    def _pages(self, inputs: Iterator[sources.Input], *, raises: bool) -> Iterator[Page]:
        pictures = sources.read_ahead(sources.pictures(inputs, dpi=self._dpi, max_pixels=self._max_pixels), _AHEAD)
        pages = self._lines(pictures) if self.task == "recognize" else map(self._page, pictures)
        for page in pages:
            if page.error is not None and raises:
                raise page.error
            yield page

    def _page(self, picture: sources.Picture) -> Page:
        if picture.pixels is None:
            return Page(picture.name, picture.stem, error=picture.error)
        height, width = picture.pixels.shape[:2]
        clock = _Clock(picture.decode_ms)
        try:
            regions = self._detect(picture.pixels, clock)
            if self.task == "ocr":
                regions = self._read_regions(picture.pixels, regions, clock)
        except OcrdError as error:
            return Page(picture.name, picture.stem, width, height, error=error)
        kept = [region for region in regions if region.score >= self.min_score]
        ordered = tuple(kept[index] for row in order.rows(kept) for index in row)
        return Page(picture.name, picture.stem, width, height, ordered, None, clock.spent_ms, picture.pixels)

    def _detect(self, pixels: Pixels, clock: _Clock) -> list[Region]:
        padded, above = lines.pad_strip(pixels)
        (found,) = self._opened("detector").predict([padded])
        clock.spend("detect")
        return [_moved_up(region, above) for region in found.regions]

    def _read_regions(self, pixels: Pixels, regions: Sequence[Region], clock: _Clock) -> list[Region]:
        crops = [lines.cut_line(pixels, region.polygon) for region in regions]
        clock.spend("crop")
        if "classifier" in self._pipelines:
            crops = self._upright(crops)
            clock.spend("classify")
        read = self._opened("recognizer").predict(crops, self.batch_size)
        clock.spend("recognize")
        return [
            replace(line.regions[0], polygon=region.polygon, detection_score=region.detection_score)
            for region, line in zip(regions, read, strict=True)
            if line.regions[0].text.strip()
        ]

    def _upright(self, crops: list[Pixels]) -> list[Pixels]:
        """Turn the lines by 180 degrees that the classifier says stand on their heads, with more than its `threshold`."""
        classifier = self._opened("classifier")
        options = {**self._plugins.families[classifier.model.family].options, **classifier.model.options}
        threshold = float(options.get("threshold", 0.0))
        answers = [prediction.regions[0] for prediction in classifier.predict(crops, self.batch_size)]
        return [
            cast("Pixels", np.ascontiguousarray(crop[::-1, ::-1])) if answer.label == "180" and answer.score > threshold else crop
            for crop, answer in zip(crops, answers, strict=True)
        ]

    def _lines(self, pictures: Iterator[sources.Picture]) -> Iterator[Page]:
        while window := list(islice(pictures, self.batch_size * _WINDOW)):
            yield from self._window(window)

    def _window(self, window: Sequence[sources.Picture]) -> Iterator[Page]:
        started = perf_counter()
        good = [picture for picture in window if picture.pixels is not None]
        try:
            answers = self._recognize([cast("Pixels", picture.pixels) for picture in good])
        except OcrdError:
            # One of them cannot be read; alone, each gives its own answer or its own error.
            answers = [self._alone(cast("Pixels", picture.pixels)) for picture in good]
        each_ms = (perf_counter() - started) * 1000 / max(len(good), 1)
        answer = iter(answers)
        for picture in window:
            result: Region | OcrdError | None = picture.error if picture.pixels is None else next(answer)
            yield self._line_page(picture, result, each_ms)

    def _recognize(self, pixels: Sequence[Pixels]) -> list[Region | OcrdError]:
        return [line.regions[0] for line in self._opened("recognizer").predict(pixels, self.batch_size)]

    def _alone(self, pixels: Pixels) -> Region | OcrdError:
        try:
            return self._recognize([pixels])[0]
        except OcrdError as error:
            return error

    def _line_page(self, picture: sources.Picture, result: Region | OcrdError | None, each_ms: float) -> Page:
        if picture.pixels is None or not isinstance(result, Region):
            return Page(picture.name, picture.stem, error=result if isinstance(result, OcrdError) else picture.error)
        height, width = picture.pixels.shape[:2]
        corners = ((0.0, 0.0), (float(width), 0.0), (float(width), float(height)), (0.0, float(height)))
        kept = result.text.strip() and result.score >= self.min_score
        regions = (replace(result, polygon=corners),) if kept else ()
        timings = {"decode": picture.decode_ms, "recognize": each_ms}
        return Page(picture.name, picture.stem, width, height, regions, None, timings, picture.pixels)

    def _opened(self, role: str) -> Pipeline:
        if role not in self._pipelines:
            message = "this Reader is closed: read all pages before it is"
            raise ValueError(message)
        return self._pipelines[role]

    def close(self) -> None:
        """Free the models. A second call does nothing."""
        while self._pipelines:
            self._pipelines.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class _Clock:
    """Adds up what each step takes, in milliseconds."""

    def __init__(self, decode_ms: float) -> None:
        self.spent_ms = {"decode": decode_ms}
        self._started = perf_counter()

    def spend(self, step: str) -> None:
        now = perf_counter()
        self.spent_ms[step] = (now - self._started) * 1000
        self._started = now


def _moved_up(region: Region, rows: int) -> Region:
    if not rows:
        return region
    return replace(region, polygon=tuple((x, y - rows) for x, y in region.polygon))


def _each(source: Source | Iterable[Source]) -> Iterable[Source]:
    """Tell one picture from many: what can be iterated holds many, unless it is a picture in one of its forms, or a file."""
    one = isinstance(source, str | bytes | bytearray | memoryview | os.PathLike | np.ndarray | IOBase)
    return source if isinstance(source, Iterable) and not one else [source]


def _as_input(source: Source, index: int) -> sources.Input:
    return source if isinstance(source, sources.Input) else sources.as_input(source, index)


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise BadInput(f"{name} is {value}", f"give a number of at least {least}")
