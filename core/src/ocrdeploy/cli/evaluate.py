"""`ocrd eval`: one table over every backend that is installed."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from ocrdeploy.cli import messages, options
from ocrdeploy.cli.row_progress import RowProgress
from ocrdeploy.cli.streams import emit, json_text, printable, protected_stdout, terminal_columns
from ocrdeploy.errors import BadInput

if TYPE_CHECKING:
    from ocrdeploy.evaluation.evaluate import Settings
    from ocrdeploy.evaluation.plan import Choice
    from ocrdeploy.evaluation.report.gates import Gate

log = logging.getLogger(__name__)

WANTING = 3
"""The exit code where a gate failed."""

STDOUT = "-"
SIDES = {2: slice(0, 2), 4: slice(2, 4)}
"""Where height and width stand in a --shape of so many numbers."""

FILE = click.Path(path_type=Path)

what = options.section("What is measured")
where = options.section("Rows of the table")
how = options.section("How it is measured")
judged = options.section("How it is judged")
output = options.section("Output")

EPILOG = """\b
Examples:
  ocrd eval ppocr-v6-rec --dataset iiit5k:IIIT5K/
  ocrd eval config.py::model.pth --dataset icdar2015:test/ --json report.json
  ocrd eval det.onnx+rec.onnx --dataset photos/ --backend all --precision all
  ocrd eval model.onnx --dataset words.tsv --fail-if 'agreement < 0.999'
  ocrd eval report.json --html report.html --compare last-week.json
\b
Exit codes: 0 measured, 1 an error, or a row failed, or none ran, 3 a gate of
--fail-if failed. A backend that cannot run here is a row with its reason."""


def _words(_ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> tuple[str, ...]:
    """Return the words of `a,b` and of options that are repeated."""
    found = [word.strip() for value in values for word in value.split(",")]
    if not all(found):
        raise click.BadParameter("a name is empty", param=param)
    return tuple(dict.fromkeys(found))


def _devices(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> tuple[str, ...]:
    return tuple(str(options.device(ctx, param, word)) for word in _words(ctx, param, values))


def _shape(_ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """Read HEIGHTxWIDTH or NxCxHxW, with commas or spaces as well."""
    if value is None:
        return None
    parts = value.lower().replace(",", "x").replace(" ", "x").split("x")
    if len(parts) not in SIDES or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise click.BadParameter(f"{value!r} is not HEIGHTxWIDTH, such as 736x1312, or NxCxHxW", param=param)
    return tuple(map(int, parts))


@click.command("eval", cls=options.Command, epilog=EPILOG)
@click.argument("model", metavar="MODEL|REPORT")
@what("--dataset", metavar="[KIND:]PATH", help="Pictures with their labels, a folder, file or zip ('ocrd datasets').")
@what("--limit", metavar="N", type=int, help="Take a sample of N pictures.")
@what("--seed", metavar="N", type=int, default=0, show_default=True, help="Which sample, and which resamples for intervals.")
@what("--allow-missing", is_flag=True, help="Leave out pictures that are labelled and not there; the title says so.")
@what("--spec", metavar="FILE", type=FILE, help="Specification (JSON or YAML) of a model file that carries none.")
@what("--detector-spec", metavar="FILE", type=FILE, help="The same for the detector of a pair.")
@what("--recognizer-spec", metavar="FILE", type=FILE, help="The same for the recognizer of a pair.")
@where("--backend", "backends", metavar="all|NAME,...", multiple=True, callback=_words, help="[default: all]")
@where("--precision", "precisions", metavar="all|NAME,...", multiple=True, callback=_words, help="[default: fp32]")
@where(
    "--device", "devices", metavar="NAME,...", multiple=True, callback=_devices, help="auto, cpu, cuda, cuda:N.  [default: auto]"
)
@where("--provider", metavar="NAME", default="", help="An execution provider, by the runtime's own name.")
@where("--threads", metavar="N", type=click.IntRange(0), default=0, help="[default: 0, the cores this process may use]")
@where("--custom-ops", metavar="LIBRARY", multiple=True, type=FILE, help="Library of operators; may be given again.")
@options.networks(where)
@options.trust_engine(where)
@where(
    "--backend-option",
    "backend_options",
    metavar="KEY=VALUE",
    multiple=True,
    callback=options.pairs,
    help="For the backends that know it; may be given again.",
)
@how(
    "--batch-size",
    metavar="N",
    type=click.IntRange(1),
    help="Pictures that run together; of a pair, lines.  [default: 1; pair: 8]",
)
@how("--shape", metavar="HxW", callback=_shape, help="Stretch every picture to this tensor, instead of its own size.")
@how("--rounds", metavar="N", type=click.IntRange(1), help="Ask about each picture so many times.  [default: for 100 timings]")
@how("--fresh", is_flag=True, help="Forget what an earlier run, that was stopped, has measured.")
@judged("--metric", "metrics", metavar="NAME,...", multiple=True, callback=_words, help="[default: the task's own]")
@judged(
    "--min-score", metavar="0..1", type=click.FloatRange(0, 1), help="Of a pair: leave out less certain text.  [default: 0.5]"
)
@judged("--reference", metavar="ROW", default="", help="A backend, or a row such as 'onnxruntime fp32'.  [default: pytorch]")
@judged("--fail-if", "gates", metavar="RULE", multiple=True, help="Such as 'hmean_drop > 0.005'; may be given again.")
@judged("--compare", "old", metavar="REPORT", type=FILE, help="Say what changed since an older report.")
@output(
    "--json", "json_file", metavar="FILE|-", type=click.Path(allow_dash=True), help="The whole report; - instead of the table."
)
@output("--csv", "csv_file", metavar="FILE", type=FILE)
@output("--markdown", "markdown_file", metavar="FILE", type=FILE)
@output("--html", "html_file", metavar="FILE", type=FILE, help="A page that needs nothing else, with plots and disagreements.")
@output("--details", is_flag=True, help="Print the threshold sweep of hmean, too.")
@messages.options
@click.pass_context
def evaluate(ctx: click.Context, /, model: str, **settings: Any) -> None:
    """Measure a model on every backend: accuracy, agreement, speed, memory, and what really ran.

    MODEL is NAME as in 'ocrd models', FILE, or CONFIG::CHECKPOINT, or a pair of them, DETECTOR+RECOGNIZER, which is judged
    end to end. Stopped at any moment, the same command goes on where it was. With a REPORT, a file that --json wrote, nothing
    is measured: it is shown, checked, compared and written in other forms.
    """
    with protected_stdout() as out:
        code = _evaluate(out, model, settings)
    ctx.exit(code)


def _evaluate(out: TextIO, model: str, settings: Mapping[str, Any]) -> int:
    """Measure or read the report, write it, and return the exit code."""
    from ocrdeploy.cli.reports import Outputs
    from ocrdeploy.evaluation.report import changes, gates, schema, terminal

    rules = [gates.parse(rule) for rule in settings["gates"]]  # before anything else, whether they are rules at all
    old = schema.read(settings["old"]) if settings["old"] else None
    outputs = Outputs(settings)
    measured = settings["dataset"] is not None
    report = _measured(model, settings) if measured else _read(model)
    outputs.write(report)
    if measured:
        from ocrdeploy.evaluation.evaluate import forget

        forget(report)
    if settings["json_file"] == STDOUT:
        emit(out, json_text(report, indent=2) + "\n")
    else:
        emit(out, printable(terminal.render(report, terminal_columns(out), details=settings["details"])))
    if old is not None:
        emit(
            sys.stderr if settings["json_file"] == STDOUT else out, "\n" + printable(changes.render(changes.compare(old, report)))
        )
    return _verdict(report, rules)


def _verdict(report: Mapping[str, Any], rules: Sequence[Gate]) -> int:
    from ocrdeploy.evaluation.report import gates

    failures = gates.failing(report, rules)
    for failure in failures:
        messages.complain(f"gate failed: {failure.sentence}", "")
    if failures:
        return WANTING
    states = {row["status"] for row in report["rows"]}
    if "ok" not in states:
        messages.complain("no row of the table ran", "the reasons stand with the rows; ocrd backends says what each lacks")
    return 1 if "failed" in states or "ok" not in states else 0


def _read(path: str) -> Mapping[str, Any]:
    """Return the report in the file `path`. Raises where it is none: then a dataset is what lacks."""
    from ocrdeploy.evaluation.report import schema

    if not (path.lower().endswith(".json") and Path(path).is_file()):
        raise click.UsageError("Missing option '--dataset' (or name a report that --json wrote)")
    return schema.read(Path(path))


def _measured(model: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    from ocrdeploy import samples
    from ocrdeploy.evaluation import evaluate as evaluation
    from ocrdeploy.evaluation import plan
    from ocrdeploy.evaluation.report import gates
    from ocrdeploy.plugins import discover

    plugins = discover()
    if len(plan.split(plugins, model)) > 1:
        spec_files = [settings["detector_spec"], settings["recognizer_spec"]]
        _refuse(settings, ("spec",), "of a pair each model has its own", "give --detector-spec and --recognizer-spec")
    else:
        spec_files = [settings["spec"]]
        _refuse(settings, ("detector_spec", "recognizer_spec"), "one model is no pair", "give --spec")
    shape = settings["shape"]
    batch_size = settings["batch_size"] or (shape[0] if shape and len(shape) > len(("height", "width")) else None)
    resolved = plan.resolve(
        plugins,
        model,
        spec_files,
        batch_size=batch_size,
        shape=shape[SIDES[len(shape)]] if shape else None,
        min_score=settings["min_score"],
    )
    dataset = samples.load(plugins, settings["dataset"])
    figures = evaluation.figures(resolved.subject.task, dataset, _settings(settings))
    for rule in settings["gates"]:
        gates.parse(rule, figures)
    with RowProgress(wanted=not messages.quiet()) as progress:
        try:
            return evaluation.evaluate(
                plugins, resolved, dataset, _choice(settings), _settings(settings), watcher=progress, command=_command()
            )
        except KeyboardInterrupt:
            progress.hide()
            log.log(messages.NOTE, "what was measured is kept: the same command goes on where this one stopped")
            raise


def _refuse(settings: Mapping[str, Any], names: Sequence[str], why: str, fix: str) -> None:
    for name in names:
        if settings[name]:
            raise BadInput(f"--{name.replace('_', '-')} is given, and {why}", fix)


def _choice(settings: Mapping[str, Any]) -> Choice:
    from ocrdeploy.evaluation.plan import ALL, Choice

    shared = options.with_shorthands(settings)
    return Choice(
        backends=shared["backends"] or (ALL,),
        precisions=shared["precisions"] or ("fp32",),
        devices=shared["devices"] or ("auto",),
        threads=shared["threads"],
        provider=shared["provider"],
        custom_ops=shared["custom_ops"],
        extra=shared["backend_options"],
    )


def _settings(settings: Mapping[str, Any]) -> Settings:
    from ocrdeploy.evaluation.evaluate import Settings

    return Settings(
        metrics=settings["metrics"],
        limit=settings["limit"],
        seed=settings["seed"],
        rounds=settings["rounds"] or 0,
        reference=settings["reference"],
        fresh=settings["fresh"],
        allow_missing=settings["allow_missing"],
    )


def _command() -> str:
    """Return the command line as it can be typed again."""
    return shlex.join(["ocrd", *sys.argv[1:]])
