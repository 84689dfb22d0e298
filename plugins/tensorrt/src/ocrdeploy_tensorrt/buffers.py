"""The memory of one session: for each tensor a piece on the GPU and a piece of pinned host memory, and the copies between."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrdeploy.errors import OcrdError
from ocrdeploy_tensorrt.ports import Shape, nbytes

_LOG = logging.getLogger(__name__)
_MIB = 1 << 20


class Buffers:
    """Memory by tensor name, which grows and does not shrink. It owns all of it; `close` frees it.

    Copies are queued on `stream`, in order with what else is queued there. `cuda` is the module `cuda.core`.
    """

    def __init__(self, cuda: Any, device: Any, stream: Any) -> None:
        self._cuda, self._device, self._stream = cuda, device, stream
        self._pinned = cuda.LegacyPinnedMemoryResource()
        self._on_gpu: dict[str, Any] = {}
        self._on_host: dict[str, Any] = {}

    def reserve(self, name: str, size: int, *, host: bool) -> bool:
        """Have at least `size` bytes for the tensor `name`, on the host, too, where `host` says so; say whether any is new.

        What lay there before is lost. Raises `OcrdError` where there is no memory.
        """
        grew = self._grow(self._on_gpu, name, size, lambda: self._device.allocate(size, stream=self._stream))
        if host:
            self._grow(self._on_host, name, size, lambda: self._pinned.allocate(size))
        return grew

    def _grow(self, pieces: dict[str, Any], name: str, size: int, allocate: Callable[[], Any]) -> bool:
        if name in pieces and pieces[name].size >= size:
            return False
        if name in pieces:
            pieces.pop(name).close(self._stream)
        try:
            pieces[name] = allocate()
        except Exception as error:
            said = " ".join(str(error).split())
            what = "of GPU memory" if pieces is self._on_gpu else "of pinned host memory"
            problem = f"cannot have {size / _MIB:.1f} MiB {what} for the tensor {name!r}: {said}"
            raise OcrdError(problem, _LESS) from error
        return True

    def address(self, name: str) -> int:
        """Return where the tensor lies on the GPU."""
        return int(self._on_gpu[name].handle)

    def upload(self, name: str, array: NDArray[Any]) -> None:
        """Queue the copy of `array`, of any memory order, to the GPU. It may be changed as soon as this returns."""
        np.copyto(self._view(name, array.shape, array.dtype), array)
        self._part(self._on_gpu[name], array.nbytes).copy_from(self._part(self._on_host[name], array.nbytes), stream=self._stream)

    def download(self, name: str, size: int) -> None:
        """Queue the copy of the tensor's first `size` bytes to the host."""
        self._part(self._on_host[name], size).copy_from(self._part(self._on_gpu[name], size), stream=self._stream)

    def taken(self, name: str, shape: Shape, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return what was downloaded, once the stream has done it, as an array of the caller's own."""
        return self._view(name, shape, dtype).copy()

    def _view(self, name: str, shape: Shape, dtype: np.dtype[Any]) -> NDArray[Any]:
        # Not by DLPack: what numpy takes from there it may refuse to write to.
        size = nbytes(shape, dtype)
        memory = (ctypes.c_ubyte * size).from_address(int(self._on_host[name].handle))
        return np.ctypeslib.as_array(memory).view(dtype).reshape(shape)

    def _part(self, whole: Any, size: int) -> Any:
        """Return the beginning of a buffer: a copy is always of all of one buffer to all of another."""
        return whole if whole.size == size else self._cuda.Buffer.from_handle(int(whole.handle), size, owner=whole)

    def close(self) -> None:
        """Free everything; what cannot be freed is logged. A second call does nothing."""
        for pieces in (self._on_gpu, self._on_host):
            while pieces:
                name, piece = pieces.popitem()
                try:
                    piece.close(self._stream)
                except Exception as error:  # noqa: BLE001 - the next piece is to be freed all the same
                    _LOG.warning("the memory of the tensor %r was not freed: %s", name, error)


_LESS = "close what else uses the GPU, or build the engine for a smaller --max-shape"
