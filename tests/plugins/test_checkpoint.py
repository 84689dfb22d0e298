"""Checkpoints as data: every way to store weights, and what does not fit, said whole."""

from __future__ import annotations

import ast
import json
import logging
import re
import struct
import threading
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import ocrdeploy_pytorch
from ocrdeploy import BadInput
from ocrdeploy_pytorch import checkpoint, formats, state_dicts
from ocrdeploy_pytorch.networks.build import build
from ocrdeploy_pytorch.specs import SIX

MODEL = replace(SIX["dbnet_r18_fpnc_1200e_icdar2015"], name="tiny")


class Tiny(nn.Module):
    """A convolution and its normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.bn = nn.BatchNorm2d(2)


@pytest.fixture
def weights() -> dict[str, Tensor]:
    torch.manual_seed(5)
    return {key: torch.rand_like(each) if each.is_floating_point() else each for key, each in Tiny().state_dict().items()}


def same(network: nn.Module, weights: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(each, weights[key].to(each.dtype)) for key, each in network.state_dict().items())


def save_zip(value: Any, path: Path) -> None:
    torch.save(value, path)


def save_legacy(value: Any, path: Path) -> None:
    torch.save(value, path, _use_new_zipfile_serialization=False)


SAVERS: dict[str, Callable[[Any, Path], None]] = {"zip": save_zip, "legacy": save_legacy}
META = {
    "mmcv_version": "1.7.2",
    "time": "Mon Nov 23 18:00:00 2026",
    "config": "model = dict(type='DBNet')\n",
    "CLASSES": ("text",),
    "epoch": 1200,
    "seed": None,
    "hook_msgs": {"best_score": np.float64(0.795), "best_ckpt": "work/best.pth", "counts": np.arange(3), "last": np.float32(2)},
}
OPTIMIZER = {
    "state": {0: {"momentum_buffer": torch.ones(3), "step": 7}, 1: {"momentum_buffer": None}},
    "param_groups": [{"lr": 0.007, "betas": (0.9, 0.999), "nesterov": False, "params": [0, 1]}],
}
WRAPPINGS: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "as MMCV saves it": lambda tensors: {"meta": META, "state_dict": OrderedDict(tensors), "optimizer": OPTIMIZER},
    "bare": lambda tensors: tensors,
    "bare and ordered": OrderedDict,
    "of several GPUs": lambda tensors: {"state_dict": {f"module.{key}": each for key, each in tensors.items()}},
    "parameters": lambda tensors: {
        key: nn.Parameter(each, requires_grad=each.is_floating_point()) for key, each in tensors.items()
    },
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("form", SAVERS)
def test_every_way_to_save_weights_is_read(form: str, wrapping: str, weights: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "tiny.pth"
    if wrapping == "parameters":
        weights.pop("bn.num_batches_tracked")  # no parameter is an integer
    SAVERS[form](WRAPPINGS[wrapping](weights), path)
    found = checkpoint.read(path)
    assert list(found) == list(weights)
    assert all(torch.equal(found[key], weights[key]) for key in weights)


def test_safetensors_are_read(weights: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    save_file(weights, path, metadata={"format": "pt"})
    network = Tiny()
    assert checkpoint.load(network, path, MODEL) == ()
    assert same(network, weights)


@pytest.mark.parametrize("form", SAVERS)
def test_nothing_of_numpys_is_called_for_numbers_in_meta(
    form: str, weights: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tiny.pth"
    SAVERS[form]({"meta": META, "state_dict": weights}, path)

    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(np._core.multiarray, "scalar", refuse)  # type: ignore[attr-defined]
    monkeypatch.setattr(np._core.multiarray, "_reconstruct", refuse)  # type: ignore[attr-defined]
    before = set(torch.serialization.get_safe_globals())
    assert len(checkpoint.read(path)) == len(weights)
    assert set(torch.serialization.get_safe_globals()) == before


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_converted_exactly(dtype: torch.dtype, weights: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "tiny.pth"
    stored = {key: each.to(dtype) if each.is_floating_point() else each for key, each in weights.items()}
    torch.save({"state_dict": stored}, path)
    assert checkpoint.read(path)["conv.weight"].dtype == dtype
    network = Tiny()
    assert checkpoint.load(network, path, MODEL) == ()
    assert network.conv.weight.dtype == torch.float32
    assert same(network, stored)


def test_a_network_without_memory_gets_some_once_all_fits(weights: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "tiny.pth"
    with torch.device("meta"):
        network = Tiny()
    torch.save({**weights, "more": torch.ones(1)}, path)
    with pytest.raises(BadInput):
        checkpoint.load(network, path, MODEL)
    assert network.conv.weight.is_meta
    torch.save(weights, path)
    checkpoint.load(network, path, MODEL)
    assert same(network, weights)


def test_two_threads_may_read_at_a_time(weights: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "tiny.pth"
    torch.save({"meta": META, "state_dict": weights}, path)
    found: list[int] = []

    def read_ten_times() -> None:
        found.extend(len(checkpoint.read(path)) for _ in range(10))

    threads = [threading.Thread(target=read_ten_times) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [len(weights)] * 30


# ---------------------------------------------------------------------------------------------------------- said, not hidden


def test_the_copies_of_mmcvs_ema_hook_are_left_out(weights: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "tiny.pth"
    copies = {f"ema_{key.replace('.', '_')}": torch.zeros_like(each) for key, each in weights.items() if "num" not in key}
    torch.save({"state_dict": {**weights, **copies}}, path)
    network = Tiny()
    (note,) = checkpoint.load(network, path, MODEL)
    assert "are left out: 6 (ema_bn_bias, ema_bn_running_mean, ema_bn_running_var, ...)" in note
    assert same(network, weights)


def test_a_checkpoint_of_before_num_batches_tracked_is_complete(weights: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "tiny.pth"
    weights.pop("bn.num_batches_tracked")
    torch.save(weights, path)
    network = Tiny()
    network.bn.num_batches_tracked = torch.tensor(3)
    (note,) = checkpoint.load(network, path, MODEL)
    assert "lacks num_batches_tracked" in note
    assert network.bn.num_batches_tracked == 0


def test_weights_that_are_no_numbers_are_loaded_and_said(
    weights: dict[str, Tensor], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tiny.pth"
    weights["conv.weight"][0, 0, 0, :2] = torch.nan
    weights["bn.bias"][1] = torch.inf
    torch.save(weights, path)
    network = Tiny()
    with caplog.at_level(logging.WARNING):
        notes = checkpoint.load(network, path, MODEL)
    said = "weights that are NaN or infinite: 3 (in bn.bias, conv.weight); what the model answers may be so, too"
    assert notes == (f"{path}: {said}",)
    assert caplog.messages == list(notes)
    assert int(network.conv.weight.isnan().sum()) == 2


def test_weights_whose_sum_is_too_large_are_numbers_all_the_same(tmp_path: Path) -> None:
    assert state_dicts.not_finite({"a": torch.full((2,), 3e38)}, tmp_path) == []


# -------------------------------------------------------------------------------------------------------- what does not fit


def test_all_that_does_not_fit_is_listed_and_nothing_loaded(weights: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "tiny.pth"
    del weights["conv.bias"]
    weights |= {"conv.weight": torch.ones(3, 1, 3, 3), "head.bias": torch.ones(1), "bn.weight": torch.ones(2, dtype=torch.int64)}
    torch.save(weights, path)
    network = Tiny()
    before = {key: each.clone() for key, each in network.state_dict().items()}
    with pytest.raises(BadInput) as caught:
        checkpoint.load(network, path, MODEL)
    assert caught.value.problem == (
        f"{path} does not fit tiny: keys missing: 1 (conv.bias); not expected: 1 (head.bias); "
        "of another shape: 1 (conv.weight: (3, 1, 3, 3) instead of (2, 1, 3, 3)); "
        "of another kind of number: 1 (bn.weight: an integer)"
    )
    assert caught.value.fix == "name the config that it was trained with"
    assert same(network, before)


def test_long_lists_are_cut(weights: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "tiny.pth"
    torch.save({**weights, **{f"more.{index}": torch.ones(1) for index in range(9)}}, path)
    with pytest.raises(BadInput, match=re.escape("not expected: 9 (more.0, more.1, more.2, ...)")):
        checkpoint.load(Tiny(), path, MODEL)


def emptied(architecture: str, depth: int = 0, **more: Any) -> dict[str, Tensor]:
    """A state dict whose tensors take no room in a file."""
    described = {"architecture": architecture, **({"backbone": {"depth": depth}} if depth else {}), **more}
    with torch.device("meta"):
        wanted = build(described).state_dict()
    return {key: torch.zeros((), dtype=each.dtype).expand(each.shape) for key, each in wanted.items()}


@pytest.mark.parametrize(
    ("given", "asked", "looks", "was"),
    [
        (emptied("panet", 18), "dbnet_r18_fpnc_1200e_icdar2015", "panet_r18", "dbnet_r18"),
        (emptied("panet", 50), "panet_r18_fpem_ffm_600e_icdar2015", "panet_r50", "panet_r18"),
        (emptied("dbnet", 34), "dbnet_r18_fpnc_1200e_icdar2015", "dbnet_r34", "dbnet_r18"),
        (emptied("crnn"), "psenet_r50_fpnf_600e_ctw1500", "crnn", "psenet_r50"),
        (emptied("psenet", 50, head={"out_channels": 5}), "dbnet_r18_fpnc_1200e_icdar2015", "psenet_r50", "dbnet_r18"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_checkpoint_of_another_network_is_recognised(
    given: dict[str, Tensor], asked: str, looks: str, was: str, tmp_path: Path
) -> None:
    path = tmp_path / "other.pth"
    torch.save({"state_dict": given}, path)
    with torch.device("meta"):
        network = build(SIX[asked].network)
    with pytest.raises(BadInput, match=f"; it looks like {looks}, and {was} was asked for") as caught:
        checkpoint.load(network, path, SIX[asked])
    assert caught.value.fix == f"name a config of {looks}"


def test_another_number_of_classes_is_no_other_network(tmp_path: Path) -> None:
    path = tmp_path / "crnn.pth"
    torch.save(emptied("crnn", num_classes=97), path)
    with torch.device("meta"):
        network = build({"architecture": "crnn"})
    with pytest.raises(BadInput) as caught:
        checkpoint.load(network, path, SIX["crnn_academic_dataset"])
    assert "decoder.decoder.1.embedding.bias: (97,) instead of (37,)" in caught.value.problem
    assert "looks like" not in caught.value.problem


@pytest.mark.parametrize("name", SIX)
def test_each_of_the_six_is_known_by_a_name(name: str) -> None:
    label = state_dicts.label(SIX[name].network)
    assert name.startswith(label.split("_")[0])
    with torch.device("meta"):
        given = build(SIX[name].network).state_dict()
    assert state_dicts._nearest(given) == (label, 1.0)


# ------------------------------------------------------------------------------------------------------ no state dict, no file


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ([torch.ones(1)], "holds a list, not a state dict"),
        (torch.ones(1), "holds a Tensor, not a state dict"),
        (
            {"model": {"a": torch.ones(1)}, "epoch": 3},
            "holds no tensors under 'state_dict', and none at the top: it has 'model', 'epoch'",
        ),
        ({}, "it has nothing"),
        ({"state_dict": {}}, "holds no tensors under 'state_dict'"),
        ({"state_dict": {"a": torch.ones(1), "b": 3}}, "'b' of its state dict is a int, not a tensor"),
        ({"state_dict": {"a": torch.ones(1), 7: torch.ones(1)}}, "7 of its state dict is a Tensor, not a tensor"),
    ],
)
def test_a_file_without_a_state_dict_says_what_it_has(value: Any, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.pth"
    torch.save(value, path)
    with pytest.raises(BadInput, match=re.escape(complaint)) as caught:
        checkpoint.read(path)
    assert "torch.save({'state_dict'" in caught.value.fix


FOREIGN: list[tuple[bytes, str]] = [
    (b"", "is empty"),
    (b"\xff\xd8\xff\xe0\x00\x10JFIF", "a JPEG picture"),
    (b"\x89PNG\r\n\x1a\n\0\0", "a PNG picture"),
    (b"%PDF-1.7\n", "a PDF document"),
    (b"\x1f\x8b\x08\x00", "a compressed archive"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (bytes(257) + b"ustar\0" + bytes(200), "a tar archive"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\n", "a Git LFS pointer"),
    (b"<!DOCTYPE html>\n<html>", "a web page"),
    (b"\x08\x08\x12\x07pytorch", "an ONNX model"),
    (b"\x80\x04\x95\x10\x00", "a pickle, but not one of torch.save"),
    (b"model = dict(type='DBNet')\n", "a text file"),
    (b"\x00\x01\x02\x03\x04", r"it begins with b'\x00\x01\x02\x03\x04'"),
]


@pytest.mark.parametrize(("data", "what"), FOREIGN, ids=[what for _, what in FOREIGN])
def test_a_file_of_another_kind_is_called_by_its_name(data: bytes, what: str, tmp_path: Path) -> None:
    path = tmp_path / "foreign.pth"
    path.write_bytes(data)
    with pytest.raises(BadInput, match=re.escape(what)) as caught:
        checkpoint.read(path)
    assert caught.value.fix


def test_a_real_onnx_file_is_recognised(tmp_path: Path) -> None:
    import onnx
    from onnx import helper

    path = tmp_path / "model.pth"
    onnx.save(helper.make_model(helper.make_graph([], "g", [], [])), path)
    with pytest.raises(BadInput, match="an ONNX model; give its file a name"):
        checkpoint.read(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"cannot read .*: No such file"):
        checkpoint.read(tmp_path / "none.pth")
    with pytest.raises(BadInput, match=r"cannot read .*: Is a directory"):
        checkpoint.read(tmp_path)


@pytest.mark.parametrize("form", [*SAVERS, "safetensors"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.9, 0.999])
def test_a_file_that_is_cut_short_is_a_sentence(form: str, part: float, tmp_path: Path) -> None:
    path = tmp_path / "cut.pth"
    tensors = {f"layer.{index}.weight": torch.rand(64, 8) for index in range(9)}
    save_file(tensors, path) if form == "safetensors" else SAVERS[form]({"state_dict": tensors}, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(BadInput, match="is cut short or damaged") as caught:
        checkpoint.read(path)
    assert "\n" not in caught.value.problem
    assert caught.value.fix == formats.COPY_AGAIN


def test_a_byte_that_changed_on_the_way_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "flipped.pth"
    torch.save({"a": torch.rand(1000)}, path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(BadInput, match=r"is damaged: its part .*/data/0 does not have the checksum"):
        checkpoint.read(path)


def test_safetensors_whose_header_lies_are_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "lies.safetensors"
    header = json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(16))
    with pytest.raises(BadInput, match="is cut short or damaged"):
        checkpoint.read(path)


def test_a_torchscript_archive_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "scripted.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py", "version"):
            archive.writestr(f"scripted/{name}", b"\x80\x02}.")
    with pytest.raises(BadInput, match="is a TorchScript archive, not a checkpoint"):
        checkpoint.read(path)


def test_another_zip_archive_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "letter.docx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "<a/>")
    with pytest.raises(BadInput, match="is a zip archive, and not one of"):
        checkpoint.read(path)


def test_every_load_of_the_plugin_is_of_weights_only() -> None:
    calls = [
        (path.name, {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords})
        for path in Path(ocrdeploy_pytorch.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith(("torch.load", "jit.load", "pickle.load", "pickle.loads"))
    ]
    assert [name for name, _ in calls] == ["checkpoint.py"]
    assert all(keywords["weights_only"] == "True" for _, keywords in calls)


# ---------------------------------------------------------------------------------------------------------------- real ones


@pytest.mark.parametrize(
    ("file", "name"),
    [("crnn_academic_selftrained.pth", "crnn_academic_dataset"), ("dbnet_r18_selftrained.pth", "dbnet_r18_fpnc_1200e_icdar2015")],
)
@pytest.mark.parametrize("form", ["as it is", "legacy", "safetensors"])
def test_a_checkpoint_of_mmocr_loads_whole(form: str, file: str, name: str, data_folder: Path, tmp_path: Path) -> None:
    path = data_folder / "checkpoints" / file
    expected = checkpoint.read(path)
    if form != "as it is":
        path = tmp_path / "again.pth"
        save_file(expected, path) if form == "safetensors" else save_legacy({"meta": META, "state_dict": expected}, path)
    with torch.device("meta"):
        network = build(SIX[name].network)
    assert checkpoint.load(network, path, SIX[name]) == ()
    assert same(network, expected)
