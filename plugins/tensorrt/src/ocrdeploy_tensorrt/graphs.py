"""CUDA graphs: what a session does for one shape, recorded once and launched as a whole.

A graph holds the addresses and shapes of its recording, and what TensorRT keeps in the context that it was recorded with. So
each has an execution context of its own, which nobody else touches, and the memory that comes with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_LOG = logging.getLogger(__name__)

Key = tuple[tuple[str, tuple[int, ...]], ...]
"""The shapes of all inputs."""


class Graphs:
    """The graphs of one session, for the first `most` shapes that come twice; it owns them, and `close` frees them.

    `context()` makes an execution context, `bind(context)` gives it the shapes and addresses of the run at hand, and
    `execute(context, handle)` queues it on the stream with that handle: all three raise where TensorRT fails. `device` and
    `stream` are cuda.core's.
    """

    def __init__(self, device: Any, stream: Any, context: Callable[[], Any], most: int) -> None:
        self._device, self._stream, self._context, self._most = device, stream, context, most
        self._seen: set[Key] = set()
        self._graphs: dict[Key, tuple[Any, Any]] = {}
        self.refused: dict[Key, str] = {}
        """Why the graph of a shape could not be recorded."""

    def __len__(self) -> int:
        return len(self._graphs)

    def run(self, key: Key, bind: Callable[[Any], object], execute: Callable[[Any, int], None]) -> bool:
        """Queue the run at hand by a graph, or once more by hand to record one; say whether it was queued.

        The first time that a shape comes, and where it has no graph, nothing is done. What fails while recording is a reason
        to go without; what fails while launching is raised.
        """
        if key in self._graphs:
            self._graphs[key][1].launch(self._stream)
            return True
        if key not in self._seen:
            self._seen.add(key)
            return False
        if key in self.refused or len(self._graphs) >= self._most:
            return False
        return self._record(key, bind, execute)

    def _record(self, key: Key, bind: Callable[[Any], object], execute: Callable[[Any, int], None]) -> bool:
        """Run once in a context of its own, as TensorRT wants it before a recording, and record; say whether it ran."""
        held: list[Any] = []
        ran = False
        try:
            held.append(self._context())
            bind(held[0])
            execute(held[0], int(self._stream.handle))
            self._stream.sync()
            ran = True
            held.append(self._capture(held[0], execute))
            self._graphs[key] = (held[0], held[1])
        except Exception as error:  # noqa: BLE001 - a graph saves time and nothing else: whatever it was, go without
            self.refused[key] = " ".join(str(error).split()) or type(error).__name__
            _LOG.info("no CUDA graph for %s: %s", dict(key), self.refused[key])
            held.clear()
        return ran

    def _capture(self, context: Any, execute: Callable[[Any, int], None]) -> Any:
        # The builder has a stream of its own, so that a recording that fails does not leave the session's in the middle of it.
        builder = self._device.create_graph_builder()
        try:
            # Other threads may work with CUDA meanwhile.
            builder.begin_building(mode="thread_local")
            execute(context, int(builder.stream.handle))
            return builder.end_building().complete()
        finally:
            with suppress(Exception):  # what it says is said by what failed before
                builder.close()

    def clear(self) -> None:
        """Free all graphs, and begin anew. What cannot be freed is logged."""
        while self._graphs:
            key, (_, graph) = self._graphs.popitem()
            try:
                graph.close()
            except Exception as error:  # noqa: BLE001 - the next one is to be freed all the same
                _LOG.warning("the CUDA graph for %s was not freed: %s", dict(key), error)
        self._seen.clear()

    def __str__(self) -> str:
        text = f"on: {len(self)} of at most {self._most} shapes recorded"
        reasons = "; ".join(dict.fromkeys(self.refused.values()))
        return f"{text}, {len(self.refused)} not ({reasons})" if self.refused else text
