"""Sessions beside each other, in threads, closed, and opened two hundred times."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from time import monotonic

import pytest

from ocrdeploy.errors import OcrdError
from ocrdeploy.testing import resources
from ocrdeploy.testing.demands import demand, difference, refusal
from ocrdeploy.testing.networks import Network
from ocrdeploy.testing.subject import Subject, answer, said
from ocrdeploy.vocabulary import Session, Tensors, Threads

OPENED, EVERY, PATIENCE_S = 200, 5, 6.0
"""How often the leak test opens a session, how often it looks, and when it is content with less, down to a tenth."""

LEAK_BYTES = 32 * 1024
"""What a session may leave behind: a tenth of what the smallest network weighs in memory is more than noise."""


def test_close_twice_does_nothing_the_second_time(subject: Subject, network: Network) -> None:
    with subject.session(network) as session:
        answer(session, network.batch(1))
        for words in ("closes its reader", "closes its reader twice"):
            try:
                session.close()
            except OcrdError as error:
                pytest.fail(f"a program that {words} would end with an error: {said(error)}", pytrace=False)


def test_run_after_close_is_refused(subject: Subject, network: Network) -> None:
    with subject.session(network) as session:
        answer(session, network.batch(1))
        session.close()
        refusal(lambda: session.run(network.batch(1)), "a reader that is used after it was closed would go on or crash")


def test_two_sessions_of_one_file_do_not_disturb_each_other(subject: Subject, network: Network) -> None:
    with subject.session(network) as first, subject.session(network) as second:
        for seed in range(3):
            for session, inputs in ((first, network.batch(2, seed=seed)), (second, network.batch(1, seed=seed + 7))):
                _check(session, network, inputs, "two readers in one program would mix up their texts")
        first.close()
        _check(second, network, network.batch(2), "closing one reader would break another that has the same model")


def test_sessions_of_two_models_do_not_disturb_each_other(subject: Subject) -> None:
    if len(subject.networks) < 2:
        pytest.skip(f"the backend {subject.name} brings one network only")
    one, other = list(subject.networks.values())[:2]
    with subject.session(one) as first, subject.session(other) as second:
        for seed in range(3):
            _check(first, one, one.batch(2, seed=seed), "a detector beside a recognizer would give wrong boxes")
            _check(second, other, other.batch(2, seed=seed), "a recognizer beside a detector would give wrong texts")


def test_threads_may_run_it_as_it_declares(subject: Subject, network: Network) -> None:
    with subject.session(network) as session:
        declared = session.loaded().threads
        demand(isinstance(declared, Threads), f"Loaded.threads is {declared!r}: a program could not know whether it may share it")
        several = declared is Threads.ANY
        words = "several threads at a time, which it allows," if several else "another thread, one run at a time,"
        batches = [network.batch(1 + seed % 3, seed=seed) for seed in range(12)]
        with ThreadPoolExecutor(4 if several else 1) as pool:
            work = [pool.submit(partial(session.run, inputs)) for inputs in batches]
            for inputs, done in zip(batches, work, strict=True):
                problem = done.exception()
                demand(problem is None, f"a server that runs it from {words} would fail: {problem}")
                wrong = difference(done.result(), network.expected(inputs), session.loaded().precision)
                demand(not wrong, f"a server that runs it from {words} would answer requests with other requests' texts: {wrong}")


def test_two_hundred_sessions_leave_nothing_behind(subject: Subject) -> None:
    network = list(subject.networks.values())[-1]
    if not resources.measurable():
        pytest.skip("what a process holds is read from /proc, which is not there")
    file = subject.file(network)
    inputs = network.batch(1, (network.shapes.min[2], network.shapes.min[3]))
    seen, started = [], monotonic()
    for number in range(1, OPENED + 1):
        session = subject.open(file)
        session.run(inputs)
        session.close()
        if number % EVERY == 0:
            seen.append(resources.held())
            if number >= OPENED // 10 and monotonic() - started > PATIENCE_S:
                break
    early, late = seen[len(seen) // 5 : len(seen) // 2], seen[-len(seen) // 4 :]
    between = EVERY * (len(seen) - len(late) - len(seen) // 5)
    # The least of each part: what a runtime keeps for a while, and gives back, is no leak.
    grown = {name: min(each[name] for each in late) - min(each[name] for each in early) for name in resources.NAMES}
    allowed = max(LEAK_BYTES * between, 4 * 2**20 + _size(file.path))
    words = f"a service that opens models for hours would run out of memory: {between} sessions, all closed, left"
    demand(grown["bytes"] <= allowed, f"{words} {grown['bytes'] / 2**20:.0f} MiB")
    for name in ("files", "threads"):
        demand(grown[name] <= between // 10, f"{words.replace('memory', name)} {grown[name]} open {name}")


def _size(path: Path) -> int:
    return path.stat().st_size


def _check(session: Session, network: Network, inputs: Tensors, suffering: str) -> None:
    wrong = difference(answer(session, inputs), network.expected(inputs), session.loaded().precision)
    demand(not wrong, f"{suffering}: {wrong}")
