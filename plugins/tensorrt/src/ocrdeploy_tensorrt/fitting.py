"""A batch that the engine's profile does not take whole: in parts, in tiles, or refused in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ocrdeploy.errors import BadInput
from ocrdeploy.vocabulary import ModelSpec, Task, Tensors
from ocrdeploy_tensorrt import tiles
from ocrdeploy_tensorrt.ports import Port, Shape

Outputs = dict[str, NDArray[Any]]
Run = Callable[[Tensors], Outputs]


def run(model: ModelSpec, inputs: Mapping[str, Port], arrays: Tensors, run_one: Run, *, tile: bool) -> Outputs:
    """Run a batch by as many calls of `run_one` as the largest shapes ask for, and put the outputs together.

    A batch of more rows than the profile has is split into parts that are as equal as can be. A detector's picture of larger
    sides is cut into tiles where `tile` says so. Raises `BadInput` for what cannot be run.
    """
    port = inputs[model.input.name]
    picture = arrays[port.name]
    sides = model.input.layout.index("H"), model.input.layout.index("W")
    tiled = tile and any(picture.shape[axis] > port.high[axis] for axis in sides)
    if tiled:
        _require_map(model)
    parts = list(_split(inputs, arrays))
    _check(model, inputs, parts, sides if tiled else ())
    answers = [_tiled(model, port, part, run_one, sides) if tiled else run_one(part) for part in parts]
    return answers[0] if len(answers) == 1 else _joined(model, parts, answers)


def _split(inputs: Mapping[str, Port], arrays: Tensors) -> Iterator[Tensors]:
    rows = min(array.shape[0] for array in arrays.values())
    count = -(-rows // min(port.high[0] for port in inputs.values()))
    if count == 1 or any(array.shape[0] != rows for array in arrays.values()):
        yield arrays
        return
    edges = [rows * index // count for index in range(count + 1)]
    for start, stop in pairwise(edges):
        yield {name: array[start:stop] for name, array in arrays.items()}


def _check(model: ModelSpec, inputs: Mapping[str, Port], parts: Sequence[Tensors], tiled: Sequence[int]) -> None:
    """Raise `BadInput` for a shape outside of the profile; a picture's sides that are `tiled` may be larger."""
    for part in parts:
        for name, port in inputs.items():
            free = tiled if name == model.input.name else ()
            limits = enumerate(zip(port.low, part[name].shape, port.high, strict=True))
            if not all(low <= size and (size <= high or axis in free) for axis, (low, size, high) in limits):
                raise outside(model, port, part[name].shape)


def outside(model: ModelSpec, port: Port, shape: Shape) -> BadInput:
    """Return the error for a shape that the profile of an engine does not have, with the command that makes one that has."""
    low = tuple(min(pair) for pair in zip(port.low, shape, strict=True))
    high = tuple(max(pair) for pair in zip(port.high, shape, strict=True))
    wider = f"--min-shape {_written(low)} --max-shape {_written(high)}"
    problem = f"the engine of model {model.name!r} takes {port}, and was given {shape}"
    return BadInput(problem, f"build one for it: ocrd build MODEL.onnx -o MODEL.engine {wider}")


def _written(shape: Shape) -> str:
    return "x".join(map(str, shape))


def _require_map(model: ModelSpec) -> None:
    if model.task is not Task.DETECTION or model.input.side_inputs:
        kind = f"a {model.task} model" if model.task is not Task.DETECTION else "a model that is told each picture's size"
        raise BadInput(
            f"oversize=tile is for detectors whose outputs are maps, and {model.name!r} is {kind}",
            "leave oversize=tile out, and build the engine for a larger --max-shape",
        )


def _tiled(model: ModelSpec, port: Port, part: Tensors, run_one: Run, axes: tuple[int, int]) -> Outputs:
    picture = part[port.name]
    down, across = (tiles.cuts(picture.shape[axis], port.high[axis], model.input.pad_to) for axis in axes)
    maps = {
        (row, column): run_one({port.name: tiles.crop(picture, axes, one, other)})
        for row, one in enumerate(down)
        for column, other in enumerate(across)
    }
    return {
        name: tiles.stitch({place: found[name] for place, found in maps.items()}, down, across, _map_axes(model))
        for name in model.outputs
    }


def _map_axes(model: ModelSpec) -> tuple[int, int]:
    """Return which axes of an output are its height and width: those of the input's layout."""
    return (2, 3) if model.input.layout == "NCHW" else (1, 2)


def _joined(model: ModelSpec, parts: Sequence[Tensors], answers: Sequence[Outputs]) -> Outputs:
    joined: Outputs = {}
    for name in model.outputs:
        for part, answer in zip(parts, answers, strict=True):
            rows = len(part[model.input.name])
            if answer[name].shape[:1] != (rows,):
                raise BadInput(
                    f"the output {name!r} of model {model.name!r} has shape {answer[name].shape} for {rows} pictures: "
                    "a batch cannot be run in parts",
                    "use a smaller --batch-size, or build the engine for a larger --max-shape",
                )
        joined[name] = np.concatenate([answer[name] for answer in answers])
    return joined
