"""From a model's spec to its network, without weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from ocrdeploy.errors import BadInput
from ocrdeploy.vocabulary import ModelSpec, Task
from ocrdeploy_pytorch.mmocr import networks as mmocr_networks
from ocrdeploy_pytorch.networks.build import build


def network_of(model: ModelSpec, values: Mapping[str, str]) -> nn.Module:
    """Return the untrained network of a model; `values` are those of `settings.NETWORK`.

    Its weights take no memory yet (they are on the meta device), unless MMOCR builds it. Raises `OcrdError`.
    """
    if not model.network.get("architecture"):
        problem = f"model {model.name!r} does not say what its network is, so its checkpoint cannot be loaded"
        raise BadInput(problem, "name the config that it was trained with: CONFIG::CHECKPOINT")
    network = dict(model.network)
    if values["upsample"] != "model" and model.task is Task.DETECTION:
        network["upsample"] = values["upsample"]
    if values["networks"] == "mmocr" or network["architecture"] == "mmocr":
        return mmocr_networks.build(network)
    with torch.device("meta"):
        return build(network)
