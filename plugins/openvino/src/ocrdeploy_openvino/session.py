"""A model that OpenVINO has compiled."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import openvino

from ocrdeploy import BadInput, OcrdError
from ocrdeploy.vocabulary import Loaded, ModelSpec, Tensors, Threads


class OpenVinoSession:
    """One model, compiled for the CPU in fp32."""

    def __init__(self, model: ModelSpec, path: Path, threads: int) -> None:
        self._model = model
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads or len(os.sched_getaffinity(0)),
        }
        try:
            self._compiled = openvino.Core().compile_model(path, "CPU", settings)
        except RuntimeError as error:
            raise BadInput(f"OpenVINO cannot open {path}: {error}", "check that it is a whole ONNX file") from error
        self._request: openvino.InferRequest | None = self._compiled.create_infer_request()

    def run(self, inputs: Tensors) -> Tensors:
        """Run one batch."""
        if self._request is None:
            raise OcrdError(f"the session of {self._model.name} is closed", "open another one")
        try:
            answers = self._request.infer(dict(inputs), share_inputs=True, share_outputs=False)
        except RuntimeError as error:
            raise BadInput(f"{self._model.name} does not take these inputs: {error}", "correct `input` in its spec") from error
        return {name: np.ascontiguousarray(answers[name]) for name in self._model.outputs}

    def loaded(self) -> Loaded:
        """Say what OpenVINO compiled, read from its execution graph."""
        nodes = self._compiled.get_runtime_model().get_ops()
        kinds = {str(node.get_rt_info()["runtimePrecision"].value) for node in nodes if _computes(node)}
        precision = {"f32": "fp32", "bf16": "bf16", "f16": "fp16"}.get(*kinds) if len(kinds) == 1 else "mixed"
        return Loaded(openvino.get_version(), "cpu", provider="CPU", precision=precision or "mixed", threads=Threads.ONE)

    def close(self) -> None:
        """Free the model."""
        self._request = None


def _computes(node: openvino.Node) -> bool:
    return str(node.get_rt_info()["layerType"].value) in {"Convolution", "FullyConnected", "MatMul"}
