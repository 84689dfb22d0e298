"""CRNN: a VGG, and two bidirectional LSTMs (or one convolution) that read its columns."""

from __future__ import annotations

from torch import Tensor, nn

from ocrdeploy_pytorch.networks.vgg import CHANNELS

_HIDDEN = 256


class BidirectionalLSTM(nn.Module):
    """(T, N, inputs) in, (T, N, outputs) out. The state starts at zero."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.rnn = nn.LSTM(inputs, _HIDDEN, bidirectional=True)
        self.embedding = nn.Linear(2 * _HIDDEN, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return one row of numbers for each step."""
        result: Tensor = self.embedding(self.rnn(x)[0])
        return result


class RecurrentDecoder(nn.Module):
    """(N, 512, 1, T) in, raw logits (N, T, num_classes) out."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.decoder = nn.Sequential(BidirectionalLSTM(CHANNELS[-1], _HIDDEN), BidirectionalLSTM(_HIDDEN, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits; class 0 is the CTC blank."""
        steps: Tensor = self.decoder(x.squeeze(2).permute(2, 0, 1))
        return steps.permute(1, 0, 2)


class ConvolutionalDecoder(nn.Module):
    """(N, 512, 1, T) in, raw logits (N, T, num_classes) out, each column by itself."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.decoder = nn.Conv2d(CHANNELS[-1], num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits; class 0 is the CTC blank."""
        logits: Tensor = self.decoder(x)
        return logits.squeeze(2).permute(0, 2, 1)


class CRNN(nn.Module):
    """(N, C, 32, W) in, raw logits (N, W / 4 + 1, num_classes) out."""

    def __init__(self, backbone: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.decoder = decoder

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        result: Tensor = self.decoder(self.backbone(x))
        return result
