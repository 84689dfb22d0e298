"""MMOCR's networks in plain PyTorch: keys, shapes, raw outputs, and what a description may say."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from ocrdeploy import BadInput
from ocrdeploy_pytorch.networks import resnet
from ocrdeploy_pytorch.networks.build import ARCHITECTURES, build, limits
from ocrdeploy_pytorch.networks.upsampling import Upsample
from ocrdeploy_pytorch.specs import SIX

R18 = {"depth": 18, "style": "caffe"}
DETECTORS = ("dbnet", "psenet", "panet")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # several would wait for each other where the machine is busy
    yield
    torch.set_num_threads(before)


def detector(architecture: str, **more: Any) -> dict[str, Any]:
    return {"architecture": architecture, "backbone": R18, **more}


def shapes(network: nn.Module) -> dict[str, list[Any]]:
    return {key: [list(each.shape), str(each.dtype).removeprefix("torch.")] for key, each in network.state_dict().items()}


@cache
def on_meta(architecture: str, depth: int = 18, style: str = "pytorch") -> Mapping[str, list[Any]]:
    described: dict[str, Any] = {"architecture": architecture}
    if architecture != "crnn":
        described["backbone"] = {"depth": depth, "style": style}
    with torch.device("meta"):
        return shapes(build(described))


# --------------------------------------------------------------------------------------------------- against the real MMOCR

GAINS = (
    (r"^backbone\.layer\d\.\d+\.bn[23]\.weight$", 0.5),
    (r"^bbox_head\.(binarize|threshold)\.6\.weight$", 0.15),
    (r"^neck\.fpems\.\d\.\w+\.bn\.weight$", 0.5),
    (r"^bbox_head\.out_conv\.weight$", 0.5),
    (r"^decoder\.decoder\.\d\.rnn\.weight_ih", 2.0),
    (r"^decoder\.decoder\.0\.embedding\.weight$", 4.0),
    (r"^decoder\.decoder\.1\.embedding\.weight$", 10.0),
)


def deterministic(key: str, shape: tuple[int, ...], seed: int) -> NDArray[Any]:
    """The rule by which the reference's weights were made, each from a generator of its own."""
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    normal = np.random.RandomState([seed, zlib.crc32(key.encode())]).standard_normal(shape)
    gain = float(np.prod([factor for pattern, factor in GAINS if re.search(pattern, key)]))
    if key.endswith("running_mean"):
        made = 0.1 * normal
    elif key.endswith("running_var"):
        made = 1.0 + 0.1 * np.abs(normal)
    elif ".rnn.weight_" in key:
        made = normal / np.sqrt(shape[0] // 4) * gain
    elif len(shape) == 1:
        made = (1.0 + 0.1 * normal) * gain if key.endswith(".weight") else 0.1 * normal
    else:
        transposed = re.search(r"^bbox_head\.(binarize|threshold)\.[36]\.weight$", key)
        made = normal * np.sqrt(2.0 / (shape[0] if transposed else np.prod(shape[1:]))) * gain
    return np.ascontiguousarray(made, dtype=np.float32)


def load_deterministic(network: nn.Module, seed: int) -> nn.Module:
    weights = {key: torch.from_numpy(deterministic(key, tuple(each.shape), seed)) for key, each in network.state_dict().items()}
    network.load_state_dict(weights, strict=True)
    return network.eval()


@pytest.mark.parametrize("name", SIX)
def test_keys_order_shapes_and_dtypes_are_mmocrs(name: str, reference_folder: Path) -> None:
    expected = json.loads((reference_folder / "state_dicts.json").read_text(encoding="utf-8"))[name]
    with torch.device("meta"):
        network = build(SIX[name].network)
    assert list(shapes(network).items()) == list(expected.items())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_raw_outputs_are_mmocrs(architecture: str, reference_folder: Path) -> None:
    described = json.loads((reference_folder / "open" / "networks.json").read_text(encoding="utf-8"))
    names = [name for name, model in SIX.items() if model.network["architecture"] == architecture]
    network = load_deterministic(build(SIX[names[0]].network), described["weights_seed"])
    cases = [case for case in described["cases"] if case["config"] in names]
    assert len(cases) == 2 * len(names)
    with np.load(reference_folder / "open" / "networks.npz") as arrays, torch.inference_mode():
        for case in cases:
            expected = arrays[case["output"]]
            found = network(torch.from_numpy(arrays[case["input"]])).numpy()
            assert found.shape == expected.shape
            far = np.abs(found - expected)
            exact = far[:, :2] if architecture == "dbnet" else far  # its third map is 50 times as steep
            assert exact.max() <= 1e-4 * expected.std(), case["output"]
            assert far.max() <= 2e-3, case["output"]


# -------------------------------------------------------------------------------------------------------- without MMOCR

PARAMETERS = {"dbnet": 12_340_930, "psenet": 28_625_735, "panet": 11_520_582, "crnn": 8_331_301}


@pytest.mark.parametrize("name", SIX)
def test_the_number_of_parameters_is_mmocrs(name: str) -> None:
    with torch.device("meta"):
        network = build(SIX[name].network)
    assert sum(each.numel() for each in network.parameters()) == PARAMETERS[SIX[name].network["architecture"]]


@pytest.mark.parametrize(("depth", "blocks"), [(18, 8), (34, 16), (50, 16), (101, 33), (152, 50)])
def test_each_depth_has_its_blocks(depth: int, blocks: int) -> None:
    keys = on_meta("dbnet", depth)
    assert len({key.rsplit(".", 2)[0] for key in keys if re.fullmatch(r"backbone\.layer\d\.\d+\.conv1\.weight", key)}) == blocks
    widest = keys["neck.lateral_convs.3.conv.weight"][0][1]
    assert widest == (512 if depth < 50 else 2048) == resnet.channels(depth)[-1]


def test_a_caffe_bottleneck_has_its_stride_in_the_first_convolution() -> None:
    strides = {}
    for style in resnet.STYLES:
        block = resnet.ResNet(50, style).layer2[0]
        assert isinstance(block, resnet.Bottleneck)
        strides[style] = (block.conv1.stride, block.conv2.stride)
    assert strides == {"caffe": ((2, 2), (1, 1)), "pytorch": ((1, 1), (2, 2))}
    assert on_meta("psenet", 50, "caffe") == on_meta("psenet", 50, "pytorch")


SIZES = [(64, 96), (32, 32), (50, 70), (33, 47), (1, 1)]


@pytest.mark.parametrize("architecture", DETECTORS)
def test_a_detector_takes_any_size_and_its_map_follows(architecture: str) -> None:
    channels = {"dbnet": 3, "psenet": 7, "panet": 6}[architecture]
    with torch.device("meta"):
        network = build(detector(architecture)).eval()
        for height, width in SIZES:
            quarter = (-(-height // 4), -(-width // 4))
            expected = tuple(4 * side for side in quarter) if architecture == "dbnet" else quarter
            assert network(torch.empty(1, 3, height, width)).shape == (1, channels, *expected), (height, width)


def test_a_recognizer_answers_for_each_quarter_of_the_width_and_one_more() -> None:
    with torch.device("meta"):
        network = build({"architecture": "crnn"}).eval()
        for width in (4, 32, 100, 161):
            assert network(torch.empty(2, 1, 32, width)).shape == (2, width // 4 + 1, 37)


SMALL: Mapping[str, dict[str, Any]] = {
    "dbnet": detector("dbnet", neck={"lateral_channels": 16, "out_channels": 8}),
    "psenet": detector("psenet", neck={"out_channels": 16}),
    "panet": detector("panet", neck={"conv_out": 16}),
    "crnn": {"architecture": "crnn"},
}


@pytest.mark.parametrize("architecture", SMALL)
def test_a_row_does_not_depend_on_the_others(architecture: str) -> None:
    torch.manual_seed(0)
    network = build(SMALL[architecture]).eval()
    pictures = torch.rand(3, 1 if architecture == "crnn" else 3, 32, 50)
    with torch.inference_mode():
        together, alone = network(pictures), torch.cat([network(each[None]) for each in pictures])
    assert alone.std() > 0
    assert (together - alone).abs().max() <= 1e-4 * alone.std()


def test_dbnets_third_map_is_the_step_between_the_other_two() -> None:
    torch.manual_seed(0)
    with torch.inference_mode():
        probability, threshold, binary = build(SMALL["dbnet"]).eval()(torch.rand(1, 3, 64, 64))[0].double()
    assert torch.allclose(binary, torch.sigmoid(50 * (probability - threshold)), atol=1e-5)
    assert 0 <= probability.min() < probability.max() <= 1


@pytest.mark.parametrize("architecture", DETECTORS)
def test_upsampling_is_one_switch_that_changes_the_answer_and_no_key(architecture: str) -> None:
    torch.manual_seed(0)
    nearest, bilinear = (build({**SMALL[architecture], "upsample": mode}).eval() for mode in ("nearest", "bilinear"))
    modes = [{each.mode for each in network.modules() if isinstance(each, Upsample)} for network in (nearest, bilinear)]
    # PANet fuses its maps bilinearly in any case.
    assert modes == [{"nearest", "bilinear"} if architecture == "panet" else {"nearest"}, {"bilinear"}]
    bilinear.load_state_dict(nearest.state_dict(), strict=True)
    pictures = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        one, other = nearest(pictures), bilinear(pictures)
    assert (one - other).abs().max() > 1e-3 * one.std()


def test_upsampling_follows_torch_to_the_lateral_maps_size() -> None:
    coarse, like = torch.rand(1, 2, 3, 4), torch.rand(1, 5, 7, 8)
    for mode in ("nearest", "bilinear"):
        corners = None if mode == "nearest" else False
        expected = nn.functional.interpolate(coarse, size=(7, 8), mode=mode, align_corners=corners)
        assert torch.equal(Upsample(mode)(coarse, like), expected)


OPTIONS: list[tuple[dict[str, Any], dict[str, list[int]]]] = [
    (
        detector("dbnet", neck={"lateral_channels": 16, "out_channels": 8, "bias_on_lateral": True, "bn_re_on_smooth": True}),
        {
            "neck.lateral_convs.0.conv.bias": [16],
            "neck.smooth_convs.3.bn.weight": [8],
            "bbox_head.binarize.0.weight": [8, 32, 3, 3],
        },
    ),
    (
        detector("dbnet", neck={"conv_after_concat": True}),
        {"neck.out_conv.conv.weight": [256, 256, 3, 3], "neck.out_conv.bn.bias": [256]},
    ),
    (
        detector("dbnet", neck={"bn_re_on_lateral": True}, head={"with_bias": True}),
        {"bbox_head.binarize.0.bias": [64], "neck.lateral_convs.0.bn.bias": [256]},
    ),
    (
        detector("psenet", neck={"fusion_type": "add", "out_channels": 32}, head={"out_channels": 5}),
        {"neck.output_convs.conv.weight": [32, 32, 3, 3], "bbox_head.out_conv.bias": [5]},
    ),
    (
        detector("panet", neck={"conv_out": 16, "fpem_repeat": 3}, head={"out_channels": 8}),
        {"neck.fpems.2.down_add3.bn.weight": [16], "bbox_head.out_conv.weight": [8, 64, 1, 1]},
    ),
    (
        {"architecture": "crnn", "num_classes": 97, "backbone": {"input_channels": 3}},
        {"decoder.decoder.1.embedding.weight": [97, 512], "backbone.cnn.conv0.weight": [64, 3, 3, 3]},
    ),
    ({"architecture": "crnn", "head": {"rnn_flag": False}}, {"decoder.decoder.weight": [37, 512, 1, 1]}),
]


@pytest.mark.parametrize(("described", "expected"), OPTIONS)
def test_the_options_of_mmocrs_configs_reach_the_weights(described: dict[str, Any], expected: dict[str, list[int]]) -> None:
    with torch.device("meta"):
        network = build(described).eval()
        found = {key: list(each.shape) for key, each in network.state_dict().items()}
        assert {key: found.get(key) for key in expected} == expected
        channels = 1 if described["architecture"] == "crnn" and "backbone" not in described else 3
        assert network(torch.empty(1, channels, 32, 40)).shape[0] == 1


def test_leaky_relu_is_mmocrs() -> None:
    network = build({"architecture": "crnn", "backbone": {"leaky_relu": True}})
    slopes = {each.negative_slope for each in network.modules() if isinstance(each, nn.LeakyReLU)}
    assert slopes == {0.2}


def test_align_corners_reaches_panets_fusion_only() -> None:
    neck = build(detector("panet", neck={"align_corners": True})).neck
    assert isinstance(neck, nn.Module)
    found = {name: each.align_corners for name, each in neck.named_modules() if isinstance(each, Upsample)}
    assert found == {"fuse": True, "fpems.0.upsample": None, "fpems.1.upsample": None}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "network.architecture is missing; it is one of 'dbnet', 'psenet', 'panet', 'crnn'"),
    ({"architecture": "fcenet"}, "network.architecture is 'fcenet', not one of"),
    (detector("dbnet", backbone={"depth": 20}), "network.backbone.depth is 20, not one of 18, 34, 50, 101, 152"),
    (detector("dbnet", backbone={}), "network.backbone.depth is missing"),
    (detector("dbnet", backbone=18), "network.backbone is 18, not a mapping"),
    (detector("dbnet", backbone={"depth": 18, "style": "tf"}), "network.backbone.style is 'tf', not one of 'pytorch', 'caffe'"),
    (detector("dbnet", backbone={"depth": True}), "network.backbone.depth is True, not one of"),
    (detector("dbnet", upsample="cubic"), "network.upsample is 'cubic', not one of 'nearest', 'bilinear'"),
    (detector("dbnet", neck={"out_chanels": 64}), "network.neck has unknown keys: out_chanels"),
    (detector("dbnet", neck={"out_channels": 0}), "network.neck.out_channels is 0, not a whole number from 1"),
    (detector("dbnet", neck={"out_channels": 10**9}), "network.neck.out_channels is 1000000000, not a whole number"),
    (detector("dbnet", neck={"bias_on_lateral": 1}), "network.neck.bias_on_lateral is 1, not true or false"),
    (
        detector("dbnet", neck={"in_channels": [256, 512, 1024, 2048]}),
        "network.neck.in_channels is [256, 512, 1024, 2048], and the part before",
    ),
    (detector("dbnet", head={"in_channels": 128}), "network.head.in_channels is 128, and the part before it gives 256"),
    (detector("psenet", head={"in_channels": [128]}), "network.head.in_channels is [128], and the part before it gives [256]"),
    (detector("dbnet", colour="red", size=3), "network has unknown keys: colour, size"),
    ({"architecture": "crnn", "upsample": "nearest"}, "network has unknown keys: upsample"),
    ({"architecture": "crnn", "num_classes": "37"}, "network.num_classes is '37', not a whole number"),
]


@pytest.mark.parametrize(("described", "complaint"), WRONG)
def test_a_description_that_cannot_be_is_named(described: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadInput, match=re.escape(complaint)) as caught:
        build(described)
    assert caught.value.fix


def test_an_unknown_key_comes_with_those_that_are_known() -> None:
    with pytest.raises(BadInput) as caught:
        build({"architecture": "crnn", "backbone": {"input_chanels": 1}})
    assert caught.value.fix == "it may have: input_channels, leaky_relu"


def test_a_head_of_one_number_may_stand_for_a_list_of_one() -> None:
    with torch.device("meta"):
        assert shapes(build(detector("psenet", head={"in_channels": 256}))) == on_meta("psenet")


def test_each_architecture_says_which_pictures_it_takes() -> None:
    assert set(ARCHITECTURES) == {*DETECTORS, "crnn"}
    line = limits({"architecture": "crnn"})
    line.check("m", 32, 4)
    with pytest.raises(BadInput, match="takes pictures 32 pixels high, and was given 48 x 100"):
        line.check("m", 48, 100)
    with pytest.raises(BadInput, match="takes pictures of at least 32 x 4 pixels, and was given 32 x 3"):
        line.check("m", 32, 3)
    limits({"architecture": "dbnet"}).check("m", 1, 1)
    limits({"architecture": "mmocr"}).check("m", 7, 1)
