"""What options ask for is what runs, or it is refused; and `loaded()` says what runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from ocrdeploy.errors import BadPlugin, OcrdError
from ocrdeploy.testing.demands import demand, difference, refusal
from ocrdeploy.testing.networks import Network
from ocrdeploy.testing.subject import Subject, answer, said


def test_a_device_that_nobody_knows_is_refused(subject: Subject, network: Network) -> None:
    file = subject.file(network)
    refusal(lambda: subject.open(file, device="warp:9"), "with --device warp:9, a misspelling, another device would run")


def test_a_device_that_is_not_here_is_refused(subject: Subject, network: Network) -> None:
    file = subject.file(network)
    refusal(
        lambda: subject.open(file, device="cuda:99"), "with --device cuda:99 a user would pay for a GPU, and the CPU would run"
    )


def test_a_provider_that_nobody_knows_is_refused(subject: Subject, network: Network) -> None:
    file = subject.file(network)
    suffering = "with --provider Nobodys a user would believe in a speed-up that is not there"
    refusal(lambda: subject.open(file, provider="NobodysExecutionProvider"), suffering)


def test_custom_operators_that_cannot_be_loaded_are_refused(subject: Subject, network: Network, tmp_path: Path) -> None:
    library = tmp_path / "operators.so"
    library.write_text("no library", encoding="utf-8")
    suffering = "with --custom-ops, a model would run without the operators that it was given, or crash later"
    refusal(lambda: subject.open(subject.file(network), custom_ops=(library,)), suffering)


def test_the_cpu_runs_where_the_cpu_was_asked_for(subject: Subject, network: Network) -> None:
    try:
        session = subject.open(subject.file(network), device="cpu")
    except OcrdError as error:
        demand(not isinstance(error, BadPlugin) and bool(error.fix), f"--device cpu ends without a remedy: {said(error)}")
        pytest.skip(f"the backend {subject.name} does not run on the CPU")
    try:
        device = session.loaded().device
        demand(device == "cpu", f"a user who asks for --device cpu would get {device!r}, or be told so")
    finally:
        session.close()


def test_loaded_says_what_runs_before_and_after_a_run(subject: Subject, network: Network) -> None:
    with subject.session(network) as session:
        before = session.loaded()
        answer(session, network.batch(1))
        after = session.loaded()
    for name in ("version", "device", "precision"):
        value = getattr(before, name)
        demand(isinstance(value, str) and bool(value), f"Loaded.{name} is {value!r}: reports could not say what was measured")
    for name in ("provider", "chosen"):
        value = getattr(before, name)
        demand(isinstance(value, str), f"Loaded.{name} is {value!r}, not text: reports would break")
    texts = isinstance(before.details, Mapping) and all(isinstance(text, str) for pair in before.details.items() for text in pair)
    demand(texts, f"Loaded.details is {before.details!r}, not text by text: `--format json` would break")
    demand(before == after, f"a report would depend on when it asks: loaded() says {before}, and after a run {after}")
    if subject.device not in ("auto", before.device):
        kind, _, number = subject.device.partition(":")
        demand(
            not number and before.device.partition(":")[0] == kind,
            f"a user who asks for --device {subject.device} would get {before.device}",
        )


def test_what_runs_is_in_one_of_the_announced_precisions(subject: Subject, network: Network) -> None:
    with subject.session(network) as session:
        found = session.loaded().precision
    announced = subject.info.precisions
    demand(found in announced, f"a table would show a precision, {found}, that `ocrd backends` does not know ({announced})")


@pytest.mark.parametrize("threads", [1, 2])
def test_any_number_of_threads_gives_the_same_answer(subject: Subject, network: Network, threads: int) -> None:
    inputs = network.batch(2)
    with subject.session(network, threads=threads) as session:
        wrong = difference(answer(session, inputs), network.expected(inputs), session.loaded().precision)
    demand(not wrong, f"with --threads {threads} texts would be wrong: {wrong}")


def test_an_option_with_a_value_that_makes_no_sense_is_no_crash(subject: Subject, network: Network) -> None:
    file = subject.file(network)
    for option in subject.info.options:
        try:
            session = subject.open(file, extra={option: "no such value"})
        except BadPlugin as error:
            words = f"with --backend-option {option}=typo a user would read of a broken plugin"
            pytest.fail(f"{words}: {said(error)}", pytrace=False)
        except OcrdError as error:
            demand(bool(error.fix), f"with --backend-option {option}=typo nothing says what it may be: {said(error)}")
        else:
            session.close()
