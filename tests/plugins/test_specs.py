"""From configs to model specifications: MMOCR's six, a user's own, and what is refused rather than passed over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zlib
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ocrdeploy import UnknownName, batching, images, plugins, spec
from ocrdeploy.families import ctc, dbnet, options, panet, psenet
from ocrdeploy.vocabulary import (
    Align,
    Colour,
    Exact,
    Fit,
    Height,
    InputSpec,
    Interpolation,
    ModelSpec,
    Orientation,
    Rounding,
    Task,
)
from ocrdeploy_pytorch import specs
from ocrdeploy_pytorch.config import ConfigError, Tree
from ocrdeploy_pytorch.config import digest as config_digest
from ocrdeploy_pytorch.specs import SIX, spec_of

CRNN = "crnn_academic_dataset"
DBNET = "dbnet_r18_fpnc_1200e_icdar2015"
PICTURE = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375], "to_rgb": True}

LETTERS = {"dict_type": "DICT36", "with_unknown": False, "lower": True}

Config = dict[str, Any]


def steps(*, scale: Any = (1333, 736), **more: Any) -> list[Config]:
    """A detector's test pipeline; `more` goes into the step of that name, or replaces it."""
    inner: dict[str, Config] = {
        "Resize": {"keep_ratio": True},
        "Normalize": dict(PICTURE),
        "Pad": {"size_divisor": 32},
        "ImageToTensor": {"keys": ["img"]},
        "Collect": {"keys": ["img"]},
    }
    outer: Config = {"img_scale": scale, "flip": False}
    load: Config = {"color_type": "color_ignore_orientation"}
    for name, arguments in more.items():
        {"Load": load, "Aug": outer}.get(name, inner.get(name, {})).update(arguments)
    transforms = [{"type": name, **arguments} for name, arguments in inner.items()]
    return [{"type": "LoadImageFromFile", **load}, {"type": "MultiScaleFlipAug", **outer, "transforms": transforms}]


def resnet(depth: int = 18, **more: Any) -> Config:
    return {"type": "mmdet.ResNet", "depth": depth, "num_stages": 4, "out_indices": (0, 1, 2, 3), "style": "caffe", **more}


def detector(kind: str = "DBNet", pipeline: list[Config] | None = None, **parts: Config) -> Config:
    """A config of one of the three detectors, as small as it can be; `parts` update backbone, neck, bbox_head, postprocessor."""
    wide = [64, 128, 256, 512]
    necks: dict[str, Config] = {
        "DBNet": {"type": "FPNC", "in_channels": wide, "lateral_channels": 256},
        "PSENet": {"type": "FPNF", "in_channels": wide, "out_channels": 256, "fusion_type": "concat"},
        "PANet": {"type": "FPEM_FFM", "in_channels": wide},
    }
    heads: dict[str, Config] = {
        "DBNet": {"type": "DBHead", "in_channels": 256},
        "PSENet": {"type": "PSEHead", "in_channels": [256], "out_channels": 7},
        "PANet": {"type": "PANHead", "in_channels": [128, 128, 128, 128], "out_channels": 6},
    }
    names = {"DBNet": "DBPostprocessor", "PSENet": "PSEPostprocessor", "PANet": "PANPostprocessor"}
    head = {**heads[kind], "loss": {"type": "AnyLoss"}, "postprocessor": {"type": names[kind], **parts.pop("postprocessor", {})}}
    model: Config = {
        "type": kind,
        "backbone": resnet(),
        "neck": necks[kind],
        "bbox_head": head,
        "train_cfg": None,
        "test_cfg": None,
    }
    for name, changes in parts.items():
        model[name] = {**model[name], **changes}
    return {"model": model, "data": {"test": {"type": "AnyDataset", "pipeline": pipeline or steps()}}}


def line_steps(resize: Config | None = None, *more: Config, colour: str = "grayscale") -> list[Config]:
    usual = {"height": 32, "min_width": 32, "max_width": None, "keep_aspect_ratio": True}
    normalize: tuple[Config, ...] = more or ({"type": "Normalize", "mean": [127], "std": [127]},)
    return [
        {"type": "LoadImageFromFile", "color_type": colour},
        {"type": "ResizeOCR", **(resize or usual)},
        *normalize,
        {"type": "DefaultFormatBundle"},
        {"type": "Collect", "keys": ["img"], "meta_keys": ["filename"]},
    ]


def recognizer(pipeline: list[Config] | None = None, convertor: Config | None = None, **parts: Any) -> Config:
    model: Config = {
        "type": "CRNNNet",
        "preprocessor": None,
        "backbone": {"type": "VeryDeepVgg", "leaky_relu": False, "input_channels": 1},
        "encoder": None,
        "decoder": {"type": "CRNNDecoder", "in_channels": 512, "rnn_flag": True},
        "loss": {"type": "CTCLoss"},
        "label_convertor": {
            "type": "CTCConvertor",
            **(LETTERS if convertor is None else convertor),
        },
        "pretrained": None,
    }
    for name, changes in parts.items():
        model[name] = {**model[name], **changes} if isinstance(changes, dict) and model.get(name) else changes
    return {"model": model, "data": {"test": {"type": "AnyDataset", "pipeline": pipeline or line_steps()}}}


# ----------------------------------------------------------------------------------------------------------- MMOCR's six


@pytest.fixture(scope="module")
def wheel_configs() -> dict[str, Path]:
    folder = Path(os.environ.get("OCRDEPLOY_TEST_MMOCR_CONFIGS", ""))
    if not folder.name or not folder.is_dir():
        pytest.skip("needs MMOCR's configs: set OCRDEPLOY_TEST_MMOCR_CONFIGS to mmocr/.mim/configs of the wheel of mmocr 0.6.3")
    return {path.stem: path for path in folder.rglob("*.py")}


@pytest.mark.parametrize("name", SIX)
def test_a_named_model_is_what_mmocrs_config_says(wheel_configs: dict[str, Path], name: str) -> None:
    found = specs.from_file(wheel_configs[name])
    assert replace(found, rank=SIX[name].rank) == SIX[name]
    assert found.rank == 0


def test_the_named_models_carry_the_digests_that_mmcv_gave() -> None:
    recorded = json.loads((Path(__file__).parent / "mmocr_config_digests.json").read_text(encoding="utf-8"))["digests"]
    by_name = {Path(file).stem: digest for file, digest in recorded.items()}
    assert {name: model.network["config_sha256"] for name, model in SIX.items()} == {name: by_name[name] for name in SIX}


def test_other_configs_of_the_wheel_are_known_or_refused_by_name(wheel_configs: dict[str, Path]) -> None:
    known = ("dbnet_r18_fpnc_100k_iters_synthtext", "panet_r50_fpem_ffm_600e_icdar2017", "psenet_r50_fpnf_600e_icdar2017")
    assert {name: specs.from_file(wheel_configs[name]).family for name in known} == dict(
        zip(known, ("dbnet", "panet", "psenet"), strict=True)
    )
    assert specs.from_file(wheel_configs["crnn_toy_dataset"]).charset[-2:] == ("z", "<UKN>")
    for name, complaint in (
        ("dbnet_r50dcnv2_fpnc_1200e_icdar2015", r"model.backbone.dcn of the config is .*DCNv2.*, and only None is supported"),
        ("fcenet_r50_fpn_1500e_icdar2015", "model.bbox_head.type of the config is 'FCEHead', and only 'DBHead'"),
        ("mask_rcnn_r50_fpn_160e_ctw1500", "model.type of the config is 'OCRMaskRCNN', and only DBNet"),
        ("crnn_tps_academic_dataset", "model.preprocessor of the config is .*TPSPreprocessor"),
        ("satrn_academic", "model.label_convertor.type of the config is 'AttnConvertor', and only 'CTCConvertor' is supported"),
    ):
        with pytest.raises(ConfigError, match=complaint):
            specs.from_file(wheel_configs[name])


def test_a_network_of_mmocrs_own_comes_with_the_family_and_the_pipeline(wheel_configs: dict[str, Path]) -> None:
    found = specs.from_file(wheel_configs["dbnet_r50dcnv2_fpnc_1200e_icdar2015"], networks="mmocr")
    assert found.family == "dbnet"
    assert found.network["architecture"] == "mmocr"
    assert found.network["model"]["backbone"]["dcn"]["type"] == "DCNv2"
    assert found.input.resize == Fit(4068, 1024)
    tps = specs.from_file(wheel_configs["crnn_tps_academic_dataset"], networks="mmocr")
    assert tps.input.resize == Exact(32, 100)
    assert (tps.input.scale, tps.input.mean, tps.input.std) == (1 / 255, (0.5,), (0.5,))
    for model in (found, tps):
        assert spec.from_json(spec.to_json(model), "x").network["config_sha256"] == model.network["config_sha256"]


def test_the_named_models_rank_below_those_that_bring_their_weights() -> None:
    ranks = [model.rank for model in SIX.values()]
    assert len(set(ranks)) == len(ranks) == 6
    assert max(ranks) < min(model.rank for name, model in plugins.discover().models.items() if name not in SIX)


@pytest.mark.parametrize("name", SIX)
def test_a_named_model_survives_json_and_its_family_takes_its_options(name: str) -> None:
    model = SIX[name]
    assert spec.from_json(spec.to_json(model), name) == model
    kinds: Mapping[str, Any] = {
        "dbnet": dbnet.DbOptions,
        "psenet": psenet.PseOptions,
        "panet": panet.PanOptions,
        "ctc": ctc.CtcOptions,
    }
    chosen = options.read(model, kinds[model.family])
    assert chosen == replace(kinds[model.family](), **model.options)
    if model.task is Task.RECOGNITION or model.options["representation"] == chosen.__class__().representation:
        assert chosen == kinds[model.family](), "the families' defaults are MMOCR's"


@pytest.mark.parametrize("name", SIX)
def test_the_shapes_of_a_named_model_hold_the_pictures_that_it_makes(name: str) -> None:
    model = SIX[name]
    shapes = model.input.shapes
    assert shapes
    for size in ((720, 1280), (1280, 720), (5, 3000), (3000, 5), (1000, 1000)):
        if model.task is Task.DETECTION:
            tensor = batching.place(size, model.input, 0).tensor
            assert all(low <= side <= high for low, side, high in zip(shapes.min[2:], tensor, shapes.max[2:], strict=True))
    usual = (720, 1280) if model.task is Task.DETECTION else (32, 128)
    assert shapes.opt[2:] == batching.place(usual, model.input, 0).tensor


def test_the_named_models_are_known_without_anything_heavy() -> None:
    heavy = "{'torch', 'cv2', 'pydantic', 'onnx'}"
    code = f"import sys; from ocrdeploy_pytorch.specs import SIX; sys.exit(bool({heavy} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ------------------------------------------------------------------------------------------------- pictures, as MMOCR's


def pixels_of(
    case: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], data: Path | None, recipe: InputSpec
) -> NDArray[np.uint8] | None:
    if case["source"] == "array":
        return np.ascontiguousarray(arrays[case["array"]][..., ::-1])
    if case["source"] == "encoded":
        content = arrays[case["array"]].tobytes()
    elif data is None:
        return None
    else:
        content = (data / case["path"]).read_bytes()
    return images.decode(content, name="x", colour=recipe.colour, orientation=recipe.orientation)


@pytest.mark.parametrize("name", SIX)
def test_every_picture_becomes_mmocrs_tensor(reference_folder: Path, data_folder: Path, name: str) -> None:
    recipe = SIX[name].input
    recorded = json.loads((reference_folder / "open" / "preprocess.json").read_text(encoding="utf-8"))
    cases = [case for case in recorded["cases"] if case["config"] == name]
    assert len(cases) > 5
    with np.load(reference_folder / "open" / "preprocess.npz") as arrays:
        for case in cases:
            pixels = pixels_of(case, arrays, data_folder, recipe)
            assert pixels is not None
            (batch,) = batching.batches([pixels], recipe, 1)
            (tensor,) = batch.inputs[recipe.name]
            height, width = batch.placements[0].content
            assert list(tensor.shape) == case["tensor_shape"]
            assert [height, width] == case["img_metas"].get("img_shape", case["img_metas"].get("resize_shape"))[:2]
            stride, offset = case["stride"], case["offset"]
            np.testing.assert_allclose(tensor[:, offset::stride, offset::stride], arrays[case["grid"]], rtol=0, atol=1e-6)
            assert not tensor[:, height:].any()
            assert not tensor[:, :, width:].any()
            levels = tensor[:, :height, :width].transpose(1, 2, 0) * np.array(recipe.std, np.float32) + np.array(
                recipe.mean, np.float32
            )
            assert zlib.crc32(np.ascontiguousarray(np.rint(levels).astype(np.uint8)).tobytes()) == case["crc32_uint8"]


# ------------------------------------------------------------------------------------------------------ a user's config


def test_another_depth_other_channels_and_scales() -> None:
    wide = [256, 512, 1024, 2048]
    neck = {"in_channels": wide, "lateral_channels": 128, "out_channels": 32, "bias_on_smooth": True, "bn_re_on_smooth": True}
    model = spec_of(
        detector(
            pipeline=steps(scale=(640, 2000)),
            backbone={
                "depth": 101,
                "style": "pytorch",
                "norm_cfg": {"type": "SyncBN", "requires_grad": True},
                "frozen_stages": 1,
            },
            neck=neck,
            bbox_head={"in_channels": 128, "with_bias": True},
        ),
        "mine",
        upsample="bilinear",
    )
    assert (model.name, model.family, model.outputs, model.input.name) == ("mine", "dbnet", ("output",), "input")
    assert model.input.resize == Fit(2000, 640)
    assert dict(model.network) | {"config_sha256": ""} == {
        "architecture": "dbnet",
        "upsample": "bilinear",
        "backbone": {"depth": 101, "style": "pytorch"},
        "neck": {**neck, "bias_on_lateral": False, "bn_re_on_lateral": False, "conv_after_concat": False},
        "head": {"in_channels": 128, "with_bias": True},
        "config_sha256": "",
    }


def test_the_digest_is_that_of_the_whole_config() -> None:
    config = detector()
    assert spec_of(config, "x").network["config_sha256"] == config_digest.digest(config)


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        (
            "DBNet",
            {
                "mask_thr": 0.2,
                "min_text_score": 0.4,
                "min_text_width": 3,
                "unclip_ratio": 2,
                "epsilon_ratio": 0.02,
                "max_candidates": 10,
            },
            {
                "mask_threshold": 0.2,
                "score_threshold": 0.4,
                "min_side": 3.0,
                "unclip_ratio": 2.0,
                "epsilon_ratio": 0.02,
                "max_candidates": 11,
                "representation": "poly",
            },
        ),
        (
            "PSENet",
            {
                "min_kernel_confidence": 0.4,
                "min_text_avg_confidence": 0.7,
                "min_kernel_area": 3,
                "min_text_area": 9,
                "text_repr_type": "quad",
            },
            {"mask_threshold": 0.4, "score_threshold": 0.7, "min_kernel_area": 3, "min_area": 9, "representation": "quad"},
        ),
        (
            "PANet",
            {"min_text_confidence": 0.3, "min_kernel_confidence": 0.4, "min_text_avg_confidence": 0.7, "min_text_area": 9},
            {
                "mask_threshold": 0.3,
                "kernel_threshold": 0.4,
                "score_threshold": 0.7,
                "distance_threshold": 0.7,
                "min_area": 9,
                "representation": "poly",
            },
        ),
    ],
)
def test_every_threshold_is_taken_over(kind: str, given: Config, expected: Config) -> None:
    assert spec_of(detector(kind, postprocessor=given), "x").options == expected


def test_where_no_post_processor_is_given_it_is_the_heads_default() -> None:
    for kind, representation in (("DBNet", "quad"), ("PSENet", "poly"), ("PANet", "poly")):
        config = detector(kind)
        del config["model"]["bbox_head"]["postprocessor"]
        assert spec_of(config, "x").options["representation"] == representation


def test_the_heads_older_argument_wins() -> None:
    config = detector("PANet", bbox_head={"text_repr_type": "quad", "decoding_type": "pan"})
    assert spec_of(config, "x").options["representation"] == "quad"


def test_pixels_and_kernels_as_many_as_the_config_says() -> None:
    head = spec_of(detector("PSENet", bbox_head={"out_channels": 5}, neck={"fusion_type": "add"}), "x").network
    assert (head["head"]["out_channels"], head["neck"]["fusion_type"]) == (5, "add")
    wide = detector("PANet", neck={"conv_out": 64, "fpem_repeat": 4, "align_corners": True}, bbox_head={"in_channels": [64] * 4})
    assert spec_of(wide, "x").network["neck"] == {
        "in_channels": [64, 128, 256, 512],
        "conv_out": 64,
        "fpem_repeat": 4,
        "align_corners": True,
    }


def test_one_size_for_all_pictures() -> None:
    recipe = spec_of(
        detector(pipeline=steps(scale=(1280, 736), Resize={"keep_ratio": False, "interpolation": "area"})), "x"
    ).input
    assert (recipe.resize, recipe.align, recipe.interpolation) == (Exact(736, 1280), Align.STRETCH, Interpolation.AREA)
    assert batching.place((100, 100), recipe, 0).tensor == (736, 1280)


def test_colours_orientation_and_padding_follow_the_config() -> None:
    pipeline = steps(scale=[(1333, 736)], Load={"color_type": "color"}, Normalize={"to_rgb": False}, Pad={"pad_val": {"img": 2}})
    recipe = spec_of(detector(pipeline=pipeline), "x").input
    assert (recipe.colour, recipe.orientation, recipe.pad_value) == (Colour.BGR, Orientation.EXIF, 2.0)


def test_the_pipeline_is_found_where_mmocr_finds_it() -> None:
    config, other = detector(), steps(scale=(640, 640))
    config["data"]["test"] = {"datasets": [{"pipeline": other}, {"pipeline": deepcopy(other)}]}
    assert spec_of(config, "x").input.resize == Fit(640, 640)
    config["data"]["test"] = {"pipeline": [other, deepcopy(other)], "datasets": [[{}], [{}]]}
    assert spec_of(config, "x").input.resize == Fit(640, 640)
    config["data"]["test"] = {"datasets": [{"pipeline": other}, {"pipeline": steps()}]}
    with pytest.raises(ConfigError, match="has several pipelines, which differ"):
        spec_of(config, "x")


def test_lines_of_one_width_or_of_their_own() -> None:
    fixed = {"height": 32, "min_width": 100, "max_width": 100, "keep_aspect_ratio": False}
    recipe = spec_of(recognizer(line_steps(fixed)), "x").input
    assert (recipe.resize, recipe.align) == (Exact(32, 100), Align.STRETCH)
    assert spec_of(recognizer(line_steps({**fixed, "keep_aspect_ratio": True})), "x").input.resize == Exact(32, 100)
    own = {"height": 32, "min_width": 48, "width_downsample_ratio": 0.25}
    expected = Height(32, width_multiple=4, rounding=Rounding.NEAREST, min_width=48)
    assert spec_of(recognizer(line_steps(own)), "x").input.resize == expected


def test_the_other_way_to_normalise_lines() -> None:
    more = ({"type": "ToTensorOCR"}, {"type": "NormalizeOCR", "mean": [0.5] * 3, "std": [0.25] * 3})
    model = spec_of(recognizer(line_steps(None, *more, colour="color"), backbone={"input_channels": 3}), "x")
    assert (model.input.colour, model.input.scale, model.input.mean, model.input.std) == (
        Colour.BGR,
        1 / 255,
        (0.5,) * 3,
        (0.25,) * 3,
    )


# -------------------------------------------------------------------------------------------------------- dictionaries


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        (
            "crnn_academic_dataset (DICT36, with_unknown=False, lower=True)",
            {"dict_type": "DICT36", "with_unknown": False, "lower": True},
        ),
        ("extra: CTCConvertor(DICT90, with_unknown=True, lower=False)", {}),
        ("extra: CTCConvertor(DICT37, with_unknown=True, lower=True)", {"dict_type": "DICT37", "lower": True}),
    ],
)
def test_the_classes_are_mmocrs_in_its_order(reference_folder: Path, name: str, arguments: Config) -> None:
    recorded = json.loads((reference_folder / "open" / "ctc.json").read_text(encoding="utf-8"))["convertors"][name]
    model = spec_of(recognizer(convertor=arguments), "x")
    assert ["<BLK>", *model.charset] == recorded["idx2char"]
    assert model.network["num_classes"] == recorded["num_classes"] == len(model.charset) + 1


def test_a_dictionary_of_ones_own(tmp_path: Path) -> None:
    listed = spec_of(recognizer(convertor={"dict_list": ["b", "ü", "字"], "dict_type": "DICT36", "with_unknown": False}), "x")
    assert listed.charset == ("b", "ü", "字")
    assert listed.network["num_classes"] == 4
    (tmp_path / "own.txt").write_bytes("b\r\n\nü\n \n\u2028".encode())
    arguments = {"dict_file": "own.txt", "dict_list": ["a"], "with_unknown": True}
    found = spec_of(recognizer(convertor=arguments), "x", tree=Tree.of(tmp_path / "config.py"))
    assert found.charset == ("b", "ü", " ", "\u2028", "<UKN>")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"dict_type": "DICT12"}, "model.label_convertor.dict_type of the config is 'DICT12', and must be one of DICT36"),
        ({"dict_list": ["a", "a"]}, "is empty, or has a character twice"),
        ({"dict_list": []}, "is empty, or has a character twice"),
        ({"dict_list": "ab"}, "dict_list of the config is 'ab', and must be a list of characters"),
        ({"dict_file": "words.txt"}, r"words.txt:2: it has 2 characters on one line"),
        ({"dict_file": "missing.txt"}, r"model.label_convertor.dict_file of the config: cannot read .*missing.txt: No such file"),
        ({"dict_file": "../outside.txt"}, "dict_file of the config: it names the file .* outside the folder"),
        ({"dict_file": 3}, "dict_file of the config is 3, and must be the path of a file"),
        ({"dict_typ": "DICT36"}, "model.label_convertor.dict_typ of the config is 'DICT36', and no such argument is supported"),
    ],
)
def test_a_dictionary_that_cannot_be_is_refused(tmp_path: Path, arguments: Config, complaint: str) -> None:
    (tmp_path / "outside.txt").write_text("a\n", encoding="utf-8")
    own = tmp_path / "own"
    own.mkdir()
    (own / "words.txt").write_text("a\nbc\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=complaint):
        spec_of(recognizer(convertor=arguments), "x", tree=Tree.of(own / "config.py"))


def test_without_a_tree_no_file_is_read() -> None:
    with pytest.raises(ConfigError, match="dict_file of the config is '/etc/passwd', and no folder was named"):
        spec_of(recognizer(convertor={"dict_file": "/etc/passwd"}), "x")


# ------------------------------------------------------------------------------- what would change the answer is refused


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ({"backbone": {"depth": 20}}, r"model.backbone.depth of the config is 20, and only 18, 34, 50, 101, 152 are supported"),
        ({"backbone": {"type": "mmdet.ResNeXt"}}, "model.backbone.type of the config is 'mmdet.ResNeXt'"),
        ({"backbone": {"dilations": (1, 1, 2, 4)}}, r"model.backbone.dilations .* only \(1, 1, 1, 1\) is supported"),
        ({"backbone": {"strides": (1, 2, 2, 1)}}, "model.backbone.strides"),
        ({"backbone": {"out_indices": (1, 2, 3)}}, "model.backbone.out_indices"),
        ({"backbone": {"deep_stem": True}}, "model.backbone.deep_stem"),
        ({"backbone": {"plugins": [{}]}}, "model.backbone.plugins"),
        ({"backbone": {"base_channels": 32}}, "model.backbone.base_channels"),
        ({"backbone": {"norm_cfg": {"type": "GN", "num_groups": 32}}}, "model.backbone.norm_cfg.type of the config is 'GN'"),
        ({"backbone": {"norm_cfg": {"type": "BN", "eps": 1e-3}}}, "model.backbone.norm_cfg.eps of the config is 0.001"),
        ({"backbone": {"colour": 1}}, "model.backbone.colour of the config is 1, and no such argument is supported"),
        ({"backbone": {"depth": 50}}, r"model.neck.in_channels .* only \[256, 512, 1024, 2048\] is supported"),
        ({"neck": {"type": "FPNF"}}, "model.neck.type of the config is 'FPNF', and only 'FPNC' is supported"),
        ({"neck": {"asf_cfg": {"attention_type": "ScaleChannelSpatial"}}}, "model.neck.asf_cfg"),
        (
            {"neck": {"lateral_channels": "many"}},
            "model.neck.lateral_channels of the config is 'many', and must be a whole number",
        ),
        ({"neck": {"bias_on_lateral": 1}}, "model.neck.bias_on_lateral of the config is 1, and must be True or False"),
        ({"bbox_head": {"in_channels": 128}}, "model.bbox_head.in_channels of the config is 128, and only 256 is supported"),
        ({"bbox_head": {"downsample_ratio": 0.5}}, "model.bbox_head.downsample_ratio of the config is 0.5"),
        ({"bbox_head": {"type": "FCEHead"}}, "model.bbox_head.type of the config is 'FCEHead'"),
        ({"bbox_head": {"decoding_type": "pan"}}, "model.bbox_head.decoding_type of the config is 'pan'"),
        ({"bbox_head": {"text_repr_type": "oval"}}, "model.bbox_head.text_repr_type of the config is 'oval'"),
        ({"postprocessor": {"type": "PANPostprocessor"}}, "postprocessor.type .* only 'DBPostprocessor' is supported"),
        ({"postprocessor": {"text_repr_type": "oval"}}, "postprocessor.text_repr_type of the config is 'oval'"),
        ({"postprocessor": {"mask_threshold": 0.3}}, "postprocessor.mask_threshold .* no such argument is supported"),
        ({"postprocessor": {"mask_thr": None}}, "postprocessor.mask_thr of the config is None, and must be a number from 0 on"),
        ({"postprocessor": {"max_candidates": -1}}, "postprocessor.max_candidates of the config is -1"),
        (
            {"pipeline": steps(Aug={"flip": True})},
            r"data.test.pipeline\[1\].flip of the config is True, and only False is supported",
        ),
        ({"pipeline": steps(scale=[(1333, 736), (640, 640)])}, r"img_scale .* only one pair of whole numbers is supported"),
        ({"pipeline": steps(scale=[1333, 736])}, r"img_scale of the config is \[1333, 736\]"),
        ({"pipeline": steps(Aug={"scale_factor": 2.0})}, "scale_factor of the config is 2.0, and only None is supported"),
        ({"pipeline": steps(Resize={"backend": "pillow"})}, r"transforms\[0\].backend of the config is 'pillow'"),
        ({"pipeline": steps(Resize={"interpolation": "lanczos"})}, "interpolation of the config is 'lanczos'"),
        ({"pipeline": steps(Resize={"ratio_range": (1, 2)})}, "ratio_range"),
        (
            {"pipeline": steps(Normalize={"mean": [1, 2]})},
            "mean of the config is .*, and must be 3 numbers, one for each channel",
        ),
        ({"pipeline": steps(Normalize={"std": [1, 2, 0]})}, "input.std must not be 0"),
        ({"pipeline": steps(Pad={"size_divisor": 1})}, "sides are no multiples of 4"),
        ({"pipeline": steps(Pad={"size_divisor": None, "size": (640, 640)})}, "size_divisor of the config is None"),
        ({"pipeline": steps(Load={"to_float32": True})}, "to_float32 of the config is True, and only False is supported"),
        ({"pipeline": steps(Load={"color_type": "unchanged"})}, "color_type of the config is 'unchanged', and only 'color', "),
        ({"pipeline": steps(Load={"color_type": "grayscale"}, Normalize={"mean": [1], "std": [1]})}, "reads gray pictures"),
        ({"pipeline": steps()[:1]}, "data.test.pipeline of the config has no Resize"),
        ({"pipeline": [*steps(), steps()[0]]}, "is 'LoadImageFromFile', which is not supported after the steps before it"),
        ({"pipeline": [steps()[0], {"type": "ColorJitter"}]}, r"data.test.pipeline\[1\].type of the config is 'ColorJitter'"),
        ({"pipeline": [steps()[0], {"type": "RandomFlip"}]}, "'RandomFlip', which answers differently each time"),
        ({"pipeline": ["Resize"]}, r"data.test.pipeline\[0\] of the config is 'Resize', and must be a dictionary"),
    ],
)
def test_what_a_detector_does_not_support_is_named(parts: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as raised:
        spec_of(detector(**parts), "x")
    assert raised.value.fix


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({}, "model of the config is None, and must be a dictionary"),
        (
            {"model": {"type": "SDMGR"}},
            "model.type of the config is 'SDMGR', and only DBNet, PSENet, PANet, CRNNNet are supported",
        ),
        ({**detector(), "data": {}}, "data.test of the config is None, and must be a dictionary"),
        ({**detector(), "data": {"test": {}}}, "the config has no data.test.pipeline"),
        (recognizer(encoder={"type": "X"}), "model.encoder of the config is .*, and only None is supported"),
        (recognizer(type="SARNet"), "model.type of the config is 'SARNet', and only 'CRNNNet' is supported"),
        (recognizer(decoder={"in_channels": 256}), "model.decoder.in_channels of the config is 256"),
        (recognizer(decoder={"hidden": 1}), "model.decoder.hidden of the config is 1, and no such argument"),
        (recognizer(backbone={"input_channels": 3}), "model.backbone.input_channels of the config is 3, and only 1 is supported"),
        (recognizer(line_steps({"height": 48})), "makes lines 48 pixels high, and CRNN takes 32"),
        (recognizer(line_steps({"height": (32, 48)})), "height of the config is .*, and must be a whole number"),
        (recognizer(line_steps({"height": 32, "max_width": 160})), "max_width of the config is 160: to pad lines"),
        (recognizer(line_steps({"height": 32, "keep_aspect_ratio": False})), "max_width of the config is missing"),
        (recognizer(line_steps({"height": 32, "width_downsample_ratio": 0})), "width_downsample_ratio of the config is 0.0"),
        (recognizer(line_steps(None, {"type": "NormalizeOCR", "mean": [1], "std": [1]})), "only after ToTensorOCR"),
        (
            recognizer([line_steps()[0], {"type": "MultiRotateAugOCR", "rotate_degrees": [0, 90, 270], "transforms": []}]),
            r"rotate_degrees of the config is \[0, 90, 270\]",
        ),
    ],
)
def test_what_else_is_not_supported_is_named(config: Config, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        spec_of(config, "x")


def test_an_option_of_ours_that_is_misspelled_is_named() -> None:
    with pytest.raises(UnknownName, match=r"unknown value of upsample 'biliner' \(did you mean 'bilinear'\?\)"):
        spec_of(detector(), "x", upsample="biliner")
    with pytest.raises(UnknownName, match="unknown value of networks 'mmcv'"):
        spec_of(detector(), "x", networks="mmcv")


def test_what_concerns_training_only_changes_nothing_but_the_digest() -> None:
    plain = detector()
    config = detector(backbone={"init_cfg": {"type": "Pretrained"}, "norm_eval": True, "with_cp": True, "pretrained": "x"})
    config["model"] |= {"pretrained": "x", "show_score": True}
    config["optimizer"] = {"type": "SGD"}
    one, two = spec_of(plain, "x"), spec_of(config, "x")
    assert one != two
    assert replace(two, network={**two.network, "config_sha256": one.network["config_sha256"]}) == one


def test_the_config_itself_is_left_as_it_was() -> None:
    for config in (detector(), recognizer()):
        before = deepcopy(config)
        spec_of(config, "x")
        assert config == before


def test_a_line_that_turns_no_way_is_as_good_as_none() -> None:
    load, *rest = line_steps()
    turned = [load, {"type": "MultiRotateAugOCR", "rotate_degrees": [0], "transforms": rest}]
    assert spec_of(recognizer(turned), CRNN).input == SIX[CRNN].input


def test_the_smallest_config_is_the_named_model() -> None:
    made: list[ModelSpec] = [spec_of(detector(postprocessor={"text_repr_type": "quad"}), DBNET), spec_of(recognizer(), CRNN)]
    for model in made:
        named = SIX[model.name]
        assert (
            replace(model, rank=named.rank, network={**model.network, "config_sha256": named.network["config_sha256"]}) == named
        )
