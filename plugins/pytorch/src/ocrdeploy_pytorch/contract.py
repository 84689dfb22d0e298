"""The networks that the contract suite asks this backend with: it opens checkpoints, and the suite's own networks are ONNX files.

What they are to answer is computed with PyTorch, too, in double precision and without a session.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ocrdeploy import artifact
from ocrdeploy.testing.networks import Network
from ocrdeploy.vocabulary import Artifact, ModelSpec, Shapes
from ocrdeploy_pytorch.networks.build import build
from ocrdeploy_pytorch.specs import SIX

_PANET, _CRNN = SIX["panet_r18_fpem_ffm_600e_icdar2015"], SIX["crnn_academic_dataset"]

DETECTOR = replace(
    _PANET,
    name="small-panet",
    input=replace(_PANET.input, shapes=Shapes(min=(1, 3, 32, 32), opt=(2, 3, 32, 64), max=(5, 3, 64, 96))),
    network={**_PANET.network, "neck": {"conv_out": 4, "fpem_repeat": 1}, "head": {}},
)
RECOGNIZER = replace(
    _CRNN,
    name="small-crnn",
    input=replace(_CRNN.input, shapes=Shapes(min=(1, 1, 32, 32), opt=(2, 1, 32, 64), max=(5, 1, 32, 128))),
    network={**_CRNN.network, "head": {"rnn_flag": False}},
)


def networks(folder: Path) -> Mapping[str, Network]:
    """Write checkpoints with weights of noise into `folder`, and return them by their roles."""
    return {"detector": _written(folder, DETECTOR), "recognizer": _written(folder, RECOGNIZER)}


def _written(folder: Path, model: ModelSpec) -> Network:
    network = _noisy(build(model.network))
    path = folder / f"{model.name}.pth"
    torch.save({"state_dict": network.state_dict()}, path)
    exact = network.double().eval()

    def reference(pixels: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
        with torch.inference_mode():
            return {model.outputs[0]: exact(torch.from_numpy(pixels)).numpy()}

    return Network(Artifact(path, "checkpoint", artifact.sha256(path), model), reference)


def _noisy(network: nn.Module) -> nn.Module:
    """Give it weights that keep the spread of the numbers from layer to layer; with PyTorch's own, all answers look alike."""
    chance = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, generator=chance)
            if module.bias is not None:
                nn.init.normal_(module.bias, std=0.1, generator=chance)
    return network
