"""Which pictures a network takes, said before PyTorch complains of a kernel that is larger than its input."""

from __future__ import annotations

from dataclasses import dataclass

from ocrdeploy.errors import BadInput


@dataclass(frozen=True, slots=True)
class Limits:
    """The smallest (height, width) of an input, in pixels, and the only height where there is one, else 0."""

    least: tuple[int, int] = (1, 1)
    height: int = 0

    def check(self, name: str, height: int, width: int) -> None:
        """Raise `BadInput` for a size that the network of the model `name` does not take."""
        given = f"and was given {height} x {width}"
        if self.height and height != self.height:
            problem = f"model {name!r} takes pictures {self.height} pixels high, {given} (height x width)"
            raise BadInput(problem, f"scale the line to a height of {self.height}, as the model's specification does")
        if height < self.least[0] or width < self.least[1]:
            problem = f"model {name!r} takes pictures of at least {self.least[0]} x {self.least[1]} pixels, {given}"
            raise BadInput(problem, "enlarge or pad the picture")
