"""What `ocrd export` says of the file that it wrote, and how it compares the file with the checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ocrdeploy.cli import messages
from ocrdeploy.cli.streams import emit, printable

if TYPE_CHECKING:
    from ocrdeploy.export import Exported
    from ocrdeploy.onnxgraph.checks import Signature
    from ocrdeploy.plugins import Plugins
    from ocrdeploy.vocabulary import Artifact, InferOptions, Pixels

log = logging.getLogger(__name__)


def summary(exported: Exported) -> str:
    """Return what was written, in a few lines."""
    made, recipe = exported.artifact, exported.recipe
    flushed, nan = exported.denormal_weights, exported.nan_weights
    rows = [
        ("model", f"{made.model.name} ({made.model.task}, family {made.model.family})"),
        *(("input", _signature(each)) for each in exported.inputs),
        *(("output", _signature(each)) for each in exported.outputs),
        ("opset", f"{exported.opset}, by the {recipe['exporter']} exporter"),
        ("size", f"{exported.size_bytes / 1e6:.1f} MB, {exported.nodes} nodes"),
        ("denormals", f"{flushed} weights were flushed to zero" if flushed else "none"),
        ("NaN", f"{nan} weights are not a number, and so may be what the model answers" if nan else "none"),
        ("versions", ", ".join(f"{name} {number}" for name, number in recipe["versions"].items())),
        ("sha256", made.sha256),
    ]
    return f"{made.path}\n" + "".join(f"  {title:<9}  {text}\n" for title, text in rows)


def _signature(each: Signature) -> str:
    return f"{each.name}: {each.dtype}, {' x '.join(str(dim) or '?' for dim in each.dims)}"


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """The checkpoint `found` and the file that it became; `picture` is --image's, `settings` are the command's."""

    plugins: Plugins
    found: Artifact
    exported: Exported
    picture: Pixels | None
    settings: Mapping[str, Any]

    def show(self, target: Path) -> None:
        """Write a picture with the answers of both."""
        from ocrdeploy import diptych
        from ocrdeploy.artifact import write_atomically

        picture = self._drawn() if self.picture is None else self.picture
        panels = [diptych.answer(self.plugins, each, name, picture, how) for each, name, how in self._contenders()]
        with write_atomically(target) as temporary:
            diptych.draw(*panels).save(temporary, format="PNG")
        log.log(messages.NOTE, "%s: %s; %s", target, panels[0].title, panels[1].title)

    def verify(self, out: TextIO) -> bool:
        """Compare the two, say how that went, and return whether they agree."""
        from ocrdeploy.verification.compare import verify
        from ocrdeploy.verification.side import Candidate

        given = [] if self.picture is None else [(self.settings["image"].name, self.picture)]
        a, b = (Candidate(*each) for each in self._contenders())
        report = verify(self.plugins, a, b, given, note=log.info)
        emit(out, printable(f"\n{report}"))
        return report.agree

    def _contenders(self) -> tuple[tuple[Artifact, str, InferOptions], ...]:
        """Return the checkpoint and the file, each with the backend and the options that it runs with."""
        from ocrdeploy.export import choose
        from ocrdeploy.vocabulary import InferOptions

        own = InferOptions(device=self.settings["device"], extra=self.settings["backend_options"])
        return (self.found, choose(self.plugins, self.found), own), (self.exported.artifact, "auto", InferOptions())

    def _drawn(self) -> Pixels:
        """Return a picture with text in it, of the size that the file takes, if it takes one only."""
        from ocrdeploy.verification.pictures import LINES, SCENES, Gallery
        from ocrdeploy.vocabulary import Task

        task = self.found.model.task
        *_, height, width = self.exported.inputs[0].dims
        fixed = (height, width) if isinstance(height, int) and isinstance(width, int) else None
        return Gallery(task, None).draw(fixed or (SCENES if task is Task.DETECTION else LINES)[0]).pixels
