"""What `ocrd build` says of the file that it made, and how it compares the file with the model."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ocrdeploy.cli import messages
from ocrdeploy.cli.streams import emit, printable
from ocrdeploy.errors import Unavailable

if TYPE_CHECKING:
    from ocrdeploy.building import Built
    from ocrdeploy.plugins import Plugins
    from ocrdeploy.vocabulary import Artifact, InferOptions, Pixels

log = logging.getLogger(__name__)

_SAID = ("layers", "layers_fp32", "min_shape", "opt_shape", "max_shape")
"""The backend's facts that have a line of their own."""


def summary(built: Built) -> str:
    """Return what was built, in a few lines."""
    made, manifest = built.artifact, built.manifest
    rows = [
        ("model", f"{made.model.name} ({made.model.task}, family {made.model.family})"),
        ("from", str(built.source.path)),
        ("precision", manifest.options["precision"]),
        *((name.replace("_", " "), manifest.facts[name]) for name in _SAID if name in manifest.facts),
        ("runs on", manifest.facts.get("device", "") or manifest.device),
        ("size", f"{built.size_bytes / 1e6:.1f} MB, built in {built.took_s:.1f} s"),
        ("versions", ", ".join(f"{name} {number}" for name, number in manifest.versions.items() if number)),
        ("sha256", made.sha256),
    ]
    width = max(len(title) for title, _ in rows)
    return f"{made.path}\n" + "".join(f"  {title:<{width}}  {text}\n" for title, text in rows)


@dataclass(frozen=True, slots=True, eq=False)
class Check:
    """What is to be compared after the build: `source`, the user's model, and what the backend `name` built of it."""

    plugins: Plugins
    source: Artifact
    name: str
    opened: InferOptions
    images: Sequence[str]
    target: Path
    verify: bool
    show: bool

    @property
    def drawing(self) -> Path:
        """Where --show writes."""
        return self.target.with_name(f"{self.target.name}.show.png")

    def require(self) -> None:
        """Raise `OcrdError` where the comparison could not be made after the build. Pictures are looked for, not read."""
        from ocrdeploy import backend, sources

        for each in sources.find(self.images):
            if each.error is not None:
                raise each.error
        if not (self.verify or self.show):
            return
        options = " and ".join(option for option, asked in (("--verify", self.verify), ("--show", self.show)) if asked)
        answer = backend.probe(self.plugins, self.name)
        if not answer.ok:
            raise Unavailable(
                f"what is built cannot be run here, and {options} would: {answer.problem}",
                f"{answer.fix}; or leave {options} out, and use ocrd verify where it runs",
            )
        backend.choose(self.plugins, self._other(), [self.source.format])

    def run(self, out: TextIO, built: Built) -> bool:
        """Compare, say how that went, and return whether no difference was found."""
        if self.show:
            self._show(built.artifact)
        return not self.verify or self._verify(out, built.artifact)

    def _sides(self, made: Artifact) -> tuple[tuple[Artifact, str, InferOptions], ...]:
        """Return the model and the built file, each with the backend and the options that it runs with."""
        from ocrdeploy.vocabulary import InferOptions

        return (self.source, self._other(), InferOptions()), (made, self.name, self.opened)

    def _other(self) -> str:
        """Return what runs the model as it was given: another backend than the one that is checked."""
        from ocrdeploy import backend
        from ocrdeploy.export import CHECKPOINT, choose

        if self.source.format == CHECKPOINT:
            return choose(self.plugins, self.source)
        for name, info in self.plugins.backends.items():
            if name != self.name and info.rank > 0 and self.source.format in info.runs and backend.probe(self.plugins, name).ok:
                return name
        raise Unavailable(
            f"no backend here runs {self.source.path} to compare with", "install one: pip install 'ocrdeploy-onnxruntime[cpu]'"
        )

    def _pictures(self) -> Iterator[tuple[str, Pixels]]:
        from ocrdeploy import sources
        from ocrdeploy.verification import pictures

        return pictures.read(sources.find(self.images), self.source.model.input)

    def _show(self, made: Artifact) -> None:
        """Write the first picture, or a drawn one, with the answers of both."""
        from ocrdeploy import diptych
        from ocrdeploy.artifact import write_atomically
        from ocrdeploy.verification.pictures import LINES, SCENES, Gallery
        from ocrdeploy.vocabulary import Task

        task = self.source.model.task
        _, picture = next(self._pictures(), ("", None))
        if picture is None:
            picture = Gallery(task, None).draw((SCENES if task is Task.DETECTION else LINES)[0]).pixels
        panels = [diptych.answer(self.plugins, each, name, picture, how) for each, name, how in self._sides(made)]
        with write_atomically(self.drawing) as temporary:
            diptych.draw(*panels).save(temporary, format="PNG")
        log.log(messages.NOTE, "%s: %s; %s", self.drawing, panels[0].title, panels[1].title)

    def _verify(self, out: TextIO, made: Artifact) -> bool:
        from ocrdeploy.verification.compare import verify
        from ocrdeploy.verification.side import Candidate

        a, b = (Candidate(*each) for each in self._sides(made))
        report = verify(self.plugins, a, b, self._pictures(), note=log.info)
        emit(out, printable(f"\n{report}"))
        return report.agree
