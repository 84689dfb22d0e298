"""What an engine's manifest says of where it came from, and when it does not serve here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.plugins.tensorrt_fake import building

from ocrdeploy.artifact import Manifest
from ocrdeploy.errors import OcrdError
from ocrdeploy.vocabulary import BuildOptions, Exact, InputSpec, ModelSpec, Shapes, Task
from ocrdeploy_tensorrt import facts, inspection, typed

MODEL = ModelSpec("m", "ctc", Task.RECOGNITION, InputSpec("x", Exact(32, 100)), ("y",))
SHAPES = Shapes((1, 3, 32, 100), (8, 3, 32, 100), (16, 3, 32, 100))
H100, H200, A10, T4 = "NVIDIA H100 (sm_90)", "NVIDIA H200 (sm_90)", "NVIDIA A10 (sm_86)", "Tesla T4 (sm_75)"
TRT, _ = building.module("11.4.0.106")
OLD, _ = building.module("10.16.1.11")
RTX, _ = building.module("1.7.1.116", "tensorrt_rtx")


def manifest(said: Mapping[str, str] | None = None, versions: Mapping[str, str] | None = None, device: str = "any") -> Manifest:
    return Manifest(MODEL, "trt-engine", "a", "b", "build-tensorrt-fp32", {}, versions or {}, device, facts=said or {})


def test_everything_that_an_engine_depends_on_is_among_its_facts(tmp_path: Path) -> None:
    (tmp_path / "libops.so").write_bytes(b"code")
    extra = {"keep_fp32": "LSTM", "hardware_compatibility": "same", "version_compatible": "yes", "resize": "any"}
    options = BuildOptions("fp16", workspace_gib=2.0, custom_ops=(tmp_path / "libops.so",), extra=extra)
    assert facts.facts(TRT, options, SHAPES, H100) == {
        "flavour": "tensorrt",
        "tensorrt": "11.4.0.106",
        "device": "sm_90",
        "precision": "fp16",
        "min_shape": "1x3x32x100",
        "opt_shape": "8x3x32x100",
        "max_shape": "16x3x32x100",
        "workspace_gib": "2",
        "hardware_compatibility": "same",
        "version_compatible": "yes",
        "resize": "any",
        "keep_fp32": "LSTM",
        "custom_ops libops.so": hashlib.sha256(b"code").hexdigest(),
    }


@pytest.mark.parametrize(
    ("extra", "where"),
    [({}, H100), ({"hardware_compatibility": "ampere+"}, "ampere+"), ({"hardware_compatibility": "same"}, "sm_90")],
)
def test_where_an_engine_runs(extra: Mapping[str, str], where: str) -> None:
    assert facts.facts(TRT, BuildOptions(extra=extra), SHAPES, H100)["device"] == where


def test_an_engine_of_rtx_runs_on_ampere_and_later_or_on_turing_alone() -> None:
    assert facts.facts(RTX, BuildOptions(), SHAPES)["device"] == "ampere+"
    assert facts.facts(RTX, BuildOptions(), SHAPES, A10)["device"] == "ampere+"
    assert facts.facts(RTX, BuildOptions(), SHAPES, T4)["device"] == "sm_75"


@pytest.mark.parametrize(
    ("device", "gpu", "why"),
    [
        (H100, H100, ""),
        (H100, "", ""),
        ("any", T4, ""),
        (H100, H200, "was built on NVIDIA H100 (sm_90), and this is NVIDIA H200 (sm_90)"),
        ("sm_90", H200, ""),
        ("sm_90", A10, "was built for compute capability sm_90, and this is NVIDIA A10 (sm_86)"),
        ("ampere+", A10, ""),
        ("ampere+", H200, ""),
        ("ampere+", T4, "was built for Ampere and later GPUs (sm_80), and this is Tesla T4 (sm_75)"),
    ],
)
def test_an_engine_on_another_gpu(device: str, gpu: str, why: str) -> None:
    own = {"flavour": "tensorrt", "tensorrt": "11.4.0.106", "device": device}
    assert facts.mismatch(manifest(own), TRT, gpu) == why
    assert facts.mismatch(manifest({}, {"runtime": "11.4.0.106"}, device), TRT, gpu) == why


@pytest.mark.parametrize(
    ("was", "compatible", "why"),
    [
        ("11.4.0.106", "", ""),
        ("11.3.0.99", "", "was built by tensorrt 11.3.0.99, and this is 11.4.0.106"),
        ("11.3.0.99", "yes", ""),
        ("11.5.0.1", "yes", "was built by tensorrt 11.5.0.1, and this is 11.4.0.106"),
        ("10.16.1.11", "yes", "was built by tensorrt 10.16.1.11, and this is 11.4.0.106"),
    ],
)
def test_an_engine_of_another_version(was: str, compatible: str, why: str) -> None:
    own = {"flavour": "tensorrt", "tensorrt": was, "version_compatible": compatible}
    assert facts.mismatch(manifest(own), TRT, H100) == why


def test_the_two_flavours_do_not_open_each_others_engines() -> None:
    own = {"flavour": "tensorrt-rtx", "tensorrt": "1.7.1.116", "device": "any"}
    assert facts.mismatch(manifest(own), RTX, H100) == ""
    assert facts.mismatch(manifest(own), TRT, H100) == "was built by tensorrt-rtx, and this is tensorrt"
    assert facts.mismatch(manifest({}, {"runtime": "RTX 1.7.1.116"}), TRT, H100).startswith("was built by tensorrt-rtx")
    assert facts.mismatch(manifest({}, {"runtime": "RTX 1.7.1.116"}), RTX, H100) == ""
    assert facts.mismatch(manifest({}, {"tensorrt": "1.7.0.1", "flavour": "tensorrt-rtx"}), RTX, H100).endswith("is 1.7.1.116")


def test_a_manifest_that_says_nothing_contradicts_nothing() -> None:
    assert facts.mismatch(manifest(), OLD, H100) == ""


# ------------------------------------------------------------------------------------------------------- the inspector


def layer(name: str, kind: str, *formats: str) -> str:
    outputs = ", ".join(f'{{"Name": "t", "Dimensions": [1], "Format/Datatype": "{each}"}}' for each in formats)
    return f'{{"Name": "{name}", "LayerType": "{kind}", "Inputs": [], "Outputs": [{outputs}]}}'


def read(*layers: str) -> tuple[inspection.Layer, ...]:
    return inspection.layers_of(f'{{"Layers": [{", ".join(layers)}], "Bindings": ["x"]}}')


HALF = layer("conv", "CaskConvolution", "Channel major FP16 format where channel % 8 == 0")
FULL = layer("lstm", "Loop", "Row major linear FP32")
CAST = layer("out", "Reformat", "Row major linear FP32")


def test_layers_in_another_precision_than_asked_are_named() -> None:
    assert inspection.proved(read(HALF, CAST), "fp16") == ("fp16", "")
    assert inspection.proved(read(HALF, FULL, CAST), "fp16") == ("fp16", "fp16 asked, 1 layer in fp32: lstm")
    assert inspection.proved(read(FULL, CAST), "fp16") == ("fp32", "fp16 asked, fp32 is what it calculates in")
    assert inspection.proved(read(FULL), "fp32") == ("fp32", "")
    assert inspection.proved(read(FULL), "tf32") == ("tf32", "")
    assert inspection.proved(read(HALF, FULL), "fp32")[1] == "fp32 asked, 1 layer in less"


@pytest.mark.parametrize(
    ("written", "precision"),
    [
        ("Half", "fp16"),
        ("Float", "fp32"),
        ("BFloat16", "bf16"),
        ("Row major linear BF16", "bf16"),
        ("Thirty-two wide channel vectorized row major Int8 format.", "int8"),
        ("N/A due to dynamic shapes", ""),
        ("Int64", ""),
    ],
)
def test_the_inspectors_words_for_precisions(written: str, precision: str) -> None:
    assert inspection.precision_of(written) == precision


def test_an_engine_that_does_not_say_proves_nothing() -> None:
    names = inspection.layers_of('{"Layers": ["conv", "lstm"]}')
    assert [each.name for each in names] == ["conv", "lstm"]
    assert inspection.proved(names, "fp16") == ("", "the engine does not say what its layers calculate in")
    for text in ("", "[]", '{"Layer": 1}'):
        with pytest.raises(OcrdError, match="says nothing of this engine"):
            inspection.layers_of(text)


def test_many_names_are_cut_short() -> None:
    assert typed.listed([str(number) for number in range(23)]).endswith("18, 19, and 3 more")
    assert typed.facts({"fp16": ["a", "b"], "fp32": ["c"]}) == {"layers": "fp16 2, fp32 1", "layers_fp32": "c"}
    assert typed.facts({"fp32": ["c"]}) == {"layers": "fp32 1"}
