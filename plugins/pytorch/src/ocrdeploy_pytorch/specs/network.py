"""What a config says of the network, as `ModelSpec.network`: plain JSON, from which the network is built again.

Every argument of MMOCR's that changes what the network computes is either taken over or must have the one value that is
supported; those that concern training only are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ocrdeploy_pytorch.config.error import ConfigError
from ocrdeploy_pytorch.specs.section import Section

FIX = "use what is supported, or install MMOCR, which then builds the network: python -m ocrdeploy_pytorch.install_mmocr"

DEPTHS: Mapping[int, int] = {18: 1, 34: 1, 50: 4, 101: 4, 152: 4}
"""The ResNets, and how many times the basic number of channels their blocks give."""

STAGES = (64, 128, 256, 512)
LINE_HEIGHT = 32
LINE_FEATURES = 512
"""The height of the lines that the VGG takes, and the channels that it gives."""

UPSAMPLINGS = ("nearest", "bilinear")
"""How a detector's neck may enlarge its maps."""


def detector(model: Section, upsample: str) -> dict[str, Any]:
    """Return the network of a DBNet, PSENet or PANet. `model` is left without what was read."""
    kind = model.kind(tuple(DETECTORS))
    architecture, read = DETECTORS[kind]
    backbone = model.section("backbone")
    described, channels = _resnet(backbone)
    model.without_bearing("pretrained", "train_cfg", "test_cfg", "init_cfg", "show_score")
    neck, head = model.section("neck"), model.section("bbox_head")
    head.without_bearing("loss", "train_cfg", "test_cfg", "init_cfg", "postprocessor", "downsample_ratio", *DEPRECATED)
    neck.without_bearing("init_cfg")
    parts = read(neck, head, channels)
    for section in (backbone, neck, head, model):
        section.done()
    return {"architecture": architecture, "upsample": upsample, "backbone": described, "neck": parts[0], "head": parts[1]}


DEPRECATED = ("text_repr_type", "decoding_type")
"""Arguments of a head that stand in for its post-processor's, as they did before MMOCR 0.4."""


def _resnet(section: Section) -> tuple[dict[str, Any], list[int]]:
    """Return the backbone, and the channels of its four maps."""
    section.kind(("mmdet.ResNet", "ResNet"))
    depth = section.choice("depth", tuple(DEPTHS))
    style = section.choice("style", ("pytorch", "caffe"), "pytorch")
    for name, value in _RESNET.items():
        accepted = (value, None) if name == "stem_channels" else (value,)
        section.choice(name, accepted, value)
    _batch_norm(section)
    section.without_bearing("frozen_stages", "norm_eval", "with_cp", "zero_init_residual", "pretrained", "init_cfg")
    return {"depth": depth, "style": style}, [channels * DEPTHS[depth] for channels in STAGES]


_RESNET: Mapping[str, Any] = {
    "in_channels": 3,
    "stem_channels": 64,
    "base_channels": 64,
    "num_stages": 4,
    "strides": (1, 2, 2, 2),
    "dilations": (1, 1, 1, 1),
    "out_indices": (0, 1, 2, 3),
    "deep_stem": False,
    "avg_down": False,
    "conv_cfg": None,
    "dcn": None,
    "stage_with_dcn": (False, False, False, False),
    "plugins": None,
}
"""MMDetection's arguments of which one value is supported, and that is their default."""


def _batch_norm(section: Section) -> None:
    given = section.take("norm_cfg")
    if given is None:
        return
    norm = Section(given, f"{section.place}.norm_cfg", FIX)
    norm.kind(("BN", "SyncBN"))  # the same, once trained
    norm.choice("eps", (1e-5,), 1e-5)
    norm.without_bearing("requires_grad", "momentum")
    norm.done()


Parts = tuple[dict[str, Any], dict[str, Any]]


def _dbnet(neck: Section, head: Section, channels: list[int]) -> Parts:
    neck.kind(("FPNC",))
    head.kind(("DBHead",))
    neck.choice("asf_cfg", (None,))
    described: dict[str, Any] = {
        "in_channels": neck.choice("in_channels", (channels,)),
        "lateral_channels": neck.whole("lateral_channels", 256, least=1),
        "out_channels": neck.whole("out_channels", 64, least=1),
    }
    for name in ("bias_on_lateral", "bn_re_on_lateral", "bias_on_smooth", "bn_re_on_smooth", "conv_after_concat"):
        described[name] = neck.flag(name, default=False)
    width = described["out_channels"] * len(channels)
    return described, {
        "in_channels": head.choice("in_channels", (width,)),
        "with_bias": head.flag("with_bias", default=False),
    }


def _psenet(neck: Section, head: Section, channels: list[int]) -> Parts:
    neck.kind(("FPNF",))
    head.kind(("PSEHead",))
    described = {
        "in_channels": neck.choice("in_channels", (channels,), [256, 512, 1024, 2048]),
        "out_channels": neck.whole("out_channels", 256, least=1),
        "fusion_type": neck.choice("fusion_type", ("concat", "add"), "concat"),
    }
    return described, _pixel_head(head, [described["out_channels"]], least=1)


def _panet(neck: Section, head: Section, channels: list[int]) -> Parts:
    neck.kind(("FPEM_FFM",))
    head.kind(("PANHead",))
    described = {
        "in_channels": neck.choice("in_channels", (channels,)),
        "conv_out": neck.whole("conv_out", 128, least=1),
        "fpem_repeat": neck.whole("fpem_repeat", 2, least=1),
        "align_corners": neck.flag("align_corners", default=False),
    }
    return described, _pixel_head(head, [described["conv_out"]] * len(channels), least=3)


def _pixel_head(head: Section, channels: Sequence[int], least: int) -> dict[str, Any]:
    return {"in_channels": head.choice("in_channels", (list(channels),)), "out_channels": head.whole("out_channels", least=least)}


DETECTORS: Mapping[str, tuple[str, Callable[[Section, Section, list[int]], Parts]]] = {
    "DBNet": ("dbnet", _dbnet),
    "PSENet": ("psenet", _psenet),
    "PANet": ("panet", _panet),
}


def recognizer(model: Section, classes: int, channels: int, height: int) -> dict[str, Any]:
    """Return the network of a CRNN of so many `classes`, for lines of `channels` and `height`."""
    model.kind(("CRNNNet",))
    for name in ("preprocessor", "encoder"):
        model.choice(name, (None,))
    backbone, decoder = model.section("backbone"), model.section("decoder")
    backbone.kind(("VeryDeepVgg",))
    decoder.kind(("CRNNDecoder",))
    described = {
        "input_channels": backbone.choice("input_channels", (channels,), 3),
        "leaky_relu": backbone.flag("leaky_relu", default=True),
    }
    decoder.choice("in_channels", (LINE_FEATURES,))
    head = {"in_channels": LINE_FEATURES, "rnn_flag": decoder.flag("rnn_flag", default=False)}
    model.without_bearing("loss", "label_convertor", "train_cfg", "test_cfg", "max_seq_len", "pretrained", "init_cfg")
    for section in (backbone, decoder):
        section.without_bearing("init_cfg")
    for section in (backbone, decoder, model):
        section.done()
    if height != LINE_HEIGHT:
        raise ConfigError(f"data.test.pipeline of the config makes lines {height} pixels high, and CRNN takes {LINE_HEIGHT}", FIX)
    return {"architecture": "crnn", "backbone": described, "head": head, "num_classes": classes}
