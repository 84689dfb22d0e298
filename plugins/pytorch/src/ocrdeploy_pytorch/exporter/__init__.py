"""A network with its weights becomes an ONNX file, by one of PyTorch's two exporters."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import onnx
import torch
from torch import Tensor, nn

from ocrdeploy.errors import BadInput, OcrdError, Unavailable, unknown
from ocrdeploy.onnxgraph import checks, metadata
from ocrdeploy.onnxgraph.checks import Dims
from ocrdeploy.vocabulary import ExportOptions, ModelSpec
from ocrdeploy_pytorch import devices
from ocrdeploy_pytorch.exporter import axes as axes
from ocrdeploy_pytorch.exporter import lstm as exporter_lstm
from ocrdeploy_pytorch.exporter import messages as exporter_messages
from ocrdeploy_pytorch.exporter import names as exporter_names
from ocrdeploy_pytorch.mmocr import networks as mmocr_networks
from ocrdeploy_pytorch.networks.build import ARCHITECTURES, limits


class Exporter(NamedTuple):
    """One of PyTorch's exporters: what runs it, the opsets that it was tried with, and the one it uses if none is named."""

    run: Callable[[nn.Module, Tensor, ModelSpec, Dims, int], Any]
    opsets: range
    default: int


def export(network: nn.Module, model: ModelSpec, target: Path, options: ExportOptions) -> None:
    """Write `network` as ONNX to `target`: one input, one output, both called as in `model`, the output as it is answered.

    Axes are open or fixed as `options` say, which is checked in the file, as are its opset and how it enlarges maps. The
    metadata say what only an exporter knows. Raises `OcrdError` for options that cannot be, and where PyTorch gives up.
    """
    name = options.exporter or DEFAULT
    exporter, opset = chosen(name, options.opset)
    device, _ = devices.choose(options.device)
    given, size = axes.of_input(model, options), axes.traced_size(model, options)
    if model.network.get("architecture") in ARCHITECTURES:
        limits(model.network).check(model.name, *size)
    mmocr_networks.require_onnx(network)
    network = network.to(device).eval()
    example = torch.zeros(axes.example_shape(given, size), device=device)
    with exporter_messages.overhearing(), _in_words(name), torch.no_grad():
        larger = torch.zeros(axes.example_shape(given, axes.larger(given, size)), device=device)
        answered = axes.of_output(model.task, network(example).shape, given, network(larger).shape)
        proto = exporter.run(network, example, model, given, opset)
    proto = axes.settle(proto, given, answered)
    checks.require_opset(proto, opset)
    checks.require_plain_operators(proto)
    checks.require_torch_resize(proto)
    metadata.describe(proto, {metadata.RECIPE: json.dumps({"exporter": name, "versions": {"torch": torch.__version__}})})
    target.write_bytes(proto.SerializeToString(deterministic=True))


def chosen(name: str, opset: int) -> tuple[Exporter, int]:
    """Return the exporter `name` and the opset to use, 0 being its default. Raises `OcrdError` for what it cannot do."""
    if name not in EXPORTERS:
        raise unknown("exporter", name, EXPORTERS)
    exporter = EXPORTERS[name]
    if opset and opset not in exporter.opsets:
        least, most = exporter.opsets[0], exporter.opsets[-1]
        able = [f"--exporter {other}" for other, its in EXPORTERS.items() if opset in its.opsets]
        raise BadInput(
            f"PyTorch's {name} exporter cannot write opset {opset}: it writes opsets {least} to {most}",
            " or ".join([f"choose --opset from {least} to {most}", *able]),
        )
    return exporter, opset or exporter.default


def _legacy(network: nn.Module, example: Tensor, model: ModelSpec, given: Dims, opset: int) -> Any:
    file = io.BytesIO()
    torch.onnx.export(
        network,
        (example,),
        file,  # type: ignore[arg-type]  # the legacy exporter takes a file, which its signature does not say
        dynamo=False,
        opset_version=opset,
        input_names=[model.input.name],
        output_names=list(model.outputs),
        dynamic_axes={model.input.name: {axis: name for axis, name in enumerate(given) if isinstance(name, str)}},
    )
    return onnx.load_from_string(file.getvalue())


def _dynamo(network: nn.Module, example: Tensor, model: ModelSpec, given: Dims, opset: int) -> Any:
    try:
        import onnxscript  # noqa: F401 - torch imports it late, and says so in a page
    except ImportError as error:
        raise Unavailable(
            "PyTorch's dynamo exporter needs onnxscript, which is not installed",
            "pip install 'onnxscript>=0.7', or --exporter legacy",
        ) from error
    open_axes = {axis: torch.export.Dim.AUTO for axis, name in enumerate(given) if isinstance(name, str)}
    program = torch.onnx.export(
        exporter_lstm.replaced(network, opset),
        (example,),
        dynamo=True,
        opset_version=opset,
        input_names=[model.input.name],
        output_names=list(model.outputs),
        dynamic_shapes=(open_axes,),
        verbose=False,
    )
    assert program is not None
    proto = program.model_proto
    exporter_names.rename(proto)
    return proto


@contextmanager
def _in_words(name: str) -> Iterator[None]:
    """Say in one sentence that PyTorch gives up, since its own message may fill a page."""
    try:
        yield
    except (OcrdError, MemoryError):
        raise
    except Exception as error:
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        others = " or ".join(f"--exporter {other}" for other in EXPORTERS if other != name)
        raise OcrdError(
            f"PyTorch's {name} exporter gave up: {type(error).__name__}: {first}", f"try {others}; --debug shows the traceback"
        ) from error


LEGACY, DYNAMO = "legacy", "dynamo"
DEFAULT = LEGACY
"""The quick one, whose files older runtimes read."""

EXPORTERS = {LEGACY: Exporter(_legacy, range(11, 24), 17), DYNAMO: Exporter(_dynamo, range(18, 24), 18)}
"""By the names that `ExportOptions.exporter` has."""
