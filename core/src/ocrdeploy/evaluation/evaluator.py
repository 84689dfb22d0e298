"""Runs the rows: each in a process of its own, all by turns, so that a noisy minute falls on all of them alike."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

from ocrdeploy import nvidia
from ocrdeploy.errors import OcrdError
from ocrdeploy.evaluation import agreement, answers
from ocrdeploy.evaluation.answers import Answer
from ocrdeploy.evaluation.journal import Journal
from ocrdeploy.evaluation.process import LONGEST_CALL_S, RowDied, RowProcess
from ocrdeploy.evaluation.row import FAILED, OK, UNAVAILABLE, Call, Event, Row

_LOG = logging.getLogger(__name__)

TURN_S = 1.0
"""About how long a row works before the next one has its turn, in seconds."""

MOST_IN_A_TURN = 256
ENOUGH_TIMINGS = 100
"""So many timings are aimed at, by asking again, where there are fewer pictures: of fewer, p99 is but the slowest."""

MOST_ROUNDS = 10

WARMING = {"recognize": 16, "classify": 16}
"""How many pictures a row warms up with, by task; for those that are not here, `FEW`."""

FEW = 3
RAW = 3
"""Of how many pictures the raw outputs are kept, to be compared with the reference's."""

COMPARED_TOGETHER = {"recognize": 48, "classify": 12}
HOPELESS = 20
"""A row whose first answers are all problems, so many of them, is given up."""


class Watcher(Protocol):
    """Is told how the rows get on."""

    def start(self, row: Row, done: int, total: int) -> None:
        """Take in that a row has `done` of `total` calls behind it."""
        ...

    def step(self, row: Row) -> None:
        """Take in that a row has one more call behind it."""
        ...

    def note(self, sentence: str) -> None:
        """Tell people what they should know."""
        ...

    def say(self, sentence: str) -> None:
        """Take in what takes a while now."""
        ...


@dataclass(frozen=True, slots=True)
class Pictures:
    """What all rows are asked about: files, and what they are called. Numbers of pictures are places in these lists."""

    paths: Sequence[Path]
    names: Sequence[str]

    def request(self, what: str, numbers: Sequence[int], **more: Any) -> dict[str, Any]:
        """Return a request about some of the pictures."""
        paths, names = [str(self.paths[number]) for number in numbers], [self.names[number] for number in numbers]
        return {"do": what, "paths": paths, "names": names, **more}


@dataclass(slots=True)
class Spent:
    """Seconds: in all, while rows were measured, and inside the rows' own calls. The rest is what measuring costs."""

    in_all: float = 0.0
    in_rows: float = 0.0


@dataclass(slots=True)
class Evaluator:
    """Asks every row about every picture, in rounds. `rounds` 0 takes as many as give enough timings."""

    rows: Sequence[Row]
    pictures: Pictures
    journal: Journal
    watcher: Watcher
    rounds: int = 0
    spent: Spent = field(default_factory=Spent)
    _processes: dict[str, RowProcess] = field(default_factory=dict)

    def run(self) -> None:
        """Bring every row that can run to its end; what stops one of them is that row's alone."""
        calls = self.calls()
        with ExitStack() as stack:
            for row in self.rows:
                if row.status == OK and (not row.done.issuperset(calls) or not row.together):
                    self._begin(row, stack)
                self.watcher.start(row, len(row.done), len(calls) if row.status == OK else 0)
            for block in self._blocks(calls):
                self._turn(block)
            for row in self._running():
                self._compare_batches(row)

    def calls(self) -> list[Call]:
        """Return everything that a row is asked, in order."""
        subject = self.rows[0].order.subject
        size = 1 if subject.task == "ocr" else subject.batch_size
        every = range(len(self.pictures.paths))
        chunks = [tuple(every[start : start + size]) for start in range(0, len(every), size)]
        rounds = self.rounds or min(MOST_ROUNDS, math.ceil(ENOUGH_TIMINGS / len(chunks)))
        return [Call(number, chunk) for number in range(rounds) for chunk in chunks]

    def _running(self) -> list[Row]:
        return [row for row in self.rows if row.status == OK and row.order.name in self._processes]

    def _begin(self, row: Row, stack: ExitStack) -> None:
        """Start the row's process, open its models, and warm up."""
        opened = self._open(row, stack)
        if opened and opened["built"] == "now":
            # Exporting and building take memory that running does not: what was made is opened again in a process of its own.
            self._processes.pop(row.order.name).close()
            made: dict[str, Any] = {key: opened[key] for key in ("built", "build_s", "notes") if key in opened}
            again = self._open(row, stack)
            opened = {**again, **made} if again else None
        if opened is None:
            return
        self.journal.add(row, {"event": "opened", **opened})
        self.watcher.say(f"{row.order.name}: warming up")
        numbers = self._spread(WARMING.get(row.order.subject.task, FEW))
        raw = [] if row.order.subject.task == "ocr" else [str(self.journal.place(row, f"raw{index}.npz")) for index in range(RAW)]
        request = self.pictures.request("warm", numbers, raw=raw[: len(numbers)])
        warmed = self._ask(row, request, "warming up", limit_s=LONGEST_CALL_S * (len(numbers) + 1))
        if warmed is not None:
            self.journal.add(row, {"event": "warmed", **warmed})

    def _open(self, row: Row, stack: ExitStack) -> dict[str, Any] | None:
        self._processes[row.order.name] = stack.enter_context(RowProcess(self.journal.place(row, "log")))
        self.watcher.say(f"{row.order.name}: opening")
        return self._ask(row, {"do": "open", "order": row.order.to_dict()}, "opening the model", limit_s=None)

    def _spread(self, wanted: int) -> list[int]:
        """Return the numbers of so many pictures, from all over the dataset."""
        count = len(self.pictures.paths)
        return sorted({index * count // wanted for index in range(wanted)})

    def _ask(
        self, row: Row, request: Mapping[str, Any], doing: str, limit_s: float | None = LONGEST_CALL_S
    ) -> dict[str, Any] | None:
        """Ask the row's process; where it dies or has a problem, that is the end of the row, and None is returned."""
        try:
            reply = self._processes[row.order.name].ask(request, doing=doing, limit_s=limit_s)
        except RowDied as error:
            self._stop(row, FAILED, error)
            return None
        if "problem" in reply:
            status = UNAVAILABLE if reply.get("unavailable") else FAILED
            self._stop(row, status, OcrdError(reply["problem"], reply["fix"]))
            return None
        return reply

    def _stop(self, row: Row, status: str, error: OcrdError) -> None:
        self.journal.add(row, row.stop(status, error.problem, error.fix))
        process = self._processes.pop(row.order.name, None)
        if process:
            process.close()

    def _blocks(self, calls: Sequence[Call]) -> Iterator[Sequence[Call]]:
        """Yield the calls in blocks that take the slowest row about `TURN_S`."""
        start = 0
        while start < len(calls):
            size = self._block_size()
            yield calls[start : start + size]
            start += size

    def _block_size(self) -> int:
        each = [sum(t.ms["total"] for t in row.timings[-10:]) / len(row.timings[-10:]) for row in self._running() if row.timings]
        slowest_s = max(each, default=0.0) / 1000
        return min(MOST_IN_A_TURN, max(1, int(TURN_S / slowest_s))) if slowest_s else 1

    def _turn(self, block: Sequence[Call]) -> None:
        """Let every row answer the calls of a block that it has not answered; the row that begins is another one each time."""
        running = [row for row in self._running() if not row.done.issuperset(block)]
        if not running:
            return
        self._bring_to_memory(block)
        first = (block[0].pictures[0] + block[0].round) % len(running)
        for row in (*running[first:], *running[:first]):
            started = perf_counter()
            for call in block:
                if row.status == OK and call not in row.done:
                    self._call(row, call)
            self.spent.in_all += perf_counter() - started
            if row.status == OK:
                self._look_at_memory(row)

    def _bring_to_memory(self, block: Sequence[Call]) -> None:
        """Read the files once, so that no row waits for the disk where the next one does not."""
        for number in {number for call in block for number in call.pictures}:
            try:
                self.pictures.paths[number].read_bytes()
            except OSError:
                continue  # each row says so itself

    def _call(self, row: Row, call: Call) -> None:
        names = self.pictures.names
        doing = f"reading picture {call.pictures[0] + 1} of {len(names)}, {names[call.pictures[0]]}"
        reply = self._ask(row, self.pictures.request("read", call.pictures), doing)
        if reply is None:
            return
        event = {"event": "called", "round": call.round, "pictures": list(call.pictures), **reply}
        self.journal.add(row, event if call.round == 0 else _repeated(row, call, event))
        self.spent.in_rows += reply["ms"]["total"] / 1000
        self.watcher.step(row)
        self._give_up_if_hopeless(row)

    def _give_up_if_hopeless(self, row: Row) -> None:
        enough = min(HOPELESS, len(self.pictures.paths))
        if len(row.answers) == enough and all(answer.problem for answer in row.answers.values()):
            first = next(iter(row.answers.values()))
            self._stop(row, FAILED, OcrdError(f"none of the first {enough} pictures was answered: {first.problem}", first.fix))

    def _look_at_memory(self, row: Row) -> None:
        found = self._ask(row, {"do": "memory"}, "saying how much memory it takes")
        if found is not None:
            on_gpu = any(each["device"].startswith("cuda") for each in row.facts["loaded"])
            device_mib = nvidia.memory_mib(self._processes[row.order.name].pid) if on_gpu else None
            self.journal.add(row, {"event": "memory", "peak_mib": found["peak_mib"], "device_mib": device_mib})

    def _compare_batches(self, row: Row) -> None:
        if row.together:
            return
        wanted = COMPARED_TOGETHER.get(row.order.subject.task, 2 * FEW)
        request = self.pictures.request("together", self._spread(wanted))
        found = self._ask(row, request, "answering in batches", limit_s=LONGEST_CALL_S * wanted)
        if found is not None:
            self.journal.add(row, {"event": "compared", **found})


def _repeated(row: Row, call: Call, event: Mapping[str, Any]) -> Event:
    """Return the event of a call that was answered before: whether the answers are the same, instead of the answers."""
    again = [answers.from_dict(each) for each in event["answers"]]
    before = (row.answers.get(number, Answer()) for number in call.pictures)
    alike = sum(agreement.compare(one, other).agrees for one, other in zip(before, again, strict=True))
    kept = {key: value for key, value in event.items() if key != "answers"}
    return {**kept, "repeated": len(again), "repeated_alike": alike}
