"""Files and folders that Python takes for a module in place of the one that was installed."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import Distribution
from pathlib import Path

from ocrdeploy.doctor.findings import Finding, broken, warning
from ocrdeploy.doctor.packages import ONNX_RUNTIMES, OPENCVS, Packages, folder_of

TENSORRTS = ("tensorrt", "tensorrt-cu13", "tensorrt-cu12")
RTX = ("tensorrt-rtx", "tensorrt-rtx-cu13", "tensorrt-rtx-cu12")

RUNTIMES: Mapping[str, tuple[str, ...]] = {
    "onnxruntime": ONNX_RUNTIMES,
    "torch": ("torch",),
    "tensorrt": TENSORRTS,
    "tensorrt_rtx": RTX,
    "openvino": ("openvino",),
}
"""The modules of runtimes, and the distributions that may bring each."""

LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "numpy": ("numpy",),
    "cv2": OPENCVS,
    "onnx": ("onnx",),
    "google.protobuf": ("protobuf",),
    "PIL": ("pillow",),
    "shapely": ("shapely",),
    "pyclipper": ("pyclipper",),
    "pydantic": ("pydantic",),
    "yaml": ("pyyaml",),
    "pluggy": ("pluggy",),
    "click": ("click",),
    "filelock": ("filelock",),
    "platformdirs": ("platformdirs",),
    "ocrdeploy": ("ocrdeploy",),
}
"""The modules that the core computes with, and the distributions that may bring each."""


def shadows(packages: Packages, path: Sequence[str]) -> Iterator[Finding]:
    """Find modules that come from another place than their distribution is installed in, and folders that pass for modules."""
    for module, names in {**LIBRARIES, **RUNTIMES}.items():
        top = module.partition(".")[0]
        owner = next((found for name in names if (found := packages.first(name))), None)
        if top != module or (owner and _editable(owner)):
            continue  # google is a namespace of many; an editable install lies where its author wants it
        spec = PathFinder.find_spec(top, list(path))
        if spec is not None:
            yield from _judge(top, spec, owner, {str(folder_of(each)) for name in names for each in packages.found.get(name, ())})


def _judge(module: str, spec: ModuleSpec, owner: Distribution | None, homes: set[str]) -> Iterator[Finding]:
    where = _where(spec)
    if spec.origin is None and owner:
        problem = f"{owner.name} is installed, and its files are gone: 'import {module}' finds the empty package {where}"
        yield broken(module, problem, f"pip install --force-reinstall --no-deps {owner.name}=={owner.version}")
    elif spec.origin is None:
        problem = (
            f"the folder {where} can be imported as {module!r}, which is not installed: programs that try the import are misled"
        )
        yield warning(module, problem, "rename the folder, or start from another one")
    elif owner and str(where.parent) not in homes:
        yield broken(module, f"{where} hides the installed {owner.name} {owner.version}", _remedy(where))


def _where(spec: ModuleSpec) -> Path:
    """Return the folder of a package, else the file of a module."""
    places = list(spec.submodule_search_locations or [])
    return Path(places[0] if places else str(spec.origin)).resolve()


def _remedy(where: Path) -> str:
    return f"rename or remove {where}, or take {where.parent} out of PYTHONPATH, or start from another folder"


def _editable(distribution: Distribution) -> bool:
    return '"editable"' in (distribution.read_text("direct_url.json") or "")


def standard_library(path: Sequence[str]) -> Iterator[Finding]:
    """Find files that hide modules of the standard library: those of its names in the folders that come before it."""
    library = Path(sysconfig.get_path("stdlib")).resolve()
    for entry in path:
        folder = Path(entry or ".").resolve()
        if folder == library:
            return
        if not folder.is_dir():
            continue
        for each in sorted(folder.iterdir()):
            name = each.stem if each.suffix == ".py" else each.name
            package = each.is_dir() and (each / "__init__.py").is_file()
            if name in sys.stdlib_module_names and (package or each.suffix == ".py"):
                yield broken(name, f"{each} hides the module {name!r} of the standard library", _remedy(each))
