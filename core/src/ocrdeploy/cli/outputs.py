"""The folder of `ocrd run -o`: for each picture a JSON file and an annotated picture, nothing overwritten by accident."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ocrdeploy.errors import BadInput

if TYPE_CHECKING:
    from ocrdeploy.page import Page
    from ocrdeploy.sources import Input

SUFFIXES = (".json", ".annotated.png")


class OutputFolder:
    """Where `ocrd run -o` writes. Making one checks everything that can be checked before a picture is read."""

    def __init__(self, folder: Path, inputs: Sequence[Input], *, overwrite: bool) -> None:
        """Raise `OcrdError` where two inputs share an output, an output is an input, exists already, or cannot be written."""
        from ocrdeploy import sources

        sources.check_outputs(each for each in inputs if each.error is None)
        self._folder = folder
        self._overwrite = overwrite
        self._pictures = {os.path.realpath(each.path) for each in inputs if each.path is not None}
        self._written: set[Path] = set()
        for each in inputs:
            if each.error is None:
                self._refuse(self._targets(each.stem))
        _check_writable(folder)

    def _targets(self, stem: str) -> tuple[Path, Path]:
        report, drawing = (self._folder / f"{stem}{suffix}" for suffix in SUFFIXES)
        return report, drawing

    def _refuse(self, targets: Iterable[Path]) -> None:
        for target in targets:
            if os.path.realpath(target) in self._pictures:
                raise BadInput(f"{target} would be overwritten, and it is one of the pictures", "choose another folder with -o")
            if target in self._written:
                raise BadInput(f"two pictures would write {target}", "give them names of their own, or read them one by one")
            if not self._overwrite and os.path.lexists(target):
                raise BadInput(f"{target} exists already", "give --overwrite to replace it, or choose another folder with -o")

    def save(self, page: Page) -> None:
        """Write the two files of a page that was read, each whole or not at all. Raises `OcrdError`."""
        from ocrdeploy.artifact import write_atomically
        from ocrdeploy.cli.results import as_json

        report, drawing = targets = self._targets(page.stem)
        self._refuse(targets)
        page.save(drawing)
        with write_atomically(report) as temporary:
            temporary.write_text(as_json(page) + "\n", encoding="utf-8")
        self._written.update(targets)


def _check_writable(folder: Path) -> None:
    """Make the folder and a file in it, as saving will, so that a long run does not end in a surprise."""
    from ocrdeploy.artifact import temporary_beside

    with temporary_beside(folder / "probe"):
        pass
