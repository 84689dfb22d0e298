"""Six configs of MMOCR 0.6.3 as data: what `spec_of` makes of each, written down, so that they are known without their files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ocrdeploy.vocabulary import Align, Colour, Fit, Height, InputSpec, ModelSpec, Orientation, Resize, Rounding, Task
from ocrdeploy_pytorch.specs import charset as specs_charset
from ocrdeploy_pytorch.specs import postprocessor as specs_postprocessor
from ocrdeploy_pytorch.specs.shapes import shapes_of

NAME, OUTPUT = "input", "output"
"""What the tensors are called, as MMOCR's own export called them."""

DETECTOR_BATCHES = (1, 1, 1)
RECOGNIZER_BATCHES = (1, 8, 16)
"""For `InputSpec.shapes`: the smallest, the usual and the largest batch."""

_RESNET18 = [64, 128, 256, 512]
_RESNET50 = [256, 512, 1024, 2048]


def _detector(
    name: str,
    resize: Fit,
    family: str,
    *,
    options: Mapping[str, Any],
    network: Mapping[str, Any],
    digest: str,
    rank: int,
) -> ModelSpec:
    recipe = InputSpec(
        name=NAME,
        resize=resize,
        colour=Colour.RGB,
        mean=(123.675, 116.28, 103.53),
        std=(58.395, 57.12, 57.375),
        align=Align.PAD,
        pad_to=32,
        orientation=Orientation.IGNORE,
        shapes=shapes_of(resize, 3, 32, DETECTOR_BATCHES),
    )
    whole = {"architecture": family, "upsample": "nearest", **network, "config_sha256": digest}
    return ModelSpec(name, family, Task.DETECTION, recipe, (OUTPUT,), dict(options), network=whole, rank=rank)


def _dbnet() -> ModelSpec:
    options = {
        "mask_threshold": 0.3,
        "score_threshold": 0.3,
        "min_side": 5.0,
        "unclip_ratio": 1.5,
        "epsilon_ratio": 0.01,
        "max_candidates": 3001,
        "representation": "quad",
    }
    network = {
        "backbone": {"depth": 18, "style": "caffe"},
        "neck": {
            "in_channels": _RESNET18,
            "lateral_channels": 256,
            "out_channels": 64,
            "bias_on_lateral": False,
            "bn_re_on_lateral": False,
            "bias_on_smooth": False,
            "bn_re_on_smooth": False,
            "conv_after_concat": False,
        },
        "head": {"in_channels": 256, "with_bias": False},
    }
    digest = "7d480667930b5b87eaee813991109192920efa3ebe981fec4a6981da9d3ec337"
    return _detector(
        "dbnet_r18_fpnc_1200e_icdar2015", Fit(1333, 736), "dbnet", options=options, network=network, digest=digest, rank=9
    )


def _psenet(name: str, resize: Fit, representation: str, digest: str, rank: int) -> ModelSpec:
    options = {
        "mask_threshold": 0.5,
        "score_threshold": 0.85,
        "min_kernel_area": 0,
        "min_area": 16,
        "representation": representation,
    }
    network = {
        "backbone": {"depth": 50, "style": "caffe"},
        "neck": {"in_channels": _RESNET50, "out_channels": 256, "fusion_type": "concat"},
        "head": {"in_channels": [256], "out_channels": 7},
    }
    return _detector(name, resize, "psenet", options=options, network=network, digest=digest, rank=rank)


def _panet(name: str, resize: Fit, representation: str, digest: str, rank: int) -> ModelSpec:
    options = {
        "mask_threshold": 0.5,
        "kernel_threshold": 0.5,
        "score_threshold": 0.85,
        "distance_threshold": 0.85,
        "min_area": 16,
        "representation": representation,
    }
    network = {
        "backbone": {"depth": 18, "style": "caffe"},
        "neck": {"in_channels": _RESNET18, "conv_out": 128, "fpem_repeat": 2, "align_corners": False},
        "head": {"in_channels": [128, 128, 128, 128], "out_channels": 6},
    }
    return _detector(name, resize, "panet", options=options, network=network, digest=digest, rank=rank)


def _crnn() -> ModelSpec:
    resize: Resize = Height(32, width_multiple=16, rounding=Rounding.NEAREST, min_width=32)
    return ModelSpec(
        name="crnn_academic_dataset",
        family="ctc",
        task=Task.RECOGNITION,
        input=InputSpec(
            name=NAME,
            resize=resize,
            colour=Colour.GRAY,
            mean=(127.0,),
            std=(127.0,),
            align=Align.STRETCH,
            orientation=Orientation.EXIF,
            shapes=shapes_of(resize, 1, 1, RECOGNIZER_BATCHES),
        ),
        outputs=(OUTPUT,),
        options=dict(specs_postprocessor.CTC),
        charset=tuple(specs_charset.DICT36),
        network={
            "architecture": "crnn",
            "backbone": {"input_channels": 1, "leaky_relu": False},
            "head": {"in_channels": 512, "rnn_flag": True},
            "num_classes": 37,
            "config_sha256": "f3c0b8c8926d70481f278acb1a9ae67a2afd63e0bba82c87bc96157379b25c48",
        },
        rank=4,
    )


SIX: Mapping[str, ModelSpec] = {
    model.name: model
    for model in (
        _dbnet(),
        _panet(
            "panet_r18_fpem_ffm_600e_icdar2015",
            Fit(1333, 736),
            "quad",
            "5640cbd73c4b1d42b9b7487f93637a16a2ae5df0155b9950678057f327a7ee3c",
            rank=8,
        ),
        _psenet(
            "psenet_r50_fpnf_600e_icdar2015",
            Fit(2240, 2240),
            "quad",
            "1c1c9c6800944991a7034aebabe753421f37151571a379052599ad5efb5968fa",
            rank=7,
        ),
        _panet(
            "panet_r18_fpem_ffm_600e_ctw1500",
            Fit(3000, 640),
            "poly",
            "d98939bdaa8ad711094505beb18b18890e8995e63228d93a9becd6c6555f77b5",
            rank=6,
        ),
        _psenet(
            "psenet_r50_fpnf_600e_ctw1500",
            Fit(1280, 1280),
            "poly",
            "f8903bab0edc45f35b114385a14fba1b29464041eed95972cd439ebeae29a49e",
            rank=5,
        ),
        _crnn(),
    )
}
"""The models by name. The digests are those of the configs' values as MMCV gives them, which `config.digest` defines."""
