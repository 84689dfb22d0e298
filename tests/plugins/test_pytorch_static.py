from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires

import pytest

from ocrdeploy import Unavailable, plugins
from ocrdeploy_pytorch import hooks


def test_it_announces_itself_through_its_entry_point() -> None:
    info = plugins.discover().backends["pytorch"]
    assert (info.runs, info.builds_from) == (("checkpoint",), ())
    assert info.precisions == ("fp32", "tf32", "fp16", "bf16")


def test_announcing_and_probing_import_no_runtime() -> None:
    say = "from ocrdeploy_pytorch import hooks; hooks.ocrd_backend(); hooks.ocrd_probe()"
    code = f"import sys; {say}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_torch_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(hooks, "version", version)
    answer = hooks.ocrd_probe()
    assert (answer.problem, answer.fix) == ("torch is not installed", "pip install torch")
    with pytest.raises(Unavailable, match="torch is not installed"):
        hooks.ocrd_infer()


def test_with_torch_it_says_that_models_come_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "version", lambda _: "2.13.0")
    answer = hooks.ocrd_probe()
    assert answer.problem == "this version of ocrdeploy-pytorch (0.1.0) cannot run models yet"
    assert answer.version == "2.13.0"
    assert answer.fix


def test_torch_is_no_hard_dependency_and_mmocr_an_extra() -> None:
    named = requires("ocrdeploy-pytorch") or []
    assert not any(each.startswith("torch") for each in named)
    pinned = {each.split(";")[0].strip() for each in named if "extra ==" in each}
    assert pinned == {"mmocr==0.6.3", "mmdet==2.28.2", "mmcv-full==1.7.2"}
