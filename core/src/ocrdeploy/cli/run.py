"""`ocrd run`: read the text of pictures."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from ocrdeploy.cli import messages, options
from ocrdeploy.cli.outputs import OutputFolder
from ocrdeploy.cli.progress import Progress
from ocrdeploy.cli.results import FORMATS, Results, naming
from ocrdeploy.cli.streams import protected_stdout
from ocrdeploy.errors import OcrdError

if TYPE_CHECKING:
    from ocrdeploy.page import Page
    from ocrdeploy.reader import Reader

log = logging.getLogger(__name__)

TASKS = ("ocr", "detect", "recognize")
LATER_PAGE = re.compile(r"#(?!1$)\d+$")
"""The name of a page that is not the first of its file."""

FILE = click.Path(path_type=Path)

what = options.section("What is read")
models = options.section("Models (NAME as in 'ocrd models', FILE, or CONFIG::CHECKPOINT)")
where = options.section("Where it runs")
output = options.section("Output")

EPILOG = """\b
Examples:
  ocrd run street.jpg
  ocrd run scans/ -o read/ --format json > read.jsonl
  ocrd run word.png --task recognize --device cuda:0
  cat page.png | ocrd run -"""


@click.command(cls=options.Command, epilog=EPILOG)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(), callback=options.no_empty_path)
@what(
    "--task",
    default="ocr",
    show_default=True,
    help="Find and read lines, only find them, or read pictures that are a line each.",
    **options.one_of("task", TASKS),
)
@what(
    "--min-score",
    metavar="0..1",
    type=click.FloatRange(0, 1),
    help="Leave out less certain text.  [default: 0.5 for ocr, else 0]",
)
@what("--dpi", metavar="N", type=click.IntRange(1), help="Resolution at which PDF pages are drawn.  [default: 200]")
@what("--max-pixels", metavar="N", type=click.IntRange(1), help="Refuse pictures that declare more pixels.  [default: 200000000]")
@models("--detector", metavar="MODEL", help="Finds the lines.  [default: the best that is installed]")
@models("--recognizer", metavar="MODEL", help="Reads the lines.  [default: the best that is installed]")
@models("--classifier", metavar="MODEL|none", help="Tells which lines stand on their head.  [default: for ocr, if installed]")
@models("--detector-spec", metavar="FILE", type=FILE, help="Specification (JSON or YAML) of a file that carries none.")
@models("--recognizer-spec", metavar="FILE", type=FILE, help="The same for the recognizer.")
@models("--classifier-spec", metavar="FILE", type=FILE, help="The same for the classifier.")
@where("--backend", metavar="NAME|auto", help="What runs the models ('ocrd backends').  [default: auto]")
@where("--device", metavar="auto|cpu|cuda|cuda:N", callback=options.device, help="[default: auto]")
@where("--precision", metavar="NAME", help="Of the arithmetic, as the backend names it ('ocrd backends').  [default: fp32]")
@where("--provider", metavar="NAME", help="An execution provider, by the runtime's own name.")
@where("--threads", metavar="N", type=click.IntRange(0), help="[default: 0, the cores this process may use]")
@where(
    "--batch-size",
    metavar="N",
    type=click.IntRange(1),
    help="Lines that run together; it does not change the text.  [default: 8]",
)
@where("--custom-ops", metavar="LIBRARY", multiple=True, type=FILE, help="Library of operators; may be given again.")
@options.networks(where)
@options.trust_engine(where)
@where(
    "--backend-option",
    "backend_options",
    metavar="KEY=VALUE",
    multiple=True,
    callback=options.pairs,
    help="An option of the backend's own; may be given again.",
)
@output("--format", "form", default="text", show_default=True, help="On standard output.", **options.one_of("format", FORMATS))
@output("-o", "--output", "folder", metavar="DIR", type=FILE, help="Write an annotated picture and a JSON file each into DIR.")
@output("--overwrite", is_flag=True, help="Let -o replace files.")
@messages.options
@click.pass_context
def run(ctx: click.Context, /, paths: tuple[str, ...], form: str, folder: Path | None, overwrite: bool, **settings: Any) -> None:
    """Read the text of pictures.

    PATH is a picture, a TIFF or PDF with pages, a folder of them, or - for a picture on standard input. A picture that
    cannot be read is reported, and the others are read; the exit code is then 1.
    """
    with protected_stdout() as out:
        complete = _read(out, paths, form, folder, overwrite=overwrite, settings=options.with_shorthands(settings))
    ctx.exit(0 if complete else 1)


def _read(
    out: TextIO, paths: Sequence[str], form: str, folder: Path | None, *, overwrite: bool, settings: Mapping[str, Any]
) -> bool:
    """Read and write every picture; return whether all went well."""
    from ocrdeploy import sources
    from ocrdeploy.reader import Reader

    inputs = sources.find(paths)
    outputs = OutputFolder(folder, inputs, overwrite=overwrite) if folder else None
    chosen = {name: value for name, value in settings.items() if value is not None}
    failed = 0
    with Reader(**chosen) as reader, Progress(len(inputs), wanted=not messages.quiet()) as progress:
        results = Results(out, form, only=inputs[0].name if len(inputs) == 1 else "")
        _tell(reader)
        for page in reader.read(inputs):
            progress.hide()
            results.add(page)
            failed += page.error is not None or not _saved(outputs, page)
            progress.step(0 if LATER_PAGE.search(page.image) else 1)
    return not failed


def _tell(reader: Reader) -> None:
    """Say what "auto" chose to everybody, and what else was done to those who asked with -v."""
    for sentence in reader.chosen:
        log.log(messages.NOTE, "%s", sentence)
    for note in reader.notes:
        log.info("%s", note)


def _saved(outputs: OutputFolder | None, page: Page) -> bool:
    """Write the files of a page; one that cannot be written is reported, and the next ones are read."""
    if outputs is None or page.error is not None:
        return True
    try:
        outputs.save(page)
    except OcrdError as error:
        messages.complain(naming(page.image, error.problem), error.fix)
        return False
    return True
