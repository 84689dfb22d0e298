"""`ocrd build`: make a backend's own format, an engine, of an ONNX file or a checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ocrdeploy.cli import messages, options
from ocrdeploy.cli.built import Check, summary
from ocrdeploy.cli.outputs import check_writable
from ocrdeploy.cli.progress import Progress
from ocrdeploy.cli.streams import emit, printable, protected_stdout
from ocrdeploy.errors import BadInput

if TYPE_CHECKING:
    from ocrdeploy.vocabulary import Artifact, BuildOptions

log = logging.getLogger(__name__)

FILE = click.Path(path_type=Path)
DIFFERENT = 3
"""The exit code of a comparison that found a difference."""

HALF = ("fp16", "bf16")
PRECISIONS = ("fp32", "tf32", *HALF)
COMPATIBILITIES = ("none", "ampere+", "same")
PERCENT = 100

engine = options.section("The engine")
shapes = options.section("Shapes")
work = options.section("The build")
check = options.section("Checking")
output = options.section("Output")

EPILOG = """\b
Examples:
  ocrd build dbnet.onnx -o dbnet.engine
  ocrd build crnn.onnx -o crnn.engine --precision fp16 --keep-fp32 LSTM
  ocrd build crnn.onnx -o crnn.engine \\
       $(ocrd profile crnn.onnx --images words/ --options)
\b
Precisions: fp32 is fp32 in every layer; tf32 lets matrix products round their
factors to 10 bits; fp16 and bf16 convert the graph, and inputs and outputs
stay fp32. Exit codes: 0 built, 3 built and --verify found a difference, 1 an
error."""


class _Shaped(options.Command):
    """A command whose shapes may also be four words: `--max-shape 1 3 736 1312`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Join the numbers that follow an option of a shape."""
        return super().parse_args(ctx, list(_joined(args)))


def _joined(args: Sequence[str]) -> Iterator[str]:
    words = list(args)
    while words:
        word = words.pop(0)
        yield word
        if word in {"--min-shape", "--opt-shape", "--max-shape"}:
            numbers = []
            while words and words[0].isdecimal():
                numbers.append(words.pop(0))
            if numbers:
                yield "x".join(numbers)


@click.command(cls=_Shaped, epilog=EPILOG)
@click.argument("model", metavar="MODEL.onnx|CONFIG::CHECKPOINT")
@click.argument("more", metavar="", nargs=-1, type=click.Path(), callback=options.no_empty_path)
@engine(
    "--precision",
    default="fp32",
    show_default=True,
    help="What it calculates in; see below.",
    **options.one_of("precision", PRECISIONS),
)
@engine(
    "--keep-fp32", metavar="NAME|TYPE", multiple=True, help="With fp16 and bf16: a node or all of an operator; may be repeated."
)
@engine(
    "--hardware-compatibility",
    "hardware",
    help="The GPU it is built on alone, later ones too, or those of its compute capability.  [default: none]",
    **options.one_of("hardware compatibility", COMPATIBILITIES),
)
@engine("--version-compatible", is_flag=True, help="Later versions of the same major open it, too; it may be slower.")
@engine("--custom-ops", metavar="LIBRARY", multiple=True, type=FILE, help="Library of operators; may be given again.")
@shapes("--min-shape", "min_shape", metavar="NxCxHxW", help="The smallest tensor.  [default: the model's]")
@shapes("--opt-shape", "opt_shape", metavar="NxCxHxW", help="The one that the engine is fastest at.")
@shapes("--max-shape", "max_shape", metavar="NxCxHxW", help="The largest; 'ocrd profile' recommends all three.")
@work("--backend", metavar="NAME", default="tensorrt", show_default=True, help="What builds.")
@work("--device", metavar="auto|cuda|cuda:N", callback=options.device, help="Where it is built.  [default: auto]")
@work("--workspace", metavar="GIB", type=click.FloatRange(0), help="Limit on the layers' memory.  [default: none]")
@work("--timing-cache", metavar="FILE", type=FILE, help="[default: one for each version and GPU, in the cache folder]")
@work("--spec", metavar="FILE", type=FILE, help="Specification (JSON or YAML) of a model file that carries none.")
@work(
    "--backend-option",
    "backend_options",
    metavar="KEY=VALUE",
    multiple=True,
    callback=options.pairs,
    help="An option of the backend's own; may be given again.",
)
@check("--verify", is_flag=True, help="Compare it with MODEL; exit code 3 when they differ.")
@check("--show", is_flag=True, help="Write FILE.show.png: a picture with both answers.")
@check(
    "--images",
    metavar="PATH...",
    multiple=True,
    type=click.Path(),
    callback=options.no_empty_path,
    help="For both, and to measure ranges for fp16 and bf16; several may follow.  [default: drawn ones]",
)
@output("-o", "--output", "target", metavar="FILE", required=True, type=FILE, help="Usually ends in .engine.")
@output("--overwrite", is_flag=True, help="Replace FILE.")
@messages.options
@click.pass_context
def build(
    ctx: click.Context, /, model: str, more: tuple[str, ...], images: tuple[str, ...], target: Path, **settings: Any
) -> None:
    """Build a backend's own format, a TensorRT engine, of a model.

    MODEL is an ONNX file of 'ocrd export' or a name of 'ocrd models'; CONFIG::CHECKPOINT is exported first. Beside FILE is
    FILE.json, which says how it came about, and without which it is not opened. Ctrl-C ends a build and leaves no file.
    """
    if more and not images:
        raise click.UsageError(f"{more[0]!r} is a second model; pictures follow --images")
    if images and settings["precision"] not in HALF and not (settings["verify"] or settings["show"]):
        raise click.UsageError("--images goes with --verify, --show, and the precisions fp16 and bf16")
    with protected_stdout() as out:
        same = _build(out, model, target, (*images, *more), settings)
    ctx.exit(0 if same else DIFFERENT)


def _build(out: Any, model: str, target: Path, images: Sequence[str], settings: Mapping[str, Any]) -> bool:
    """Build, say what was made, and check it where that was asked for; return whether no difference was found."""
    from ocrdeploy import building, models
    from ocrdeploy.plugins import discover

    building.check_target(target, overwrite=settings["overwrite"])
    check_writable(target.parent)
    plugins = discover()
    name = building.choose(plugins, settings["backend"])
    source = models.resolve(plugins, model, task=None, spec_file=settings["spec"])
    asked = _options(source, images, settings)
    checking = Check(
        plugins, source, name, building.as_opened(asked), images, target, verify=settings["verify"], show=settings["show"]
    )
    checking.require()
    with _progress():
        built = building.build(plugins, source, name, target, asked, overwrite=settings["overwrite"], note=_note)
    emit(out, printable(summary(built)))
    return checking.run(out, built)


def _options(source: Artifact, images: Sequence[str], settings: Mapping[str, Any]) -> BuildOptions:
    from ocrdeploy import building
    from ocrdeploy.vocabulary import BuildOptions

    texts = {end: settings[f"{end}_shape"] for end in ("min", "opt", "max")}
    given = {end: building.shape(f"--{end}-shape", text) if text else None for end, text in texts.items()}
    keep = ",".join(name for each in settings["keep_fp32"] for name in each.split(",") if name)
    if keep and settings["precision"] not in HALF:
        raise BadInput("--keep-fp32 goes with half precision", f"add --precision fp16 or bf16, or leave it out: {keep}")
    own = {
        "keep_fp32": keep,
        # The conversion measures with one picture or folder; with several it says that it draws some.
        "range_images": images[0] if len(images) == 1 and settings["precision"] in HALF else "",
        "hardware_compatibility": settings["hardware"],
        "version_compatible": "yes" if settings["version_compatible"] else "",
        "timing_cache": str(settings["timing_cache"] or ""),
    }
    return BuildOptions(
        precision=settings["precision"],
        device=settings["device"] or "auto",
        shapes=building.shapes(source.model, given),
        workspace_gib=settings["workspace"] or 0.0,
        custom_ops=settings["custom_ops"],
        extra={**{key: value for key, value in own.items() if value}, **settings["backend_options"]},
    )


def _note(said: str) -> None:
    log.log(messages.NOTE, "%s", said)


@contextmanager
def _progress() -> Iterator[None]:
    """Show how far the build is, on a terminal."""
    from ocrdeploy import headway

    with Progress(PERCENT, wanted=not messages.quiet()) as progress:

        def show(_doing: str, share: float) -> None:
            progress.step(round(share * PERCENT) - progress.done)

        with headway.heard_by(show):
            yield
