"""What a new plugin may be called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distribution, entry_points
from importlib.util import find_spec

from ocrdeploy.errors import BadInput

GROUP = "ocrdeploy"
PREFIX = "ocrdeploy-"
RESERVED = frozenset({"all", "auto", "core", "none", "ocrdeploy", "testing"})
"""Words that mean something where a plugin's name may stand."""
_EXAMPLE = "choose a name of small letters, digits and hyphens that begins with a letter, such as 'nova'"


@dataclass(frozen=True, slots=True)
class Names:
    """What a plugin `name` is called where: `nova-lite` makes ocrdeploy-nova-lite, ocrdeploy_nova_lite and NovaLite."""

    name: str

    @property
    def distribution(self) -> str:
        """The distribution, and its folder."""
        return PREFIX + self.name

    @property
    def package(self) -> str:
        """The package that is imported."""
        return self.distribution.replace("-", "_")

    @property
    def cls(self) -> str:
        """The beginning of a class's name."""
        return "".join(part.capitalize() for part in self.name.split("-"))


def named(name: str) -> Names:
    """Return what the plugin `name` is called. Raises `BadInput` for a name that cannot be one, or is taken."""
    if name.startswith(PREFIX) and len(name) > len(PREFIX):
        short = name.removeprefix(PREFIX)
        raise BadInput(f"{name!r} is a distribution's name", f"leave out {PREFIX!r}, which is put before it: {short!r}")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise BadInput(f"{name!r} cannot be a plugin's name: it has to be a name in Python, too", _EXAMPLE)
    if name in RESERVED:
        raise BadInput(f"{name!r} cannot be a plugin's name: it means something else to ocrdeploy", "choose another name")
    for point in entry_points(group=GROUP):
        if point.name == name:
            raise BadInput(f"there is a plugin {name!r} already, of {_owner(point)}", "choose another name")
    names = Names(name)
    if _installed(names.distribution) or find_spec(names.package) is not None:
        remove = f"pip uninstall {names.distribution}"
        raise BadInput(f"{names.distribution} is installed already", f"choose another name, or: {remove}")
    return names


def _owner(point: EntryPoint) -> str:
    if point.dist is None:
        return "an unknown distribution"
    return "ocrdeploy itself" if point.dist.name == GROUP else point.dist.name


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None
