"""docs/hooks.md says of every hook what hookspecs.py says, and its examples are a plugin."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

from ocrdeploy import hookspecs
from ocrdeploy.announcements import NEEDS
from ocrdeploy.plugins import discover
from ocrdeploy.vocabulary import Task

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "hooks.md").read_text(encoding="utf-8")
BLOCKS: list[str] = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SECTIONS: dict[str, str] = dict(re.findall(r"^### (ocrd_\w+)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))


def signatures() -> dict[str, str]:
    tree = ast.parse(Path(hookspecs.__file__).read_text(encoding="utf-8"))
    hooks = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {hook.name: ast.unparse(hook).splitlines()[1].removesuffix(":") for hook in hooks}


def test_the_page_has_a_section_for_every_hook_and_no_other() -> None:
    assert list(SECTIONS) != []
    assert sorted(SECTIONS) == sorted(signatures())


@pytest.mark.parametrize("hook", signatures())
def test_the_signature_on_the_page_is_the_contracts(hook: str) -> None:
    assert f"```python\n{signatures()[hook]}\n```" in SECTIONS[hook]


@pytest.mark.parametrize("hook", signatures())
def test_the_page_says_who_calls_a_hook_and_shows_one(hook: str) -> None:
    assert "Called by*" in SECTIONS[hook]
    assert f"@hookimpl\ndef {hook}(" in SECTIONS[hook]


def test_the_page_says_which_hooks_are_static() -> None:
    static = {hook for hook, section in SECTIONS.items() if "*Static." in section}
    assert static == set(NEEDS.values())


def test_the_examples_are_a_plugin_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("nova_of_the_document")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    examples = [block for block in BLOCKS if not block.startswith("def ")]
    exec(compile("\n\n".join(examples), "docs/hooks.md", "exec"), vars(module))
    found = discover([EntryPoint("nova", module.__name__, "ocrdeploy")])
    assert found.broken == ()
    nova = found.installed["nova"]
    assert nova.hooks == set(signatures())
    assert set(vars(nova.wrappers)) == {"ocrd_infer"}
    assert found.families["nova"].task is Task.DETECTION
    assert found.call("nova", "ocrd_probe").fix == "pip install nova-runtime"
