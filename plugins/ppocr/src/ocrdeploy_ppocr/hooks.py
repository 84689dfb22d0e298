"""What the pack says to the core: which models it knows, and where their files are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ocrdeploy import hookimpl
from ocrdeploy.vocabulary import Artifact, ModelSpec, Task
from ocrdeploy_ppocr.specs import CLASSIFIER, DETECTOR, RECOGNIZER

ocrd_contract = 1


@hookimpl
def ocrd_models() -> Sequence[ModelSpec]:
    """List the models; the recognizer's characters are read with its file."""
    return (DETECTOR, RECOGNIZER, CLASSIFIER)


@hookimpl
def ocrd_artifact(model: ModelSpec) -> Artifact:
    """Return a model's file, checked, and its spec with the characters that stand in the file."""
    from ocrdeploy_ppocr import weights

    path, digest = weights.find(model.name)
    if model.task is Task.RECOGNITION:
        model = replace(model, charset=weights.charset(path))
    return Artifact(path, "onnx", digest, model)
