"""A folder of golden results: `KIND.json` and `KIND.npz` for each kind, and what several such folders share beside them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ocrdeploy.errors import BadInput
from replays.comparison import Skip


@dataclass(frozen=True, slots=True)
class Goldens:
    """`folder` holds the results; `data` are the folders below which the pictures lie that they name, if any."""

    folder: Path
    data: tuple[Path, ...] = ()

    def facts(self, kind: str) -> dict[str, Any]:
        """Return `kind`.json; raises `BadInput` where it is missing, damaged, or holds no case."""
        path = self.folder / f"{kind}.json"
        facts = _json(path)
        if not isinstance(facts.get("cases"), list) or not facts["cases"]:
            raise BadInput(f"{path} holds no cases", "give a whole folder of golden results")
        return facts

    def arrays(self, kind: str) -> Mapping[str, NDArray[Any]]:
        """Return `kind`.npz; raises `BadInput` where it is missing or damaged."""
        path = self.folder / f"{kind}.npz"
        try:
            with path.open("rb") as file, np.load(file) as arrays:
                return dict(arrays)
        except (OSError, ValueError, BadZipFile) as error:
            raise BadInput(f"{path} cannot be read: {error}", "give a whole folder of golden results") from None

    def state_dicts(self) -> dict[str, Any]:
        """Return the models' keys and shapes, from the folder or the one above it."""
        name = "state_dicts.json"
        for folder in (self.folder, self.folder.absolute().parent, self.folder.resolve().parent):
            if (folder / name).is_file():
                return _json(folder / name)
        raise BadInput(f"there is no {name} in {self.folder}, nor above it", "copy it there")

    def picture(self, path: str, sha256: str) -> bytes:
        """Return a picture's file. Raises `Skip` where no data folder is given, `BadInput` where none of them holds it."""
        if not self.data:
            raise Skip(f"{path} is looked for only with --data")
        found = next((folder / path for folder in self.data if (folder / path).is_file()), None)
        if found is None:
            raise BadInput(f"there is no {path} in {', '.join(map(str, self.data))}", "give another --data DIR as well")
        data = found.read_bytes()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise BadInput(f"{found} is not the picture that MMOCR was given", "bring the original back")
        return data


def _json(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"there is no {path.name} in {path.parent}", "give a whole folder of golden results") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {error}", "give a whole folder of golden results") from None
    if not isinstance(facts, dict):
        raise BadInput(f"{path} holds no mapping", "give a whole folder of golden results")
    return facts
