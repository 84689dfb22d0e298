"""CUDA graphs: what a session does for one shape, recorded once and launched as a whole.

A graph holds the addresses and shapes of its recording, and what TensorRT keeps in the context that it was recorded with. So
each has an execution context of its own, which nobody else touches, and the memory that comes with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ocrdeploy_tensorrt.engine import Context

_LOG = logging.getLogger(__name__)

Key = tuple[tuple[str, tuple[int, ...]], ...]
"""The shapes of all inputs."""


class Graphs:
    """The graphs of one session, for the first `most` shapes that come twice; it owns them, and `close` frees them.

    `context()` makes an execution context, and `bind(context)` gives it the shapes and addresses of the run at hand: both raise
    where TensorRT fails. `device` and `stream` are cuda.core's.
    """

    def __init__(self, device: Any, stream: Any, context: Callable[[], Context], most: int) -> None:
        self._device, self._stream, self._context, self._most = device, stream, context, most
        self._seen: set[Key] = set()
        self._graphs: dict[Key, tuple[Context, Any]] = {}
        self.refused: dict[Key, str] = {}
        """Why the graph of a shape could not be recorded."""

    def run(self, key: Key, bind: Callable[[Context], object]) -> bool:
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
        return self._record(key, bind)

    def _record(self, key: Key, bind: Callable[[Context], object]) -> bool:
        """Run once in a context of its own, as TensorRT wants it before a recording, and record; say whether it ran."""
        ran = False
        context: Context | None = None
        try:
            context = self._context()
            bind(context)
            context.execute(int(self._stream.handle))
            self._stream.sync()
            ran = True
            self._graphs[key] = context, self._capture(context)
        except Exception as error:  # noqa: BLE001 - a graph saves time and nothing else: whatever it was, go without
            self.refused[key] = " ".join(str(error).split()) or type(error).__name__
            _LOG.info("no CUDA graph for %s: %s", dict(key), self.refused[key])
            if context:
                context.close()
        return ran

    def _capture(self, context: Context) -> Any:
        # The builder has a stream of its own, so that a recording that fails does not leave the session's in the middle of it.
        builder = self._device.create_graph_builder()
        try:
            # Other threads may work with CUDA meanwhile.
            builder.begin_building(mode="thread_local")
            context.execute(int(builder.stream.handle))
            return builder.end_building().complete()
        finally:
            with suppress(Exception):  # what it says is said by what failed before
                builder.close()

    def clear(self) -> None:
        """Free all graphs, and begin anew. What cannot be freed is logged."""
        while self._graphs:
            key, (context, graph) = self._graphs.popitem()
            try:
                graph.close()
            except Exception as error:  # noqa: BLE001 - the next one is to be freed all the same
                _LOG.warning("the CUDA graph for %s was not freed: %s", dict(key), error)
            context.close()
        self._seen.clear()

    def __str__(self) -> str:
        text = f"on: {len(self._graphs)} of at most {self._most} shapes recorded"
        reasons = "; ".join(dict.fromkeys(self.refused.values()))
        return f"{text}, {len(self.refused)} not ({reasons})" if self.refused else text
