"""MMOCR's configs (MMCV 0.x, written in Python), read as data: parsed, never run.

`parse` gives the values that `mmcv.Config.fromfile` gives for the same file, or a `ConfigError` with file and line for
anything that is not plain data. What a config may say is in `config.evaluation`, which files it may name in `config.tree`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ocrdeploy_pytorch.config import merging as config_merging
from ocrdeploy_pytorch.config import syntax as config_syntax
from ocrdeploy_pytorch.config.error import ConfigError, Place, shown
from ocrdeploy_pytorch.config.evaluation import Names
from ocrdeploy_pytorch.config.tree import Tree
from ocrdeploy_pytorch.config.values import Budget, NotAllowed

__all__ = ["ConfigError", "Tree", "parse"]

MOST_FILES = 50
"""Of which one config may be made; MMOCR's are made of six or seven."""

MOST_BYTES = 512 * 1024
"""Of all of them together."""

RESERVED = ("filename", "text", "pretty_text")
"""Names that MMCV keeps for itself."""


def parse(path: Path, *, root: Path | None = None) -> dict[str, Any]:
    """Return the values of the config at `path`, merged with those of its bases: plain dictionaries, lists, tuples, sets.

    Bases are read from the config's own tree (see `config.tree`) and, where `root` is given, from that folder too. The size
    of everything is limited, so that a hostile config costs seconds and megabytes at most. Raises `ConfigError`.
    """
    file = Path(os.path.abspath(path))  # noqa: PTH100 - MMCV follows no links here, and `..` in _base_ depends on it
    values = _Reading(Tree.of(file, root)).read(file, Place(file), ())
    for name in RESERVED:
        if name in values:
            raise Place(file).error(f"it assigns {name!r}, a name that MMCV keeps for itself", "call it something else")
    return {name: config_merging.copied(value) for name, value in values.items()}


@dataclass(slots=True)
class _Reading:
    """The reading of one config and everything that it is made of."""

    tree: Tree
    budget: Budget = field(default_factory=Budget)
    files: int = 0
    characters: int = 0

    def read(self, file: Path, named_by: Place, above: tuple[Path, ...]) -> dict[str, Any]:
        """Return the values of `file`, which `named_by` names; the files `above` led to it."""
        if file in above:
            raise named_by.error(f"its base {shown(file.name)} has it as a base itself", "take one of the two out of _base_")
        names = self._names(file, named_by)
        bases = self._bases(names, above)
        names.values = {name: value for name, value in names.values.items() if not name.startswith("__")}
        # Before and after: a short text can name a long value many times, which merging would copy each time.
        self._charge(names.values, file)
        values = config_merging.merged(names, bases)
        self._charge(values, file)
        return values

    def _charge(self, values: dict[str, Any], file: Path) -> None:
        try:
            self.budget.charge(values)
        except NotAllowed as error:
            raise Place(file).error(f"it {error}") from None

    def _names(self, file: Path, named_by: Place) -> Names:
        if file.suffix != ".py":
            raise named_by.error(f"{shown(file.name)} is no Python config", "only configs that end in .py are read")
        text = self.tree.read(file, named_by.error)
        self.files += 1
        self.characters += len(text)
        if self.files > MOST_FILES or self.characters > MOST_BYTES:
            raise named_by.error(
                f"it is made of more than {MOST_FILES} files or {MOST_BYTES // 1024} KiB", "use fewer and shorter bases"
            )
        names = Names(file, self.budget)
        names.run(config_syntax.tree_of(text, file))
        names.values.pop("_deprecation_", None)
        return names

    def _bases(self, names: Names, above: tuple[Path, ...]) -> dict[str, Any]:
        """Read the files that `_base_` names, and take it out of the config's own values."""
        if "_base_" not in names.values:
            return {}
        place = Place(names.file, names.lines["_base_"])
        given = names.values.pop("_base_")
        listed = given if isinstance(given, list) else [given]
        if not all(isinstance(each, str) for each in listed):
            raise place.error("its _base_ is no path, and no list of paths", "write _base_ = ['../path/of/one.py', ...]")
        read = []
        for each in listed:
            base = Path(os.path.normpath(names.file.parent / each))
            read.append(self.read(base, place, (*above, names.file)))
        return config_merging.without_duplicates(read, place)
