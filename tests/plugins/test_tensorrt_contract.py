"""What the session's tests stand on: the fakes have what the real modules have, and the real ones are used as they are.

cuda-core and tensorrt-rtx install and import on a machine without a GPU.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.plugins.tensorrt_fake import cuda_core, trt
from tests.plugins.tensorrt_fake.gpu import FakeGpu

from ocrdeploy import OcrdError
from ocrdeploy_tensorrt import module
from ocrdeploy_tensorrt.engine import Engine

NAMES = ["ILogger", "Runtime", "ICudaEngine", "IExecutionContext", "EngineInspector", "TensorIOMode", "TensorLocation"]
OURS = {"compute", "work", "complain"}
"""What the fakes have for the tests alone."""


@pytest.fixture
def rtx() -> Any:
    pytest.importorskip("tensorrt_rtx", reason="needs tensorrt-rtx, which brings no GPU but what this looks at")
    return module.load() if module.installed()[0] == module.RTX else pytest.importorskip("tensorrt_rtx")


@pytest.fixture
def cuda() -> Any:
    return pytest.importorskip("cuda.core", reason="needs cuda-core")


def public(kind: type[Any]) -> set[str]:
    return {name for name in vars(kind) if not name.startswith("_")} - OURS


@pytest.mark.parametrize("name", NAMES)
def test_each_name_of_the_fake_is_tensorrts(rtx: Any, name: str) -> None:
    missing = {each for each in public(getattr(trt, name)) if not hasattr(getattr(rtx, name), each)}
    assert not missing


def test_severities_and_types_are_tensorrts(rtx: Any) -> None:
    assert set(trt.Severity.__members__) <= set(rtx.ILogger.Severity.__members__)
    assert rtx.nptype(rtx.DataType.FLOAT) is np.float32
    with pytest.raises(TypeError):
        rtx.nptype(rtx.DataType.BF16)


@pytest.mark.parametrize("name", ["Buffer", "Device", "Stream", "LegacyPinnedMemoryResource"])
def test_each_name_and_argument_of_the_fake_is_cuda_cores(cuda: Any, name: str) -> None:
    compare(getattr(cuda_core, name), getattr(cuda, name))


@pytest.mark.parametrize("name", ["GraphBuilder", "Graph"])
def test_each_name_and_argument_of_the_fake_graphs_is_cuda_cores(cuda: Any, name: str) -> None:
    compare(getattr(cuda_core, name), getattr(cuda.graph, name))


def compare(fake: type[Any], real: type[Any]) -> None:
    for name in public(fake):
        assert hasattr(real, name), name
        if inspect.isfunction(vars(fake)[name]) and name != "__init__":
            given = set(inspect.signature(vars(fake)[name]).parameters) - {"self"}
            assert given <= set(inspect.signature(getattr(real, name)).parameters), name


def test_a_part_of_a_real_buffer_needs_no_driver(cuda: Any) -> None:
    memory = np.zeros(64, np.uint8)
    part = cuda.Buffer.from_handle(memory.ctypes.data, 16, owner=memory)
    assert (int(part.handle), part.size) == (memory.ctypes.data, 16)


@pytest.mark.parametrize("data", [b"", b"cut short", b"abc" * 400])
def test_what_tensorrt_says_of_a_file_that_is_no_engine_is_heard(rtx: Any, data: bytes) -> None:
    with pytest.raises(OcrdError, match=r"^TensorRT RTX [\d.]+ cannot open model.engine: .*Error Code") as raised:
        Engine(rtx, data, Path("model.engine"))
    assert "/_src/" not in raised.value.problem, "places in its own source are nobody's business"


def test_the_fake_says_it_in_the_same_form(tmp_path: Path) -> None:
    with pytest.raises(OcrdError, match=r"^TensorRT 11.4.0.106 cannot open .*: Error Code 1: Serialization"):
        Engine(trt.FakeTensorRT(FakeGpu()), b"cut short", tmp_path / "model.engine")


def test_two_loggers_are_one(rtx: Any) -> None:
    assert module.logger(rtx) is module.logger(rtx)


def test_a_listener_hears_errors_and_only_while_it_listens(rtx: Any) -> None:
    logger = module.logger(rtx)
    with module.hearing() as first:
        logger.log(rtx.ILogger.Severity.ERROR, "[a.cpp::f::1] Error Code 4: one (In f at /_src/a.cpp:7)")
        with module.hearing() as second:
            logger.log(rtx.ILogger.Severity.WARNING, "not an error")
            logger.log(rtx.ILogger.Severity.INTERNAL_ERROR, "two")
    logger.log(rtx.ILogger.Severity.ERROR, "three")
    assert len(first) == 2
    assert second == ["two"]
    assert module.cause(first, "nothing") == "Error Code 4: one (); two"
    assert module.cause([], "nothing") == "nothing"
