"""How far a build is, told as it goes, and Ctrl-C, which ends it between two steps."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from ocrdeploy import headway

_LOG = logging.getLogger(__name__)


class Cancellation:
    """Whether the build is to end. TensorRT asks from threads of its own."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def ask(self) -> None:
        """End the build at its next step."""
        self._asked.set()

    @property
    def asked(self) -> bool:
        """Whether it is to end."""
        return self._asked.is_set()


@contextmanager
def interruptible() -> Iterator[Cancellation]:
    """Yield what Ctrl-C sets during the block, instead of raising where it happens to be; then raise `KeyboardInterrupt`.

    An exception from a callback would go through TensorRT's own frames and end the process. A second Ctrl-C ends it at once.
    In any other thread than the main one signals are not heard, and nothing is set.
    """
    cancellation = Cancellation()

    def hear(number: int, _frame: FrameType | None) -> None:
        cancellation.ask()
        signal.signal(number, signal.SIG_DFL)

    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) in {None, signal.SIG_IGN}:
        yield cancellation
        return
    before = signal.signal(signal.SIGINT, hear)
    try:
        yield cancellation
    finally:
        signal.signal(signal.SIGINT, before)
    if cancellation.asked:
        raise KeyboardInterrupt


@dataclass(slots=True)
class _Phase:
    """One phase of TensorRT's builder: its name, the phase that it is part of, and its steps."""

    name: str
    parent: str | None
    steps: int
    done: int = 0


class Course:
    """The phases that are under way, one inside the other, and the share of the whole that is done."""

    def __init__(self) -> None:
        self._phases: dict[str, _Phase] = {}
        self._share = 0.0
        self._lock = threading.Lock()

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """Enter a phase of so many steps, which is part of the current step of `parent`."""
        with self._lock:
            self._phases[name] = _Phase(name, parent, max(1, steps))

    def step(self, name: str, number: int) -> None:
        """Count the steps of a phase up to `number`, which counts from 0, as done."""
        with self._lock:
            if name in self._phases:
                self._phases[name].done = number + 1

    def finish(self, name: str) -> None:
        """Leave a phase."""
        with self._lock:
            self._phases.pop(name, None)

    def share(self) -> float:
        """Return how much of the whole is done, 0 to 1. It never falls: several phases may follow each other in one step."""
        with self._lock:
            outermost = next((each for each in self._phases.values() if each.parent not in self._phases), None)
            if outermost is not None:
                self._share = max(self._share, min(1.0, self._done(outermost)))
            return self._share

    def _done(self, phase: _Phase) -> float:
        inner = [self._done(each) for each in self._phases.values() if each.parent == phase.name]
        return min(phase.done + (sum(inner) / len(inner) if inner else 0.0), phase.steps) / phase.steps


def monitor(trt: Any, cancellation: Cancellation) -> Any:
    """Return what TensorRT's builder tells of its phases, and asks whether to go on."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc] # the base is only known at run time
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)  # pybind11 asks for this, and not for super()
            self._course = Course()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._course.start(phase_name, parent_phase, num_steps)
            _LOG.debug("phase %s, %d steps", phase_name, num_steps)

        def phase_finish(self, phase_name: str) -> None:
            self._course.finish(phase_name)

        def step_complete(self, phase_name: str, step: int) -> bool:
            # TensorRT calls this from C++, where an exception would end the process.
            try:
                self._course.step(phase_name, step)
                headway.tell(phase_name, self._course.share())
            except Exception:  # noqa: BLE001 - whatever it was
                _LOG.exception("the headway of a build could not be shown")
            return not cancellation.asked

    return Monitor()
