"""Write the package of a new plugin from its templates: all of it, or nothing."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path, PurePosixPath

from ocrdeploy import __version__
from ocrdeploy.errors import BadInput, OcrdError
from ocrdeploy.scaffold.names import Names, named

TEMPLATES = Path(__file__).parent / "templates"
SUFFIX = ".template"


class Kind(StrEnum):
    """What a new plugin brings."""

    BACKEND = "backend"
    MODELS = "models"
    DATASET = "dataset"


_SUMMARIES = {
    Kind.BACKEND: "The backend {name} for ocrdeploy.",
    Kind.MODELS: "The models of {name} for ocrdeploy.",
    Kind.DATASET: "The kind of dataset {name} for ocrdeploy.",
}
_NEEDS = {Kind.BACKEND: ("numpy>=1.26", "onnx>=1.17"), Kind.MODELS: (), Kind.DATASET: ()}


def create(name: str, kind: Kind, parent: Path) -> Path:
    """Write the package of the plugin `name` into a new folder in `parent`, and return it.

    Raises `BadInput` for a name that cannot be used, a folder that exists, or one in which nothing can be written.
    """
    names = named(name)
    folder = parent / names.distribution
    if os.path.lexists(folder):
        raise BadInput(f"{folder} exists already", "choose another name, or another place with --into")
    if not parent.is_dir():
        raise BadInput(f"{parent} is not a folder", "name one that exists with --into")
    try:
        _write(folder, files(names, kind))
    except OSError as error:
        problem = f"cannot write {folder}: {error.strerror or error}"
        raise OcrdError(problem, "choose another place with --into, or make room") from error
    return folder


def _write(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write the files into a hidden folder beside `folder`, which becomes `folder` when it is whole."""
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for path, content in contents.items():
            target = temporary / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        temporary.chmod(0o777 & ~_umask())  # mkdtemp's folders are for nobody else
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def files(names: Names, kind: Kind) -> dict[str, bytes]:
    """Return the files of a package, by their paths in it."""
    binary = _models(names) if kind is Kind.MODELS else {}
    words = _words(names, kind, binary)
    made = {path: _filled(text, words).encode() for path, text in _templates(names, kind)}
    return {**made, **binary}


def _templates(names: Names, kind: Kind) -> Iterator[tuple[str, str]]:
    """Yield where each file lies in the package, and its template; those of a kind stand before those of all."""
    for folder in (TEMPLATES / "every", TEMPLATES / kind.value):
        for template in sorted(folder.rglob(f"*{SUFFIX}")):
            path = template.relative_to(folder).as_posix().removesuffix(SUFFIX)
            path = re.sub(r"(^|/)dot_", r"\1.", path).replace("PACKAGE", names.package)
            yield path, template.read_text(encoding="utf-8")


def _models(names: Names) -> dict[str, bytes]:
    from ocrdeploy.scaffold import networks

    folder = PurePosixPath("src") / names.package / "files"
    return {
        str(folder / f"{names.name}-det.onnx"): networks.detector(),
        str(folder / f"{names.name}-rec.onnx"): networks.recognizer(),
    }


def _words(names: Names, kind: Kind, binary: Mapping[str, bytes]) -> dict[str, str]:
    """Return what stands for each @WORD@ of the templates."""
    major, minor = __version__.split(".")[:2]
    needs = sorted((*_NEEDS[kind], f"ocrdeploy>={__version__},<{major}.{int(minor) + 1}"))
    digests = {f"SHA256_{path[-8:-5].upper()}": hashlib.sha256(content).hexdigest() for path, content in binary.items()}
    return {
        "NAME": names.name,
        "DISTRIBUTION": names.distribution,
        "PACKAGE": names.package,
        "CLASS": names.cls,
        "SUMMARY": _SUMMARIES[kind].format(name=names.name),
        "DEPENDENCIES": ", ".join(f'"{need}"' for need in needs),
        **digests,
    }


def _filled(template: str, words: Mapping[str, str]) -> str:
    return re.sub(r"@([A-Z0-9_]+)@", lambda found: words[found[1]], template)
