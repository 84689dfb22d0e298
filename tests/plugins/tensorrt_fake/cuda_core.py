"""The part of `cuda.core` that the plugin uses, on a `FakeGpu`. Names and arguments are those of cuda-core 1.2.2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from tests.plugins.tensorrt_fake.gpu import CUDAError, FakeGpu


class Buffer:
    def __init__(self, gpu: FakeGpu, address: int, size: int, kind: str) -> None:
        self._gpu, self.handle, self.size, self._kind, self._open = gpu, address, size, kind, True

    @staticmethod
    def from_handle(ptr: int, size: int, mr: Any = None, owner: Any = None) -> Buffer:
        assert mr is None, "it would be freed twice"
        assert owner is not None, "nothing keeps the memory"
        return Buffer(owner._gpu, ptr, size, "")

    def copy_from(self, src: Buffer, *, stream: Stream) -> None:
        self._gpu.require_current()
        self._gpu.step("Buffer.copy_from")
        if src.size != self.size:
            raise ValueError(f"buffer sizes mismatch between src and dst: {src.size} and {self.size}")

        def copy() -> None:
            self._gpu.at(self.handle, self.size)[:] = self._gpu.at(src.handle, src.size)

        self._gpu.queue(stream.handle, copy)

    def close(self, stream: Stream | None = None) -> None:
        if self._open and self._kind:
            self._open = False
            # What frees memory in the order of a stream must be given one that is still there.
            assert self._kind != "device memory" or (stream is not None and not stream.is_closed)
            try:
                self._gpu.step("Buffer.close")
            finally:
                self._gpu.free(self.handle, self._kind)


class LegacyPinnedMemoryResource:
    def __init__(self, gpu: FakeGpu) -> None:
        self._gpu = gpu

    def allocate(self, size: int, *, stream: Any = None) -> Buffer:
        assert stream is None
        self._gpu.require_current()
        self._gpu.step("LegacyPinnedMemoryResource.allocate")
        return Buffer(self._gpu, self._gpu.allocate(size, "pinned memory"), size, "pinned memory")


@dataclass
class EventOptions:
    timing_enabled: bool = False


class Event:
    def __init__(self) -> None:
        self._at_ms: float | None = None

    def happen(self) -> None:
        self._at_ms = perf_counter() * 1000

    def __sub__(self, other: Event) -> float:
        assert self._at_ms is not None, "nobody waited for the stream"
        assert other._at_ms is not None, "nobody waited for the stream"
        return self._at_ms - other._at_ms


class Stream:
    def __init__(self, gpu: FakeGpu, kind: str = "stream") -> None:
        self._gpu, self.handle, self.is_closed, self._kind = gpu, gpu.number(), False, kind
        gpu.streams[self.handle] = []
        gpu.alive[kind] += 1

    def sync(self) -> None:
        self._gpu.step("Stream.sync")
        self._gpu.sync(self.handle)

    def record(self, options: EventOptions) -> Event:
        assert options.timing_enabled, "an event without a time has none to subtract"
        event = Event()
        self._gpu.queue(self.handle, event.happen)
        return event

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            self._gpu.alive[self._kind] -= 1
            self._gpu.streams.pop(self.handle)
            self._gpu.step("Stream.close")


class Graph:
    def __init__(self, gpu: FakeGpu, work: list[Callable[[], None]]) -> None:
        self._gpu, self._work, self.is_closed = gpu, work, False
        gpu.alive["graph"] += 1

    def launch(self, stream: Stream) -> None:
        self._gpu.require_current()
        self._gpu.step("Graph.launch")
        assert not self.is_closed
        for each in self._work:
            self._gpu.queue(stream.handle, each)

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            self._gpu.alive["graph"] -= 1
            self._work.clear()
            self._gpu.step("Graph.close")


class GraphBuilder:
    def __init__(self, gpu: FakeGpu) -> None:
        self._gpu, self.stream = gpu, Stream(gpu, "graph builder")
        self._captured: list[Callable[[], None]] = []

    def begin_building(self, mode: str | None = "relaxed") -> GraphBuilder:
        assert mode == "thread_local"
        self._gpu.step("GraphBuilder.begin_building")
        self._gpu.capturing[self.stream.handle] = []
        return self

    def end_building(self) -> GraphBuilder:
        self._gpu.step("GraphBuilder.end_building")
        self._captured = self._gpu.capturing.pop(self.stream.handle)
        return self

    def complete(self) -> Graph:
        self._gpu.step("GraphBuilder.complete")
        return Graph(self._gpu, self._captured)

    def close(self) -> None:
        self._gpu.capturing.pop(self.stream.handle, None)
        self.stream.close()


@dataclass
class Device:
    _gpu: FakeGpu
    device_id: int

    def set_current(self) -> None:
        self._gpu.step("Device.set_current")
        self._gpu.make_current()

    def create_stream(self) -> Stream:
        self._gpu.require_current()
        self._gpu.step("Device.create_stream")
        return Stream(self._gpu)

    def create_graph_builder(self) -> GraphBuilder:
        self._gpu.require_current()
        self._gpu.step("Device.create_graph_builder")
        return GraphBuilder(self._gpu)

    def allocate(self, size: int, *, stream: Stream) -> Buffer:
        self._gpu.require_current()
        self._gpu.step("Device.allocate")
        assert not stream.is_closed
        return Buffer(self._gpu, self._gpu.allocate(size, "device memory"), size, "device memory")


@dataclass
class FakeCudaCore:
    """What stands in for the module."""

    gpu: FakeGpu = field(default_factory=FakeGpu)
    devices: int = 2
    Buffer: type[Buffer] = Buffer
    EventOptions: type[EventOptions] = EventOptions

    def Device(self, device_id: int | None = None) -> Device:  # noqa: N802 - cuda.core's name
        self.gpu.step("Device")
        if device_id is None or device_id >= self.devices:
            raise CUDAError("CUDA_ERROR_INVALID_DEVICE: invalid device ordinal")
        return Device(self.gpu, device_id)

    def LegacyPinnedMemoryResource(self) -> LegacyPinnedMemoryResource:  # noqa: N802
        return LegacyPinnedMemoryResource(self.gpu)
