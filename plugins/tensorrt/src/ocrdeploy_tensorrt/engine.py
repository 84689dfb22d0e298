"""A deserialised engine and its execution contexts: TensorRT's half of a session.

TensorRT's objects end with their last reference, and an error that somebody keeps holds the frames that it came through. So
each object is held in one attribute, by what closes it, and in no variable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ocrdeploy.errors import BadInput, OcrdError, Unavailable
from ocrdeploy_tensorrt import inspection, module, ports
from ocrdeploy_tensorrt.inspection import Layer
from ocrdeploy_tensorrt.ports import Port, Shape

_SILENT = "TensorRT gives no reason"


class Context:
    """What runs an engine, with working memory of its own: it keeps the shapes and addresses that it was last given."""

    def __init__(self, raw: Any, inputs: Mapping[str, Port], outputs: Mapping[str, Port]) -> None:
        self.raw = raw
        self._inputs, self._outputs = inputs, outputs

    def shape(self, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        """Take the inputs' shapes, and return the outputs'. Raises `RuntimeError`."""
        with module.hearing() as said:
            for name, shape in shapes.items():
                if not self.raw.set_input_shape(name, shape):
                    raise RuntimeError(module.cause(said, f"TensorRT does not take {name!r} as {shape}"))
            if missing := self.raw.infer_shapes():
                raise RuntimeError(module.cause(said, f"TensorRT lacks the shape of {', '.join(missing)}"))
            found = {name: tuple(int(size) for size in self.raw.get_tensor_shape(name)) for name in self._outputs}
        for name, shape in found.items():
            if any(size < 0 for size in shape):
                raise RuntimeError(f"the shape of the output {name!r} depends on what the input holds: {shape}")
        return found

    def place(self, address: Callable[[str], int]) -> None:
        """Take the addresses of the inputs and outputs on the GPU. Raises `RuntimeError`."""
        with module.hearing() as said:
            for name in (*self._inputs, *self._outputs):
                if not self.raw.set_tensor_address(name, address(name)):
                    raise RuntimeError(module.cause(said, f"TensorRT does not take the address of {name!r}"))

    def execute(self, stream: int) -> None:
        """Queue one run on the stream with this handle. Raises `RuntimeError`."""
        with module.hearing() as said:
            if not self.raw.execute_async_v3(stream):
                raise RuntimeError(module.cause(said, f"execute_async_v3 answers False, and {_SILENT}"))

    def close(self) -> None:
        """Free it."""
        self.raw = None


class Engine:
    """What TensorRT holds of an engine file. `inputs` and `outputs` are by name; `context` is its own; `close` frees it all."""

    def __init__(self, trt: Any, data: bytes, path: Path, *, host_code: bool = False) -> None:
        """Open the engine that is in `data`, on the device that is current. Raises `OcrdError` with what TensorRT says.

        `host_code`: it brings the library that runs it, as those do that later versions of TensorRT open, too.
        """
        self._trt = trt
        self._path = path
        self._runtime: Any = None
        self._engine: Any = None
        self.inputs: dict[str, Port] = {}
        self.outputs: dict[str, Port] = {}
        self.context = Context(None, self.inputs, self.outputs)
        try:
            self._open(data, host_code=host_code)
        except BaseException:
            self.close()
            raise

    def _open(self, data: bytes, *, host_code: bool) -> None:
        with module.hearing() as said:
            try:
                self._runtime = self._trt.Runtime(module.logger(self._trt))
            except (TypeError, RuntimeError) as error:
                # pybind11 says "factory function returned nullptr", as a TypeError, where CUDA does not start.
                problem = f"TensorRT {self._trt.__version__} does not start: {module.cause(said, str(error))}"
                raise Unavailable(problem, "ocrd backends says what is missing") from error
            if host_code:
                self._runtime.engine_host_code_allowed = True
            self._engine = self._runtime.deserialize_cuda_engine(data)
            if self._engine is None:
                raise self._not_an_engine(module.cause(said, _SILENT))
        self.inputs, self.outputs = ports.read(self._trt, self._engine, self._path)
        self.context = self.new_context()

    def _not_an_engine(self, why: str) -> OcrdError:
        problem = f"TensorRT {module.versions(self._trt)} cannot open {self._path}: {why}"
        if "memory" in why.lower():
            return OcrdError(problem, "close what else uses the GPU")
        return BadInput(problem, f"build it again, here: ocrd build MODEL.onnx -o {self._path}")

    def new_context(self) -> Context:
        """Return another execution context, which the caller closes. Raises `OcrdError`."""
        with module.hearing() as said:
            made = Context(self._engine.create_execution_context(), self.inputs, self.outputs)
        if made.raw is None:
            problem = f"TensorRT cannot make an execution context for {self._path}: {module.cause(said, _SILENT)}"
            raise OcrdError(problem, "close what else uses the GPU, or build the engine for a smaller --max-shape")
        return made

    def layers(self) -> tuple[Sequence[Layer], str]:
        """Return what the inspector tells of the layers, in the largest shapes; else why it does not."""
        try:
            self.context.shape(self.largest())  # with open axes, formats are told for a context that has its shapes only
            return inspection.engine_layers(self._trt, self._engine, self.context.raw), ""
        except Exception as error:  # noqa: BLE001 - an engine that cannot be described can still be run, and is said to be unknown
            return (), " ".join(str(error).split())

    def largest(self) -> dict[str, Shape]:
        """Return the largest shape of each input."""
        return {name: port.high for name, port in self.inputs.items()}

    def close(self) -> None:
        """Free the context, the engine and the runtime, in this order. A second call does nothing."""
        self.context.close()
        self._engine = None
        self._runtime = None
