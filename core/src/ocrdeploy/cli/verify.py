"""`ocrd verify`: whether two models, or one model on two backends, give the same answers."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from ocrdeploy.cli import messages, options
from ocrdeploy.cli.progress import Progress
from ocrdeploy.cli.streams import emit, json_text, printable, protected_stdout

if TYPE_CHECKING:
    from ocrdeploy.plugins import Plugins
    from ocrdeploy.verification import Candidate
    from ocrdeploy.vocabulary import InferOptions

log = logging.getLogger(__name__)

DIFFERENT = 3
"""The exit code where the two differ, or where too little was compared to say that they agree."""

STDOUT = "-"

BACKEND_NAME = re.compile(r"[A-Za-z][\w-]*")

FILE = click.Path(path_type=Path)

what = options.section("What is compared")
where = options.section("Where it runs")
allowed = options.section("What is allowed")
output = options.section("Output")

EPILOG = """\b
Two numbers agree where |a - b| <= ATOL * std + RTOL * |a|, std being the
standard deviation of that output in A. The defaults follow the less exact of
the two precisions: fp32 0.0001, tf32 and fp16 0.02, bf16 0.16.
\b
Examples:
  ocrd verify pytorch=config.py::model.pth onnxruntime=model.onnx
  ocrd verify model.onnx model-fp16.onnx --images photos/ --bisect
  ocrd verify onnxruntime=model.onnx tensorrt=model.onnx --json report.json
\b
Exit codes: 0 they agree, 3 they differ or too little was compared to tell,
1 error."""


@click.command(cls=options.Command, epilog=EPILOG)
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.argument("more", metavar="", nargs=-1, type=click.Path(), callback=options.no_empty_path)
@what(
    "--images",
    metavar="PATH...",
    multiple=True,
    type=click.Path(),
    callback=options.no_empty_path,
    help="Pictures or folders; several may follow.  [default: pictures that are drawn]",
)
@what("--spec", metavar="FILE", type=FILE, help="Specification (JSON or YAML) of both, instead of their own.")
@what("--bisect", is_flag=True, help="Find the first node of the graph that differs; both have to be ONNX files.")
@where("--device", metavar="auto|cpu|cuda|cuda:N", callback=options.device, help="Of both.  [default: auto]")
@where("--threads", metavar="N", type=click.IntRange(0), help="[default: 0, the cores this process may use]")
@where("--custom-ops", metavar="LIBRARY", multiple=True, type=FILE, help="Library of operators; may be given again.")
@options.trust_engine(where)
@allowed("--atol", metavar="NUMBER", type=click.FloatRange(0), help="Share of the output's standard deviation.")
@allowed("--rtol", metavar="NUMBER", type=click.FloatRange(0), help="Share of the number itself.")
@output("--json", "report", metavar="FILE|-", type=click.Path(allow_dash=True), help="Write the report as JSON, too; - instead.")
@messages.options
@click.pass_context
def verify(ctx: click.Context, /, a: str, b: str, more: tuple[str, ...], images: tuple[str, ...], **settings: Any) -> None:
    """Compare the model B with the model A: raw outputs, boxes, text and scores.

    A and B are MODELs (NAME as in 'ocrd models', FILE, or CONFIG::CHECKPOINT), or BACKEND=MODEL to say what runs them. A,
    the reference, answers to one picture at a time; B in batches of 1, 2, 3 and 5, in shuffled orders, at several sizes.
    """
    if more and not images:
        raise click.UsageError(f"{more[0]!r} is a third model; pictures follow --images")
    with protected_stdout() as out:
        agree = _verify(out, a, b, (*images, *more), **settings)
    ctx.exit(0 if agree else DIFFERENT)


def _verify(
    out: TextIO,
    a: str,
    b: str,
    paths: Sequence[str],
    *,
    spec: Path | None,
    report: str | None,
    device: str | None,
    threads: int | None,
    custom_ops: tuple[Path, ...],
    trust_engine: bool,
    **settings: Any,
) -> bool:
    from ocrdeploy import sources, verification
    from ocrdeploy.plugins import discover
    from ocrdeploy.verification import pictures
    from ocrdeploy.vocabulary import InferOptions

    plugins = discover()
    opened = InferOptions(device=device or "auto", threads=threads or 0, custom_ops=custom_ops)
    first, second = (_candidate(plugins, each, spec, opened, trust_engine=trust_engine) for each in (a, b))
    inputs = sources.find(paths)
    given = pictures.read(inputs, first.artifact.model.input)
    with _target(report) as target:  # before minutes go into the comparison
        with Progress(pictures.expected(len(inputs)), wanted=not messages.quiet()) as progress:
            found = verification.verify(plugins, first, second, given, note=log.info, step=progress.step, **settings)
        as_json = json_text(found.to_dict(), indent=2) + "\n"
        if target:
            target.write_text(as_json, encoding="utf-8")
    emit(out, as_json if report == STDOUT else printable(str(found)))
    return found.agree


def _candidate(plugins: Plugins, reference: str, spec: Path | None, opened: InferOptions, *, trust_engine: bool) -> Candidate:
    """Read [BACKEND=]MODEL. A path may have an equals sign in it: where the whole names a file, it is no backend's.

    `trust_engine` is passed to those who run such a file and know of the option: A and B may be of two backends.
    """
    from ocrdeploy import models
    from ocrdeploy.verification import Candidate

    name, equals, model = reference.partition("=")
    if not equals or not BACKEND_NAME.fullmatch(name) or (name not in plugins.backends and Path(reference).exists()):
        name, model = "auto", reference
    found = models.resolve(plugins, model, task=None, spec_file=spec)
    able = [info for info in plugins.backends.values() if found.format in info.runs and name in ("auto", info.name)]
    if trust_engine and any(options.TRUST.keys() <= {*info.options} for info in able):
        opened = replace(opened, extra={**opened.extra, **options.TRUST})
    return Candidate(found, name, opened)


def _target(report: str | None) -> AbstractContextManager[Path | None]:
    """Return where to write the JSON, if it goes to a file, which is there when all went well."""
    from ocrdeploy.artifact import write_atomically

    return nullcontext() if report in {None, STDOUT} else write_atomically(Path(str(report)))
