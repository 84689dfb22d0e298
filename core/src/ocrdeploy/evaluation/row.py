"""What is known of a row so far: the sum of the events in its journal, whether they were just heard or read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ocrdeploy.evaluation import answers
from ocrdeploy.evaluation.answers import Answer
from ocrdeploy.evaluation.order import Order

Event: TypeAlias = Mapping[str, Any]
"""One line of a journal: {"event": its kind, ...}."""

OK, UNAVAILABLE, FAILED = "ok", "unavailable", "failed"


@dataclass(frozen=True, slots=True)
class Call:
    """One thing that a row is asked: in which round, and which pictures, by their numbers in the dataset."""

    round: int
    pictures: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a call took: milliseconds by step, "total" among them, for so many pictures, in which sitting."""

    pictures: int
    ms: Mapping[str, float]
    sitting: int


@dataclass(slots=True)
class Row:
    """One row of the table, as it fills."""

    order: Order
    status: str = OK
    problem: str = ""
    fix: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    """What opening told: what was loaded, from which file, and how long it took; of the latest sitting."""
    warmed: dict[str, Any] = field(default_factory=dict)
    answers: dict[int, Answer] = field(default_factory=dict)
    done: set[Call] = field(default_factory=set)
    timings: list[Timing] = field(default_factory=list)
    resident_mib: list[list[float]] = field(default_factory=list)
    """The memory after each call, a list for each sitting."""
    peak_mib: float = 0.0
    device_peak_mib: float | None = None
    repeated: int = 0
    repeated_alike: int = 0
    together: dict[str, Any] = field(default_factory=dict)
    sittings: int = 0
    build_s: float = 0.0
    built: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def ran(self) -> bool:
        """Whether the row has answered."""
        return self.status == OK and bool(self.answers)

    def stop(self, status: str, problem: str, fix: str) -> Event:
        """Return the event of a row that cannot go on."""
        return {"event": "stopped", "status": status, "problem": problem, "fix": fix}

    def hear(self, event: Event) -> None:
        """Take in one event."""
        _HEARD[event["event"]](self, event)

    def _opened(self, event: Event) -> None:
        self.sittings += 1
        self.facts = {key: value for key, value in event.items() if key not in {"event", "notes"}}
        self.resident_mib.append([])
        if event["built"] == "now" or not self.built:
            self.built, self.build_s = event["built"], event["build_s"]
        self._note(event)

    def _warmed(self, event: Event) -> None:
        self.warmed = {**event}
        self._note(event)

    def _called(self, event: Event) -> None:
        call = Call(event["round"], tuple(event["pictures"]))
        self.done.add(call)
        self.timings.append(Timing(len(call.pictures), event["ms"], self.sittings))
        self.resident_mib[-1].append(event["resident_mib"])
        if "answers" in event:
            for picture, answer in zip(call.pictures, event["answers"], strict=True):
                self.answers[picture] = answers.from_dict(answer)
        self.repeated += event.get("repeated", 0)
        self.repeated_alike += event.get("repeated_alike", 0)
        self._note(event)

    def _took(self, event: Event) -> None:
        self.peak_mib = max(self.peak_mib, event["peak_mib"])
        if event["device_mib"] is not None:
            self.device_peak_mib = max(self.device_peak_mib or 0.0, event["device_mib"])

    def _compared(self, event: Event) -> None:
        self.together = {key: event[key] for key in ("rows", "same", "limit")}
        self._note(event)

    def _stopped(self, event: Event) -> None:
        self.status, self.problem, self.fix = event["status"], event["problem"], event["fix"]

    def _note(self, event: Event) -> None:
        self.notes += [note for note in event.get("notes", ()) if note not in self.notes]


_HEARD = {
    "opened": Row._opened,  # noqa: SLF001 - the table of this class's own methods
    "warmed": Row._warmed,  # noqa: SLF001
    "called": Row._called,  # noqa: SLF001
    "memory": Row._took,  # noqa: SLF001
    "compared": Row._compared,  # noqa: SLF001
    "stopped": Row._stopped,  # noqa: SLF001
}
