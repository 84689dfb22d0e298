"""From a model's description of its network, plain JSON, to the untrained network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from ocrdeploy_pytorch.networks import fpnf, resnet, upsampling, vgg
from ocrdeploy_pytorch.networks.crnn import CRNN, ConvolutionalDecoder, RecurrentDecoder
from ocrdeploy_pytorch.networks.detector import Detector
from ocrdeploy_pytorch.networks.fields import Fields
from ocrdeploy_pytorch.networks.fpem_ffm import FPEM_FFM
from ocrdeploy_pytorch.networks.fpnc import FPNC
from ocrdeploy_pytorch.networks.heads import DBHead, PixelHead
from ocrdeploy_pytorch.networks.limits import Limits


def build(network: Mapping[str, Any]) -> nn.Module:
    """Return the untrained network that `network` (`ModelSpec.network`) describes, as PyTorch initialises it.

    Raises `BadInput` for a key or a value that is not known, naming it and what is accepted.
    """
    fields = Fields(network, "network")
    architecture = ARCHITECTURES[fields.choice("architecture", tuple(ARCHITECTURES))]
    fields.ignore("config_sha256")
    make = architecture.read(fields)
    fields.done()
    return make()


def limits(network: Mapping[str, Any]) -> Limits:
    """Return which pictures the network takes; of one that MMOCR builds nothing is known."""
    known = ARCHITECTURES.get(str(network["architecture"]))
    return known.limits if known else Limits()


def _backbone(fields: Fields) -> tuple[Callable[[], nn.Module], list[int]]:
    """Return what makes the ResNet, and the channels of its maps."""
    section = fields.section("backbone")
    depth = section.choice("depth", tuple(resnet.DEPTHS))
    style = section.choice("style", resnet.STYLES, "pytorch")
    return lambda: resnet.ResNet(depth, style), resnet.channels(depth)


def _dbnet(fields: Fields) -> Callable[[], nn.Module]:
    backbone, channels = _backbone(fields)
    upsample = fields.choice("upsample", upsampling.MODES, "nearest")
    section, head = fields.section("neck"), fields.section("head")
    section.same("in_channels", channels)
    lateral, out = section.count("lateral_channels", 256), section.count("out_channels", 64)
    names = ("bias_on_lateral", "bn_re_on_lateral", "bias_on_smooth", "bn_re_on_smooth", "conv_after_concat")
    flags = {name: section.flag(name, default=False) for name in names}
    width = out * len(channels)
    head.same("in_channels", width)
    bias = head.flag("with_bias", default=False)
    return lambda: Detector(backbone(), FPNC(channels, lateral, out, upsample=upsample, **flags), DBHead(width, with_bias=bias))


def _psenet(fields: Fields) -> Callable[[], nn.Module]:
    backbone, channels = _backbone(fields)
    upsample = fields.choice("upsample", upsampling.MODES, "nearest")
    section, head = fields.section("neck"), fields.section("head")
    section.same("in_channels", channels)
    out = section.count("out_channels", 256)
    fusion = section.choice("fusion_type", fpnf.FUSIONS, "concat")
    head.same("in_channels", [out])
    kernels = head.count("out_channels", 7)
    return lambda: Detector(backbone(), fpnf.FPNF(channels, out, fusion, upsample), PixelHead(out, kernels))


def _panet(fields: Fields) -> Callable[[], nn.Module]:
    backbone, channels = _backbone(fields)
    upsample = fields.choice("upsample", upsampling.MODES, "nearest")
    section, head = fields.section("neck"), fields.section("head")
    section.same("in_channels", channels)
    out, repeat = section.count("conv_out", 128), section.count("fpem_repeat", 2)
    corners = section.flag("align_corners", default=False)
    head.same("in_channels", [out] * len(channels))
    maps = head.count("out_channels", 6)
    return lambda: Detector(
        backbone(),
        FPEM_FFM(channels, out, repeat, align_corners=corners, upsample=upsample),
        PixelHead(out * len(channels), maps),
    )


def _crnn(fields: Fields) -> Callable[[], nn.Module]:
    classes = fields.count("num_classes", 37)
    backbone, head = fields.section("backbone"), fields.section("head")
    channels, leaky = backbone.choice("input_channels", (1, 3), 1), backbone.flag("leaky_relu", default=False)
    head.same("in_channels", vgg.CHANNELS[-1])
    head.same("num_classes", classes)
    decoder = RecurrentDecoder if head.flag("rnn_flag", default=True) else ConvolutionalDecoder
    return lambda: CRNN(vgg.VeryDeepVgg(channels, leaky_relu=leaky), decoder(classes))


@dataclass(frozen=True, slots=True)
class Architecture:
    """How a description of this kind is read, and which pictures the network takes."""

    read: Callable[[Fields], Callable[[], nn.Module]]
    limits: Limits = field(default_factory=Limits)


ARCHITECTURES: Mapping[str, Architecture] = {
    "dbnet": Architecture(_dbnet),
    "psenet": Architecture(_psenet),
    "panet": Architecture(_panet),
    # The columns keep a quarter of the width, and the map has to be one pixel high in the end.
    "crnn": Architecture(_crnn, Limits(least=(32, 4), height=32)),
}
"""The networks by the name that `architecture` has."""
