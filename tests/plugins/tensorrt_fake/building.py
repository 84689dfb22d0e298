"""The part of the module `tensorrt` that a build uses: what it is told is kept, and failures come when they are planned.

Names and numbers are those of TensorRT 10.16 (`version="10..."`) and 11.4: what either lacks, this lacks. A network has one
layer for each node of the ONNX file, typed as its weights are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, IntEnum
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import onnx

Words = Callable[..., Any]


class Told:
    """What the fake was told, and what it is to do wrong."""

    def __init__(self) -> None:
        self.flags: dict[str, bool] = {"TF32": True}
        self.network_flags = 0
        self.workspace = 0
        self.profile: dict[str, tuple[Any, ...]] = {}
        self.timings = b""
        self.given_timings: list[bytes] = []
        self.loaded: list[str] = []
        self.config: Any = None
        self.parsed: bytes | str = ""
        self.phases: Callable[[Any], None] = lambda _monitor: None
        self.errors: list[str] = []
        self.plan: bytes | None = b"a plan"
        self.resize = ("NEAREST", "ASYMMETRIC", "FLOOR")
        self.unsupported: tuple[str, ...] = ()
        self.no_cuda = False
        self.takes_profile = True
        self.takes_timings = True


DataType = Enum("DataType", "FLOAT HALF BF16 INT32 INT64 BOOL")
LayerType = Enum("LayerType", "CONVOLUTION ELEMENTWISE RESIZE CAST CONSTANT SHAPE SHUFFLE IDENTITY")
InterpolationMode = Enum("InterpolationMode", "NEAREST LINEAR CUBIC")
Coordinates = Enum("Coordinates", "ALIGN_CORNERS ASYMMETRIC HALF_PIXEL")
Rounding = Enum("Rounding", "HALF_UP HALF_DOWN FLOOR CEIL")
Compatibility = Enum("Compatibility", "NONE AMPERE_PLUS SAME_COMPUTE_CAPABILITY")
Verbosity = Enum("Verbosity", "LAYER_NAMES_ONLY NONE DETAILED")
Severity = Enum("Severity", "INTERNAL_ERROR ERROR WARNING INFO VERBOSE")
Pool = Enum("Pool", "WORKSPACE")
_OPERATORS = {"Resize": LayerType.RESIZE, "Cast": LayerType.CAST, "Constant": LayerType.CONSTANT, "Conv": LayerType.CONVOLUTION}


class ILogger:
    Severity = Severity


class IProgressMonitor:
    pass


class ILayer:
    def __init__(self, name: str, kind: LayerType, dtype: DataType, told: Told) -> None:
        self.name, self.type, self.num_outputs, self._dtype = name, kind, 1, dtype
        if kind is LayerType.RESIZE:
            mode, where, rounding = told.resize
            self.resize_mode, self.coordinate_transformation = InterpolationMode[mode], Coordinates[where]
            self.nearest_rounding = Rounding[rounding]

    def get_output(self, _index: int) -> Any:
        return SimpleNamespace(dtype=self._dtype)


class IResizeLayer(ILayer):
    pass


class Network:
    def __init__(self, told: Told) -> None:
        self._told, self.layers = told, list[ILayer]()

    @property
    def num_layers(self) -> int:
        return len(self.layers)

    def get_layer(self, index: int) -> ILayer:
        return self.layers[index]

    def fill(self, model: Any) -> None:
        half = any(each.data_type == onnx.TensorProto.FLOAT16 for each in model.graph.initializer)
        dtype = DataType.HALF if half else DataType.FLOAT
        for node in model.graph.node:
            self.layers.append(ILayer(node.name, _OPERATORS.get(node.op_type, LayerType.ELEMENTWISE), dtype, self._told))


class OnnxParser:
    def __init__(self, network: Network, logger: Any) -> None:
        self._network, self._told, self._logger = network, network._told, logger
        self._errors: list[Any] = []

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> Any:
        return self._errors[index]

    def parse_from_file(self, path: str) -> bool:
        self._told.parsed = path
        return self._parse(Path(path).read_bytes())

    def parse(self, data: bytes, path: str) -> bool:
        assert Path(path).is_file()
        self._told.parsed = data
        return self._parse(data)

    def supports_operator(self, name: str) -> bool:
        return name not in self._told.unsupported

    def _parse(self, data: bytes) -> bool:
        model = onnx.load_from_string(data)
        for node in model.graph.node:
            if node.op_type in self._told.unsupported or node.op_type == "Refused":
                self._logger.log(Severity.ERROR, f"In node 0: {node.op_type}")  # noqa: G004 - no logger of Python
                self._errors.append(
                    SimpleNamespace(
                        desc=lambda: "Assertion failed:\n no such thing",
                        node_name=lambda name=node.name: name,
                        node_operator=lambda kind=node.op_type: kind,
                    )
                )
                return False
        self._network.fill(model)
        return True


class Profile:
    def __init__(self) -> None:
        self.shapes: dict[str, tuple[Any, ...]] = {}

    def set_shape(self, name: str, low: Sequence[int], usual: Sequence[int], high: Sequence[int]) -> None:
        self.shapes[name] = (low, usual, high)


class Config:
    def __init__(self, told: Told, logger: Any) -> None:
        self._told, self._logger = told, logger
        self.hardware_compatibility_level = Compatibility.NONE
        self.profiling_verbosity = Verbosity.LAYER_NAMES_ONLY
        self.progress_monitor: Any = None
        told.config = self

    def set_flag(self, flag: Enum) -> None:
        self._told.flags[flag.name] = True

    def clear_flag(self, flag: Enum) -> None:
        self._told.flags[flag.name] = False

    def set_memory_pool_limit(self, pool: Pool, size: int) -> None:
        assert pool is Pool.WORKSPACE
        self._told.workspace = size

    def add_optimization_profile(self, profile: Profile) -> int:
        self._told.profile = profile.shapes
        if not self._told.takes_profile:
            self._logger.log(Severity.ERROR, "the profile is wrong")
            return -1
        return 0

    def create_timing_cache(self, data: bytes) -> Any:
        return SimpleNamespace(data=data, serialize=lambda: self._told.timings)

    def set_timing_cache(self, cache: Any, *, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        self._told.given_timings.append(cache.data)
        self._cache = cache
        return self._told.takes_timings or not cache.data

    def get_timing_cache(self) -> Any:
        return self._cache


class Builder:
    def __init__(self, told: Told, logger: Any) -> None:
        self._told, self._logger = told, logger
        if told.no_cuda:
            logger.log(Severity.WARNING, "CUDA initialization failure with error: 35")
            raise TypeError("pybind11::init(): factory function returned nullptr")

    def create_network(self, flags: int) -> Network:
        self._told.network_flags = flags
        return Network(self._told)

    def create_builder_config(self) -> Config:
        return Config(self._told, self._logger)

    def create_optimization_profile(self) -> Profile:
        return Profile()

    def build_serialized_network(self, network: Network, config: Config) -> bytes | None:
        assert config.progress_monitor is not None
        assert network.num_layers
        self._told.phases(config.progress_monitor)
        for error in self._told.errors:
            self._logger.log(Severity.ERROR, error)
        return self._told.plan


def module(version: str = "11.4.0.106", name: str = "tensorrt") -> tuple[ModuleType, Told]:
    """Return the fake, and what it is told."""
    told, trt = Told(), ModuleType(name)
    old = version.startswith("10.")
    flags = "FP16 BF16 INT8 TF32 VERSION_COMPATIBLE" if old else "TF32 VERSION_COMPATIBLE"
    creation = {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1} if old else {"STRONGLY_TYPED": 0}
    members: dict[str, Any] = {
        "__version__": version,
        "ILogger": ILogger,
        "IProgressMonitor": IProgressMonitor,
        "IResizeLayer": IResizeLayer,
        "OnnxParser": OnnxParser,
        "Builder": lambda logger: Builder(told, logger),
        "NetworkDefinitionCreationFlag": IntEnum("NetworkDefinitionCreationFlag", creation),
        "BuilderFlag": Enum("BuilderFlag", flags),
        "MemoryPoolType": Pool,
        "LayerType": LayerType,
        "InterpolationMode": InterpolationMode,
        "ResizeCoordinateTransformation": Coordinates,
        "ResizeRoundMode": Rounding,
        "HardwareCompatibilityLevel": Compatibility,
        "ProfilingVerbosity": Verbosity,
        "get_plugin_registry": lambda: SimpleNamespace(load_library=lambda path: _load(told, path)),
    }
    for key, value in members.items():
        setattr(trt, key, value)
    return trt, told


def _load(told: Told, path: str) -> object | None:
    told.loaded.append(path)
    return None if "broken" in path else object()
