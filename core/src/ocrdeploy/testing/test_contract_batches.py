"""A row's answer is that picture's, whatever else is in the batch, and whatever ran before."""

from __future__ import annotations

import numpy as np

from ocrdeploy.testing.demands import demand, deviation, difference, mixed_up
from ocrdeploy.testing.networks import Network
from ocrdeploy.testing.subject import Subject, answer


def test_every_row_of_a_batch_gets_its_own_answer(subject: Subject, network: Network) -> None:
    with subject.session(network) as session:
        precision = session.loaded().precision
        for rows in (2, 3, 5):
            inputs = network.batch(rows)
            found, wanted = answer(session, inputs), network.expected(inputs)
            for name, array in wanted.items():
                given = np.asarray(found.get(name))
                demand(
                    given.ndim > 0 and len(given) == rows,
                    f"with --batch-size {rows} pictures would be lost: output {name!r} has the shape {given.shape}",
                )
                for row in range(rows):
                    wrong = deviation(given[row], array[row], precision)
                    whose = (mixed_up(found, wanted, row, precision) or f"row {row} is nobody's answer") if wrong else ""
                    demand(not wrong, f"with --batch-size {rows} the texts would be swapped or wrong: {whose}: {wrong}")


def test_a_row_does_not_depend_on_the_others(subject: Subject, network: Network) -> None:
    name = network.artifact.model.input.name
    with subject.session(network) as session:
        precision = session.loaded().precision
        first = network.batch(1)[name]
        alone = {key: array.astype(np.float64) for key, array in answer(session, {name: first}).items()}
        # Neighbours of other brightness, as a page beside a blank one: what is normalised over the batch shows.
        for loud in (np.zeros_like(first), np.full_like(first, 1), 8 * network.batch(1, seed=9)[name]):
            together = answer(session, {name: np.concatenate([loud, first, loud])})
            own = {key: array[1:2] for key, array in together.items()}
            wrong = difference(own, alone, precision)
            demand(not wrong, f"the text of a picture would change with what else is in its batch: {wrong}")


def test_batches_of_all_sizes_follow_each_other(subject: Subject, network: Network) -> None:
    with subject.session(network) as session:
        precision = session.loaded().precision
        for step, (rows, size) in enumerate(zip((1, 5, 2, 3, 1, 4), network.sizes(), strict=True)):
            inputs = network.batch(rows, size, seed=step)
            wrong = difference(answer(session, inputs), network.expected(inputs), precision)
            demand(not wrong, f"in a folder of mixed pictures, {rows} of {size[0]} x {size[1]} would be read wrongly: {wrong}")
