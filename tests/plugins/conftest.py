"""Strangers made in memory: entry points with a distribution of their own, which lead to modules that exist nowhere."""

from __future__ import annotations

import _thread
import sys
from collections.abc import Callable
from importlib.metadata import Distribution, EntryPoint
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ocrdeploy import hookimpl
from ocrdeploy.vocabulary import BackendInfo, Probe

_numbers = count()


@pytest.fixture
def entry_point(tmp_path: Path) -> Callable[..., EntryPoint]:
    """`entry_point(name, value, distribution="stranger-<name>")`: as importlib.metadata gives it for an installed one."""

    def make(name: str, value: str, distribution: str = "") -> EntryPoint:
        owner = distribution or f"stranger-{name}"
        folder = tmp_path / f"site-{next(_numbers)}" / f"{owner.replace('-', '_')}-1.5.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {owner}\nVersion: 1.5\n", encoding="utf-8")
        (folder / "entry_points.txt").write_text(f"[ocrdeploy]\n{name} = {value}\n", encoding="utf-8")
        (point,) = Distribution.at(folder).entry_points
        return point

    return make


@pytest.fixture
def stranger(entry_point: Callable[..., EntryPoint], monkeypatch: pytest.MonkeyPatch) -> Callable[..., EntryPoint]:
    """`stranger(name, distribution="", ocrd_contract=1, **attributes)`: the entry point of a module with these attributes."""

    def make(name: str, distribution: str = "", **attributes: Any) -> EntryPoint:
        module = ModuleType(f"stranger_module_{next(_numbers)}")
        vars(module).update({"ocrd_contract": 1, **attributes})
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return entry_point(name, module.__name__, distribution)

    return make


@pytest.fixture
def backend(stranger: Callable[..., EntryPoint]) -> Callable[..., EntryPoint]:
    """`backend(name, probe=..., infer=..., distribution="", hooks={}, **info)`: a stranger that is a whole backend."""

    def make(
        name: str,
        /,
        *,
        probe: Callable[[], Any] = Probe,
        infer: Callable[..., Any] = lambda: None,
        distribution: str = "",
        hooks: dict[str, Any] | None = None,
        **info: Any,
    ) -> EntryPoint:
        announced = BackendInfo(**{"name": name, "runs": ("onnx",), **info})
        own: dict[str, Any] = {
            "ocrd_backend": hookimpl(lambda: announced),
            # A class, such as Probe itself, cannot bear the mark.
            "ocrd_probe": hookimpl(lambda: probe()),  # noqa: PLW0108
            "ocrd_infer": hookimpl(infer),
        }
        return stranger(name, distribution, **own, **(hooks or {}))

    return make


@pytest.fixture
def ctrl_c() -> Callable[[], None]:
    """Let the main thread hear Ctrl-C, without a signal of the system's.

    Where pytest's faulthandler and several runtimes share a process, the kernel has been seen to end it with SIGSEGV instead of
    delivering SIGINT: handlers run on faulthandler's small stack. test_build.py sends a real signal to a process of its own.
    """
    return _thread.interrupt_main
