"""The folder of `ocrd run -o`: for each picture a JSON file and an annotated picture, nothing overwritten by accident."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
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
        real = os.path.realpath(folder)
        paths = (os.path.realpath(each.path) for each in inputs if each.path is not None)
        self._pictures = {path for path in paths if path.startswith(real)}
        self._written: set[str] = set()
        for each in inputs:
            if each.error is None:
                self._targets(each.stem)
        check_writable(folder)

    def _targets(self, stem: str) -> tuple[Path, Path]:
        """Return where the report and the drawing go. Raises `BadInput` where something is in the way."""
        report, drawing = (self._folder / f"{stem}{suffix}" for suffix in SUFFIXES)
        if stem in self._written:
            raise BadInput(f"two pictures would write {report}", "rename one, or read them in two runs with two output folders")
        for target in (report, drawing):
            if os.path.realpath(target) in self._pictures:
                raise BadInput(f"{target} would be overwritten, and it is one of the pictures", "choose another folder with -o")
            if not self._overwrite and os.path.lexists(target):
                raise BadInput(f"{target} exists already", "give --overwrite to replace it, or choose another folder with -o")
        return report, drawing

    def save(self, page: Page) -> None:
        """Write the two files of a page that was read, each whole or not at all. Raises `OcrdError`."""
        from ocrdeploy.artifact import write_atomically
        from ocrdeploy.cli.results import as_json

        report, drawing = self._targets(page.stem)
        page.save(drawing)
        with write_atomically(report) as temporary:
            temporary.write_text(as_json(page) + "\n", encoding="utf-8")
        self._written.add(page.stem)


def check_writable(folder: Path) -> None:
    """Raise `BadInput` where no file can be made in `folder`, or, where that does not exist yet, in what will hold it."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise BadInput(f"cannot write to {folder}: {error.strerror}", "choose another folder with -o, or make room") from error
