"""`ocrd profile`: the shapes that pictures come to, and those that an engine should be built for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from ocrdeploy.cli import messages, options
from ocrdeploy.cli.progress import Progress
from ocrdeploy.cli.streams import emit, json_text, printable, protected_stdout
from ocrdeploy.errors import BadInput, OcrdError

if TYPE_CHECKING:
    from ocrdeploy.plugins import Plugins
    from ocrdeploy.profiling.sizes import Measured
    from ocrdeploy.vocabulary import ModelSpec, Placement

FILE = click.Path(path_type=Path)

what = options.section("What is measured")
how = options.section("What is recommended")
output = options.section("Output")

LINES_IN_A_BATCH = 8
"""The batch of `ocrd run` for lines; a detector gets one picture at a time."""

EPILOG = """\b
Examples:
  ocrd profile ppocr-v6-det --dataset icdar2015:test/
  ocrd profile crnn.onnx --images words/ --batch-size 16
  ocrd build crnn.onnx -o crnn.engine \\
       $(ocrd profile crnn.onnx --images words/ --options)"""


@click.command(cls=options.Command, epilog=EPILOG)
@click.argument("model", metavar="MODEL")
@click.argument("more", metavar="", nargs=-1, type=click.Path(), callback=options.no_empty_path)
@what("--dataset", metavar="[KIND:]PATH", help="A dataset ('ocrd datasets'). Of lines that are labelled in it, a recognizer's.")
@what(
    "--images",
    metavar="PATH...",
    multiple=True,
    type=click.Path(),
    callback=options.no_empty_path,
    help="Pictures or folders, instead; several may follow.",
)
@what("--spec", metavar="FILE", type=FILE, help="Specification (JSON or YAML) of a model file that carries none.")
@how("--batch-size", metavar="N", type=click.IntRange(1), help="Pictures in the largest batch.  [default: 8; detectors: 1]")
@how(
    "--cover",
    metavar="SHARE",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    help="Let so many pictures fit, and leave out the largest: 0.99.  [default: 1]",
)
@output("--json", "as_json", is_flag=True, help="For machines.")
@output("--options", "only_options", is_flag=True, help="The options of 'ocrd build' alone.")
@messages.options
@click.pass_context
def profile(ctx: click.Context, /, model: str, more: tuple[str, ...], images: tuple[str, ...], **settings: Any) -> None:
    """Recommend the shapes that an engine should be built for.

    The sizes of pictures are read from their headers, and become the sizes that MODEL's preprocessing gives them; nothing is
    decoded or run. Standard output ends with the options of 'ocrd build'. A picture that cannot be read is reported, the
    others are measured, and the exit code is 1.
    """
    if more and not images:
        raise click.UsageError(f"{more[0]!r} is a second model; pictures follow --images")
    if bool(images) == (settings["dataset"] is not None):
        raise click.UsageError("give --images, or --dataset" if not images else "give --images or --dataset, not both")
    if settings["as_json"] and settings["only_options"]:
        raise click.UsageError("--json and --options exclude each other")
    with protected_stdout() as out:
        complete = _profile(out, model, (*images, *more), **settings)
    ctx.exit(0 if complete else 1)


def _profile(
    out: TextIO,
    reference: str,
    paths: Sequence[str],
    *,
    dataset: str | None,
    spec: Path | None,
    batch_size: int | None,
    cover: float,
    as_json: bool,
    only_options: bool,
) -> bool:
    """Measure, print what is recommended, and return whether every picture could be measured."""
    from ocrdeploy import profiling
    from ocrdeploy.plugins import discover
    from ocrdeploy.profiling import report, shapes
    from ocrdeploy.vocabulary import Task

    plugins = discover()
    model = _model(plugins, reference, spec)
    source, expected, measured = _pictures(plugins, model, dataset, paths)
    names, placements, failed = _placed(measured, model, expected)
    if not placements:
        raise BadInput(f"{source} has no picture that could be measured", "name others, or see what is wrong with these")
    lines = model.task is not Task.DETECTION
    batch = batch_size or (LINES_IN_A_BATCH if lines else 1)
    found = profiling.profile(placements, model.input, batches=(1, batch if lines else 1, batch), cover=cover)
    if as_json:
        facts = report.to_dict(found, model, source, [names[index] for index in found.outside], cover)
        facts["failed"] = [{"picture": name, "problem": error.problem, "fix": error.fix} for name, error in failed]
        emit(out, json_text(facts, indent=2) + "\n")
    elif only_options:
        emit(out, " ".join(shapes.options(found.shapes)) + "\n")
    else:
        emit(out, printable(report.to_text(found, model, source, [names[index] for index in found.outside])))
    return not failed


def _model(plugins: Plugins, reference: str, spec: Path | None) -> ModelSpec:
    from ocrdeploy import models

    if reference in plugins.models and spec is None:
        return plugins.models[reference]  # whose weights, which may not be here, say nothing of its input
    return models.resolve(plugins, reference, task=None, spec_file=spec).model


def _pictures(
    plugins: Plugins, model: ModelSpec, dataset: str | None, paths: Sequence[str]
) -> tuple[str, int, Iterator[Measured]]:
    """Return what the pictures are called together, about how many there are, and the pictures."""
    from ocrdeploy import samples, sources
    from ocrdeploy.profiling import sizes

    if dataset is None:
        inputs = sources.find(paths)
        return ", ".join(paths), len(inputs), sizes.of_inputs(inputs, model.input)
    read = samples.load(plugins, dataset)
    return f"{read.kind}:{read.path}", sizes.expected(read, model), sizes.of_dataset(read, model)


def _placed(
    measured: Iterator[Measured], model: ModelSpec, expected: int
) -> tuple[list[str], list[Placement], list[tuple[str, OcrdError]]]:
    """Return the names and placements of what could be measured, and what could not, which is reported."""
    from ocrdeploy import batching
    from ocrdeploy.cli.results import naming

    names: list[str] = []
    placements: list[Placement] = []
    failed: list[tuple[str, OcrdError]] = []
    with Progress(expected, wanted=not messages.quiet()) as progress:
        for each in measured:
            try:
                placements.append(batching.place(each.known(), model.input, len(placements)))
                names.append(each.name)
            except OcrdError as error:
                progress.hide()
                messages.complain(naming(each.name, error.problem), error.fix)
                failed.append((each.name, error))
            progress.step()
    return names, placements, failed
