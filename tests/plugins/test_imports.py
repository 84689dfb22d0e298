"""Imports point one way, runtimes stay in their plugins, and nothing heavy is imported before it is needed."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
CORE = REPOSITORY / "core" / "src" / "ocrdeploy"
PACKAGES = {path.name: path for path in (*REPOSITORY.glob("plugins/*/src/*"), *REPOSITORY.glob("tests/*/src/*")) if path.is_dir()}

LAYERS = (
    "errors cores nvidia fonts overhearing headway tables vocabulary",
    (
        "hookspecs quads contours order lines headers images pages sources batching drawing spec artifact page onnxgraph matching"
        " zips oddities drawn deprecations"
    ),
    "families datasets announcements",
    "plugins",
    "faults backend",
    "export conversion range_guard chain models inspection samples survey contact_sheet migration",
    "pipeline profiling building",
    "reader",
    "verification diptych",
    "evaluation",
    "doctor scaffold",
    "cli __main__ testing",
)
"""The core's modules and packages, the lowest first. A module imports from its own layer and from those above it in this list."""

RUNTIMES = {"torch", "onnxruntime", "tensorrt", "tensorrt_rtx", "openvino", "mmocr", "mmcv", "rapidocr"}
HEAVY = RUNTIMES | {"cv2", "onnx", "PIL", "pydantic", "shapely", "pyclipper", "pypdfium2", "yaml", "scipy"}


@dataclass(frozen=True)
class Import:
    """One imported module or name, in full, and where it is written."""

    name: str
    place: str
    for_types: bool


def imports(path: Path) -> Iterator[Import]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    guarded = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        place = f"{path.relative_to(REPOSITORY)}:{node.lineno}"
        yield from (Import(name, place, id(node) in guarded) for name in names)


@cache
def core_modules() -> Mapping[str, Path]:
    """Every module of the core by its full name; a package by the name of the package."""
    found = {}
    for path in CORE.rglob("*.py"):
        parts = path.relative_to(CORE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported_module(name: str) -> str:
    """Return which module of the core `name` is, or is in; `ocrdeploy` itself for the names that it offers."""
    while name not in core_modules():
        name = name.rpartition(".")[0]
    return name


def own_imports(path: Path) -> Iterator[tuple[Import, str]]:
    for each in imports(path):
        if each.name.split(".")[0] == "ocrdeploy":
            yield each, imported_module(each.name)


def layer(module: str) -> int:
    top = module.split(".")[1]
    for index, members in enumerate(LAYERS):
        if top in members.split():
            return index
    return pytest.fail(f"say in LAYERS, in this test, where the new module {module} stands")


def test_imports_of_the_core_point_one_way() -> None:
    wrong = [
        f"{each.place}: {module} imports {target}"
        for module, path in core_modules().items()
        for each, target in own_imports(path)
        if module != "ocrdeploy" and target != "ocrdeploy" and layer(target) > layer(module)
    ]
    assert wrong == []


def test_no_modules_of_the_core_import_each_other_in_a_circle() -> None:
    graph = {
        module: {target for each, target in own_imports(path) if not each.for_types and target not in {module, "ocrdeploy"}}
        for module, path in core_modules().items()
        if module != "ocrdeploy"
    }
    TopologicalSorter(graph).prepare()


def test_the_core_takes_nothing_but_the_version_from_its_own_front() -> None:
    # `ocrdeploy.Reader` and the like are for others: they would lead up the layers unseen.
    wrong = [
        f"{each.place}: {each.name}"
        for module, path in core_modules().items()
        for each, target in own_imports(path)
        if target == "ocrdeploy" and each.name != "ocrdeploy.__version__" and module != "ocrdeploy"
    ]
    assert wrong == []


@pytest.mark.parametrize("package", ["ocrdeploy.families", "ocrdeploy.datasets"])
def test_families_and_datasets_are_reached_through_their_entry_points_only(package: str) -> None:
    wrong = [
        f"{each.place}: {each.name}"
        for module, path in core_modules().items()
        for each, target in own_imports(path)
        if target.startswith(package) and not module.startswith(package)
    ]
    assert wrong == []


def test_the_core_imports_no_runtime_and_no_plugin() -> None:
    wrong = [
        f"{each.place}: {each.name}"
        for path in core_modules().values()
        for each in imports(path)
        if each.name.split(".")[0] in RUNTIMES or each.name.startswith("ocrdeploy_")
    ]
    assert wrong == []


def test_pluggy_is_known_to_two_modules() -> None:
    knowing = {path.stem for path in core_modules().values() for each in imports(path) if each.name.split(".")[0] == "pluggy"}
    assert knowing == {"hookspecs", "plugins"}
    assert not [
        each for package in PACKAGES.values() for path in package.rglob("*.py") for each in imports(path) if each.name == "pluggy"
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_no_plugin_imports_another(package: str) -> None:
    found = [each for path in PACKAGES[package].rglob("*.py") for each in imports(path)]
    wrong = [
        f"{each.place}: {each.name}"
        for each in found
        if each.name.startswith("ocrdeploy_") and each.name.split(".")[0] != package
    ]
    assert wrong == []


def test_the_stranger_uses_only_what_is_public() -> None:
    found = {target for path in PACKAGES["ocrdeploy_fake"].rglob("*.py") for _, target in own_imports(path)}
    assert found <= {"ocrdeploy", "ocrdeploy.vocabulary", "ocrdeploy.errors"}


def loaded_by(code: str) -> dict[str, list[str]]:
    """Run `code`, which fills `seen` with lists of names of modules, in a fresh interpreter."""
    program = f"import json, sys\nseen = {{}}\n{code}\nprint(json.dumps(seen))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def test_the_package_itself_imports_nothing_but_the_standard_library() -> None:
    seen = loaded_by("before = set(sys.modules)\nimport ocrdeploy\nseen['ocrdeploy'] = sorted(set(sys.modules) - before)")
    tops = {name.split(".")[0] for name in seen["ocrdeploy"]} - set(sys.stdlib_module_names)
    assert tops == {"ocrdeploy"}


def test_nothing_heavy_is_imported_to_find_the_plugins() -> None:
    code = """
from importlib.metadata import entry_points
heavy = set(HEAVY)
for point in sorted(entry_points(group="ocrdeploy")):
    before = set(sys.modules)
    point.load()
    seen[f"import of {point.name}"] = sorted(heavy & (set(sys.modules) - before))
before = set(sys.modules)
from ocrdeploy.plugins import discover
found = discover()
found.models, found.backends, found.families
seen["static hooks"] = sorted(heavy & (set(sys.modules) - before))
""".replace("HEAVY", repr(sorted(HEAVY)))
    seen = loaded_by(code)
    assert {"import of dbnet", "import of fake", "import of onnxruntime"} <= set(seen)
    assert {name: loaded for name, loaded in seen.items() if loaded} == {}
