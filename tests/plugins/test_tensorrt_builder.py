"""The builder, on stand-ins for TensorRT 10, 11 and RTX: one path, and a sentence for everything that goes wrong."""

from __future__ import annotations

import errno
import hashlib
import logging
import signal
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.plugins.tensorrt_fake import building

from ocrdeploy import BadInput, OcrdError, Unavailable, headway
from ocrdeploy.vocabulary import Artifact, BuildOptions, InputSpec, ModelSpec, Shapes, ShortSide, Task
from ocrdeploy_tensorrt import builder, custom_ops, module, timing_cache, workspace
from ocrdeploy_tensorrt.devices import Gpu, Machine

H100 = Machine(gpus=(Gpu("NVIDIA H100", (9, 0)),))
NO_GPU = Machine(problem="no NVIDIA driver was found", fix="install one")
SHAPES = Shapes((1, 3, 32, 32), (1, 3, 64, 96), (2, 3, 128, 128))
MODEL = ModelSpec("det", "dbnet", Task.DETECTION, InputSpec("x", ShortSide(32), pad_to=32, shapes=SHAPES), ("maps",))
OPERATORS = ("Conv", "Resize")

Build = Callable[..., Artifact]


def write_onnx(
    path: Path, operators: tuple[str, ...] = OPERATORS, *, half: bool = False, dims: tuple[Any, ...] = ("N", 3, "H", "W")
) -> Path:
    """A chain of nodes, which only have to look like a model: the fake does not calculate."""
    weight = numpy_helper.from_array(np.zeros(1, np.float16 if half else np.float32), "w")
    names = ["x", *(f"t{index}" for index in range(len(operators) - 1)), "maps"]
    nodes = [
        helper.make_node(kind, [names[index], "w"], [names[index + 1]], name=f"/neck/{kind.lower()}/{kind}")
        for index, kind in enumerate(operators)
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(dims)) for name in ("x", "maps")]
    onnx.save(helper.make_model(helper.make_graph(nodes, "det", ends[:1], ends[1:], [weight])), path)
    return path


@pytest.fixture
def source(tmp_path: Path) -> Artifact:
    return Artifact(write_onnx(tmp_path / "det.onnx"), "onnx", "its hash", MODEL)


@pytest.fixture(autouse=True)
def unknown_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine that the tests run on may have a GPU of its own."""
    monkeypatch.setattr(workspace, "device_memory", lambda _index: None)
    monkeypatch.setattr(custom_ops, "_LOADED", set())


@pytest.fixture
def build(source: Artifact, tmp_path: Path) -> Build:
    def run(trt: ModuleType, machine: Machine = H100, onnx_file: Path | None = None, **options: Any) -> Artifact:
        given = source if onnx_file is None else Artifact(onnx_file, "onnx", "its hash", MODEL)
        return builder.build(trt, given, tmp_path / "det.engine", BuildOptions(**options), machine)

    return run


@pytest.mark.parametrize(("version", "strong"), [("10.16.1.11", 2), ("11.4.0.106", 1)])
def test_one_path_serves_both_majors(build: Build, tmp_path: Path, version: str, strong: int) -> None:
    trt, told = building.module(version)
    made = build(trt)
    assert (tmp_path / "det.engine").read_bytes() == b"a plan"
    assert (made.format, made.parent_sha256) == ("trt-engine", "its hash")
    assert made.sha256 == hashlib.sha256(b"a plan").hexdigest()
    assert told.network_flags == strong, "strongly typed, by the number that this version has for it"
    assert told.profile == {"x": (SHAPES.min, SHAPES.opt, SHAPES.max)}
    assert told.workspace == 0, "no limit, since none was asked for"
    assert told.config.profiling_verbosity.name == "DETAILED"
    assert told.config.hardware_compatibility_level.name == "NONE"
    assert made.facts["tensorrt"] == version
    assert made.facts["device"] == "NVIDIA H100 (sm_90)"
    assert made.facts["layers"] == "fp32 2"


@pytest.mark.parametrize(("precision", "tf32"), [("fp32", False), ("tf32", True), ("fp16", False)])
def test_tf32_is_on_where_it_is_asked_for_only(build: Build, tmp_path: Path, precision: str, *, tf32: bool) -> None:
    trt, told = building.module()
    build(trt, onnx_file=write_onnx(tmp_path / "given.onnx", half=precision == "fp16"), precision=precision)
    assert told.flags["TF32"] is tf32


@pytest.mark.parametrize(
    ("precision", "half", "problem"),
    [
        ("fp32", True, "is in fp16, and fp32 was asked for"),
        ("tf32", True, "is in fp16, and tf32 was asked for"),
        ("fp16", False, r"has no layer in fp16, which was asked for \(it is in fp32\)"),
        ("bf16", True, "has no layer in bf16"),
    ],
)
def test_a_graph_in_another_precision_than_asked_is_refused(
    build: Build, tmp_path: Path, precision: str, problem: str, *, half: bool
) -> None:
    trt, _ = building.module()
    with pytest.raises(BadInput, match=problem):
        build(trt, onnx_file=write_onnx(tmp_path / "given.onnx", half=half), precision=precision)
    assert not (tmp_path / "det.engine").exists()


def test_what_is_asked_for_is_what_tensorrt_is_told(build: Build) -> None:
    trt, told = building.module()
    extra = {"hardware_compatibility": "ampere+", "version_compatible": "yes"}
    made = build(trt, workspace_gib=1.5, extra=extra)
    assert told.workspace == 3 << 29
    assert told.config.hardware_compatibility_level.name == "AMPERE_PLUS"
    assert told.flags["VERSION_COMPATIBLE"]
    assert made.facts["device"] == "ampere+"
    assert made.facts["version_compatible"] == "yes"
    assert made.facts["workspace_gib"] == "1.5"


def test_other_shapes_than_the_models_own(build: Build) -> None:
    trt, told = building.module()
    wanted = Shapes((1, 3, 64, 64), (2, 3, 64, 64), (4, 3, 64, 64))
    made = build(trt, shapes=wanted)
    assert told.profile["x"] == (wanted.min, wanted.opt, wanted.max)
    assert made.facts["max_shape"] == "4x3x64x64"


def test_axes_of_one_name_and_different_lengths_are_told_apart(build: Build, tmp_path: Path) -> None:
    trt, told = building.module()
    build(trt, onnx_file=write_onnx(tmp_path / "given.onnx", dims=(-1, 3, "?", "?")))
    assert isinstance(told.parsed, bytes)
    dims = onnx.load_from_string(told.parsed).graph.input[0].type.tensor_type.shape.dim
    assert dims[2].dim_param != dims[3].dim_param
    trt, told = building.module()
    build(trt)
    assert told.parsed == str(tmp_path / "det.onnx"), "others are read as they are"


# ------------------------------------------------------------------------------------------------------------- the GPU


def test_tensorrt_itself_needs_a_gpu_and_says_what_is_missing(build: Build) -> None:
    trt, _ = building.module()
    with pytest.raises(Unavailable, match="no NVIDIA driver was found"):
        build(trt, machine=NO_GPU)


def test_tensorrt_rtx_builds_without_one(build: Build) -> None:
    trt, told = building.module("1.7.1.116", "tensorrt_rtx")
    made = build(trt, machine=NO_GPU)
    assert (made.facts["flavour"], made.facts["device"]) == ("tensorrt-rtx", "ampere+")
    assert told.given_timings == [], "it keeps none"
    with pytest.raises(Unavailable, match="no NVIDIA driver was found"):
        build(trt, machine=NO_GPU, device="cuda")


@pytest.mark.parametrize("name", ["hardware_compatibility=same", "version_compatible=yes", "timing_cache=t.cache"])
def test_tensorrt_rtx_refuses_what_it_does_not_have(build: Build, name: str) -> None:
    trt, _ = building.module("1.7.1.116", "tensorrt_rtx")
    key, value = name.split("=")
    with pytest.raises(BadInput, match=f"TensorRT-RTX has no --{key.replace('_', '-')}"):
        build(trt, extra={key: value})


def test_cuda_that_does_not_start_is_a_sentence(build: Build) -> None:
    trt, told = building.module()
    told.no_cuda = True
    with pytest.raises(Unavailable, match=r"TensorRT 11\.4\.0\.106 does not start"):
        build(trt)


def test_a_workspace_larger_than_the_gpu_is_refused(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    trt, told = building.module()
    monkeypatch.setattr(workspace, "device_memory", lambda _index: 8 << 30)
    with pytest.raises(BadInput, match=r"--workspace 16 is more than the 8\.0 GiB that the GPU has"):
        build(trt, workspace_gib=16)
    build(trt, workspace_gib=8)
    assert told.workspace == 8 << 30


# ----------------------------------------------------------------------------------------------------------- the graph


def test_operators_that_tensorrt_does_not_have_are_named_with_their_modules(build: Build, tmp_path: Path) -> None:
    trt, told = building.module()
    told.unsupported = ("DeformConv", "Foo")
    given = write_onnx(tmp_path / "given.onnx", ("Conv", "DeformConv", "DeformConv", "Foo"))
    with pytest.raises(BadInput) as raised:
        build(trt, onnx_file=given)
    assert "DeformConv (2 nodes, the first is '/neck/deformconv/DeformConv' in neck.deformconv)" in raised.value.problem
    assert "Foo (1 node" in raised.value.problem
    assert "--custom-ops LIBRARY" in raised.value.fix


def test_a_node_that_tensorrt_does_not_take_is_named(build: Build, tmp_path: Path) -> None:
    trt, _ = building.module()
    with pytest.raises(BadInput) as raised:
        build(trt, onnx_file=write_onnx(tmp_path / "given.onnx", ("Conv", "Refused")))
    assert "Assertion failed: no such thing (node '/neck/refused/Refused', Refused in neck.refused)" in raised.value.problem


@pytest.mark.parametrize(
    ("resize", "fine"),
    [
        (("NEAREST", "ASYMMETRIC", "FLOOR"), True),
        (("LINEAR", "HALF_PIXEL", "FLOOR"), True),
        (("LINEAR", "ALIGN_CORNERS", "FLOOR"), True),
        (("NEAREST", "HALF_PIXEL", "FLOOR"), False),
        (("NEAREST", "ASYMMETRIC", "HALF_DOWN"), False),
        (("NEAREST", "ALIGN_CORNERS", "FLOOR"), False),
        (("LINEAR", "ASYMMETRIC", "FLOOR"), False),
        (("CUBIC", "HALF_PIXEL", "FLOOR"), False),
    ],
)
def test_a_resize_that_picks_other_pixels_than_pytorch_is_refused(build: Build, resize: tuple[str, ...], *, fine: bool) -> None:
    trt, told = building.module()
    told.resize = resize  # type: ignore[assignment]
    if fine:
        build(trt)
        return
    with pytest.raises(BadInput) as raised:
        build(trt)
    said = f"the Resize '/neck/resize/Resize' (in neck.resize) picks other pixels than PyTorch does ({', '.join(resize)})"
    assert raised.value.problem == said
    build(trt, extra={"resize": "any"})


# ----------------------------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("errors", "gib", "sentences"),
    [
        (
            ["OutOfMemory (Requested size was 1122432768 bytes.)"],
            1.0,
            ("--workspace 1 is too little .* 1.05 GiB", "larger --workspace"),
        ),
        (["Error Code 2: OutOfMemory (Requested size was 1122432768 bytes.)"], 0.0, ("not enough memory", "smaller --max-shape")),
        (["Could not find any implementation for node conv1."], 1.0, ("within --workspace 1: .*conv1", "larger --workspace")),
        (["no optimization profile has been defined"], 0.0, ("built no engine of det: no optimization profile", "--verbose")),
        ([], 0.0, ("built no engine of det: it gives no reason", "--verbose")),
    ],
)
def test_no_engine_has_a_cause(build: Build, tmp_path: Path, errors: list[str], gib: float, sentences: tuple[str, str]) -> None:
    problem, fix = sentences
    trt, told = building.module()
    told.plan, told.errors = None, errors
    with pytest.raises(OcrdError, match=problem) as raised:
        build(trt, workspace_gib=gib)
    assert fix in raised.value.fix
    assert not (tmp_path / "det.engine").exists()


def test_shapes_that_tensorrt_does_not_take(build: Build) -> None:
    trt, told = building.module()
    told.takes_profile = False
    with pytest.raises(OcrdError, match="does not take these shapes: the profile is wrong"):
        build(trt)


def test_a_full_disk_is_a_sentence(build: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trt, _ = building.module()

    def full(_self: Path, _data: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OcrdError, match=f"cannot write the engine to {tmp_path}: No space left on device") as raised:
        build(trt, extra={"timing_cache": str(tmp_path / "t.cache")})
    assert "room" in raised.value.fix


# ------------------------------------------------------------------------------------------------- headway and Ctrl-C


def phases(monitor: Any) -> None:
    """What TensorRT 11 tells: a phase with two steps, and in the first of them another with four."""
    monitor.phase_start("Building engine", None, 2)
    monitor.phase_start("Tactics", "Building engine", 4)
    for step in range(4):
        assert monitor.step_complete("Tactics", step)
    monitor.phase_finish("Tactics")
    for step in range(2):
        assert monitor.step_complete("Building engine", step)
    monitor.phase_finish("Building engine")


def test_headway_rises_through_phases_in_phases(build: Build) -> None:
    trt, told = building.module()
    told.phases = phases
    heard: list[tuple[str, float]] = []
    with headway.heard_by(lambda doing, share: heard.append((doing, share))):
        build(trt)
    assert heard[:4] == [("Tactics", 0.125), ("Tactics", 0.25), ("Tactics", 0.375), ("Tactics", 0.5)]
    assert heard[4:] == [("Building engine", 0.5), ("Building engine", 1.0)]


def test_a_listener_that_fails_does_not_end_the_build(build: Build, caplog: pytest.LogCaptureFixture) -> None:
    trt, told = building.module()
    told.phases = phases

    def fail(_doing: str, _share: float) -> None:
        raise ZeroDivisionError

    with headway.heard_by(fail), caplog.at_level(logging.ERROR):
        build(trt)
    assert "could not be shown" in caplog.text


def test_ctrl_c_ends_a_build_between_two_steps_and_leaves_nothing(
    build: Build, ctrl_c: Callable[[], None], tmp_path: Path
) -> None:
    trt, told = building.module()
    answers = []

    def interrupted(monitor: Any) -> None:
        monitor.phase_start("Building engine", None, 3)
        answers.append(monitor.step_complete("Building engine", 0))
        ctrl_c()
        answers.append(monitor.step_complete("Building engine", 1))
        told.plan = None

    told.phases, told.timings = interrupted, b"what was measured so far"
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        build(trt, extra={"timing_cache": str(tmp_path / "t.cache")})
    assert answers == [True, False]
    assert not (tmp_path / "det.engine").exists()
    assert signal.getsignal(signal.SIGINT) is before
    assert (tmp_path / "t.cache").read_bytes() == b"what was measured so far"


# -------------------------------------------------------------------------------------------------------------- timings


def test_timings_are_kept_for_each_version_and_gpu(build: Build) -> None:
    trt, told = building.module()
    told.timings = b"measured"
    build(trt)
    place = timing_cache.place(trt, "NVIDIA H100 (sm_90)")
    assert place.read_bytes() == b"measured"
    assert place != timing_cache.place(trt, "NVIDIA L4 (sm_89)")
    assert place != timing_cache.place(building.module("10.16.1.11")[0], "NVIDIA H100 (sm_90)")
    told.given_timings.clear()
    build(trt)
    assert told.given_timings == [b"measured"]
    place.unlink()


def test_timings_that_do_not_fit_are_started_anew(build: Build, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trt, told = building.module()
    told.takes_timings, told.timings = False, b"new"
    path = tmp_path / "t.cache"
    path.write_bytes(b"of another version")
    build(trt, extra={"timing_cache": str(path)})
    assert f"the timing cache {path} does not fit this TensorRT and GPU; it is started anew" in caplog.text
    assert told.given_timings == [b"of another version", b""]
    assert path.read_bytes() == b"new"


def test_timings_that_cannot_be_read_or_written(build: Build, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trt, _ = building.module()
    with pytest.raises(BadInput, match="cannot read the timing cache"):
        build(trt, extra={"timing_cache": str(tmp_path)})
    (tmp_path / "file").touch()
    build(trt, extra={"timing_cache": str(tmp_path / "file" / "t.cache")})
    assert "the timing cache was not saved" in caplog.text


# ---------------------------------------------------------------------------------------------------- custom operators


def test_libraries_are_loaded_once_and_known_by_their_digest(build: Build, tmp_path: Path) -> None:
    trt, told = building.module()
    library = tmp_path / "libops.so"
    library.write_bytes(b"code")
    for _ in range(2):
        made = build(trt, custom_ops=(library,))
    assert told.loaded == [str(library)]
    assert made.facts["custom_ops libops.so"] == hashlib.sha256(b"code").hexdigest()


def test_a_library_that_cannot_be_loaded_is_named(build: Build, tmp_path: Path) -> None:
    trt, _ = building.module()
    with pytest.raises(BadInput, match="there is no library"):
        build(trt, custom_ops=(tmp_path / "libops.so",))
    (tmp_path / "broken.so").touch()
    with pytest.raises(BadInput, match=r"TensorRT cannot load .*broken\.so: it registers no plugin"):
        build(trt, custom_ops=(tmp_path / "broken.so",))


def test_one_logger_serves_all_builds() -> None:
    trt, _ = building.module()
    assert module.logger(trt) is module.logger(trt)
