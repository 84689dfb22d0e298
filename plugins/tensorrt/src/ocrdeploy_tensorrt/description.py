"""What TensorRT itself tells of an engine file, for `ocrd inspect`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from ocrdeploy import artifact
from ocrdeploy.errors import BadInput, OcrdError, Unavailable
from ocrdeploy.vocabulary import InferOptions
from ocrdeploy_tensorrt import devices, module, opening, proof
from ocrdeploy_tensorrt.devices import Machine
from ocrdeploy_tensorrt.engine import Engine


def describe(
    path: Path,
    look: Callable[[], Machine] = devices.look,
    load: Callable[[], Any] = module.load,
    cuda: Callable[[], Any] = lambda: import_module("cuda.core"),
) -> Mapping[str, Any]:
    """Return the engine's "precision", a "remark" where that is not wholly what was asked for, and its "layers".

    Each layer has a name, a kind, a precision and the formats of what it answers, in the shapes of the profile's maximum.
    Raises `OcrdError` where the engine cannot be opened here, and, an engine being code, for one that is not ours.
    """
    manifest = artifact.read_manifest(path)
    if manifest is None:
        raise BadInput(f"{path} has no manifest of ocrdeploy, and an engine is code: it is not opened", "build it: ocrd build")
    gpu = devices.require(look(), 0)
    trt = load()
    data, _ = opening.admitted(trt, artifact.made(path, manifest), InferOptions(), gpu, trusted=False)
    _start(cuda)
    engine = Engine(trt, data, path, host_code=manifest.facts.get("version_compatible") == "yes")
    try:
        # With open axes, the inspector tells formats for a context that has its shapes only.
        engine.context.shape(engine.largest())
        layers, silence = engine.layers()
    except RuntimeError as error:
        raise OcrdError(f"the engine {path} does not take its own shapes: {error}", "build it again") from error
    finally:
        engine.close()
    found = proof.prove(layers, silence, manifest.options.get("precision", ""), manifest.facts)
    remark = {"remark": found.remark} if found.remark else {}
    return {"precision": found.precision, **remark, "layers": [asdict(layer) for layer in layers]}


def _start(cuda: Callable[[], Any]) -> None:
    try:
        cuda().Device(0).set_current()
    except Exception as error:
        said = " ".join(str(error).split())
        raise Unavailable(f"CUDA does not start: {said}", "ocrd backends says what is missing") from error
