"""Which engine files are opened: ours, whole, of this TensorRT and this GPU. All others are refused in a sentence."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tests.plugins.tensorrt_fake.cuda_core import FakeCudaCore
from tests.plugins.tensorrt_fake.gpu import CUDAError, FakeGpu
from tests.plugins.tensorrt_fake.trt import FakeTensorRT, Tensor, plan

from ocrdeploy import BadInput, OcrdError, Unavailable, UnknownName, artifact, backend, chain, plugins
from ocrdeploy.artifact import Manifest
from ocrdeploy.vocabulary import Artifact, Height, InferOptions, InputSpec, Loaded, ModelSpec, Probe, Session, Task
from ocrdeploy_tensorrt import devices, module, opening, probing
from ocrdeploy_tensorrt.devices import Gpu, Machine

H100, GEFORCE = Gpu("NVIDIA H100", (9, 0)), Gpu("NVIDIA GeForce RTX 4090", (8, 9))
MACHINE = Machine((13, 0), "580.159.03", (H100, H100))
MODEL = ModelSpec("crnn", "ctc", Task.RECOGNITION, InputSpec("x", Height(8, 4)), ("texts",), charset=("a", "b"))
INPUT = Tensor("x", [-1, 3, 8, -1], [1, 3, 8, 8], [4, 3, 8, 64])
OUTPUTS = [Tensor("texts", [-1, -1, 5]), Tensor("sums", [-1, -1])]
VERSION, OTHER = "11.4.0.106", "10.16.1.11"

Open = Callable[..., Session]


def layer(name: str, kind: str, written: str, **more: str) -> dict[str, Any]:
    """One layer as TensorRT's inspector writes it."""
    outputs = [{"Name": f"{name}_out", "Location": "Device", "Dimensions": [1, 8, 8, 8], "Format/Datatype": written}]
    return {"Name": name, "LayerType": kind, "Inputs": [], "Outputs": outputs, **more}


HALF = [
    layer("reformat", "Reformat", "Row major linear FP32"),
    layer("/conv1", "CaskConvolution", "Channel major FP16 format where channel % 8 == 0"),
    layer("/lstm", "Myelin", "Row major linear FP32"),
    layer("/conv2", "CaskConvolution", "Half"),
]
FULL = [layer("/conv1", "CaskConvolution", "Row major linear FP32"), layer("/conv2", "CaskConvolution", "Float")]
ENGINE = plan([INPUT], OUTPUTS, "read_text", FULL)


@pytest.fixture
def gpu() -> FakeGpu:
    return FakeGpu()


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    return tmp_path / "crnn.engine"


@pytest.fixture
def open_it(gpu: FakeGpu, engine: Path) -> Open:
    """Write an engine, with its manifest unless `manifest` is None, and open it with the fake."""

    def open_(
        data: bytes = ENGINE,
        options: InferOptions = InferOptions(),  # noqa: B008 - frozen
        *,
        manifest: dict[str, Any] | None = {},  # noqa: B006 - read only
        parent: str = "",
        trt: Any = None,
        machine: Machine = MACHINE,
        model: ModelSpec = MODEL,
        then: Callable[[], object] = lambda: None,
    ) -> Session:
        engine.write_bytes(data)
        if manifest is not None:
            own = {
                "versions": {"ocrdeploy": "0.1.0", "tensorrt": "0.1.0", "runtime": VERSION},
                "options": {"precision": "fp32"},
                "device": str(H100),
                **manifest,
            }
            written = Manifest(MODEL, "trt-engine", artifact.sha256(engine), "a" * 64, "build-tensorrt-fp32", **own)
            artifact.write_manifest(engine, written)
        then()
        found = Artifact(engine, "trt-engine", "", model, parent)
        return opening.open_session(trt or FakeTensorRT(gpu, version=VERSION), FakeCudaCore(gpu), machine, found, options)

    return open_


def refused(gpu: FakeGpu, open_it: Callable[[], Session]) -> BadInput:
    """Return why it is refused, before TensorRT or CUDA were asked."""
    with pytest.raises(BadInput) as raised:
        open_it()
    assert gpu.steps == []
    return raised.value


# ------------------------------------------------------------------------------------------------------------ manifests


def test_an_engine_with_its_manifest_is_opened(open_it: Open) -> None:
    x = np.ones((1, 3, 8, 8), np.float32)
    assert open_it().run({"x": x})["texts"].shape == (1, 3, 5)


def test_an_engine_without_a_manifest_is_code_of_nobody(open_it: Open, gpu: FakeGpu, engine: Path) -> None:
    error = refused(gpu, lambda: open_it(manifest=None))
    assert error.problem.startswith(f"{engine} has no manifest of ocrdeploy (crnn.engine.json), and an engine is code")
    assert error.fix.startswith(f"build it again, here: ocrd build MODEL.onnx -o {engine}; or, ")
    assert error.fix.endswith("--backend-option trust_engine=yes")


@pytest.mark.parametrize("content", ["{}", "not JSON", '{"name": "crnn", "family": "ctc"}'])
def test_a_file_of_that_name_that_is_no_manifest_does_not_help(open_it: Open, gpu: FakeGpu, engine: Path, content: str) -> None:
    def write() -> None:
        artifact.manifest_path(engine).write_text(content, encoding="utf-8")

    assert "has no manifest" in refused(gpu, lambda: open_it(manifest=None, then=write)).problem


def test_the_manifest_of_another_kind_of_file_does_not_help(open_it: Open, gpu: FakeGpu, engine: Path) -> None:
    def write() -> None:
        artifact.write_manifest(engine, Manifest(MODEL, "onnx", artifact.sha256(engine), "", "export"))

    assert "has no manifest" in refused(gpu, lambda: open_it(manifest=None, then=write)).problem


def test_whoever_trusts_it_may_open_it(open_it: Open) -> None:
    trusting = InferOptions(extra={"trust_engine": "yes"})
    assert open_it(manifest=None, options=trusting).loaded().precision == "fp32"


def test_trust_does_not_reach_over_what_a_manifest_says(open_it: Open, gpu: FakeGpu) -> None:
    trusting = InferOptions(extra={"trust_engine": "yes"})
    error = refused(gpu, lambda: open_it(options=trusting, manifest={"device": str(GEFORCE)}))
    assert "was built on NVIDIA GeForce RTX 4090 (sm_89)" in error.problem


@pytest.mark.parametrize("kept", [0, 10, len(ENGINE) - 1])
def test_an_engine_that_was_cut_short_is_told(open_it: Open, gpu: FakeGpu, engine: Path, kept: int) -> None:
    error = refused(gpu, lambda: open_it(then=lambda: engine.write_bytes(ENGINE[:kept])))
    assert error.problem == f"{engine} is cut short, or not the file that crnn.engine.json beside it was written for"
    assert "copy the two together; or build it again" in error.fix


def test_an_engine_that_cannot_be_read_is_told(open_it: Open, gpu: FakeGpu, engine: Path) -> None:
    assert refused(gpu, lambda: open_it(then=engine.unlink)).problem == f"cannot read {engine}: No such file or directory"


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ({"versions": {"runtime": OTHER}}, "was built by tensorrt 10.16.1.11, and this is 11.4.0.106"),
        ({"versions": {"runtime": "RTX 1.7.1"}}, "was built by tensorrt-rtx, and this is tensorrt"),
        ({"facts": {"tensorrt": OTHER, "flavour": "tensorrt"}}, "was built by tensorrt 10.16.1.11, and this is 11.4.0.106"),
        ({"facts": {"tensorrt": "1.7.1", "flavour": "tensorrt-rtx"}}, "was built by tensorrt-rtx, and this is tensorrt"),
        ({"device": str(GEFORCE)}, "was built on NVIDIA GeForce RTX 4090 (sm_89), and this is NVIDIA H100 (sm_90)"),
        ({"facts": {"device": "sm_89"}}, "was built for compute capability sm_89, and this is NVIDIA H100 (sm_90)"),
    ],
)
def test_an_engine_of_another_version_flavour_or_gpu_says_so(
    open_it: Open, gpu: FakeGpu, engine: Path, manifest: dict[str, Any], said: str
) -> None:
    error = refused(gpu, lambda: open_it(manifest=manifest))
    assert error.problem == f"the engine {engine} {said}"
    assert error.fix == f"build it again, here: ocrd build MODEL.onnx -o {engine}"


@pytest.mark.parametrize("facts", [{"device": "ampere+"}, {"device": "sm_90"}, {"device": "any"}])
def test_an_engine_that_was_built_for_more_gpus_is_opened_on_them(open_it: Open, facts: dict[str, str]) -> None:
    assert open_it(manifest={"facts": facts, "device": str(GEFORCE)}).loaded().provider == "NVIDIA H100"


def test_a_version_compatible_engine_brings_its_own_library(open_it: Open) -> None:
    data = plan([INPUT], OUTPUTS, "read_text", FULL, host_code=True)
    facts = {"tensorrt": "11.2.0", "flavour": "tensorrt", "version_compatible": "yes"}
    assert open_it(data, manifest={"facts": facts}).loaded().version == VERSION
    with pytest.raises(BadInput, match="host code is not allowed"):
        open_it(data)


def test_an_engine_of_another_onnx_file_is_told(open_it: Open, gpu: FakeGpu) -> None:
    assert open_it(parent="a" * 64)
    gpu.steps.clear()
    error = refused(gpu, lambda: open_it(parent="b" * 64))
    assert error.problem.endswith("was built from another ONNX file (sha256 aaaaaaaaaaaa, not bbbbbbbbbbbb)")


def test_a_precision_that_the_engine_has_not_is_refused(open_it: Open, gpu: FakeGpu, engine: Path) -> None:
    error = refused(gpu, lambda: open_it(options=InferOptions(precision="fp16")))
    assert error.problem == f"the engine {engine} was built for fp32, and fp16 is asked for"
    assert error.fix == f"--precision fp32, or build it again, here: ocrd build MODEL.onnx -o {engine} --precision fp16"


def test_where_none_is_asked_for_the_engine_keeps_its_own_and_says_it(open_it: Open) -> None:
    data = plan([INPUT], OUTPUTS, "read_text", HALF)
    assert open_it(data, manifest={"options": {"precision": "fp16"}}).loaded().precision == "fp16"
    assert open_it(data, InferOptions(precision="fp16"), manifest={"facts": {"precision": "fp16"}}).loaded().precision == "fp16"


def test_libraries_of_operators_are_asked_for_by_name_and_content(open_it: Open, gpu: FakeGpu, tmp_path: Path) -> None:
    library = tmp_path / "libdcn.so"
    library.write_bytes(b"ELF")
    facts = {"custom_ops libdcn.so": artifact.sha256(library)}
    error = refused(gpu, lambda: open_it(manifest={"facts": facts}))
    assert error.problem.endswith("needs the operators of libdcn.so")
    assert error.fix == "name it: --custom-ops libdcn.so"
    library.write_bytes(b"ELF, another")
    error = refused(gpu, lambda: open_it(options=InferOptions(custom_ops=(library,)), manifest={"facts": facts}))
    assert error.problem.endswith("was built with another libdcn.so")


# ------------------------------------------------------------------------------------------------------- what TensorRT says


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "Error Code 1: Serialization"),
        (b"cut", "magicTag failed"),
        (ENGINE.replace(VERSION.encode(), OTHER.encode()), OTHER),
    ],
)
def test_what_tensorrt_does_not_open_is_told_in_its_words(open_it: Open, gpu: FakeGpu, data: bytes, said: str) -> None:
    trusting = InferOptions(extra={"trust_engine": "yes"})
    with pytest.raises(BadInput, match=f"TensorRT {VERSION} cannot open .*{said}") as raised:
        open_it(data, trusting, manifest=None)
    assert "ocrd build" in raised.value.fix
    assert gpu.leaks == {}


def test_too_little_memory_is_no_fault_of_the_file(open_it: Open, gpu: FakeGpu) -> None:
    gpu.plan("Runtime.deserialize_cuda_engine", 1, None)
    with pytest.raises(OcrdError, match="out of memory") as raised:
        open_it()
    assert raised.value.fix == "close what else uses the GPU"
    assert "/_src/" not in raised.value.problem


def test_a_runtime_that_does_not_start_is_told(open_it: Open, gpu: FakeGpu) -> None:
    gpu.plan("Runtime", 1, TypeError("pybind11::init(): factory function returned nullptr"))
    with pytest.raises(Unavailable, match=f"TensorRT {VERSION} does not start: pybind11") as raised:
        open_it()
    assert raised.value.fix == "ocrd backends says what is missing"


def test_cuda_that_does_not_start_is_told(open_it: Open, gpu: FakeGpu) -> None:
    gpu.plan("Device.set_current", 1, CUDAError("CUDA_ERROR_DEVICE_UNAVAILABLE: busy or unavailable"))
    with pytest.raises(Unavailable, match="CUDA does not start on cuda:0: CUDA_ERROR_DEVICE_UNAVAILABLE"):
        open_it()


@pytest.mark.parametrize(
    ("inputs", "outputs", "problem"),
    [
        ([replace(INPUT, name="input")], OUTPUTS, r"other inputs .*'input': float32 .*; expected 'x': float32"),
        ([INPUT, Tensor("y", [1])], OUTPUTS, r"other inputs .*'y': float32 \(1\); expected 'x'"),
        (
            [INPUT],
            [Tensor("logits", [-1, -1, 5]), OUTPUTS[1]],
            r"other outputs .*'logits': float32 \(\?, \?, 5\).*expected 'texts'",
        ),
        ([Tensor("x", [1, 1, 8, 8])], OUTPUTS, r"takes pictures as 'x': float32 \(1, 1, 8, 8\).*NCHW with 3 channels"),
        ([replace(INPUT, dtype="HALF")], OUTPUTS, r"'x': float16"),
        ([replace(INPUT, dtype="BF16")], OUTPUTS, r"a tensor 'x' of type BF16, which numpy does not have"),
        ([INPUT, Tensor("size", [2], location="HOST")], OUTPUTS, r"reads the values of 'size' as a shape"),
        ([INPUT], [Tensor("texts", [-2, 5]), OUTPUTS[1]], r"the shape of the output 'texts' depends on what the input holds"),
    ],
)
def test_an_engine_that_is_not_the_specifications_is_refused_and_freed(
    open_it: Open, gpu: FakeGpu, inputs: list[Tensor], outputs: list[Tensor], problem: str
) -> None:
    with pytest.raises(OcrdError, match=problem):
        open_it(plan(inputs, outputs, "read_text"))
    assert gpu.leaks == {}


# -------------------------------------------------------------------------------------------------------------- options


def test_devices_are_chosen_by_number_and_auto_says_what_it_took(open_it: Open) -> None:
    def loaded(device: str) -> Loaded:
        return open_it(options=InferOptions(device=device)).loaded()

    assert [loaded(name).device for name in ("auto", "cuda", "cuda:0", "cuda:1")] == ["cuda:0", "cuda:0", "cuda:0", "cuda:1"]
    assert loaded("auto").chosen == "device auto: cuda:0 (NVIDIA H100)"
    assert loaded("cuda").chosen == ""


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        (InferOptions(device="cpu"), Unavailable, "does not run on the CPU"),
        (InferOptions(device="cuda:2"), BadInput, "there is no device cuda:2"),
        (InferOptions(provider="CUDAExecutionProvider"), BadInput, "has no execution providers"),
        (InferOptions(extra={"oversize": "crop"}), UnknownName, "oversize=crop"),
    ],
)
def test_options_that_cannot_be_are_told(
    open_it: Open, gpu: FakeGpu, options: InferOptions, kind: type[OcrdError], said: str
) -> None:
    with pytest.raises(kind, match=said):
        open_it(options=options)
    assert gpu.steps == []


# ------------------------------------------------------------------------------------------------------------ the proof


def test_what_was_loaded_is_read_from_the_engine(open_it: Open) -> None:
    loaded = open_it(options=InferOptions(device="cuda:0")).loaded()
    assert (loaded.version, loaded.device, loaded.provider, loaded.precision) == (VERSION, "cuda:0", "NVIDIA H100", "fp32")
    assert loaded.details == {
        "flavour": "tensorrt",
        "compute_capability": "9.0",
        "profile": "'x': float32 (1..4, 3, 8, 8..64)",
        "layers": "fp32 2",
        "cuda_graph": "off",
    }


def test_layers_that_stayed_in_fp32_are_named_and_mere_moves_are_not(open_it: Open) -> None:
    loaded = open_it(plan([INPUT], OUTPUTS, "read_text", HALF), manifest={"options": {"precision": "fp16"}}).loaded()
    assert (loaded.precision, loaded.details["layers"], loaded.details["layers_fp32"]) == ("fp16", "fp16 2, fp32 1", "/lstm")
    assert loaded.details["precision"] == "fp16 asked, 1 layer in fp32: /lstm"


def test_an_engine_that_was_asked_for_half_and_has_none_says_what_it_is(open_it: Open) -> None:
    loaded = open_it(manifest={"options": {"precision": "fp16"}}).loaded()
    assert (loaded.precision, loaded.details["precision"]) == ("fp32", "fp16 asked, fp32 is what it calculates in")


def test_where_the_engine_does_not_tell_its_networks_types_stand_in(open_it: Open) -> None:
    names = plan([INPUT], OUTPUTS, "read_text", ["/conv1", "/lstm"])
    facts = {"precision": "fp16", "layers": "fp16 41, fp32 1", "layers_fp32": "/lstm"}
    loaded = open_it(names, manifest={"facts": facts}).loaded()
    assert (loaded.precision, loaded.details["layers"], loaded.details["layers_fp32"]) == ("fp16", "fp16 41, fp32 1", "/lstm")
    assert loaded.details["precision"].endswith(": fp16 by the types of the network that it was built from")


def test_where_nothing_tells_the_precision_is_unknown(open_it: Open, gpu: FakeGpu) -> None:
    loaded = open_it(plan([INPUT], OUTPUTS, "read_text", ["/conv1"])).loaded()
    assert (loaded.precision, loaded.details["precision"]) == ("unknown", "the engine does not say what its layers calculate in")
    gpu.plan("ICudaEngine.create_engine_inspector", 2, CUDAError("no inspector"))
    loaded = open_it().loaded()
    assert (loaded.precision, loaded.details["precision"]) == ("unknown", "no inspector")


# -------------------------------------------------------------------------------------------------- through the front door


@pytest.fixture
def installed(open_it: Open, gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-ins in the places of what is installed, and an engine with its manifest."""
    open_it().close()
    monkeypatch.setattr(probing, "probe", lambda: Probe(version=VERSION, device=str(H100)))
    monkeypatch.setattr(devices, "look", lambda: MACHINE)
    monkeypatch.setattr(module, "load", lambda: FakeTensorRT(gpu, version=VERSION))
    monkeypatch.setattr("ocrdeploy_tensorrt.hooks.import_module", lambda _: FakeCudaCore(gpu))


@pytest.mark.usefixtures("installed")
def test_the_core_opens_an_engine_through_the_hook(gpu: FakeGpu, engine: Path) -> None:
    found = Artifact(engine, "trt-engine", artifact.sha256(engine), MODEL)
    session = backend.open_session(plugins.discover(), "tensorrt", found, InferOptions(extra={"cuda_graph": "on"}))
    assert isinstance(session, Session)
    assert session.run({"x": np.ones((5, 3, 8, 8), np.float32)})["texts"].shape == (5, 3, 5)
    session.close()
    assert gpu.leaks == {}


@pytest.mark.usefixtures("installed")
def test_the_chain_builds_anew_for_another_gpu_version_or_flavour_and_says_which(
    tmp_path: Path, gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(_trt: Any, source: Artifact, target: Path, *_: object) -> Artifact:
        target.write_bytes(ENGINE)
        return Artifact(target, "trt-engine", artifact.sha256(target), source.model, source.sha256, {"tensorrt": VERSION})

    monkeypatch.setattr("ocrdeploy_tensorrt.builder.build", build)
    x, texts = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "texts"))
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["texts"])], "g", [x], [texts])
    onnx.save(helper.make_model(graph), tmp_path / "crnn.onnx")
    source = Artifact(tmp_path / "crnn.onnx", "onnx", artifact.sha256(tmp_path / "crnn.onnx"), MODEL)

    def reach(version: str, on: Gpu, **extra: str) -> tuple[list[str], Artifact]:
        monkeypatch.setattr(probing, "probe", lambda: Probe(version=version, device=str(on)))
        said: list[str] = []
        return said, chain.reach(plugins.discover(), source, "tensorrt", InferOptions(extra=extra), said.append)

    assert reach(VERSION, H100)[0] == []
    said, made = reach(VERSION, H100, cuda_graph="on", trust_engine="yes")
    assert said == [], "what concerns the session alone builds nothing anew"
    trt, cuda = FakeTensorRT(gpu, version=VERSION), FakeCudaCore(gpu)
    assert opening.open_session(trt, cuda, MACHINE, made, InferOptions()).loaded().precision == "fp32"
    for version, on, change in (
        (VERSION, GEFORCE, "device was NVIDIA H100 (sm_90), is NVIDIA GeForce RTX 4090 (sm_89)"),
        (OTHER, GEFORCE, f"runtime was {VERSION}, is {OTHER}"),
        ("RTX 1.7.1.116", GEFORCE, f"runtime was {OTHER}, is RTX 1.7.1.116"),
    ):
        said, _ = reach(version, on)
        assert len(said) == 1
        assert change in said[0]


@pytest.mark.usefixtures("installed")
def test_the_benchmark_of_the_session_runs(
    gpu: FakeGpu, engine: Path, repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = util.spec_from_file_location("tensorrt_session", repository / "benchmarks" / "tensorrt_session.py")
    assert place is not None
    assert place.loader is not None
    benchmark = util.module_from_spec(place)
    place.loader.exec_module(benchmark)
    monkeypatch.setattr(benchmark, "import_module", lambda _: FakeCudaCore(gpu))
    figures = engine.with_name("figures.json")
    command = ["benchmark", str(engine), "--shape", "2x3x8x32", "--runs", "3", "--cuda-graph", "on", "--json", str(figures)]
    monkeypatch.setattr(sys, "argv", command)
    benchmark.main()
    assert "wall / (copies + engine)" in capsys.readouterr().out
    assert set(json.loads(figures.read_text())["ms"]) == {"wall", "engine", "copies"}
    assert gpu.leaks == {}
