"""What is measured, opened in the row's own process: one model, or a detector and a recognizer together.

Both are what `ocrd run` uses, `Pipeline` and `Reader`; nothing here calls a session itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Protocol

from ocrdeploy import images, models
from ocrdeploy.errors import OcrdError
from ocrdeploy.evaluation.answers import Answer, refused
from ocrdeploy.evaluation.order import Order
from ocrdeploy.pipeline import Pipeline
from ocrdeploy.plugins import Plugins
from ocrdeploy.reader import Reader
from ocrdeploy.vocabulary import Colour, Orientation, Pixels, Tensors

Spent = Mapping[str, float]
"""Where the time of a call went: milliseconds by step."""

Note = Callable[[str], None]


class Opened(Protocol):
    """A subject that is ready to answer. One owner closes it."""

    @property
    def pipelines(self) -> Mapping[str, Pipeline]:
        """The models, by role."""
        ...

    def decode(self, data: bytes, name: str) -> Pixels:
        """Return a picture as the models' specs want it decoded."""
        ...

    def answer(self, pictures: Sequence[Pixels]) -> list[Answer]:
        """Answer these pictures together, in order. Raises `OcrdError` where one of them cannot be answered."""
        ...

    def spent(self) -> Spent:
        """Say where the time of all calls so far went, in milliseconds."""
        ...

    def close(self) -> None:
        """Free the models."""
        ...


class Single:
    """One model."""

    def __init__(self, plugins: Plugins, order: Order, note: Note) -> None:
        (reference,), (spec_file,) = order.subject.models, order.subject.spec_files
        source = models.resolve(plugins, reference, task=None, spec_file=Path(spec_file) if spec_file else None)
        self._pipeline = Pipeline(plugins, source, order.backend, order.options, note)
        if order.subject.shape:
            try:
                self._pipeline.bring_to(order.subject.shape)
            except OcrdError:
                self._pipeline.close()
                raise

    @property
    def pipelines(self) -> Mapping[str, Pipeline]:
        """The one model."""
        return {str(self._pipeline.model.task): self._pipeline}

    def decode(self, data: bytes, name: str) -> Pixels:
        """Return a picture in the model's colour and orientation."""
        spec = self._pipeline.model.input
        return images.decode(data, name=name, colour=spec.colour, orientation=spec.orientation)

    def answer(self, pictures: Sequence[Pixels]) -> list[Answer]:
        """Answer these pictures; those of one tensor shape run together."""
        return [Answer(each.regions) for each in self._pipeline.predict(pictures, max(len(pictures), 1))]

    def spent(self) -> Spent:
        """Say where the time went."""
        return dict(self._pipeline.spent_ms)

    def close(self) -> None:
        """Free the model."""
        self._pipeline.close()


class Pair:
    """A detector and a recognizer, as `ocrd run` reads with them, and the recognizer's own line classifier where it has one."""

    def __init__(self, plugins: Plugins, order: Order, note: Note) -> None:
        subject, options = order.subject, order.options
        specs = [Path(each) if each else None for each in subject.spec_files]
        self._reader = Reader(
            task="ocr",
            backend=order.backend,
            detector=subject.models[0],
            recognizer=subject.models[1],
            detector_spec=specs[0],
            recognizer_spec=specs[1],
            device=options.device,
            precision=options.precision,
            threads=options.threads,
            provider=options.provider,
            custom_ops=options.custom_ops,
            backend_options=options.extra,
            batch_size=subject.batch_size,
            min_score=subject.min_score,
            plugins=plugins,
        )
        self._steps: Counter[str] = Counter()
        for sentence in self._reader.notes:
            note(sentence)

    @property
    def pipelines(self) -> Mapping[str, Pipeline]:
        """The models, by role."""
        return self._reader.pipelines

    def decode(self, data: bytes, name: str) -> Pixels:
        """Return a picture in colour, turned or not as the detector's spec says: the labels are in that frame."""
        orientation: Orientation = self._reader.pipelines["detector"].model.input.orientation
        return images.decode(data, name=name, colour=Colour.RGB, orientation=orientation)

    def answer(self, pictures: Sequence[Pixels]) -> list[Answer]:
        """Read the pictures one after the other."""
        found = []
        for page in self._reader.read(pictures, on_error="raise"):
            found.append(Answer(page.regions))
            self._steps.update({step: spent for step, spent in page.timings_ms.items() if step != "decode"})
        return found

    def spent(self) -> Spent:
        """Say where the time went, by kind of work and by stage."""
        by_kind: Counter[str] = Counter()
        for each in self._reader.spent_ms.values():
            by_kind.update(each)
        return {**by_kind, **self._steps}

    def close(self) -> None:
        """Free the models."""
        self._reader.close()


def open_subject(plugins: Plugins, order: Order, note: Note) -> Opened:
    """Open what `order` names, making the files that are missing. Raises `OcrdError`."""
    return Pair(plugins, order, note) if order.subject.task == "ocr" else Single(plugins, order, note)


def timed(opened: Opened, paths: Sequence[Path], names: Sequence[str]) -> tuple[list[Answer], Spent]:
    """Read, decode and answer these pictures together, and say how long each step and all of it took, in milliseconds.

    Where one of several cannot be answered, each is asked alone. "total" is the time from before the files are opened until
    the last answer is there.
    """
    before = Counter(opened.spent())
    started = perf_counter()
    decoded = [_decoded(opened, path, name) for path, name in zip(paths, names, strict=True)]
    ready = perf_counter()
    answers = _answers(opened, decoded)
    ended = perf_counter()
    steps = Counter(opened.spent())
    steps.subtract(before)
    return answers, {"total": (ended - started) * 1000, "decode": (ready - started) * 1000, **steps}


def _decoded(opened: Opened, path: Path, name: str) -> Pixels | Answer:
    try:
        data = path.read_bytes()
    except OSError as error:
        return Answer((), f"{name!r} cannot be read: {error.strerror}", "check the path and the disk")
    try:
        return opened.decode(data, name)
    except OcrdError as error:
        return refused(error)


def _answers(opened: Opened, decoded: Sequence[Pixels | Answer]) -> list[Answer]:
    pictures = [each for each in decoded if not isinstance(each, Answer)]
    found = iter(_tried(opened, pictures))
    return [each if isinstance(each, Answer) else next(found) for each in decoded]


def _tried(opened: Opened, pictures: Sequence[Pixels]) -> list[Answer]:
    if not pictures:
        return []
    try:
        return opened.answer(pictures)
    except OcrdError as error:
        if len(pictures) == 1:
            return [refused(error)]
    return [answer for picture in pictures for answer in _tried(opened, [picture])]


@contextmanager
def watched(opened: Opened, watch: Callable[[Tensors], None]) -> Iterator[None]:
    """Show `watch` the raw outputs of all models inside the block."""
    pipelines = list(opened.pipelines.values())
    for pipeline in pipelines:
        pipeline.watch = watch
    try:
        yield
    finally:
        for pipeline in pipelines:
            pipeline.watch = None
