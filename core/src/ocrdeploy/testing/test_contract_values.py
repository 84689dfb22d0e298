"""What the backend answers: the right numbers, under the right names, in the right shapes, of every size."""

from __future__ import annotations

import numpy as np
import pytest

from ocrdeploy.errors import BadPlugin, OcrdError
from ocrdeploy.testing.demands import demand, difference, listed
from ocrdeploy.testing.networks import Network
from ocrdeploy.testing.subject import Subject, answer, said


def test_values_are_those_of_the_reference(subject: Subject, network: Network) -> None:
    with subject.session(network) as session:
        precision = session.loaded().precision
        for seed in range(3):
            inputs = network.batch(1, seed=seed)
            wrong = difference(answer(session, inputs), network.expected(inputs), precision)
            demand(not wrong, f"a user would get wrong boxes and texts from every picture: {wrong}")


def test_values_of_blank_pictures_are_those_of_the_reference(subject: Subject, network: Network) -> None:
    with subject.session(network) as session:
        precision = session.loaded().precision
        for level in (0.0, -1.0, 1.0):
            inputs = {name: np.full_like(array, level) for name, array in network.batch(1).items()}
            wrong = difference(answer(session, inputs), network.expected(inputs), precision)
            demand(not wrong, f"a user would get wrong boxes at edges and on empty pages (every pixel is {level:g}): {wrong}")


def test_outputs_have_the_names_of_the_spec(subject: Subject, network: Network) -> None:
    with subject.session(network) as session:
        found = answer(session, network.batch(2))
    wanted = network.artifact.model.outputs
    missing = [name for name in wanted if name not in found]
    demand(not missing, f"post-processing would find no {listed(missing)}: the outputs are called {listed(list(found))}")


def test_outputs_are_float32_arrays_in_c_order(subject: Subject, network: Network) -> None:
    with subject.session(network) as session:
        found = answer(session, network.batch(2))
    for name in network.artifact.model.outputs:
        array = found[name]
        demand(isinstance(array, np.ndarray), f"post-processing needs numpy arrays, and {name!r} is a {type(array).__name__}")
        demand(
            array.dtype == np.float32,
            f"the network's output {name!r} is float32, and comes as {array.dtype}: scores and memory would differ by backend",
        )
        demand(
            array.flags.c_contiguous,
            f"output {name!r} is not in C order (strides {array.strides}): reading it would be slow, and wrong for who "
            "takes its buffer",
        )


def test_every_size_is_answered_as_it_is(subject: Subject, network: Network) -> None:
    with subject.session(network) as session:
        precision = session.loaded().precision
        for size in network.sizes():
            inputs = network.batch(1, size)
            wrong = difference(answer(session, inputs), network.expected(inputs), precision)
            words = f"a picture of {size[0]} x {size[1]} after others of other sizes"
            demand(not wrong, f"boxes would lie in wrong places, or texts be wrong, for {words}: {wrong}")


def test_every_precision_runs_as_announced_or_is_refused(subject: Subject, network: Network) -> None:
    for precision in subject.info.precisions:
        try:
            session = subject.open(subject.file(network, precision), precision=precision)
        except OcrdError as error:
            bare = isinstance(error, BadPlugin)
            demand(
                not bare, f"with --precision {precision}, which is announced, a user would read of a broken plugin: {said(error)}"
            )
            demand(bool(error.fix), f"--precision {precision} is announced, fails, and names no remedy: {said(error)}")
            if precision == "fp32":
                pytest.fail(f"fp32 is announced, and {network.name} cannot be opened in it: {said(error)}", pytrace=False)
            continue
        try:
            found = session.loaded().precision
            demand(found == precision, f"a user who asks for --precision {precision} would get {found}, and nobody says so")
            inputs = network.batch(2)
            wrong = difference(answer(session, inputs), network.expected(inputs), precision)
            demand(not wrong, f"with --precision {precision} a user would get wrong answers: {wrong}")
        finally:
            session.close()
