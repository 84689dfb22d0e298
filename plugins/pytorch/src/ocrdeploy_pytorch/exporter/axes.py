"""Which axes of the input and the output are open in an exported file, what they are called, and proof that they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ocrdeploy.errors import BadInput
from ocrdeploy.onnxgraph import checks
from ocrdeploy.onnxgraph.checks import Dims
from ocrdeploy.vocabulary import Exact, ExportOptions, Height, ModelSpec, Task

SMALL = (64, 96)
"""The size (height, width) of the picture that a detector is traced with where nobody asks for another: quick, not square."""

_STEP = 32
"""In pixels: enough for every network here to answer with a longer axis."""

OUTPUT_NAMES = {Task.DETECTION: {0: "batch", 2: "map_height", 3: "map_width"}, Task.RECOGNITION: {0: "batch", 1: "seq_len"}}
"""Names of the output's axes. A map is a quarter as large as its picture in PSENet and PANet, so its sizes have their own."""


def of_input(model: ModelSpec, options: ExportOptions) -> Dims:
    """Return the axes of the input, (N, C, H, W): a name for each that is open, a number for each that is fixed."""
    height, width = traced_size(model, options)
    batch = options.batch or ("batch" if options.dynamic else 1)
    if not options.dynamic:
        return batch, model.input.channels, height, width
    # Networks that read lines take one height only, whatever their graph would say.
    return batch, model.input.channels, "height" if model.task is Task.DETECTION else height, "width"


def traced_size(model: ModelSpec, options: ExportOptions) -> tuple[int, int]:
    """Return the (height, width) of the pictures that the network is traced with.

    Raises `BadInput` where an export with fixed sizes was asked for and nothing says which.
    """
    if options.size:
        return options.size
    shapes = model.input.shapes
    if not options.dynamic:
        if shapes is None:
            raise BadInput(
                f"{model.name} does not say which size is usual for it, so a file with a fixed size needs one",
                "name a picture of that size: --image FILE",
            )
        return shapes.opt[2], shapes.opt[3]
    match model.input.resize:
        case Height(height=height):
            return height, 3 * height
        case Exact(height=height, width=width):
            return height, width
    return SMALL


def example_shape(dims: Dims, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the shape of an input that shows an exporter the axes `dims`.

    An open batch is shown with two pictures: PyTorch takes an axis of length 1 for one that is always of length 1.
    """
    batch, channels, *_ = dims
    return batch if isinstance(batch, int) else 2, int(channels), *size


def larger(dims: Dims, size: tuple[int, int]) -> tuple[int, int]:
    """Return a (height, width) that is larger than `size` where `dims` are open."""
    height, width = (side + _STEP * isinstance(axis, str) for axis, side in zip(dims[2:], size, strict=True))
    return height, width


def of_output(task: Task, answered: Sequence[int], given: Dims, to_larger: Sequence[int] = ()) -> Dims:
    """Return the axes of the output, from the shape that the network `answered` to an input with the axes `given`.

    An axis that is no longer in the answer `to_larger` pictures is fixed: some networks bring every line to one width.
    """
    batch, _, *size = given
    open_ = {0: isinstance(batch, str)}
    same = {axis for axis, lengths in enumerate(zip(answered, to_larger, strict=False)) if len(set(lengths)) == 1}
    names = {axis: name for axis, name in OUTPUT_NAMES.get(task, {0: "batch"}).items() if axis == 0 or axis not in same}
    # The height of a line is fixed, and then one open side is enough for open steps.
    any_side = any(isinstance(side, str) for side in size)
    return tuple(names[axis] if axis in names and open_.get(axis, any_side) else length for axis, length in enumerate(answered))


def settle(proto: Any, given: Dims, answered: Dims) -> Any:
    """Return the model with its axes called by these names, after checking that its graph leaves open what should be.

    An exporter can leave an input's axis open and build its traced length into the middle of the graph: then the output's
    axis comes out fixed when shapes are inferred anew. Raises `InvalidGraphError`.
    """
    del proto.graph.value_info[:]
    (picture,), (output,) = proto.graph.input, proto.graph.output
    checks.require_dims(checks.inputs(proto)[0], given)
    _name(picture, given)
    output.type.tensor_type.ClearField("shape")
    (found,) = checks.outputs(checks.inferred(proto))
    checks.require_dims(replace(found, dims=_completed(found.dims, answered)), answered)
    _name(output, answered)
    return proto


def _completed(found: Dims, answered: Dims) -> Dims:
    """Return `found` with what inference does not know taken from the traced network; in old opsets that may be all of it."""
    if not found:
        return answered
    return tuple(
        is_ if isinstance(is_, int) or isinstance(should, str) else should for is_, should in zip(found, answered, strict=False)
    )


def _name(value: Any, dims: Dims) -> None:
    shape = value.type.tensor_type.shape
    del shape.dim[:]
    for dim in dims:
        shape.dim.add(**{"dim_param" if isinstance(dim, str) else "dim_value": dim})
