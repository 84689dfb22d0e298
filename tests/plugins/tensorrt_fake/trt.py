"""The part of the module `tensorrt` that a session uses, on a `FakeGpu`. Names are those of TensorRT 11.4 and RTX 1.7.1.

A plan is JSON: what it takes and gives, and which layers the inspector tells of. An engine computes when its stream does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.plugins.tensorrt_fake.gpu import FakeGpu

Array = NDArray[Any]
Shape = tuple[int, ...]


class Severity(Enum):
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class TensorIOMode(Enum):
    NONE, INPUT, OUTPUT = range(3)


class TensorLocation(Enum):
    DEVICE, HOST = range(2)


class DataType(Enum):
    FLOAT, HALF, INT32, BF16 = range(4)


class LayerInformationFormat(Enum):
    ONELINE, JSON = range(2)


class ILogger:
    Severity = Severity

    def log(self, severity: Any, message: str) -> None:
        raise NotImplementedError


def nptype(kind: DataType) -> type[Any]:
    found = {DataType.FLOAT: np.float32, DataType.HALF: np.float16, DataType.INT32: np.int32}
    if kind not in found:
        raise TypeError("Could not resolve TensorRT datatype to an equivalent numpy datatype.")
    return found[kind]


@dataclass
class Tensor:
    """One input or output in a plan: dims have -1 where they are open; `low`, `high` are an input's profile."""

    name: str
    dims: list[int]
    low: list[int] = field(default_factory=list)
    high: list[int] = field(default_factory=list)
    dtype: str = "FLOAT"
    location: str = "DEVICE"


def plan(
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    does: str,
    layers: Sequence[Any] = (),
    *,
    version: str = "11.4.0.106",
    host_code: bool = False,
) -> bytes:
    """Return an engine file. `does` names what it computes, one of `WORK`; `host_code`: it opens only where that is allowed."""
    tables = {"inputs": [vars(each) for each in inputs], "outputs": [vars(each) for each in outputs]}
    own = {"version": version, "does": does, "layers": list(layers), "host_code": host_code}
    return json.dumps({**own, **tables}).encode()


def read_text(x: Array) -> list[Array]:
    """A recognizer of (N, C, H, W): (N, W/4 + 1, 5), where each step depends on its row's own column, and (N, W) the sums."""
    steps = np.concatenate([x[:, 0, 0, ::4], x[:, 0, 0, -1:]], axis=1)
    return [np.stack([steps + index for index in range(5)], axis=2), np.asarray(x.sum(axis=(1, 2)))]


def find_text(x: Array) -> list[Array]:
    """A detector of (N, C, H, W): a map at full size that sees 40 pixels around a place, and one of a quarter of the sides."""
    wide = np.pad(x[:, :1], ((0, 0), (0, 0), (40, 40), (40, 40)))
    height, width = x.shape[2:]
    around = [(0, 40), (80, 40), (40, 0), (40, 80), (40, 40)]
    map_ = sum((wide[:, :, dy : dy + height, dx : dx + width] for dy, dx in around), np.zeros_like(x[:, :1]))
    return [map_, map_[:, :, ::4, ::4] * 2]


def first_row(x: Array) -> list[Array]:
    """The mean over the batch, which cannot be had in parts."""
    return [x.mean(axis=0, keepdims=True)]


WORK: Mapping[str, Callable[[Array], list[Array]]] = {
    "read_text": read_text,
    "find_text": find_text,
    "first_row": first_row,
}


class Alive:
    """An object that counts while it lives: TensorRT's end with their last reference."""

    def __init__(self, gpu: FakeGpu, kind: str) -> None:
        self.gpu, self._kind = gpu, kind
        gpu.alive[kind] += 1

    def __del__(self) -> None:
        self.gpu.alive[self._kind] -= 1


class IExecutionContext(Alive):
    def __init__(self, engine: ICudaEngine) -> None:
        super().__init__(engine.gpu, "context")
        self._engine = engine
        self._shapes: dict[str, Shape] = {}
        self._addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: Shape) -> bool:
        if (answer := self.gpu.step("IExecutionContext.set_input_shape")) is not self.gpu:
            return bool(answer)
        port = self._engine.ports[name]
        limits = zip(port.low or port.dims, shape, port.high or port.dims, strict=True)
        if not all(low <= size <= high for low, size, high in limits):
            self._engine.complain(f"IExecutionContext::setInputShape: Error Code 3: API Usage Error ({shape} is out of range)")
            return False
        self._shapes[name] = shape
        return True

    def infer_shapes(self) -> list[str]:
        if (answer := self.gpu.step("IExecutionContext.infer_shapes")) is not self.gpu:
            return list(answer)
        return [name for name in self._engine.inputs if name not in self._shapes]

    def get_tensor_shape(self, name: str) -> Shape:
        if name in self._shapes:
            return self._shapes[name]
        if -2 in self._engine.ports[name].dims:
            return tuple(-1 if size == -2 else size for size in self._engine.ports[name].dims)
        probe = np.broadcast_to(np.float32(0), self._shapes[self._engine.first])
        return self._engine.compute(probe)[name].shape

    def set_tensor_address(self, name: str, address: int) -> bool:
        if (answer := self.gpu.step("IExecutionContext.set_tensor_address")) is not self.gpu:
            return bool(answer)
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        if (answer := self.gpu.step("IExecutionContext.execute_async_v3")) is not self.gpu:
            self._engine.complain("IExecutionContext::enqueueV3: Error Code 1: Cuda Runtime (planned failure)")
            return bool(answer)
        assert set(self._addresses) == set(self._engine.ports), "a tensor has no address"
        assert set(self._shapes) == set(self._engine.inputs), "an input has no shape"
        # A run, and a recording, has the shapes and addresses of the moment at which it was queued.
        shapes, addresses, engine = dict(self._shapes), dict(self._addresses), self._engine
        self.gpu.queue(stream_handle, lambda: engine.work(shapes, addresses))
        return True


class EngineInspector:
    def __init__(self, engine: ICudaEngine) -> None:
        self._engine = engine
        self.execution_context: Any = None

    def get_engine_information(self, kind: LayerInformationFormat) -> str:
        assert kind is LayerInformationFormat.JSON
        assert self.execution_context is not None, "formats of dynamic shapes are told for a context only"
        return json.dumps({"Layers": self._engine.told["layers"], "Bindings": list(self._engine.ports)})


class ICudaEngine(Alive):
    def __init__(self, gpu: FakeGpu, told: dict[str, Any], complain: Callable[[str], None]) -> None:
        super().__init__(gpu, "engine")
        self.told, self.complain = told, complain
        self.inputs = {each["name"]: Tensor(**each) for each in told["inputs"]}
        self.outputs = {each["name"]: Tensor(**each) for each in told["outputs"]}
        self.ports = {**self.inputs, **self.outputs}
        self.first = next(iter(self.inputs))

    @property
    def num_io_tensors(self) -> int:
        return len(self.ports)

    def get_tensor_name(self, index: int) -> str:
        names: list[str] = list(self.ports)
        return names[index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name in self.inputs else TensorIOMode.OUTPUT

    def get_tensor_location(self, name: str) -> TensorLocation:
        return TensorLocation[self.ports[name].location]

    def get_tensor_dtype(self, name: str) -> DataType:
        return DataType[self.ports[name].dtype]

    def get_tensor_shape(self, name: str) -> Shape:
        return tuple(self.ports[name].dims)

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Shape]:
        assert profile_index == 0
        assert -1 in self.ports[name].dims, "an input of fixed shape has no profile"
        low, high = tuple(self.ports[name].low), tuple(self.ports[name].high)
        return [low, high, high]

    def create_execution_context(self) -> IExecutionContext | None:
        if self.gpu.step("ICudaEngine.create_execution_context") is not self.gpu:
            self.complain("IRuntime::createExecutionContext: Error Code 2: OutOfMemory (Requested size was 1122432768 bytes.)")
            return None
        return IExecutionContext(self)

    def create_engine_inspector(self) -> EngineInspector:
        self.gpu.step("ICudaEngine.create_engine_inspector")
        return EngineInspector(self)

    def compute(self, x: Array) -> dict[str, Array]:
        return dict(zip(self.outputs, WORK[self.told["does"]](x), strict=True))

    def work(self, shapes: Mapping[str, Shape], addresses: Mapping[str, int]) -> None:
        """Read the first input where it lies, and write the outputs where they shall lie."""
        shape = shapes[self.first]
        x = self.gpu.at(addresses[self.first], int(np.prod(shape)) * 4).view(np.float32).reshape(shape)
        for name, array in self.compute(x).items():
            self.gpu.at(addresses[name], array.nbytes)[:] = np.ascontiguousarray(array).view(np.uint8).ravel()


class Runtime(Alive):
    def __init__(self, gpu: FakeGpu, version: str, logger: ILogger) -> None:
        super().__init__(gpu, "runtime")
        self._version, self._logger = version, logger
        self.engine_host_code_allowed = False

    def complain(self, text: str) -> None:
        self._logger.log(Severity.ERROR, text)

    def deserialize_cuda_engine(self, data: bytes) -> ICudaEngine | None:
        if self.gpu.step("Runtime.deserialize_cuda_engine") is not self.gpu:
            self.complain("[runtime.cpp::make::1] Error Code 1: Cuda Runtime (In f at /_src/a.cpp:7 (out of memory))")
            return None
        try:
            told = json.loads(data)
        except ValueError:
            self.complain("IRuntime::deserializeCudaEngine: Error Code 1: Serialization (assertion magicTag failed.)")
            return None
        if told["version"] != self._version:
            self.complain(f"IRuntime::deserializeCudaEngine: Error Code 6: the engine plan file is of version {told['version']}")
            return None
        if told["host_code"] and not self.engine_host_code_allowed:
            self.complain("IRuntime::deserializeCudaEngine: Error Code 9: host code is not allowed")
            return None
        return ICudaEngine(self.gpu, told, self.complain)


class FakeTensorRT(SimpleNamespace):
    """What stands in for the module `tensorrt`, or, by its name, for `tensorrt_rtx`."""

    def __init__(self, gpu: FakeGpu, name: str = "tensorrt", version: str = "11.4.0.106") -> None:
        super().__init__(
            __name__=name,
            __version__=version,
            ILogger=ILogger,
            TensorIOMode=TensorIOMode,
            TensorLocation=TensorLocation,
            DataType=DataType,
            LayerInformationFormat=LayerInformationFormat,
            nptype=nptype,
            Runtime=lambda logger: self._runtime(gpu, version, logger),
        )

    @staticmethod
    def _runtime(gpu: FakeGpu, version: str, logger: ILogger) -> Runtime:
        gpu.step("Runtime")
        return Runtime(gpu, version, logger)

    def __hash__(self) -> int:  # type: ignore[override] # a module is itself and no other, also for a cache
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other
