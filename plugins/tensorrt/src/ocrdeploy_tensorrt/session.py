"""One engine, opened once, on one stream of one GPU."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock
from typing import Any

from numpy.typing import NDArray

from ocrdeploy.errors import OcrdError
from ocrdeploy.vocabulary import Loaded, ModelSpec, Tensors
from ocrdeploy_tensorrt import fitting, ports
from ocrdeploy_tensorrt.buffers import Buffers
from ocrdeploy_tensorrt.choices import Settings
from ocrdeploy_tensorrt.engine import Context, Engine
from ocrdeploy_tensorrt.graphs import Graphs, Key
from ocrdeploy_tensorrt.ports import Shape

_LOG = logging.getLogger(__name__)


class TensorRTSession:
    """A loaded engine. One thread runs it at a time; a second one waits.

    It owns the engine, the memory for the largest shapes of the engine's profile, a stream and the recorded graphs; what
    fails while it is opened frees all of that. `cuda` is the module `cuda.core`, `device` the GPU, already current.
    """

    def __init__(self, engine: Engine, model: ModelSpec, cuda: Any, device: Any, settings: Settings) -> None:
        """Take over `engine`, and have memory and a stream for it. Raises `OcrdError`."""
        self._engine, self._model, self._device, self._settings = engine, model, device, settings
        self._lock = Lock()
        self._closed = ""
        self._stream: Any = None
        self._memory: Buffers | None = None
        self._graphs: Graphs | None = None
        self._loaded: Loaded | None = None
        try:
            self._start(cuda)
        except BaseException as error:
            self._release()
            if isinstance(error, OcrdError) or not isinstance(error, Exception):
                raise
            raise self._failed("cannot start", error) from error

    def _start(self, cuda: Any) -> None:
        self._stream = self._device.create_stream()
        self._memory = Buffers(cuda, self._device, self._stream)
        largest = self._engine.context.shape(self._engine.largest())
        for name, port in self._engine.inputs.items():
            self._memory.reserve(name, port.nbytes, host=True)
        self._reserve(largest)
        if self._settings.graphs:
            self._graphs = Graphs(self._device, self._stream, self._engine.new_context, self._settings.graphs)

    def _reserve(self, shapes: Mapping[str, Shape]) -> None:
        """Have memory for outputs of these shapes. Where one grows, what was recorded with its old address is of no use."""
        assert self._memory is not None
        for name, shape in shapes.items():
            size = max(1, ports.nbytes(shape, self._engine.outputs[name].dtype))
            grew = self._memory.reserve(name, size, host=name in self._model.outputs)
            if grew and self._graphs is not None:
                self._graphs.clear()

    def run(self, inputs: Tensors) -> Tensors:
        """Return the outputs that the specification names, in its order."""
        with self._lock:
            self._require_open()
            ports.check_kinds(self._model.name, self._engine.inputs, inputs)
            with self._explained(inputs):
                # CUDA's current device is each thread's own, and another session may have made another one current.
                self._device.set_current()
                return fitting.run(self._model, self._engine.inputs, inputs, self._run_one, tile=self._settings.tile)

    def _run_one(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        """Run one batch that fits the profile."""
        assert self._memory is not None
        shapes = {name: array.shape for name, array in inputs.items()}
        found = self._engine.context.shape(shapes)
        self._reserve(found)
        for name, array in inputs.items():
            self._memory.upload(name, array)
        self._execute(shapes)
        sizes = {name: (found[name], self._engine.outputs[name].dtype) for name in self._model.outputs}
        for name, (shape, dtype) in sizes.items():
            self._memory.download(name, ports.nbytes(shape, dtype))
        self._stream.sync()
        return {name: self._memory.taken(name, shape, dtype) for name, (shape, dtype) in sizes.items()}

    def _execute(self, shapes: Mapping[str, Shape]) -> None:
        memory, own = self._memory, self._engine.context
        assert memory is not None

        def bind(context: Context) -> None:
            context.shape(shapes)
            context.place(memory.address)

        key: Key = tuple(sorted(shapes.items()))
        if self._graphs is None or not self._graphs.run(key, bind):
            own.place(memory.address)
            own.execute(int(self._stream.handle))

    def loaded(self) -> Loaded:
        """Say what was loaded; which graphs there are may change with each run."""
        assert self._loaded, "set by whoever opened the session"
        if self._graphs is None:
            return self._loaded
        return replace(self._loaded, details={**self._loaded.details, "cuda_graph": str(self._graphs)})

    def introduce(self, loaded: Loaded) -> None:
        """Set what `loaded` answers: whoever opened the session read it from the engine."""
        self._loaded = loaded

    def close(self) -> None:
        """Free everything, once a run that is under way has ended."""
        with self._lock:
            self._closed = self._closed or "is closed"
            self._release()

    def _require_open(self) -> None:
        if self._closed:
            raise OcrdError(f"the session of model {self._model.name!r} {self._closed}", "open a new one")

    @contextmanager
    def _explained(self, inputs: Tensors) -> Iterator[None]:
        """Turn what fails in a run into a sentence. Where even the GPU does not answer then, the session is closed."""
        try:
            yield
        except BaseException as error:
            self._drain()
            if isinstance(error, OcrdError) or not isinstance(error, Exception):
                raise
            shapes = ", ".join(f"{name!r} {array.shape}" for name, array in inputs.items())
            raise self._failed(f"could not run model {self._model.name!r} on {shapes}", error) from error

    def _drain(self) -> None:
        """Wait for what is queued: the next run writes to the same memory."""
        try:
            self._stream.sync()
        except Exception as error:  # noqa: BLE001 - any failure here has one consequence
            said = " ".join(str(error).split())
            _LOG.info("the GPU does not answer after a failure: %s", said)
            self._closed = f"was closed after a failure ({said})"
            self._release()

    def _failed(self, what: str, error: Exception) -> OcrdError:
        said = " ".join(str(error).split()) or type(error).__name__
        fix = _LESS if "memory" in said.lower() else _AGAIN
        return OcrdError(f"TensorRT {what}: {said}", fix)

    def _release(self) -> None:
        """Free graphs before contexts, memory before the stream that it is freed on. What fails is logged; the rest goes on."""
        for free in (self._make_current, self._wait, self._free_graphs, self._engine.close, self._free_memory, self._free_stream):
            _attempt(free)

    def _make_current(self) -> None:
        if self._stream is not None:
            self._device.set_current()

    def _wait(self) -> None:
        if self._stream is not None:
            self._stream.sync()

    def _free_graphs(self) -> None:
        if self._graphs is not None:
            self._graphs.clear()

    def _free_memory(self) -> None:
        if self._memory is not None:
            self._memory.close()

    def _free_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()


def _attempt(free: Callable[[], None]) -> None:
    try:
        free()
    except Exception as error:  # noqa: BLE001 - what comes after it is to be freed all the same
        _LOG.warning("not everything on the GPU was freed: %s", error)


_LESS = "a smaller batch needs less memory; so does closing what else uses the GPU"
_AGAIN = "open a new session; if it comes again, run with --verbose, which shows all that TensorRT says"
