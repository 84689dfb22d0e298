"""An LSTM that PyTorch's dynamo exporter writes as one ONNX LSTM, over any number of steps.

Left alone, that exporter (torch 2.13) unrolls an LSTM whose batch is open while it looks at the shapes, and builds the traced
number of steps into the graph: the file then takes lines of one width only, though its input says that any will do.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn

_GATES = (0, 3, 1, 2)
"""ONNX's order (input, output, forget, cell) by PyTorch's (input, forget, cell, output)."""


class OnnxLSTM(nn.Module):
    """One layer of an `nn.LSTM`, (T, N, I) in, (T, N, directions * H) out. It is to be exported: run, it answers zeros."""

    def __init__(self, source: nn.LSTM, opset: int) -> None:
        super().__init__()
        self.hidden_size, self.opset = source.hidden_size, opset
        self.direction = "bidirectional" if source.bidirectional else "forward"
        suffixes = ("_l0", "_l0_reverse") if source.bidirectional else ("_l0",)
        self.w = nn.Parameter(torch.stack([_by_gate(source, f"weight_ih{each}") for each in suffixes]), requires_grad=False)
        self.r = nn.Parameter(torch.stack([_by_gate(source, f"weight_hh{each}") for each in suffixes]), requires_grad=False)
        biases = [_by_gate(source, f"bias_{part}{each}") for each in suffixes for part in ("ih", "hh")]
        self.b = nn.Parameter(torch.cat(biases).reshape(len(suffixes), -1), requires_grad=False)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return what `nn.LSTM` returns."""
        directions, steps, batch = len(self.w), x.shape[0], x.shape[1]
        state = (directions, batch, self.hidden_size)
        answers, hidden, cell = torch.onnx.ops.symbolic_multi_out(
            "LSTM",
            (x, self.w, self.r, self.b),
            {"hidden_size": self.hidden_size, "direction": self.direction},
            dtypes=(x.dtype, x.dtype, x.dtype),
            shapes=((steps, directions, batch, self.hidden_size), state, state),
            version=self.opset,
        )
        return answers.transpose(1, 2).flatten(2), (hidden, cell)


def _by_gate(source: nn.LSTM, name: str) -> Tensor:
    parts = cast("Tensor", getattr(source, name)).detach().chunk(4)
    return torch.cat([parts[gate] for gate in _GATES])


def replaced(network: nn.Module, opset: int) -> nn.Module:
    """Return `network`, or a copy of it in which every LSTM of one layer is an `OnnxLSTM` for this opset."""
    if not any(_replaceable(each) for each in network.modules()):
        return network
    network = copy.deepcopy(network)
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if _replaceable(child):
                setattr(parent, name, OnnxLSTM(cast("nn.LSTM", child), opset))
    return network


def _replaceable(module: nn.Module) -> bool:
    return (
        isinstance(module, nn.LSTM) and module.num_layers == 1 and module.bias and not module.batch_first and not module.proj_size
    )
