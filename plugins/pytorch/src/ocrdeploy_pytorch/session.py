"""One checkpoint, opened once."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ocrdeploy.errors import BadInput, OcrdError
from ocrdeploy.vocabulary import Artifact, InferOptions, Loaded, ModelSpec, Tensors, Threads
from ocrdeploy_pytorch import arithmetic, checkpoint, devices, settings, untrained
from ocrdeploy_pytorch.networks.build import limits

_TRIAL = 32
"""The sides of the picture that proves that the network runs, in pixels."""

_RANK = 4


class TorchSession:
    """A network with its weights. `run` may be called from several threads; one run at a time has PyTorch's settings."""

    def __init__(self, model: ModelSpec, network: nn.Module, device: torch.device, options: InferOptions, chosen: str = "") -> None:
        """Move the network to the device and the precision that were asked for, and prove both by a trial run."""
        values = settings.chosen(options.extra)
        self._model = model
        self._device = device
        self._precision = options.precision
        self._threads = settings.thread_count(options)
        self._format = torch.channels_last if values["channels_last"] == "on" else torch.contiguous_format
        self._limits = limits(model.network)
        network = network.eval().requires_grad_(requires_grad=False)
        network = network.to(device, arithmetic.DTYPES[options.precision]).to(memory_format=self._format)
        self._network: Any = torch.compile(network, dynamic=True) if values["compile"] == "on" else network
        precision = self._proved(network)
        self._loaded = Loaded(
            version=torch.__version__,
            device=str(device),
            provider=devices.name(device),
            precision=precision,
            threads=Threads.ANY,
            chosen=chosen,
            details={"threads": str(self._threads), **values},
        )

    def run(self, inputs: Tensors) -> Tensors:
        """Return the network's raw output as float32."""
        network = self._network  # A close in another thread does not take it away in the middle of a run.
        if network is None:
            raise OcrdError(f"the session of model {self._model.name!r} is closed", "open a new one")
        picture = self._checked(inputs)
        try:
            with arithmetic.computing(self._precision, self._threads):
                output = self._forward(network, picture).float().cpu().contiguous().numpy()
        except Exception as error:
            raise self._failed(picture, error) from error
        return {self._model.outputs[0]: output}
