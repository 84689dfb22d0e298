from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from ocrdeploy import BadInput, OcrdError, Unavailable, UnknownName, backend, plugins
from ocrdeploy.cores import usable_cores
from ocrdeploy.vocabulary import (
    Artifact,
    Colour,
    Exact,
    InferOptions,
    InputSpec,
    ModelSpec,
    Quantity,
    Session,
    SideInput,
    Task,
    Threads,
)
from ocrdeploy_onnxruntime import hooks, providers, settings
from ocrdeploy_onnxruntime.session import OnnxSession, open_session

CPU, CUDA, AZURE = "CPUExecutionProvider", "CUDAExecutionProvider", "AzureExecutionProvider"
MODEL = ModelSpec("tiny", "ctc", Task.RECOGNITION, InputSpec("x", Exact(4, 8)), ("double", "sum"))


def write_tiny(path: Path, *, dtype: int = TensorProto.FLOAT, side: bool = False) -> Path:
    """x (N, 3, 4, ?) -> double = x + x; sum = x + mean over channels [+ scale]."""
    nodes = [
        helper.make_node("Add", ["x", "x"], ["double"]),
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1]),
        helper.make_node("Add", ["x", "mean"], ["sum" if not side else "partial"]),
    ]
    inputs = [helper.make_tensor_value_info("x", dtype, ["N", 3, 4, "W"])]
    if side:
        nodes.append(helper.make_node("Add", ["partial", "scale"], ["sum"]))
        inputs.append(helper.make_tensor_value_info("scale", dtype, [1]))
    outputs = [helper.make_tensor_value_info(name, dtype, ["N", 3, 4, "W"]) for name in ("sum", "double")]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.fixture
def tiny(tmp_path: Path) -> Artifact:
    return Artifact(write_tiny(tmp_path / "tiny.onnx"), "onnx", "", MODEL)


@pytest.fixture
def open_tiny(tiny: Artifact) -> Callable[..., OnnxSession]:
    def open_it(options: InferOptions = InferOptions(device="cpu"), model: ModelSpec = MODEL) -> OnnxSession:  # noqa: B008 - frozen
        import onnxruntime

        return open_session(onnxruntime, replace(tiny, model=model), options)

    return open_it


def picture(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


# ---------------------------------------------------------------------------------------------------------- announcing


def test_it_announces_itself_through_its_entry_point() -> None:
    found = plugins.discover()
    assert found.backends["onnxruntime"].runs == ("onnx",)
    assert found.backends["onnxruntime"].precisions == ("fp32", "fp16")
    assert found.distribution("onnxruntime").startswith("ocrdeploy-onnxruntime 0.1.0")


def test_announcing_imports_no_runtime() -> None:
    code = "import sys; from ocrdeploy_onnxruntime import hooks; hooks.ocrd_backend(); sys.exit('onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_core_opens_a_session_through_the_hook(tiny: Artifact) -> None:
    session = backend.open_session(plugins.discover(), "onnxruntime", tiny, InferOptions(device="cpu"))
    assert isinstance(session, Session)
    assert session.run({"x": picture(1, 3, 4, 8)})["double"].shape == (1, 3, 4, 8)
    session.close()


# ------------------------------------------------------------------------------------------------------------- probing


def test_the_probe_finds_the_installed_runtime() -> None:
    answer = hooks.ocrd_probe()
    assert answer.ok
    assert answer.version
    assert CPU in answer.details["providers"]


@pytest.fixture
def pretend_installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def pretend(**versions: str) -> None:
        known = {name.replace("_", "-"): number for name, number in versions.items()}

        def version(name: str) -> str:
            if name not in known:
                raise PackageNotFoundError(name)
            return known[name]

        monkeypatch.setattr(hooks, "version", version)

    return pretend


def test_an_importable_folder_is_no_runtime(pretend_installed: Callable[..., None]) -> None:
    pretend_installed()
    answer = hooks.ocrd_probe()
    assert answer.problem == "onnxruntime is not installed"
    assert "pip install 'ocrdeploy-onnxruntime[cpu]'" in answer.fix


def test_two_distributions_at_once_are_a_problem_with_its_repair(pretend_installed: Callable[..., None]) -> None:
    pretend_installed(onnxruntime="1.32.0", onnxruntime_gpu="1.31.1")
    answer = hooks.ocrd_probe()
    assert answer.problem.startswith("onnxruntime and onnxruntime-gpu are both installed")
    assert answer.fix.startswith("pip uninstall -y onnxruntime onnxruntime-gpu, then pip install")


@pytest.mark.parametrize("module", [types.ModuleType("onnxruntime"), None])
def test_a_runtime_without_its_files_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, pretend_installed: Callable[..., None], module: types.ModuleType | None
) -> None:
    pretend_installed(onnxruntime_gpu="1.31.1")
    monkeypatch.setitem(sys.modules, "onnxruntime", module)
    answer = hooks.ocrd_probe()
    assert answer.problem.startswith("onnxruntime-gpu 1.31.1 is installed and cannot be imported")
    assert answer.fix == "pip install --force-reinstall --no-deps onnxruntime-gpu==1.31.1"


# ------------------------------------------------------------------------------------------------------------- running


def test_outputs_come_by_name_in_the_order_of_the_specification(open_tiny: Callable[..., OnnxSession]) -> None:
    x = picture(2, 3, 4, 5)
    outputs = open_tiny().run({"x": x})
    assert list(outputs) == ["double", "sum"]
    np.testing.assert_array_equal(outputs["double"], x + x)
    np.testing.assert_allclose(outputs["sum"], x + x.mean(axis=1, keepdims=True), rtol=1e-5)
    assert all(array.flags.c_contiguous for array in outputs.values())


def test_an_input_in_another_memory_order_gives_the_same_and_is_not_modified(open_tiny: Callable[..., OnnxSession]) -> None:
    x = picture(1, 4, 8, 3).transpose(0, 3, 1, 2)
    before = x.copy()
    np.testing.assert_array_equal(open_tiny().run({"x": x})["double"], before + before)
    np.testing.assert_array_equal(x, before)


def test_outputs_stay_the_callers_after_other_runs_and_the_close(open_tiny: Callable[..., OnnxSession]) -> None:
    session, x = open_tiny(), picture(1, 3, 4, 64)
    kept = session.run({"x": x})["double"]
    for _ in range(5):
        session.run({"x": x * 0})
    session.close()
    np.testing.assert_array_equal(kept, x + x)


def test_four_threads_may_run_at_a_time(open_tiny: Callable[..., OnnxSession]) -> None:
    session = open_tiny()
    assert session.loaded().threads is Threads.ANY
    inputs = [picture(1, 3, 4, 40 + index) + index for index in range(60)]
    with ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(lambda x: session.run({"x": x})["double"], inputs))
    for x, output in zip(inputs, outputs, strict=True):
        np.testing.assert_array_equal(output, x + x)


def test_a_closed_session_says_so_and_closes_twice(open_tiny: Callable[..., OnnxSession]) -> None:
    session = open_tiny()
    session.close()
    session.close()
    with pytest.raises(OcrdError, match="'tiny' is closed"):
        session.run({"x": picture(1, 3, 4, 8)})


@pytest.mark.parametrize(
    ("inputs", "given"),
    [
        ({}, "nothing"),
        ({"y": picture(1, 3, 4, 8)}, "'y': float32"),
        ({"x": picture(1, 3, 4, 8), "z": picture(1)}, "'z': float32"),
        ({"x": picture(1, 3, 4, 8).astype(np.float64)}, "float64 (1, 3, 4, 8)"),
        ({"x": picture(3, 4, 8)}, "(3, 4, 8)"),
        ({"x": picture(1, 1, 4, 8)}, "(1, 1, 4, 8)"),
        ({"x": picture(1, 3, 5, 8)}, "(1, 3, 5, 8)"),
    ],
)
def test_inputs_that_the_model_does_not_take_are_named(
    open_tiny: Callable[..., OnnxSession], inputs: dict[str, Any], given: str
) -> None:
    with pytest.raises(BadInput) as raised:
        open_tiny().run(inputs)
    assert raised.value.problem.startswith("model 'tiny' takes 'x': float32 (?, 3, 4, ?), and was given ")
    assert given in raised.value.problem


def test_a_failure_inside_the_runtime_names_model_and_shapes(open_tiny: Callable[..., OnnxSession]) -> None:
    class Failing:
        def run(self, *_: object) -> None:
            raise RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory for requested buffer")

    session = open_tiny()
    session._session = Failing()
    with pytest.raises(OcrdError, match=r"'tiny' on 'x' \(1, 3, 4, 8\): Failed to allocate memory") as raised:
        session.run({"x": picture(1, 3, 4, 8)})
    assert "smaller batch" in raised.value.fix


# ------------------------------------------------------------------------------------------------------------- opening


def test_what_was_loaded_is_read_from_the_runtime(open_tiny: Callable[..., OnnxSession]) -> None:
    loaded = open_tiny(InferOptions(device="cpu", threads=1)).loaded()
    assert (loaded.device, loaded.provider, loaded.precision, loaded.chosen) == ("cpu", CPU, "fp32", "")
    assert loaded.details == {"nodes": f"{CPU} 3", "threads": "1"}


def test_auto_says_what_it_chose_and_why(open_tiny: Callable[..., OnnxSession], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "why_no_cuda", lambda _: "no CUDA provider in onnxruntime 9")
    loaded = open_tiny(InferOptions()).loaded()
    assert loaded.device == "cpu"
    assert loaded.chosen == "device auto: cpu (no CUDA provider in onnxruntime 9)"


def test_the_default_number_of_threads_is_that_of_the_usable_cores(open_tiny: Callable[..., OnnxSession]) -> None:
    assert open_tiny().loaded().details["threads"] == str(usable_cores())


def test_nothing_is_printed_whatever_happens(open_tiny: Callable[..., OnnxSession], capfd: pytest.CaptureFixture[str]) -> None:
    session = open_tiny(InferOptions())
    session.run({"x": picture(1, 3, 4, 8)})
    for width in (0, 8):
        with pytest.raises(OcrdError):
            session.run({"x": picture(1, 3, 5, width)})
    with pytest.raises(OcrdError):
        open_tiny(InferOptions(device="cuda:99"))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            {"input": replace(MODEL.input, name="image")},
            "has other inputs than its specification says: 'x': float32 .* expected 'image'",
        ),
        (
            {"outputs": ("double", "logits")},
            "has other outputs than its specification says: .*'sum'.* expected 'double', 'logits'",
        ),
        (
            {"input": replace(MODEL.input, colour=Colour.GRAY)},
            "takes pictures as 'x'.* its specification says NCHW with 1 channels",
        ),
        (
            {"input": replace(MODEL.input, side_inputs=(SideInput("scale", Quantity.SCALE),))},
            "has other inputs .* expected 'x': float32, 'scale': float32",
        ),
    ],
)
def test_a_file_that_is_not_the_specifications_is_refused(
    open_tiny: Callable[..., OnnxSession], change: dict[str, Any], problem: str
) -> None:
    with pytest.raises(BadInput, match=problem) as raised:
        open_tiny(model=replace(MODEL, **change))
    assert "specification that belongs to this file" in raised.value.fix


def test_a_file_that_takes_another_element_type_is_refused(tiny: Artifact, open_tiny: Callable[..., OnnxSession]) -> None:
    write_tiny(tiny.path, dtype=TensorProto.DOUBLE)
    with pytest.raises(BadInput, match=r"'x': float64 .* expected 'x': float32"):
        open_tiny()


def test_side_inputs_are_inputs_like_others(tiny: Artifact, open_tiny: Callable[..., OnnxSession]) -> None:
    write_tiny(tiny.path, side=True)
    model = replace(MODEL, input=replace(MODEL.input, side_inputs=(SideInput("scale", Quantity.VALID_RATIO),)))
    x = picture(1, 3, 4, 8)
    outputs = open_tiny(model=model).run({"x": x, "scale": np.ones(1, np.float32)})
    np.testing.assert_allclose(outputs["sum"], x + x.mean(axis=1, keepdims=True) + 1, rtol=1e-5)


@pytest.mark.parametrize("content", ["cut", "empty", "text", "picture"])
def test_a_cut_or_foreign_file_is_refused(tiny: Artifact, open_tiny: Callable[..., OnnxSession], content: str) -> None:
    whole = tiny.path.read_bytes()
    contents = {"cut": whole[:-7], "empty": b"", "text": b"not a model\n" * 40, "picture": b"\x89PNG\r\n\x1a\n" + bytes(300)}
    tiny.path.write_bytes(contents[content])
    with pytest.raises(BadInput, match=r"tiny\.onnx is not an ONNX model, or is cut short"):
        open_tiny()


def test_a_missing_file_is_named(tiny: Artifact, open_tiny: Callable[..., OnnxSession]) -> None:
    tiny.path.unlink()
    with pytest.raises(BadInput, match=r"there is no file .*tiny\.onnx"):
        open_tiny()


@pytest.mark.parametrize("name", ["модель 模型.onnx", "a b'c.onnx"])
def test_a_file_may_have_any_unicode_name(tiny: Artifact, name: str) -> None:
    import onnxruntime

    path = tiny.path.rename(tiny.path.with_name(name))
    assert open_session(onnxruntime, replace(tiny, path=path), InferOptions(device="cpu")).loaded().device == "cpu"


def test_a_name_that_is_not_utf_8_is_refused(tiny: Artifact) -> None:
    import onnxruntime

    with pytest.raises(BadInput, match="the name is not UTF-8"):
        open_session(onnxruntime, replace(tiny, path=Path("\udcff.onnx")), InferOptions(device="cpu"))


def edited(path: Path, edit: Callable[[onnx.ModelProto], None]) -> None:
    model = onnx.load(path)
    edit(model)
    path.write_bytes(model.SerializeToString())


def with_custom_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type, model.graph.node[0].domain = "Foo", "my.ops"
    model.opset_import.append(helper.make_opsetid("my.ops", 1))


def with_lost_weights(model: onnx.ModelProto) -> None:
    weight = onnx.TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    weight.external_data.append(onnx.StringStringEntryProto(key="location", value="weights.bin"))
    model.graph.initializer.append(weight)
    model.graph.node[0].input[1] = "w"


def with_future_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 999


@pytest.mark.parametrize(
    ("edit", "problem", "fix"),
    [
        (with_custom_operator, "my.ops:Foo.* is not a registered function/op", "--custom-ops LIBRARY"),
        (with_lost_weights, r"weights\.bin", "files that hold the model's weights"),
        (with_future_opset, "999", "pip install --upgrade onnxruntime"),
    ],
)
def test_a_model_that_the_runtime_refuses_comes_with_a_remedy(
    tiny: Artifact, open_tiny: Callable[..., OnnxSession], edit: Callable[[onnx.ModelProto], None], problem: str, fix: str
) -> None:
    edited(tiny.path, edit)
    with pytest.raises(BadInput, match=problem) as raised:
        open_tiny()
    assert fix in raised.value.fix
    assert raised.value.problem.startswith("onnxruntime ")
    assert "/core/" not in raised.value.problem


# ------------------------------------------------------------------------------------------------------------ settings


def test_every_option_value_opens_a_session(open_tiny: Callable[..., OnnxSession]) -> None:
    x = picture(1, 3, 4, 8)
    for key, values in settings.OPTIONS.items():
        for value in values:
            session = open_tiny(InferOptions(device="cpu", extra={key: value.upper()}))
            np.testing.assert_array_equal(session.run({"x": x})["double"], x + x)


def test_options_reach_the_runtime() -> None:
    import onnxruntime

    extra = {"arena": "off", "memory_pattern": "on", "graph_optimization": "basic", "spinning": "off"}
    made = settings.session_options(onnxruntime, InferOptions(threads=3, extra=extra))
    assert made.intra_op_num_threads == 3
    assert not made.enable_cpu_mem_arena
    assert made.enable_mem_pattern
    assert made.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    assert made.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert made.get_session_config_entry("session.force_spinning_stop") == "0"
    default = settings.session_options(onnxruntime, InferOptions())
    assert default.get_session_config_entry("session.force_spinning_stop") == "1"


def test_a_misspelled_option_value_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'graph_optimization=extended'"):
        settings.chosen({"graph_optimization": "extendet"})


def test_a_negative_number_of_threads_is_refused() -> None:
    with pytest.raises(BadInput, match="-2 threads"):
        settings.thread_count(InferOptions(threads=-2))


def test_a_missing_and_a_bad_custom_op_library_are_named(tmp_path: Path, open_tiny: Callable[..., OnnxSession]) -> None:
    library = tmp_path / "ops.so"
    with pytest.raises(BadInput, match=r"there is no custom-op library .*ops\.so"):
        open_tiny(InferOptions(custom_ops=(library,)))
    library.write_bytes(b"no library")
    with pytest.raises(BadInput, match=r"cannot load the custom-op library .*ops\.so"):
        open_tiny(InferOptions(custom_ops=(library,)))


def test_a_reason_has_no_numbering_and_no_line_of_code() -> None:
    raw = (
        "[ONNXRuntimeError] : 1 : FAIL : /src/core/graph/load.cc:46 void onnxruntime::Load(const std::map<int, bool>&) Opset 99."
    )
    assert settings.reason(RuntimeError(raw)) == "Opset 99."
    assert settings.reason(ValueError("just this")) == "just this"


# ----------------------------------------------------------------------------------------------------------- providers


@dataclass
class FakeSession:
    """Takes the nodes to the providers as `FakeRuntime` was told."""

    runtime: FakeRuntime
    chain: list[tuple[str, dict[str, str]]]

    def get_providers(self) -> list[str]:
        return [name for name, _ in self.chain if name not in self.runtime.leaves_out]

    def get_provider_options(self) -> dict[str, dict[str, str]]:
        return {name: options | self.runtime.overrides for name, options in self.chain}

    def get_provider_graph_assignment_info(self) -> list[Any]:
        nodes = self.runtime.nodes or {self.get_providers()[0]: 5}
        return [
            types.SimpleNamespace(ep_name=name, get_nodes=lambda count=count: [None] * count) for name, count in nodes.items()
        ]

    def get_inputs(self) -> list[Any]:
        return [types.SimpleNamespace(name="x", type="tensor(float)", shape=["N", 3, 4, "W"])]

    def get_outputs(self) -> list[Any]:
        return [types.SimpleNamespace(name=name, type="tensor(float)", shape=[]) for name in ("sum", "double")]


@dataclass
class FakeRuntime:
    """The part of `onnxruntime` that the plugin uses, as a build with `available` providers on some machine behaves."""

    available: Sequence[str] = (CUDA, CPU)
    leaves_out: Sequence[str] = ()
    nodes: dict[str, int] = field(default_factory=dict)
    overrides: dict[str, str] = field(default_factory=dict)
    raises: Exception | None = None
    severities: list[int] = field(default_factory=list)
    chains: list[list[tuple[str, dict[str, str]]]] = field(default_factory=list)
    __version__: str = "9.0"
    __file__: str = "/nowhere/onnxruntime/__init__.py"
    package_name: str = "onnxruntime-gpu"
    cuda_version: str = "13.0"

    def __post_init__(self) -> None:
        import onnxruntime

        self.SessionOptions = onnxruntime.SessionOptions
        self.ExecutionMode = onnxruntime.ExecutionMode
        self.GraphOptimizationLevel = onnxruntime.GraphOptimizationLevel

    def get_available_providers(self) -> list[str]:
        return list(self.available)

    def get_all_providers(self) -> list[str]:
        return [CUDA, "TensorrtExecutionProvider", "OpenVINOExecutionProvider", "DmlExecutionProvider", CPU]

    def set_default_logger_severity(self, severity: int) -> None:
        self.severities.append(severity)

    def preload_dlls(self) -> None:
        print("Failed to load libcurand.so.10")  # noqa: T201 - as the real one does

    def InferenceSession(self, path: str, options: object, **arguments: Any) -> FakeSession:  # noqa: N802 - its name
        assert path.endswith("tiny.onnx")
        assert options is not None
        assert arguments["enable_fallback"] == 0
        self.chains.append(arguments["providers"])
        if self.raises and arguments["providers"][0][0] != CPU:
            raise self.raises
        return FakeSession(self, arguments["providers"])


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "driver_found", lambda: True)


@pytest.fixture
def no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "driver_found", lambda: False)


@pytest.mark.usefixtures("driver")
def test_cuda_runs_in_fp32_on_the_device_asked_for(tiny: Artifact, capfd: pytest.CaptureFixture[str]) -> None:
    runtime = FakeRuntime(nodes={CUDA: 230, CPU: 12})
    loaded = open_session(runtime, tiny, InferOptions(device="cuda:1")).loaded()
    assert (loaded.device, loaded.provider, loaded.precision) == ("cuda:1", CUDA, "fp32")
    assert loaded.details["nodes"] == f"{CUDA} 230, {CPU} 12"
    wanted = {"device_id": "1", "use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
    assert runtime.chains == [[(CUDA, wanted), (CPU, {})]]
    assert runtime.severities == [4, 2]
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(
    ("runtime", "problem"),
    [
        (FakeRuntime(leaves_out=[CUDA]), "did not start on cuda:0: .*libonnxruntime_providers_cuda"),
        (FakeRuntime(nodes={CPU: 242}), "runs none of the 242 nodes"),
        (FakeRuntime(overrides={"device_id": "3"}), "did not start on cuda:0: it took device 3"),
        (
            FakeRuntime(raises=RuntimeError("CUDA failure 101: invalid device ordinal")),
            "did not start on cuda:0: CUDA failure 101",
        ),
    ],
)
def test_a_silent_fall_back_from_cuda_is_an_error(tiny: Artifact, runtime: FakeRuntime, problem: str) -> None:
    with pytest.raises(Unavailable, match=problem) as raised:
        open_session(runtime, tiny, InferOptions(device="cuda"))
    assert raised.value.fix
    assert len(runtime.chains) == 1
    assert runtime.severities == [4, 2]


@pytest.mark.usefixtures("no_driver")
def test_cuda_without_a_driver_is_an_error_before_anything_is_loaded(tiny: Artifact) -> None:
    runtime = FakeRuntime()
    with pytest.raises(Unavailable, match="no NVIDIA driver was found") as raised:
        open_session(runtime, tiny, InferOptions(device="cuda"))
    assert "supports CUDA 13" in raised.value.fix
    assert runtime.chains == []


def test_cuda_with_the_cpu_build_names_the_extra(tiny: Artifact) -> None:
    runtime = FakeRuntime(available=[CPU], package_name="onnxruntime")
    with pytest.raises(Unavailable, match="there is no CUDAExecutionProvider in this onnxruntime") as raised:
        open_session(runtime, tiny, InferOptions(device="cuda"))
    assert raised.value.fix == "pip uninstall -y onnxruntime, then pip install 'ocrdeploy-onnxruntime[gpu]'"


@pytest.mark.usefixtures("driver")
def test_auto_takes_cuda_where_it_runs(tiny: Artifact) -> None:
    loaded = open_session(FakeRuntime(), tiny, InferOptions()).loaded()
    assert (loaded.device, loaded.chosen) == ("cuda:0", "device auto: cuda:0")


@pytest.mark.usefixtures("driver")
def test_auto_takes_the_cpu_where_cuda_does_not_start_and_says_why(tiny: Artifact) -> None:
    runtime = FakeRuntime(raises=RuntimeError("CUDA failure 35"))
    loaded = open_session(runtime, tiny, InferOptions()).loaded()
    assert (loaded.device, loaded.provider) == ("cpu", CPU)
    assert loaded.chosen == f"device auto: cpu ({CUDA} did not start on cuda:0: CUDA failure 35)"


@pytest.mark.usefixtures("no_driver")
def test_auto_takes_the_cpu_without_a_driver(tiny: Artifact) -> None:
    assert open_session(FakeRuntime(), tiny, InferOptions()).loaded().chosen == "device auto: cpu (no NVIDIA driver was found)"


@pytest.mark.usefixtures("driver")
def test_auto_does_not_hide_a_bad_file(tiny: Artifact) -> None:
    class InvalidProtobuf(Exception):
        pass

    with pytest.raises(BadInput, match="cut short"):
        open_session(FakeRuntime(raises=InvalidProtobuf("Protobuf parsing failed.")), tiny, InferOptions())


@pytest.mark.parametrize(
    ("device", "near"),
    [("cudo", "cuda"), ("gpu", "cuda"), ("GPU:0", "cuda"), ("cuda:x", "cuda"), ("cpux", "cpu"), ("cuda:", "cuda")],
)
def test_an_unknown_device_names_the_nearest(tiny: Artifact, device: str, near: str) -> None:
    with pytest.raises(UnknownName, match=f"unknown device '{device}' .did you mean '{near}") as raised:
        open_session(FakeRuntime(), tiny, InferOptions(device=device))
    assert raised.value.fix == "use one of: auto, cpu, cuda, cuda:N"


@pytest.mark.parametrize("name", ["openvino", "OpenVINO", "openvinoexecutionprovider", "OpenVINOExecutionProvider"])
def test_a_provider_is_named_in_any_spelling_and_set_to_fp32(tiny: Artifact, name: str) -> None:
    runtime = FakeRuntime(available=["OpenVINOExecutionProvider", CPU])
    loaded = open_session(runtime, tiny, InferOptions(provider=name, threads=2)).loaded()
    assert (loaded.provider, loaded.device, loaded.precision) == ("OpenVINOExecutionProvider", "cpu", "fp32")
    assert runtime.chains[0][0][1] == {"device_type": "CPU", "precision": "FP32", "num_of_threads": "2"}


@pytest.mark.usefixtures("driver")
def test_a_provider_that_is_not_set_up_does_not_claim_a_precision(tiny: Artifact) -> None:
    runtime = FakeRuntime(available=["DmlExecutionProvider", "TensorrtExecutionProvider", CPU])
    loaded = open_session(runtime, tiny, InferOptions(provider="dml")).loaded()
    assert (loaded.device, loaded.precision, loaded.threads) == ("dml", "unknown", Threads.ONE)
    loaded = open_session(runtime, tiny, InferOptions(provider="tensorrt", device="cuda:2")).loaded()
    assert (loaded.device, loaded.precision) == ("cuda:2", "unknown")


def test_an_unknown_provider_names_the_nearest_and_a_missing_one_its_distribution(tiny: Artifact) -> None:
    with pytest.raises(UnknownName, match="did you mean 'openvino'"):
        open_session(FakeRuntime(), tiny, InferOptions(provider="openvnio"))
    with pytest.raises(Unavailable, match="there is no OpenVINOExecutionProvider") as raised:
        open_session(FakeRuntime(), tiny, InferOptions(provider="openvino"))
    assert raised.value.fix == "pip uninstall -y onnxruntime-gpu, then pip install onnxruntime-openvino"


@pytest.mark.parametrize(("provider", "device"), [("cpu", "cuda"), ("cuda", "cpu"), ("openvino", "cuda:1"), ("dml", "cpu")])
def test_a_provider_and_a_device_that_contradict_each_other_are_refused(tiny: Artifact, provider: str, device: str) -> None:
    runtime = FakeRuntime(available=FakeRuntime().get_all_providers())
    with pytest.raises(BadInput, match=f"does not run on device '{device}'"):
        open_session(runtime, tiny, InferOptions(provider=provider, device=device))


def test_the_real_runtime_is_caught_when_a_provider_runs_nothing(open_tiny: Callable[..., OnnxSession]) -> None:
    import onnxruntime

    if AZURE not in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime was built without the Azure provider, which never runs a node by itself")
    with pytest.raises(Unavailable, match="AzureExecutionProvider runs none of the 3 nodes of this model"):
        open_tiny(InferOptions(provider="azure"))
