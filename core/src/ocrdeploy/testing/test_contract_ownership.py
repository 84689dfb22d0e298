"""Whose the arrays are: inputs stay as they were, outputs are the caller's to keep, and nothing is remembered between runs."""

from __future__ import annotations

import numpy as np
import pytest

from ocrdeploy.testing.demands import demand, difference
from ocrdeploy.testing.networks import Network
from ocrdeploy.testing.subject import Subject, answer


def test_inputs_are_not_modified(subject: Subject, network: Network) -> None:
    with subject.session(network) as session:
        inputs = network.batch(2)
        before = {name: array.copy() for name, array in inputs.items()}
        answer(session, inputs)
    changed = [name for name, array in inputs.items() if not np.array_equal(array, before[name])]
    demand(not changed, f"a batch that is run on two backends (ocrd verify) would differ for the second: run changed {changed}")


def test_a_second_run_does_not_change_the_first_ones_result(subject: Subject, network: Network) -> None:
    with subject.session(network) as session:
        first = answer(session, network.batch(2))
        before = {name: array.copy() for name, array in first.items()}
        answer(session, network.batch(2, seed=1))
        answer(session, network.batch(1, seed=2))
    changed = [name for name, array in first.items() if not np.array_equal(array, before[name])]
    demand(not changed, f"boxes of one picture would appear on another: the next run overwrites the result ({changed})")


def test_results_outlive_the_session(subject: Subject, network: Network) -> None:
    inputs = network.batch(2)
    with subject.session(network) as session:
        precision = session.loaded().precision
        found = answer(session, inputs)
    with subject.session(network) as other:  # something else may take the memory that was given back
        answer(other, network.batch(2, seed=1))
    wrong = difference(found, network.expected(inputs), precision)
    demand(not wrong, f"results would turn to rubbish when a reader is closed: close frees the memory of its answers: {wrong}")


def test_what_the_caller_does_with_a_result_does_not_change_the_next(subject: Subject, network: Network) -> None:
    inputs = network.batch(2)
    with subject.session(network) as session:
        precision = session.loaded().precision
        for name, array in answer(session, inputs).items():
            demand(
                array.flags.writeable, f"output {name!r} cannot be written to, and it is the caller's: scaling it in place fails"
            )
            array[...] = -7
        wrong = difference(answer(session, inputs), network.expected(inputs), precision)
    demand(not wrong, f"a picture that is read twice would get another text: the session hands out its own memory: {wrong}")


def test_outputs_do_not_share_memory_with_each_other_or_with_the_inputs(subject: Subject, network: Network) -> None:
    with subject.session(network) as session:
        inputs = network.batch(2)
        found = answer(session, inputs)
    arrays = [*found.items(), *inputs.items()]
    shared = [
        f"{name!r} and {other!r}"
        for index, (name, array) in enumerate(arrays[: len(found)])
        for other, its in arrays[index + 1 :]
        if np.shares_memory(array, its)
    ]
    demand(not shared, f"changing one array would change another: these share memory: {', '.join(shared)}")


def test_the_same_batch_is_answered_the_same_again(subject: Subject, network: Network) -> None:
    with subject.session(network) as session:
        precision = session.loaded().precision
        inputs, others = network.batch(2), network.batch(2, seed=5)
        for _ in range(4):
            wrong = difference(answer(session, inputs), network.expected(inputs), precision)
            demand(not wrong, f"a picture's text would depend on what was read before it: {wrong}")
            answer(session, others)


def test_an_array_that_was_filled_anew_is_read_anew(subject: Subject, network: Network) -> None:
    name = network.artifact.model.input.name
    with subject.session(network) as session:
        precision = session.loaded().precision
        inputs = network.batch(1)
        answer(session, inputs)
        inputs[name][...] = network.batch(1, seed=6)[name]
        wrong = difference(answer(session, inputs), network.expected(inputs), precision)
    demand(not wrong, f"a caller that uses one array for all pictures would get the first one's text again: {wrong}")


def test_nothing_is_printed_on_standard_output(subject: Subject, network: Network, capfd: pytest.CaptureFixture[str]) -> None:
    capfd.readouterr()
    with subject.session(network) as session:
        answer(session, network.batch(1))
        session.loaded()
    printed = capfd.readouterr().out
    demand(not printed, f"`ocrd run --format json | jq` would break: standard output has {printed[:80]!r}")
