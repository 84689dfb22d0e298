"""The installed distributions, as their metadata tell: names, versions, and what each requires of the others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import Distribution, distributions
from pathlib import Path

from ocrdeploy.doctor.findings import Finding, broken, warning

CORE = "ocrdeploy"
GROUP = "ocrdeploy"

ONNX_RUNTIMES = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-openvino",
    "onnxruntime-directml",
    "onnxruntime-migraphx",
    "onnxruntime-rocm",
    "onnxruntime-qnn",
    "onnxruntime-windowsml",
)
OPENCVS = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")


def canonical(name: str) -> str:
    """Return the name of a distribution as all spellings of it have in common."""
    return re.sub(r"[-_.]+", "-", name).lower()


@dataclass(frozen=True)
class Packages:
    """Every installed distribution, by its canonical name; the first found on `sys.path` is the one that is imported."""

    found: Mapping[str, tuple[Distribution, ...]]

    def version(self, name: str) -> str:
        """Return the version of a distribution, '' where it is not installed."""
        same = self.found.get(canonical(name))
        return same[0].version if same else ""

    def first(self, name: str) -> Distribution | None:
        """Return a distribution, None where it is not installed."""
        return self.found.get(canonical(name), (None,))[0]

    def among(self, names: Iterable[str]) -> list[str]:
        """Return which of `names` are installed."""
        return [name for name in names if canonical(name) in self.found]

    @cached_property
    def bringing_plugins(self) -> tuple[str, ...]:
        """The canonical names of the core and of the distributions that bring plugins."""
        names = [name for name, same in self.found.items() if _brings_plugins(same[0])]
        return tuple(dict.fromkeys([*([CORE] if CORE in self.found else []), *names]))


def _brings_plugins(distribution: Distribution) -> bool:
    try:
        return any(point.group == GROUP for point in distribution.entry_points)
    except Exception:  # noqa: BLE001 - a file that is garbled announces nothing
        return False


def installed(path: Sequence[str] | None = None) -> Packages:
    """Read the metadata of all distributions on `path`, else `sys.path`. What has no name or version is left out."""
    found: dict[str, list[Distribution]] = {}
    for each in distributions() if path is None else distributions(path=list(path)):
        try:
            name, version = each.metadata["Name"], each.metadata["Version"]
        except Exception:  # noqa: BLE001, S112 - newer Pythons raise where the file is missing, which `leftovers` may explain
            continue
        if isinstance(name, str) and isinstance(version, str):
            found.setdefault(canonical(name), []).append(each)
    return Packages({name: tuple(_once(same)) for name, same in found.items()})


def _once(same: Iterable[Distribution]) -> Iterator[Distribution]:
    """Yield each place once: a folder may be on `sys.path` twice."""
    seen: set[str] = set()
    for each in same:
        place = str(folder_of(each))
        if place not in seen:
            seen.add(place)
            yield each


def folder_of(distribution: Distribution) -> Path:
    """Return the folder that the distribution is installed in."""
    return Path(str(distribution.locate_file(""))).resolve()


def rivals(packages: Packages) -> Iterator[Finding]:
    """Find distributions that install the same files, so that the last one decides what is left of the others."""
    runtimes = packages.among(ONNX_RUNTIMES)
    if len(runtimes) > 1:
        keep = "pip install 'ocrdeploy-onnxruntime[cpu]'   (or [gpu])"
        fix = f"pip uninstall -y {' '.join(runtimes)}, then {keep}"
        yield broken("onnxruntime", f"{_listed(runtimes)} are installed together, and overwrite each other's files", fix)
    pictures = packages.among(OPENCVS)
    if len(pictures) > 1:
        fix = f"pip uninstall -y {' '.join(pictures)}, then pip install opencv-python-headless"
        yield warning("cv2", f"{_listed(pictures)} are installed together, and overwrite each other's files", fix)


def leftovers(packages: Packages) -> Iterator[Finding]:
    """Find two metadata folders of one distribution in one place, and the `~name` folders that pip leaves when it is stopped."""
    for folder in {folder_of(same[0]) for same in packages.found.values()}:
        facts: dict[str, list[str]] = {}
        for each in folder.glob("*.dist-info"):
            facts.setdefault(canonical(each.name.removesuffix(".dist-info").rpartition("-")[0]), []).append(each.name)
        for name, same in sorted(facts.items()):
            if name.startswith("~"):
                yield warning(name, f"pip was interrupted and left {folder / same[0]}", "remove that folder")
            elif len(same) > 1:
                problem = f"{name} is there twice in {folder}: {' and '.join(sorted(same))}"
                yield broken(name, problem, f"pip install --force-reinstall --no-deps {name}; remove the older folder")


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
