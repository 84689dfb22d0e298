"""A GPU that is not there: memory with addresses, streams that do their work late, and failures on demand.

What a session may get wrong fails here as it would there: memory that was freed or never written, a stream that nobody waited
for, a thread in which no device is current, an object that was never closed.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
GARBAGE = 0xAB
"""What memory holds before it is written, and after it was freed."""


class CUDAError(Exception):
    """What cuda.core raises."""


@dataclass
class FakeGpu:
    """The state of one GPU; `steps` are all calls that could fail, in order, by name."""

    capacity: int = 1 << 30
    alive: Counter[str] = field(default_factory=Counter)
    steps: list[str] = field(default_factory=list)
    memory: dict[int, Bytes] = field(default_factory=dict)
    streams: dict[int, list[Callable[[], None]]] = field(default_factory=dict)
    capturing: dict[int, list[Callable[[], None]]] = field(default_factory=dict)
    lost: str = ""
    """What broke the GPU: from then on everything fails with it, as CUDA's sticky errors do."""
    _planned: dict[tuple[str, int], Any] = field(default_factory=dict)
    _fatal: bool = False
    _here: threading.local = field(default_factory=threading.local)
    _handles: int = 1000

    def plan(self, step: str, number: int, failure: Any, *, fatal: bool = False) -> None:
        """Let the call number `number` (from 1) of `step` fail: by raising an exception, or by returning another value.

        One that is `fatal` is the last that the GPU does.
        """
        self._planned[step, number] = failure
        self._fatal = fatal

    def step(self, name: str) -> Any:
        """Note one call; raise what was planned for it, return the value that was planned, or return this GPU for "go on"."""
        self.steps.append(name)
        failure = self._planned.get((name, self.steps.count(name)), self)
        if failure is not self and self._fatal:
            self.lost = "CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered"
        if isinstance(failure, Exception):
            raise type(failure)(*failure.args)  # a new one, which is gone, with the frames that it holds, where nobody keeps it
        if self.lost and failure is self:
            raise CUDAError(self.lost)
        return failure

    def make_current(self) -> None:
        self._here.current = True

    def require_current(self) -> None:
        if not getattr(self._here, "current", False):
            raise CUDAError("CUDA_ERROR_INVALID_CONTEXT: no device is current in this thread")

    def number(self) -> int:
        self._handles += 1
        return self._handles

    def allocate(self, size: int, kind: str) -> int:
        """Return the address of new memory. It is numpy's, so that a view of pinned memory is a real one."""
        if sum(each.size for each in self.memory.values()) + size > self.capacity:
            raise CUDAError("CUDA_ERROR_OUT_OF_MEMORY: out of memory")
        piece = np.full(size, GARBAGE, np.uint8)
        address: int = piece.ctypes.data
        self.memory[address] = piece
        self.alive[kind] += 1
        return address

    def free(self, address: int, kind: str) -> None:
        self.memory.pop(address).fill(GARBAGE)
        self.alive[kind] -= 1

    def at(self, address: int, size: int) -> Bytes:
        """Return the memory at an address, which must be somebody's."""
        for start, piece in self.memory.items():
            if start <= address and address + size <= start + piece.size:
                return piece[address - start : address - start + size]
        self.lost = "CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered"
        raise CUDAError(self.lost)

    def queue(self, stream: int, work: Callable[[], None]) -> None:
        if stream in self.capturing:
            self.capturing[stream].append(work)
        else:
            self.streams[stream].append(work)

    def sync(self, stream: int) -> None:
        """Do what was queued. A stream that is captured cannot be waited for."""
        if stream in self.capturing:
            raise CUDAError("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED: operation not permitted when stream is capturing")
        waiting = self.streams[stream]
        while waiting:
            waiting.pop(0)()

    @property
    def leaks(self) -> dict[str, int]:
        """What is still alive, by kind."""
        return {kind: count for kind, count in self.alive.items() if count}
