"""The chain from what the user has to what the backend opens: every step once, and again only when something changed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ocrdeploy import artifact, chain, hookimpl, spec
from ocrdeploy.errors import BadInput, BadPlugin, OcrdError, Unavailable
from ocrdeploy.onnxgraph import denormals, metadata
from ocrdeploy.plugins import Plugins
from ocrdeploy.vocabulary import Artifact, BackendInfo, BuildOptions, InferOptions, ModelSpec, Probe, Session

Install: TypeAlias = Callable[..., Plugins]
Reach: TypeAlias = Callable[..., tuple[Artifact, list[str]]]

# Bits of float32: a test before these may have made the processor take denormals for zero, so they are never computed with.
ZERO, ONE, TWO, FIVE, TINY, LEAST = 0x0, 0x3F80_0000, 0x4000_0000, 0x40A0_0000, 0x0001_16C2, 0x1
DENORMAL = [TINY, TWO, LEAST, ZERO]
NORMAL = [ONE, TWO, FIVE, ZERO]


def write_onnx(path: Path, weights: list[int]) -> Path:
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["maps"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])],
        [helper.make_tensor_value_info("maps", TensorProto.FLOAT, [4])],
        [numpy_helper.from_array(np.array(weights, np.uint32).view(np.float32), "w")],
    )
    onnx.save(helper.make_model(graph), path)
    return path


def copy(source: Artifact, target: Path) -> None:
    target.write_bytes(source.path.read_bytes())


class Runner:
    """A backend that opens ONNX files."""

    ocrd_contract = 1

    @hookimpl
    def ocrd_backend(self) -> BackendInfo:
        return BackendInfo("runner", runs=("onnx",))

    @hookimpl
    def ocrd_probe(self) -> Probe:
        return Probe(version="1.0")

    @hookimpl
    def ocrd_infer(self) -> Session:
        raise NotImplementedError


@dataclass
class Builder:
    """A backend that builds plans from ONNX files, by copying them, and counts how often."""

    version: str = "10.1"
    device: str = "GPU A"
    write: Callable[[Artifact, Path], None] = copy
    built: list[BuildOptions] = field(default_factory=list)
    ocrd_contract = 1

    @hookimpl
    def ocrd_backend(self) -> BackendInfo:
        own: dict[str, Any] = {"options": ("tactics", "graph"), "session_options": ("graph",)}
        return BackendInfo("builder", runs=("plan",), builds_from=("onnx",), precisions=("fp32", "fp16"), **own)

    @hookimpl
    def ocrd_probe(self) -> Probe:
        return Probe(version=self.version, device=self.device)

    @hookimpl
    def ocrd_infer(self) -> Session:
        raise NotImplementedError

    @hookimpl
    def ocrd_build(self, source: Artifact, target: Path, options: BuildOptions) -> Artifact:
        self.built.append(options)
        self.write(source, target)
        return Artifact(target, "plan", "", source.model, source.sha256)


class Exporter(Runner):
    """A backend that exports checkpoints, which are texts here, to ONNX."""

    def __init__(self, write: Callable[[Path], object] = lambda target: write_onnx(target, DENORMAL)) -> None:
        self.write = write

    @hookimpl
    def ocrd_backend(self) -> BackendInfo:
        return BackendInfo("exporter", runs=("checkpoint",))

    @hookimpl
    def ocrd_export(self, model: ModelSpec, network: Any, checkpoint: Artifact, target: Path) -> Artifact:
        assert network is None
        self.write(target)
        return Artifact(target, "onnx", "", model, checkpoint.sha256)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(artifact.CACHE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def source(tmp_path: Path, cache: Path, detector: ModelSpec) -> Artifact:
    """An ONNX file with two denormal weights."""
    del cache  # asked for, so that no test of this file writes to another one
    path = write_onnx(tmp_path / "find.onnx", DENORMAL)
    return Artifact(path, "onnx", artifact.sha256(path), detector)


@pytest.fixture
def reach(install: Install) -> Reach:
    """Reach a backend, alone or with other plugins, from a file; return what it opens, and what was noted."""

    def reached(source: Artifact, plugin: Runner | Builder, options: InferOptions | None = None, **others: object) -> Any:
        notes: list[str] = []
        name = plugin.ocrd_backend().name
        plugins = install(**{name: plugin}, **others)
        return chain.reach(plugins, source, name, options or InferOptions(), notes.append), notes

    return reached


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")


def again(source: Artifact) -> Artifact:
    return replace(source, sha256=artifact.sha256(source.path))


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on, flushing weights is a failure: what is there has to be reused."""

    def forbid() -> None:
        def flush(*_: object) -> int:
            pytest.fail("the weights were to be flushed a second time")

        monkeypatch.setattr(denormals, "flush", flush)

    return forbid


def test_denormal_weights_are_flushed_once_and_counted_each_time(
    source: Artifact, cache: Path, reach: Reach, no_work: Callable[[], None]
) -> None:
    made, notes = reach(source, Runner())
    assert made.path.is_relative_to(cache)
    assert made.path.suffix == ".onnx"
    assert (made.format, made.parent_sha256, made.sha256) == ("onnx", source.sha256, artifact.sha256(made.path))
    assert notes == [f"find: 2 denormal weights were flushed to zero ({made.path})"]
    assert numpy_helper.to_array(onnx.load(made.path).graph.initializer[0]).tolist() == [0, 2, 0, 0]
    assert spec.from_json(metadata.read(made.path)[metadata.KEY], "made") == made.model == source.model
    no_work()
    assert reach(source, Runner()) == (made, notes)


def test_a_model_without_denormals_is_used_as_it_is_and_looked_at_once(
    source: Artifact, cache: Path, reach: Reach, no_work: Callable[[], None]
) -> None:
    write_onnx(source.path, NORMAL)
    source = again(source)
    assert reach(source, Runner()) == (source, [])
    assert files(cache) == ["flush-denormals.onnx.json"]
    no_work()
    assert reach(source, Runner()) == (source, [])


def test_a_model_that_lost_its_denormals_leaves_no_stale_file(source: Artifact, cache: Path, reach: Reach) -> None:
    reach(source, Runner())
    write_onnx(source.path, NORMAL)
    source = again(source)
    made, notes = reach(source, Runner())
    assert made == source
    assert "out of date (parent sha256 was " in notes[0]
    assert files(cache) == ["flush-denormals.onnx.json"]
    write_onnx(source.path, DENORMAL)
    made, notes = reach(again(source), Runner())
    assert made.path != source.path
    assert notes == [f"find: 2 denormal weights were flushed to zero ({made.path})"]


def change_parent(source: Artifact, _: Path, __: pytest.MonkeyPatch) -> Artifact:
    write_onnx(source.path, [*DENORMAL[:3], LEAST])
    return again(source)


def change_model(source: Artifact, _: Path, __: pytest.MonkeyPatch) -> Artifact:
    return replace(source, model=replace(source.model, options={"threshold": 0.5}))


def change_version_of_onnx(source: Artifact, _: Path, patch: pytest.MonkeyPatch) -> Artifact:
    patch.setattr(chain, "_version", lambda _: "99.0")
    return source


def change_version_of_ocrdeploy(source: Artifact, _: Path, patch: pytest.MonkeyPatch) -> Artifact:
    patch.setattr(chain, "__version__", "99.0")
    return source


def change_own_bytes(source: Artifact, made: Path, _: pytest.MonkeyPatch) -> Artifact:
    made.write_bytes(made.read_bytes()[:-7])
    return source


def change_own_existence(source: Artifact, made: Path, _: pytest.MonkeyPatch) -> Artifact:
    made.unlink()
    return source


def change_manifest(source: Artifact, made: Path, _: pytest.MonkeyPatch) -> Artifact:
    artifact.manifest_path(made).write_text('{"model": "yolo"}')
    return source


CHANGES: dict[Callable[[Artifact, Path, pytest.MonkeyPatch], Artifact], str] = {
    change_parent: "out of date (parent sha256 was ",
    change_model: "out of date (the model's specification changed)",
    change_version_of_onnx: "out of date (versions: onnx was ",
    change_version_of_ocrdeploy: "out of date (versions: ocrdeploy was ",
    change_own_bytes: "changed since it was made",
    change_manifest: "without a manifest",
    change_own_existence: "",
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_no_longer_fits_is_made_again_saying_why(
    source: Artifact,
    reach: Reach,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Artifact, Path, pytest.MonkeyPatch], Artifact],
) -> None:
    first, _ = reach(source, Runner())
    source = change(source, first.path, monkeypatch)
    made, notes = reach(source, Runner())
    assert made.path == first.path
    assert len(notes) == (2 if CHANGES[change] else 1)
    if CHANGES[change]:
        assert notes[0].startswith(f"find: {made.path} is {CHANGES[change]}")
        assert notes[0].endswith("; it is made again")
    assert made.sha256 == artifact.sha256(made.path)
    assert (made.parent_sha256, made.model) == (source.sha256, source.model)
    assert reach(source, Runner()) == (made, notes[-1:]), "now it is fresh"


def test_another_library_of_operators_is_another_recipe(source: Artifact, tmp_path: Path, reach: Reach) -> None:
    library = tmp_path / "operators.so"
    library.write_bytes(b"one")
    options = InferOptions(custom_ops=(library,))
    assert len(reach(source, Runner(), options)[1]) == 1
    library.write_bytes(b"two")
    made, notes = reach(source, Runner(), options)
    assert notes[0].startswith(f"find: {made.path} is out of date (options: sha256 of {library} was 7692c3ad3540, is ")
    library.unlink()
    with pytest.raises(BadInput, match=r"cannot read .*operators\.so"):
        reach(source, Runner(), options)


def test_weights_that_lie_in_another_file_are_part_of_the_recipe(source: Artifact, reach: Reach) -> None:
    def save(weights: list[int]) -> None:
        model = onnx.load(write_onnx(source.path, weights))
        onnx.save(model, source.path, save_as_external_data=True, location="weights.bin", size_threshold=0)

    (source.path.parent / "weights.bin").unlink(missing_ok=True)
    save([TINY, ONE, ONE, ONE])
    source = again(source)
    reach(source, Runner())
    (source.path.parent / "weights.bin").unlink()
    save([TINY, FIVE, FIVE, FIVE])
    assert artifact.sha256(source.path) == source.sha256, "the file itself does not show the change"
    made, notes = reach(source, Runner())
    assert "weights.bin was " in notes[0]
    assert numpy_helper.to_array(onnx.load(made.path).graph.initializer[0]).tolist() == [0, 5, 5, 5]


def test_a_backend_that_builds_gets_its_own_format(source: Artifact, reach: Reach) -> None:
    builder = Builder()
    options = InferOptions(device="cuda:1", precision="fp16", extra={"tactics": "all"})
    made, notes = reach(source, builder, options)
    flushed, _ = reach(source, Runner())
    (converted,) = source.path.parent.rglob("convert-fp16.onnx")
    assert (made.format, made.parent_sha256) == ("plan", artifact.sha256(converted))
    assert made.path.read_bytes() == converted.read_bytes(), "the graph is in half precision before anything is built"
    found = artifact.read_manifest(converted)
    assert found is not None
    assert found.parent_sha256 == flushed.sha256, "denormals are flushed before that"
    assert builder.built == [BuildOptions(precision="fp16", device="cuda:1", extra={"tactics": "all"})]
    manifest = json.loads(artifact.manifest_path(made.path).read_text(encoding="utf-8"))
    assert (manifest["device"], manifest["versions"]["runtime"]) == ("GPU A", "10.1")
    assert reach(source, builder, options) == (made, notes)
    assert len(builder.built) == 1


@pytest.mark.parametrize(
    ("other", "options", "why"),
    [
        (Builder(device="GPU B"), InferOptions(), "device was GPU A, is GPU B"),
        (Builder(version="10.2"), InferOptions(), "versions: runtime was 10.1, is 10.2"),
        (Builder(), InferOptions(extra={"tactics": "few"}), "options: tactics was none, is few"),
    ],
)
def test_a_plan_for_something_else_is_built_again(
    source: Artifact, reach: Reach, other: Builder, options: InferOptions, why: str
) -> None:
    first, _ = reach(source, Builder())
    made, notes = reach(source, other, options)
    assert notes[1] == f"find: {made.path} is out of date ({why}); it is made again"
    assert (made.path, len(other.built)) == (first.path, 1)


def test_an_option_of_the_session_builds_nothing_anew(source: Artifact, reach: Reach) -> None:
    builder = Builder()
    for extra in ({}, {"graph": "on"}, {"graph": "off"}):
        reach(source, builder, InferOptions(extra=extra))
    assert [each.extra for each in builder.built] == [{}]
    reach(source, builder, InferOptions(extra={"graph": "on", "tactics": "all"}))
    assert builder.built[1:] == [BuildOptions(extra={"tactics": "all"})]


def test_plans_of_two_precisions_do_not_take_each_others_place(source: Artifact, reach: Reach) -> None:
    builder = Builder()
    for precision in ("fp32", "fp16", "fp32", "fp16"):
        reach(source, builder, InferOptions(precision=precision))
    assert len(builder.built) == 2


def test_a_checkpoint_is_exported_flushed_and_built(source: Artifact, tmp_path: Path, cache: Path, reach: Reach) -> None:
    path = tmp_path / "weights.pth"
    path.write_text("a checkpoint")
    checkpoint = Artifact(path, "checkpoint", artifact.sha256(path), source.model)
    made, notes = reach(checkpoint, Builder(), exporter=Exporter())
    # What is exported has no denormal weights any more, so the step that flushes them has nothing to do.
    whole = ("build-builder-fp32.plan", "export.onnx")
    assert files(cache) == sorted([*whole, *(f"{step}.json" for step in (*whole, "flush-denormals.onnx"))])
    by_step = {manifest.step: manifest for manifest in map(artifact.read_manifest, manifests(cache)) if manifest}
    exported = by_step["export"]
    assert exported.parent_sha256 == checkpoint.sha256
    assert exported.versions.keys() == {"ocrdeploy", "exporter", "runtime"}
    assert exported.findings == {"denormal_weights": 2, "nan_weights": 0, "took_ms": exported.findings["took_ms"]}
    assert notes == [f"find: 2 denormal weights were flushed to zero ({next(cache.rglob('export.onnx'))})"]
    assert by_step["build-builder-fp32"].parent_sha256 == exported.sha256
    assert by_step["build-builder-fp32"].sha256 == made.sha256
    assert reach(checkpoint, Builder(), exporter=Exporter(write=lambda _: pytest.fail("exported twice")))[0] == made


def manifests(folder: Path) -> list[Path]:
    return [path.with_suffix("") for path in folder.rglob("*.json")]


def test_a_backend_that_opens_checkpoints_gets_them_untouched(source: Artifact, reach: Reach, cache: Path) -> None:
    checkpoint = replace(source, format="checkpoint")
    assert reach(checkpoint, Exporter()) == (checkpoint, [])
    assert not cache.exists()


def test_a_format_from_which_no_step_leads_on_is_named(source: Artifact, reach: Reach) -> None:
    with pytest.raises(Unavailable, match="backend 'builder' takes plan, onnx, and no step leads there from engine"):
        reach(replace(source, format="engine"), Builder())


def test_weights_that_are_not_a_number_are_told_to_everybody(
    source: Artifact, tmp_path: Path, reach: Reach, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "find.pth"
    path.write_text("weights")
    checkpoint = replace(source, path=path, format="checkpoint", sha256=artifact.sha256(path))
    nan = 0x7FC00000
    for _ in range(2):  # made, and then found ready
        caplog.clear()
        reach(checkpoint, Runner(), exporter=Exporter(write=lambda target: write_onnx(target, [TWO, nan, nan, ZERO])))
        assert [record.getMessage().partition(" in ")[0] for record in caplog.records] == ["find: 2 weights"]
        assert caplog.records[0].levelname == "WARNING"


def test_a_checkpoint_without_an_exporter_names_the_plugin_to_install(source: Artifact, reach: Reach) -> None:
    with pytest.raises(Unavailable, match="no installed plugin can export it") as caught:
        reach(replace(source, format="checkpoint"), Runner())
    assert "pip install ocrdeploy-pytorch" in caught.value.fix


def fail(*_: object) -> None:
    raise RuntimeError("out of workspace")


def nothing(*_: object) -> None:
    pass


def vanish(*arguments: Any) -> None:
    arguments[-1].unlink()


@pytest.mark.parametrize(("write", "said"), [(fail, "out of workspace"), (nothing, "nothing"), (vanish, "nothing")])
def test_a_plugin_that_fails_to_make_a_file_is_named_and_leaves_nothing(
    source: Artifact, cache: Path, reach: Reach, write: Callable[..., None], said: str
) -> None:
    with pytest.raises(BadPlugin, match=f"plugin 'builder' .*{said}"):
        reach(source, Builder(write=write))
    checkpoint = replace(source, format="checkpoint")
    with pytest.raises(BadPlugin, match=f"plugin 'exporter' .*{said}"):
        reach(checkpoint, Runner(), exporter=Exporter(write=write))
    assert files(cache) == ["flush-denormals.onnx", "flush-denormals.onnx.json"]
    assert reach(source, Builder())[0].format == "plan", "the next attempt begins anew"


def test_what_a_builder_complains_of_passes_unchanged(source: Artifact, cache: Path, reach: Reach) -> None:
    complaint = Unavailable("no GPU is free", "wait")

    def refuse(*_: object) -> None:
        raise complaint

    with pytest.raises(Unavailable) as caught:
        reach(source, Builder(write=refuse))
    assert caught.value is complaint
    assert "build-builder-fp32.plan" not in files(cache)


def test_sources_of_one_name_do_not_share_their_made_files(source: Artifact, tmp_path: Path, reach: Reach) -> None:
    (tmp_path / "other").mkdir()
    path = write_onnx(tmp_path / "other" / source.path.name, [TINY] * 4)
    other = replace(source, path=path, sha256=artifact.sha256(path))
    first, _ = reach(source, Runner())
    second, notes = reach(other, Runner())
    assert first.path != second.path
    assert notes == [f"find: 4 denormal weights were flushed to zero ({second.path})"]


def test_a_cache_that_cannot_be_written_is_a_sentence_with_its_variable(source: Artifact, cache: Path, reach: Reach) -> None:
    cache.write_bytes(b"")  # a file where the folder should be hinders even root
    with pytest.raises(OcrdError, match="cannot write") as caught:
        reach(source, Runner())
    assert caught.value.fix == "set OCRDEPLOY_CACHE to a folder that can be written and has room"


def test_a_cache_that_was_filled_is_used_without_writing(source: Artifact, reach: Reach, monkeypatch: pytest.MonkeyPatch) -> None:
    made = reach(source, Runner())

    def refuse(target: Path) -> None:
        pytest.fail(f"the lock of {target} was to be taken")

    monkeypatch.setattr(artifact, "locked", refuse)
    assert reach(source, Runner()) == made


def test_a_file_that_is_no_onnx_model_leaves_nothing(source: Artifact, cache: Path, reach: Reach) -> None:
    source.path.write_bytes(source.path.read_bytes()[:-30])
    with pytest.raises(BadInput, match="is not an ONNX model, or is cut short"):
        reach(again(source), Runner())
    assert files(cache) == []


FLUSH = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from ocrdeploy import artifact, chain, spec
from ocrdeploy.onnxgraph import denormals
from ocrdeploy.vocabulary import Artifact, BackendInfo, InferOptions

source, model, log, pause = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4])
quick = denormals.flush

def slow(*arguments):
    count = quick(*arguments)
    with log.open("a") as file:
        file.write("made\\n")
    print("made", flush=True)
    time.sleep(pause)
    return count

denormals.flush = slow
print("ready", flush=True)
sys.stdin.readline()
plugins = SimpleNamespace(backends={"runner": BackendInfo("runner", ("onnx",))})
given = Artifact(source, "onnx", artifact.sha256(source), spec.read_file(model))
made = chain.reach(plugins, given, "runner", InferOptions(), print)
print(made.sha256)
"""


@pytest.fixture
def start(source: Artifact, tmp_path: Path) -> Callable[[float], subprocess.Popen[str]]:
    """Start a process that flushes the weights of `source`, and is slow about it, once it is told to go on."""
    model = tmp_path / "model.json"
    model.write_text(spec.to_json(source.model))

    def started(pause_s: float) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", FLUSH, *map(str, (source.path, model, tmp_path / "log", pause_s))]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    return started


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_of_processes_that_need_the_same_file_one_makes_it_and_the_others_wait(
    tmp_path: Path, start: Callable[[float], subprocess.Popen[str]], source: Artifact, reach: Reach
) -> None:
    processes = [start(0.5) for _ in range(3)]
    assert [line(process) for process in processes] == ["ready\n"] * 3
    for process in processes:
        go(process)
    said = [process.communicate()[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0] * 3
    assert (tmp_path / "log").read_text() == "made\n"
    made, notes = reach(source, Runner())
    assert [lines[-1] for lines in said] == [made.sha256] * 3
    assert [lines[-2] for lines in said] == notes * 3, "none of them found anything out of date"


def test_a_process_that_is_killed_while_it_makes_a_file_hinders_nobody(
    cache: Path, start: Callable[[float], subprocess.Popen[str]], source: Artifact, reach: Reach
) -> None:
    process = start(60)
    line(process)
    go(process)
    assert line(process) == "made\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (rubbish,) = files(cache)
    assert rubbish.startswith(".flush-denormals-")
    made, notes = reach(source, Runner())
    assert notes == [f"find: 2 denormal weights were flushed to zero ({made.path})"]
    assert made.sha256 == artifact.sha256(made.path)
