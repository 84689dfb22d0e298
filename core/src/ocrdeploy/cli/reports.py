"""The files that `ocrd eval` writes: checked before anything is measured, each whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocrdeploy.cli.streams import json_text
from ocrdeploy.errors import BadInput

if TYPE_CHECKING:
    from PIL.Image import Image

STDOUT = "-"


class Outputs:
    """Where the report goes, by form. Making one raises `BadInput` for a file that could not be written."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        chosen = {form: settings[f"{form}_file"] for form in _FORMS}
        self._files = {form: Path(path) for form, path in chosen.items() if path not in {None, STDOUT}}
        places = [os.path.realpath(path) for path in self._files.values()]
        for path in self._files.values():
            if places.count(os.path.realpath(path)) > 1:
                raise BadInput(f"two reports would be written to {path}", "name a file for each")
            _check_writable(path)

    def write(self, report: Mapping[str, Any]) -> None:
        """Write the report in every form that was asked for. Raises `OcrdError`."""
        from ocrdeploy.artifact import write_atomically

        for form, path in self._files.items():
            text = _FORMS[form](report)
            with write_atomically(path) as temporary:
                temporary.write_text(text, encoding="utf-8", newline="")


def _check_writable(path: Path) -> None:
    """Raise `BadInput` where `path` cannot be written, before hours go into what should be written there."""
    from ocrdeploy.artifact import temporary_beside

    if path.is_dir():
        raise BadInput(f"{path} is a folder", "name a file in it")
    if not path.absolute().parent.is_dir():
        raise BadInput(f"{path} cannot be written: there is no folder {path.absolute().parent}", "make it, or name another file")
    with temporary_beside(path):
        pass


def _json(report: Mapping[str, Any]) -> str:
    return json_text(report, indent=2) + "\n"


def _csv(report: Mapping[str, Any]) -> str:
    from ocrdeploy.evaluation.report import delimited

    return delimited.to_csv(report)


def _markdown(report: Mapping[str, Any]) -> str:
    from ocrdeploy.evaluation.report import delimited

    return delimited.to_markdown(report)


def _html(report: Mapping[str, Any]) -> str:
    from ocrdeploy.evaluation.report import page

    # A detector's boxes are in the frame in which its spec has pictures decoded.
    seen = {each.get("orientation") for each in report.get("models", ())[:1]}
    return page.to_html(report, partial(_picture, ignored="ignore" in seen))


def _picture(shown: Mapping[str, Any], *, ignored: bool) -> Image | None:
    """Return the picture of a disagreement, turned by its EXIF orientation unless that is ignored; None where it is gone."""
    from PIL import Image

    from ocrdeploy import images
    from ocrdeploy.errors import OcrdError
    from ocrdeploy.vocabulary import Orientation

    try:
        data = Path(shown["path"]).read_bytes()
        orientation = Orientation.IGNORE if ignored else Orientation.EXIF
        return Image.fromarray(images.decode(data, name=shown["picture"], orientation=orientation))
    except (OSError, OcrdError):
        return None


_FORMS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {"json": _json, "csv": _csv, "markdown": _markdown, "html": _html}
