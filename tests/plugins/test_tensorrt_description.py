"""What is said of an engine file, by its manifest and, where it can be opened, by the inspector."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.plugins.tensorrt_fake.cuda_core import FakeCudaCore
from tests.plugins.tensorrt_fake.gpu import CUDAError, FakeGpu
from tests.plugins.tensorrt_fake.trt import FakeTensorRT, Tensor, plan

from ocrdeploy import BadInput, OcrdError, Unavailable, artifact
from ocrdeploy.artifact import Manifest
from ocrdeploy.vocabulary import Height, InputSpec, ModelSpec, Task
from ocrdeploy_tensorrt.description import describe
from ocrdeploy_tensorrt.devices import Gpu, Machine

H100 = Machine((13, 0), "580.159.03", (Gpu("NVIDIA H100", (9, 0)),))
MODEL = ModelSpec("crnn", "ctc", Task.RECOGNITION, InputSpec("x", Height(8, 4)), ("texts",), charset=("a", "b"))
INPUT = Tensor("x", [-1, 3, 8, -1], [1, 3, 8, 8], [4, 3, 8, 64])
OUTPUTS = [Tensor("texts", [-1, -1, 5]), Tensor("sums", [-1, -1])]
LAYERS = [
    {
        "Name": "conv",
        "LayerType": "CaskConvolution",
        "Outputs": [{"Name": "t", "Format/Datatype": "Row major linear FP16 format"}],
    },
    {"Name": "lstm", "LayerType": "Loop", "Outputs": [{"Name": "u", "Format/Datatype": "Row major linear FP32"}]},
]
FACTS = {"flavour": "tensorrt", "tensorrt": "11.4.0.106", "device": "NVIDIA H100 (sm_90)", "layers": "fp16 1, fp32 1"}


Say = Callable[..., Mapping[str, Any]]


@pytest.fixture
def gpu() -> FakeGpu:
    return FakeGpu()


@pytest.fixture
def say(gpu: FakeGpu, tmp_path: Path) -> Say:
    def run(machine: Machine = H100, data: bytes = b"", facts: Mapping[str, str] = FACTS) -> Mapping[str, Any]:
        path = tmp_path / "crnn.engine"
        path.write_bytes(data or plan([INPUT], OUTPUTS, "read_text", LAYERS))
        manifest = Manifest(MODEL, "trt-engine", artifact.sha256(path), "", "build", {"precision": "fp16"}, facts=facts)
        artifact.write_manifest(path, manifest)
        return describe(path, lambda: machine, lambda: FakeTensorRT(gpu), lambda: FakeCudaCore(gpu))

    return run


def test_an_engine_is_described_by_its_layers(say: Say, gpu: FakeGpu) -> None:
    found = say()
    assert (found["precision"], found["remark"]) == ("fp16", "fp16 asked, 1 layer in fp32: lstm")
    assert [layer["precision"] for layer in found["layers"]] == ["fp16", "fp32"]
    assert found["layers"][0]["formats"] == ("Row major linear FP16 format",)
    assert json.dumps(found)
    assert "IExecutionContext.set_input_shape" in gpu.steps, "without shapes the inspector knows no formats"
    assert not +gpu.alive, "nothing stays on the GPU"


def test_without_a_gpu_there_is_a_sentence(say: Say) -> None:
    with pytest.raises(Unavailable, match="no NVIDIA driver was found"):
        say(Machine(problem="no NVIDIA driver was found", fix="install one"))


def test_an_engine_that_does_not_fit_is_not_opened(say: Say, gpu: FakeGpu) -> None:
    with pytest.raises(BadInput, match=r"was built on NVIDIA L4 \(sm_89\), and this is NVIDIA H100 \(sm_90\)"):
        say(facts={**FACTS, "device": "NVIDIA L4 (sm_89)"})
    assert gpu.steps == []
    with pytest.raises(OcrdError, match="cannot open"):
        say(data=b"no engine")
    assert not +gpu.alive


@pytest.mark.parametrize("step", ["IExecutionContext.set_input_shape", "ICudaEngine.create_execution_context"])
def test_what_fails_on_the_way_is_said_and_leaves_nothing(say: Say, gpu: FakeGpu, step: str) -> None:
    gpu.plan(step, 1, failure=False)
    with pytest.raises(OcrdError):
        say()
    assert not +gpu.alive


def test_cuda_that_does_not_start_is_said(tmp_path: Path, say: Say, gpu: FakeGpu) -> None:
    say()

    def broken() -> Any:
        raise CUDAError("CUDA_ERROR_NOT_INITIALIZED")

    with pytest.raises(Unavailable, match="CUDA does not start: CUDA_ERROR_NOT_INITIALIZED"):
        describe(tmp_path / "crnn.engine", lambda: H100, lambda: FakeTensorRT(gpu), broken)


def test_an_engine_of_somebody_elses_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "a.engine").write_bytes(b"whose is it?")
    with pytest.raises(BadInput, match="has no manifest of ocrdeploy, and an engine is code"):
        describe(tmp_path / "a.engine")
