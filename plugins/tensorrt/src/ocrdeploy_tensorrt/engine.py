"""A deserialised engine with its execution contexts: TensorRT's half of a session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ocrdeploy.errors import BadInput, OcrdError, Unavailable
from ocrdeploy_tensorrt import inspection, module, ports
from ocrdeploy_tensorrt.ports import Port, Shape

CONTEXT = "cannot make an execution context"


class Engine:
    """What TensorRT holds of an engine file. `inputs` and `outputs` are by name; `close` frees everything.

    TensorRT's objects end with their last reference, so none is kept elsewhere: also not in the frames of an error.
    """

    def __init__(self, trt: Any, data: bytes, path: Path) -> None:
        """Open the engine that is in `data`, on the device that is current. Raises `OcrdError` with what TensorRT says."""
        self._trt = trt
        self._path = path
        self._runtime: Any = None
        self._engine: Any = None
        self._context: Any = None
        self.inputs: dict[str, Port] = {}
        self.outputs: dict[str, Port] = {}
        try:
            self._open(data)
        except BaseException:
            self.close()
            raise

    def _open(self, data: bytes) -> None:
        with module.hearing() as said:
            try:
                self._runtime = self._trt.Runtime(module.logger(self._trt))
            except (TypeError, RuntimeError) as error:
                # pybind11 says "factory function returned nullptr", as a TypeError, where CUDA does not start.
                problem = f"TensorRT {self._trt.__version__} does not start: {module.cause(said, str(error))}"
                raise Unavailable(problem, "ocrd backends says what is missing") from error
            self._engine = self._runtime.deserialize_cuda_engine(data)
            if self._engine is None:
                raise self._not_an_engine(module.cause(said, "it gives no reason"))
            self._context = self.context()
        self.inputs, self.outputs = ports.read(self._trt, self._engine, self._path)

    def _not_an_engine(self, why: str) -> OcrdError:
        problem = f"TensorRT {module.versions(self._trt)} cannot open {self._path}: {why}"
        if "memory" in why.lower():
            return OcrdError(problem, "close what else uses the GPU")
        return BadInput(problem, "build it again, on this machine: ocrd build MODEL.onnx -o MODEL.engine")

    def context(self) -> Any:
        """Return a new execution context, which the caller owns, with memory of its own. Raises `OcrdError`."""
        with module.hearing() as said:
            made = self._engine.create_execution_context()
        if made is None:
            why = module.cause(said, "it gives no reason")
            raise OcrdError(
                f"TensorRT {CONTEXT} for {self._path}: {why}", "close what else uses the GPU, or build for smaller shapes"
            )
        return made

    def shape(self, shapes: Mapping[str, Shape], context: Any = None) -> dict[str, Shape]:
        """Give a context, the engine's own unless told, the inputs' shapes, and return the outputs'. Raises `RuntimeError`."""
        taking = self._context if context is None else context
        with module.hearing() as said:
            for name, shape in shapes.items():
                if not taking.set_input_shape(name, shape):
                    raise RuntimeError(module.cause(said, f"TensorRT does not take {name!r} as {shape}"))
            if missing := taking.infer_shapes():
                raise RuntimeError(module.cause(said, f"TensorRT lacks the shapes of {', '.join(missing)}"))
            found = {name: tuple(int(size) for size in taking.get_tensor_shape(name)) for name in self.outputs}
        for name, shape in found.items():
            if any(size < 0 for size in shape):
                raise RuntimeError(f"the shape of the output {name!r} depends on what the input holds: {shape}")
        return found

    def place(self, address: Callable[[str], int], context: Any = None) -> None:
        """Tell a context where its inputs and outputs lie on the GPU. Raises `RuntimeError`."""
        taking = self._context if context is None else context
        with module.hearing() as said:
            for name in (*self.inputs, *self.outputs):
                if not taking.set_tensor_address(name, address(name)):
                    raise RuntimeError(module.cause(said, f"TensorRT does not take the address of {name!r}"))

    def execute(self, stream: int, context: Any = None) -> None:
        """Queue one run on the stream with this handle. Raises `RuntimeError`."""
        taking = self._context if context is None else context
        with module.hearing() as said:
            if not taking.execute_async_v3(stream):
                raise RuntimeError(module.cause(said, "execute_async_v3 answers False, and TensorRT gives no reason"))

    def proved(self, asked: str) -> tuple[str, str, str]:
        """Return what the layers compute in, a remark on it, and how many there are of each precision.

        All three are of the shapes that the engine's own context has. '' and a remark where the inspector does not tell.
        """
        try:
            layers = inspection.engine_layers(self._trt, self._engine, self._context)
        except OcrdError as error:
            return "", error.problem, ""
        counted = Counter(layer.precision for layer in layers if layer.calculates and layer.precision)
        return *inspection.proved(layers, asked), ", ".join(f"{name} {count}" for name, count in counted.most_common())

    def largest(self) -> dict[str, Shape]:
        """Return the largest shape of each input."""
        return {name: port.high for name, port in self.inputs.items()}

    def close(self) -> None:
        """Free the context, the engine and the runtime, in this order. A second call does nothing."""
        self._context = None
        self._engine = None
        self._runtime = None
