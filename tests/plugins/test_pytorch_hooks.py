"""What the PyTorch plugin says of itself, of names, of configs and of checkpoints, and the way from those to text."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ocrdeploy import BadInput, Unavailable, backend, models, plugins, spec
from ocrdeploy.vocabulary import ExportOptions, InferOptions, ModelSpec, Task
from ocrdeploy_pytorch import described, hooks, settings
from ocrdeploy_pytorch.config.error import ConfigError
from ocrdeploy_pytorch.networks.build import build
from ocrdeploy_pytorch.specs import SIX

CRNN = SIX["crnn_academic_dataset"]
CONFIG = """
label_convertor = dict(type='CTCConvertor', dict_type='DICT36', with_unknown=False, lower=True)
model = dict(
    type='CRNNNet', preprocessor=None,
    backbone=dict(type='VeryDeepVgg', leaky_relu=False, input_channels=1), encoder=None,
    decoder=dict(type='CRNNDecoder', in_channels=512, rnn_flag=True),
    loss=dict(type='CTCLoss'), label_convertor=label_convertor, pretrained=None)
img_norm_cfg = dict(mean=[127], std=[127])
test_pipeline = [
    dict(type='LoadImageFromFile', color_type='grayscale'),
    dict(type='ResizeOCR', height=32, min_width=32, max_width=None, keep_aspect_ratio=True),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img'], meta_keys=['filename', 'resize_shape', 'valid_ratio']),
]
data = dict(test=dict(pipeline=test_pipeline))
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(CONFIG, encoding="utf-8")
    return path


@pytest.fixture
def crnn(tmp_path: Path) -> Path:
    """A CRNN as MMCV saves it, untrained."""
    torch.manual_seed(0)
    path = tmp_path / "crnn.pth"
    weights = {key: each.half() if each.is_floating_point() else each for key, each in build(CRNN.network).state_dict().items()}
    torch.save({"meta": {"config": CONFIG, "epoch": 5}, "state_dict": weights}, path)
    return path


# ---------------------------------------------------------------------------------------------------------------- announcing


def test_it_announces_itself_through_its_entry_point() -> None:
    info = plugins.discover().backends["pytorch"]
    assert (info.runs, info.builds_from) == (("checkpoint",), ())
    assert info.precisions == ("fp32", "tf32", "fp16", "bf16")
    assert info.options == tuple(settings.OPTIONS)


def test_it_ranks_below_onnxruntime() -> None:
    backends = plugins.discover().backends
    assert backends["pytorch"].rank < backends["onnxruntime"].rank


def test_what_is_static_imports_no_runtime() -> None:
    say = "from ocrdeploy_pytorch import hooks; hooks.ocrd_backend(); hooks.ocrd_probe(); hooks.ocrd_models()"
    code = f"import sys; {say}; sys.exit(bool({{'torch', 'cv2', 'onnx'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_torch_and_safetensors_are_needed_and_mmocr_is_an_extra() -> None:
    named = requires("ocrdeploy-pytorch") or []
    needed = {each.split(";")[0].strip() for each in named if "extra ==" not in each}
    assert {"torch>=2.10", "safetensors>=0.4.3"} <= needed
    assert not any(each.startswith(("mmocr", "mmdet", "mmcv")) for each in needed)
    pinned = {each.split(";")[0].strip() for each in named if "extra ==" in each and "mmocr" in each.split(";")[1]}
    assert pinned == {"mmocr==0.6.3", "mmdet==2.28.2", "mmcv-full==1.7.2"}


# ------------------------------------------------------------------------------------------------------------------- probing


def test_the_probe_names_version_and_device() -> None:
    answer = hooks.ocrd_probe()
    assert answer.ok
    assert answer.version == torch.__version__
    assert answer.device == ("cuda" if torch.cuda.is_available() else "cpu")


def test_without_torch_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(hooks, "version", version)
    answer = hooks.ocrd_probe()
    assert (answer.problem, answer.fix) == ("torch is not installed", hooks.INSTALL)


@pytest.mark.parametrize(("number", "ok"), [("2.9.1", False), ("1.13.1+cu117", False), ("2.10.0", True), ("3.0.0a0+git12", True)])
def test_a_torch_that_loads_hostile_files_is_not_used(number: str, ok: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "version", lambda _: number)
    answer = hooks.ocrd_probe()
    assert answer.ok is ok
    assert answer.version == number
    if not ok:
        assert answer.problem == f"torch {number} is too old to load a checkpoint safely"


@pytest.mark.parametrize("found", [None, SimpleNamespace(origin=None)], ids=["gone", "a folder that is called torch"])
def test_a_torch_whose_files_are_gone_is_a_problem(found: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: found)
    answer = hooks.ocrd_probe()
    assert "is installed, and its files are not where Python looks" in answer.problem
    assert answer.fix


@pytest.mark.parametrize(
    ("build_of", "driver", "device"),
    [
        ("cuda: Optional[str] = '13.0'", True, "cuda"),
        ("cuda: Optional[str] = '13.0'", False, "cpu"),
        ("cuda: Optional[str] = None", True, "cpu"),
    ],
)
def test_the_device_is_read_from_the_build(
    build_of: str, driver: bool, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "version.py").write_text(f"debug = False\n{build_of}\n", encoding="utf-8")
    monkeypatch.setattr("ocrdeploy.nvidia.driver_found", lambda: driver)
    assert hooks._device(tmp_path / "__init__.py") == device


# -------------------------------------------------------------------------------------------------------------------- models


def test_the_six_are_known_by_name_and_whole() -> None:
    known = plugins.discover().models
    assert set(SIX) <= set(known)
    for name, model in SIX.items():
        assert known[name] == model
        spec.check(model, name)
        assert model.network["architecture"]


def test_a_name_alone_says_that_the_weights_are_the_users_own() -> None:
    found = plugins.discover()
    with pytest.raises(BadInput) as caught:
        models.resolve(found, "dbnet_r18_fpnc_1200e_icdar2015", task=Task.DETECTION)
    assert caught.value.problem == "dbnet_r18_fpnc_1200e_icdar2015 is a network without weights: those are your own"
    assert caught.value.fix == "write dbnet_r18_fpnc_1200e_icdar2015::CHECKPOINT"


def test_a_name_with_a_checkpoint_is_opened(crnn: Path) -> None:
    found = plugins.discover()
    artifact = models.resolve(found, f"crnn_academic_dataset::{crnn}", task=Task.RECOGNITION)
    assert (artifact.format, artifact.path, artifact.model) == ("checkpoint", crnn, CRNN)
    session = backend.open_session(found, "pytorch", artifact, InferOptions(threads=1))
    assert session.loaded().precision == "fp32"
    session.close()


def without_names(model: ModelSpec) -> dict[str, Any]:
    plain = spec.to_dict(model)
    plain["network"].pop("config_sha256")
    return {key: value for key, value in plain.items() if key not in {"name", "rank"}}


def test_a_config_is_described_and_is_the_named_model(config: Path, crnn: Path) -> None:
    artifact = models.resolve(plugins.discover(), f"{config}::{crnn}", task=Task.RECOGNITION)
    assert artifact.model.name == "mine"
    assert without_names(artifact.model) == without_names(CRNN)


def test_a_checkpoint_that_carries_its_config_needs_nothing_else(crnn: Path) -> None:
    artifact = models.resolve(plugins.discover(), str(crnn), task=Task.RECOGNITION)
    assert artifact.model.name == "crnn"
    assert without_names(artifact.model) == without_names(CRNN)


@pytest.mark.parametrize(
    ("name", "text"),
    [("setup.py", "import os\n"), ("notes.txt", CONFIG), ("photo.pth", "\xff\xd8\xff"), ("other.onnx", "model = dict()")],
)
def test_another_file_is_somebody_elses(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="latin-1")
    assert described.describe(path, None) is None
    assert described.describe(tmp_path / "none.py", None) is None


def test_a_checkpoint_without_a_config_is_somebody_elses(tmp_path: Path) -> None:
    path = tmp_path / "bare.pth"
    torch.save({"state_dict": {"a": torch.ones(1)}, "meta": {"config": 3}}, path)
    assert described.describe(path, None) is None
    torch.save([1, 2], path)
    assert described.describe(path, None) is None


def test_a_config_inside_a_checkpoint_that_cannot_be_used_names_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "odd.pth"
    torch.save({"state_dict": {"a": torch.ones(1)}, "meta": {"config": "import os\nmodel = dict(type='DBNet')\n"}}, path)
    with pytest.raises(ConfigError, match=r"the config inside .*odd\.pth cannot be used") as caught:
        described.describe(path, None)
    assert "/config.py" not in caught.value.problem
    assert caught.value.fix == "name the config that it was trained with: CONFIG::CHECKPOINT"


UNKNOWN = CONFIG.replace("type='VeryDeepVgg', leaky_relu=False, input_channels=1", "type='ResNet31OCR'")


def test_a_network_that_is_not_rebuilt_here_is_refused_without_mmocr(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def installed() -> dict[str, str]:
        raise Unavailable("networks=mmocr needs mmocr, which is not installed", "install it")

    monkeypatch.setattr("ocrdeploy_pytorch.mmocr.networks.installed", installed)
    config.write_text(UNKNOWN, encoding="utf-8")
    with pytest.raises(ConfigError, match="ResNet31OCR") as caught:
        described.describe(config, None)
    assert "mmocr" in caught.value.fix


def test_a_network_that_is_not_rebuilt_here_is_left_to_mmocr_and_said(
    config: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ocrdeploy_pytorch.mmocr.networks.installed", dict)
    config.write_text(UNKNOWN, encoding="utf-8")
    model = described.describe(config, None)
    assert model is not None
    assert model.network["architecture"] == "mmocr"
    assert "the network is left to MMOCR, since" in caplog.text


# -------------------------------------------------------------------------------------------------------------- export, and run


def test_an_export_loads_the_checkpoint_into_the_network_and_says_where_it_came_from(
    crnn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def export(network: torch.nn.Module, model: ModelSpec, target: Path, options: ExportOptions) -> None:
        seen.append((network.state_dict()["backbone.cnn.conv0.bias"], model, options))
        target.write_bytes(b"onnx")

    monkeypatch.setattr("ocrdeploy_pytorch.exporter.export", export)
    artifact = models.resolve(plugins.discover(), f"crnn_academic_dataset::{crnn}", task=Task.RECOGNITION)
    made = hooks.ocrd_export(CRNN, None, artifact, tmp_path / "made.onnx", ExportOptions())
    stored = torch.load(crnn, weights_only=True)["state_dict"]["backbone.cnn.conv0.bias"]
    assert torch.equal(seen[0][0], stored.float())
    assert (made.format, made.parent_sha256, made.model) == ("onnx", artifact.sha256, CRNN)
    assert len(made.sha256) == 64


def test_an_export_refuses_what_the_files_spec_would_not_tell(crnn: Path, tmp_path: Path) -> None:
    artifact = models.resolve(plugins.discover(), f"crnn_academic_dataset::{crnn}", task=Task.RECOGNITION)
    with pytest.raises(BadInput, match="would change the graph") as caught:
        hooks.ocrd_export(CRNN, None, artifact, tmp_path / "made.onnx", ExportOptions(extra={"upsample": "bilinear"}))
    assert caught.value.fix == "use --model-option upsample=bilinear"
    assert list(tmp_path.glob("*.onnx")) == []


def test_ocrd_run_prints_the_text_of_a_photograph(data_folder: Path) -> None:
    checkpoints = data_folder / "checkpoints"
    command = [sys.executable, "-m", "ocrdeploy", "run", str(data_folder / "icdar03_scene/ryoungt_05.08.2002/PICT0016.JPG")]
    command += ["--backend", "pytorch", "--threads", "1"]
    command += ["--detector", f"dbnet_r18_fpnc_1200e_icdar2015::{checkpoints / 'dbnet_r18_selftrained.pth'}"]
    command += ["--recognizer", f"crnn_academic_dataset::{checkpoints / 'crnn_academic_selftrained.pth'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) >= 3
