"""Run every golden result of MMOCR 0.6.3 in a folder against this project, and print a table by kind.

    python tests/agreement/replay.py FOLDER [--data DIR]... [--only KIND]...

The exit code is 0 where every case passed or, for want of its picture, was skipped; 1 where one failed; 2 where nothing was run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from ocrdeploy.errors import OcrdError
from replays import comparison, ctc, metrics, networks, postprocess, preprocess, report
from replays.comparison import Case, Outcome
from replays.goldens import Goldens

KINDS: Mapping[str, Callable[[Goldens], Iterator[Case]]] = {
    networks.KIND: networks.cases,
    preprocess.KIND: preprocess.cases,
    **{kind: partial(postprocess.cases, kind=kind) for kind in postprocess.KINDS},
    ctc.KIND: ctc.cases,
    metrics.KIND: metrics.cases,
}
"""The kinds of golden results, each `KIND.json` with `KIND.npz` (metrics: without): what yields its cases."""


say = partial(print, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args(arguments)
    outcomes = []
    for outcome in replay(Goldens(options.folder, tuple(options.data)), options.only or KINDS):
        outcomes.append(outcome)
        for problem in outcome.problems:
            say(f"FAILED {outcome.row}: {outcome.name}: {problem}")
    for line in report.table(outcomes):
        say(line)
    return 1 if any(outcome.problems for outcome in outcomes) else 0


def replay(goldens: Goldens, kinds: Iterable[str] = KINDS) -> Iterator[Outcome]:
    """Yield how each case of these kinds went. A kind whose files are not what they should be is one failed case."""
    for kind in kinds:
        try:
            yield from map(comparison.run, KINDS[kind](goldens))
        except (OcrdError, KeyError, TypeError, AttributeError, ValueError) as error:
            yield Outcome(kind, "its files", (str(error) if isinstance(error, OcrdError) else f"damaged: {error!r}",))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Run MMOCR 0.6.3's golden results against this project.")
    parser.add_argument("folder", type=_folder, help="holds networks.json, networks.npz, preprocess.json, ...")
    parser.add_argument(
        "--data",
        type=_folder,
        action="append",
        default=[],
        metavar="DIR",
        help="where the named pictures lie; may be repeated; without it, cases that need one are skipped",
    )
    parser.add_argument(
        "--only", choices=KINDS, action="append", metavar="KIND", help=f"one of {', '.join(KINDS)}; may be repeated"
    )
    return parser


def _folder(text: str) -> Path:
    if not (folder := Path(text)).is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {text}")
    return folder


if __name__ == "__main__":
    sys.exit(main())
