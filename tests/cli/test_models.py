from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

from ocrdeploy import backend, spec
from ocrdeploy.plugins import discover

Ocrd = Callable[..., CompletedProcess[str]]
Site = Callable[[str, str], Path]

PACK = """
from ocrdeploy import BadInput, hookimpl
from ocrdeploy.vocabulary import Height, InputSpec, ModelSpec, Task
ocrd_contract = 1

@hookimpl
def ocrd_models():
    return [ModelSpec("nova-rec", "ctc", Task.RECOGNITION, InputSpec("x", Height(32)), ("y",), rank=999)]

@hookimpl
def ocrd_artifact(model):
    raise BadInput("the weights of nova-rec are not here", "pip install nova-weights")
"""


def test_the_table_lists_the_pack_that_is_installed(ocrd: Ocrd) -> None:
    done = ocrd("models")
    assert (done.returncode, done.stderr) == (0, "")
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line}
    assert rows["ppocr-v6-det"] == ["ppocr-v6-det", "detection", "dbnet", "ppocr", "yes", "here"]


def test_a_model_without_weights_is_listed_with_what_brings_them_and_is_no_default(ocrd: Ocrd, site: Site) -> None:
    site("nova", PACK)
    done = ocrd("models")
    assert "nova-rec cannot be used: the weights of nova-rec are not here\n  fix: pip install nova-weights\n" in done.stdout
    rows = {row["name"]: row for row in json.loads(ocrd("models", "--json").stdout)["models"]}
    assert rows["nova-rec"] == {
        "name": "nova-rec",
        "task": "recognition",
        "family": "ctc",
        "rank": 999,
        "default": False,
        "plugin": "nova",
        "distribution": "ocrdeploy-nova",
        "ok": False,
        "path": "",
        "sha256": "",
        "problem": "the weights of nova-rec are not here",
        "fix": "pip install nova-weights",
    }
    assert rows["ppocr-v6-rec"]["default"] is True
    assert Path(rows["ppocr-v6-rec"]["path"]).is_file()


def test_models_with_the_same_trouble_share_one_complaint(ocrd: Ocrd, site: Site) -> None:
    second = PACK.replace(
        "return [", "return [ModelSpec('nova-two', 'ctc', Task.RECOGNITION, InputSpec('x', Height(32)), ('y',)), "
    )
    site("nova", second.replace('"the weights of nova-rec are not here"', 'f"the weights of {model.name} are not here"'))
    shown = ocrd("models").stdout
    assert "2 models, nova-rec and others, cannot be used: the weights of NAME are not here\n" in shown
    assert shown.count("pip install nova-weights") == 1


def test_show_prints_the_whole_specification_and_it_can_be_read_back(ocrd: Ocrd, tmp_path: Path) -> None:
    done = ocrd("models", "show", "ppocr-v6-rec")
    assert (done.returncode, done.stderr) == (0, "")
    shown = tmp_path / "spec.json"
    shown.write_text(done.stdout, encoding="utf-8")
    plugins = discover()
    assert spec.read_file(shown) == backend.artifact_of_model(plugins, plugins.models["ppocr-v6-rec"]).model
    assert len(done.stdout.splitlines()) < 80


def test_show_of_a_model_without_weights_prints_what_is_known(ocrd: Ocrd, site: Site) -> None:
    site("nova", PACK)
    done = ocrd("models", "show", "nova-rec")
    assert done.returncode == 0
    assert json.loads(done.stdout)["name"] == "nova-rec"
    assert "the weights of nova-rec are not here (pip install nova-weights)" in done.stderr


def test_an_unknown_model_names_the_nearest(ocrd: Ocrd) -> None:
    done = ocrd("models", "show", "ppocr-v6-dett")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: unknown model 'ppocr-v6-dett' (did you mean 'ppocr-v6-det'?)\nfix:   use one of: ")
