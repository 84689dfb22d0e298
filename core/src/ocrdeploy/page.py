"""What was read from one picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocrdeploy import artifact, order
from ocrdeploy.errors import BadInput, OcrdError
from ocrdeploy.vocabulary import Pixels, Region

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, eq=False)
class Page:
    """The text regions of one picture, in reading order; or, where it could not be read, the `error`.

    `image` is the picture's name as it was given; `stem` the relative path, without suffix, for files made from it. `pixels`
    is the picture, (height, width, 3) RGB uint8. `timings_ms` says where the time went, in milliseconds.
    """

    image: str
    stem: str = ""
    width: int = 0
    height: int = 0
    regions: tuple[Region, ...] = ()
    error: OcrdError | None = None
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    pixels: Pixels | None = field(default=None, repr=False)

    @cached_property
    def rows(self) -> list[list[int]]:
        """Indices into `regions`: visual rows from top to bottom, each from left to right."""
        return order.rows(self.regions)

    @property
    def text(self) -> str:
        """The text, one visual row a line; regions of one row are separated by a space."""
        lines = (" ".join(self.regions[index].text for index in row if self.regions[index].text) for row in self.rows)
        return "\n".join(line for line in lines if line)

    def to_dict(self) -> dict[str, Any]:
        """Return the page as JSON has it: {"image", "width", "height", "regions", "timings_ms"}, or {"image", "error"}."""
        if self.error is not None:
            return {"image": self.image, "error": {"problem": self.error.problem, "fix": self.error.fix}}
        return {
            "image": self.image,
            "width": self.width,
            "height": self.height,
            "regions": [_region(region) for region in self.regions],
            "timings_ms": {name: round(spent, 3) for name, spent in self.timings_ms.items()},
        }

    def save(self, path: str | Path) -> None:
        """Write the picture with its boxes and their text to `path`, in the format of its suffix; whole or not at all.

        Raises `BadInput` for a page that could not be read and for a suffix that Pillow does not write, and `OcrdError` where
        the file cannot be written.
        """
        if self.pixels is None:
            raise BadInput(f"{self.image} was not read, so there is nothing to draw", "look at the page's error")
        from ocrdeploy import drawing

        target = Path(path)
        encoded = _encoded(drawing.annotate(self.pixels, self.regions), target)
        with artifact.write_atomically(target) as temporary:
            temporary.write_bytes(encoded)


def _encoded(picture: Image, target: Path) -> bytes:
    from PIL.Image import registered_extensions

    buffer = BytesIO()
    try:
        picture.save(buffer, registered_extensions()[target.suffix.lower()])
    except (KeyError, ValueError, OSError) as error:  # an unknown suffix, a format that is only read, a picture too large for it
        reason = f": {error}" if isinstance(error, OSError) else ""
        raise BadInput(
            f"cannot write a picture as {target.suffix or 'a file without suffix'}{reason}", "use .png or .jpg"
        ) from None
    return buffer.getvalue()


def _region(region: Region) -> dict[str, Any]:
    return {
        "polygon": [[round(x, 2), round(y, 2)] for x, y in region.polygon],
        "text": region.text,
        "score": round(region.score, 5),
        "detection_score": None if region.detection_score is None else round(region.detection_score, 5),
    }
