"""`ocrd export`: write a checkpoint as an ONNX file that says how to use itself."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from ocrdeploy.cli import messages, options
from ocrdeploy.cli.exported import Comparison, summary
from ocrdeploy.cli.outputs import check_writable
from ocrdeploy.cli.streams import emit, printable, protected_stdout
from ocrdeploy.errors import BadInput, unknown

if TYPE_CHECKING:
    from ocrdeploy.plugins import Plugins
    from ocrdeploy.vocabulary import Artifact, ExportOptions, ModelSpec, Pixels

EXPORTERS = ("legacy", "dynamo")
FILE = click.Path(path_type=Path)
DIFFERENT = 3
"""The exit code of a comparison that found a difference."""

graph = options.section("The graph")
source = options.section("What is exported")
check = options.section("Checking")
output = options.section("Output")

EPILOG = """\b
Examples:
  ocrd export crnn_academic_dataset crnn.pth -o crnn.onnx
  ocrd export dbnet.py epoch_9.pth -o dbnet.onnx --image street.jpg --verify
  ocrd export dbnet.py::epoch_9.pth -o dbnet.onnx --static --opset 11"""


def _device(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    if value == "auto" or not options.DEVICE.fullmatch(value):
        raise unknown("device", value, ("cpu", "cuda", "cuda:0"), "use cpu, cuda or cuda:N, N being a number")
    return value


@click.command(cls=options.Command, epilog=EPILOG)
@click.argument("model", metavar="MODEL|CONFIG")
@click.argument("checkpoint", required=False, type=FILE)
@source(
    "--model-option",
    "model_options",
    metavar="KEY=VALUE",
    multiple=True,
    callback=options.pairs,
    help="Change the network (upsample=bilinear); may be given again.",
)
@options.networks(source)
@source("--config-root", "root", metavar="DIR", type=FILE, help="A folder outside its own that the config may refer to.")
@graph("--opset", metavar="N", type=click.IntRange(1), help="[default: 17; 18 with dynamo]")
@graph("--dynamic", is_flag=True, help="Any batch, height and width; any batch and width for lines.  [default]")
@graph("--batch", metavar="N", type=click.IntRange(1), help="Batches of N, any height and width.")
@graph("--static", is_flag=True, help="One picture of one size: --image's, else the model's usual one.")
@graph("--image", metavar="FILE", type=FILE, help="The network is shown a picture of the size that this one gets.")
@graph("--exporter", default="legacy", show_default=True, help="PyTorch's.", **options.one_of("exporter", EXPORTERS))
@graph(
    "--device", metavar="cpu|cuda:N", default="cpu", show_default=True, callback=_device, help="Where the network runs meanwhile."
)
@graph(
    "--backend-option",
    "backend_options",
    metavar="KEY=VALUE",
    multiple=True,
    callback=options.pairs,
    help="An option of the exporting plugin's own; may be given again.",
)
@check("--verify", is_flag=True, help="Compare the file with the checkpoint; exit code 3 when they differ.")
@check("--show", is_flag=True, help="Write FILE.show.png: a picture with both answers.")
@output("-o", "--output", "target", metavar="FILE", required=True, type=FILE, help="Ends in .onnx.")
@output("--overwrite", is_flag=True, help="Replace FILE.")
@messages.options
@click.pass_context
def export(ctx: click.Context, /, model: str, checkpoint: Path | None, target: Path, **settings: Any) -> None:
    """Write a checkpoint as an ONNX file.

    MODEL is a name of 'ocrd models', CONFIG an MMOCR 0.x config, which is read and never run. MODEL::CHECKPOINT in one word
    does, too. The file carries its specification and how it was made, so that 'ocrd run --detector FILE' needs nothing else.
    """
    with protected_stdout() as out:
        same = _export(out, model, checkpoint, target, options.with_shorthands(settings))
    ctx.exit(0 if same else DIFFERENT)


def _export(out: TextIO, model: str, checkpoint: Path | None, target: Path, settings: Mapping[str, Any]) -> bool:
    """Export, say what was written, and check it where that was asked for; return whether no difference was found."""
    _require_one_of(settings, ("dynamic", "batch", "static"))
    drawing = target.with_name(f"{target.name}.show.png")
    _check_target(target, [target, *([drawing] if settings["show"] else [])], overwrite=settings["overwrite"])
    from ocrdeploy import backend
    from ocrdeploy import export as exporting
    from ocrdeploy.plugins import discover

    plugins = discover()
    found = _resolve(plugins, model, checkpoint, settings)
    picture = _picture(settings["image"], found.model) if settings["image"] else None
    if settings["verify"] or settings["show"]:
        backend.choose(plugins, "auto", [exporting.ONNX])  # what would fail after the work fails before it
    exported = exporting.export(plugins, found, target, _options(found.model, picture, settings))
    emit(out, printable(summary(exported)))
    comparison = Comparison(plugins, found, exported, picture, settings)
    if settings["show"]:
        comparison.show(drawing)
    return not settings["verify"] or comparison.verify(out)


def _require_one_of(settings: Mapping[str, Any], names: Sequence[str]) -> None:
    given = [f"--{name}" for name in names if settings[name]]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} exclude each other")


def _check_target(target: Path, written: Sequence[Path], *, overwrite: bool) -> None:
    """Raise `BadInput` where the files cannot become what they are to be, before any work is done."""
    if target.is_dir():
        raise BadInput(f"{target} is a folder", f"name the file: -o {target / 'model.onnx'}")
    if target.suffix.lower() != ".onnx":
        raise BadInput(
            f"-o {target} does not end in .onnx, and what is written is an ONNX file", f"-o {target.with_suffix('.onnx')}"
        )
    for each in written:
        if not overwrite and os.path.lexists(each):
            raise BadInput(f"{each} exists already", "give --overwrite to replace it, or choose another name with -o")
    check_writable(target.parent)


def _resolve(plugins: Plugins, model: str, checkpoint: Path | None, settings: Mapping[str, Any]) -> Artifact:
    from dataclasses import replace

    from ocrdeploy import models
    from ocrdeploy.export import with_network_options

    if checkpoint is None:
        found = models.resolve(plugins, model, task=None, root=settings["root"])
    else:
        found = models.pair(plugins, model, checkpoint, root=settings["root"])
    return replace(found, model=with_network_options(found.model, settings["model_options"]))


def _picture(path: Path, model: ModelSpec) -> Pixels:
    """Decode a picture as the model wants it."""
    from ocrdeploy import images

    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}", "name a picture that exists and that you may read") from None
    return images.decode(data, name=path.name, colour=model.input.colour, orientation=model.input.orientation)


def _options(model: ModelSpec, picture: Pixels | None, settings: Mapping[str, Any]) -> ExportOptions:
    from ocrdeploy import batching
    from ocrdeploy.vocabulary import ExportOptions

    size = None
    if picture is not None:
        size = batching.place((picture.shape[0], picture.shape[1]), model.input, 0).tensor
    return ExportOptions(
        opset=settings["opset"] or 0,
        dynamic=not settings["static"],
        batch=settings["batch"] or 0,
        size=size,
        device=settings["device"],
        exporter=settings["exporter"],
        extra=settings["backend_options"],
    )
