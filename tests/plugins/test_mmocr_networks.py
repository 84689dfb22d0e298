"""Our networks beside those of the real MMOCR, where it is installed; and what is said where it is not."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from importlib import util
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ocrdeploy import artifact, backend, export, plugins
from ocrdeploy.errors import BadInput, Unavailable
from ocrdeploy.vocabulary import Artifact, ExportOptions, InferOptions, ModelSpec, Task
from ocrdeploy_pytorch import specs
from ocrdeploy_pytorch.exporter import axes as exporter_axes
from ocrdeploy_pytorch.mmocr import models as mmocr_models
from ocrdeploy_pytorch.mmocr import networks as mmocr_networks
from ocrdeploy_pytorch.mmocr import shims as mmocr_shims

torch = pytest.importorskip("torch", reason="needs PyTorch")
SIX = list(specs.SIX.values())
DBNET = specs.SIX["dbnet_r18_fpnc_1200e_icdar2015"]
SIZES = {3: ((2, 3, 64, 96), (1, 3, 100, 150)), 1: ((2, 1, 32, 100), (1, 1, 32, 64))}
"""By the number of channels; one of them is no multiple of 32."""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Two threads wait for each other where the machine has other work, and these networks are small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def configs() -> Path:
    """The folder of MMOCR's own configs."""
    try:
        mmocr_networks.installed()
    except Unavailable as error:
        pytest.skip(f"needs MMOCR: {error.problem} ({error.fix})")
    spec = util.find_spec("mmocr")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / ".mim" / "configs"


def trained(network: Any) -> Any:
    """Fill in weights that depend on nothing, statistics of batch norms too, and return the state."""
    torch.manual_seed(7)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    for value in state.values():
        if value.is_floating_point():
            # Weights of a layer stay small enough that no output saturates; all else is near 1 or 0, and never negative.
            spread = torch.randn_like(value) * (2 / value[0].numel()) ** 0.5 if value.dim() > 1 else 0.1 * torch.rand_like(value)
            value.copy_(spread if value.dim() > 1 else value + spread)
    return state


def shapes(state: Any) -> list[tuple[str, tuple[int, ...], Any]]:
    return [(name, tuple(value.shape), value.dtype) for name, value in state.items()]


def assert_same(ours: Any, theirs: Any, channels: int) -> None:
    state = trained(ours)
    ours.load_state_dict(state)
    theirs.load_state_dict(state)
    for size in SIZES[channels]:
        picture = torch.randn(size, generator=torch.Generator().manual_seed(1))
        with torch.inference_mode():
            mine, real = ours.eval()(picture), theirs.eval()(picture)
        assert mine.shape == real.shape
        assert mine.std() > 1e-3
        assert (mine - real).abs().max() <= 1e-5 * real.std()


@pytest.mark.usefixtures("configs")
@pytest.mark.parametrize("model", SIX, ids=lambda model: model.name)
def test_our_network_is_mmocrs(model: ModelSpec) -> None:
    from ocrdeploy_pytorch.networks.build import build

    ours, theirs = build(model.network), mmocr_networks.build(model.network)
    assert shapes(ours.state_dict()) == shapes(theirs.state_dict())
    assert_same(ours, theirs, model.input.channels)


@pytest.mark.parametrize("model", SIX, ids=lambda model: model.name)
def test_a_config_and_our_description_of_it_lead_mmocr_to_one_network(model: ModelSpec, configs: Path) -> None:
    (file,) = configs.rglob(f"{model.name}.py")
    of_config = mmocr_networks.build(specs.from_file(file, networks="mmocr").network)
    of_description = mmocr_networks.build(model.network)
    assert str(of_config) == str(of_description)
    assert shapes(of_config.state_dict()) == shapes(of_description.state_dict())


def checkpoint(model: ModelSpec, folder: Path) -> Artifact:
    path = folder / "weights.pth"
    torch.save({"state_dict": trained(mmocr_networks.build(model.network))}, path)
    return Artifact(path, "checkpoint", artifact.sha256(path), model)


def test_a_network_that_is_not_ours_is_found_run_and_exported(configs: Path, tmp_path: Path) -> None:
    found = plugins.discover()
    model = backend.describe(found, configs / "textrecog" / "tps" / "crnn_tps_academic_dataset.py")
    assert model is not None
    weights = checkpoint(model, tmp_path)
    waves = np.sin(np.arange(3 * 32 * 128) / 7).astype(np.float32)  # smooth, since the rectifier samples between pixels
    lines = {"input": waves.reshape(3, 1, 32, 128)}
    with closing(backend.open_session(found, "pytorch", weights, InferOptions(device="cpu"))) as session:
        assert session.loaded().details["networks"] == "mmocr"
        logits = session.run(lines)["output"]
    assert logits.shape == (3, 26, 37)
    made = export.export(found, weights, tmp_path / "model.onnx")
    # It brings every line to one width, and answers with one number of steps.
    assert [each.dims for each in (*made.inputs, *made.outputs)] == [("batch", 1, 32, "width"), ("batch", 26, 37)]
    pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")
    with closing(backend.open_session(found, "onnxruntime", made.artifact, InferOptions(device="cpu"))) as session:
        assert np.abs(session.run(lines)["output"] - logits).max() <= 1e-4 * logits.std()


@pytest.mark.usefixtures("configs")
def test_a_session_and_an_export_take_mmocrs_network_if_told_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, model = plugins.discover(), specs.SIX["crnn_academic_dataset"]
    weights, extra = checkpoint(model, tmp_path), {"networks": "mmocr"}
    built: list[Any] = []
    build = mmocr_networks.build

    def counted(network: Mapping[str, Any]) -> Any:
        built.append(build(network))
        return built[-1]

    monkeypatch.setattr(mmocr_networks, "build", counted)
    backend.open_session(found, "pytorch", weights, InferOptions(device="cpu", extra=extra)).close()
    made = export.export(found, weights, tmp_path / "model.onnx", ExportOptions(extra=extra))
    assert len(built) == 2
    assert made.recipe["options"]["networks"] == "mmocr"


def test_deformable_convolutions_run_where_mmcvs_operators_are_compiled(configs: Path) -> None:
    file = configs / "textdet" / "dbnet" / "dbnet_r50dcnv2_fpnc_1200e_icdar2015.py"
    network = mmocr_networks.build(specs.from_file(file, networks="mmocr").network).eval()
    with pytest.raises(BadInput, match="no ONNX operator: ModulatedDeformConv2dPack"):
        mmocr_networks.require_onnx(network)
    with torch.inference_mode():
        if isinstance(sys.modules["mmcv._ext"], mmocr_shims.Missing):
            with pytest.raises(Unavailable, match="modulated_deform_conv_forward") as raised:
                network(torch.randn(1, 3, 64, 64))
            assert raised.value.fix == mmocr_networks.INSTALL
        else:
            assert network(torch.randn(1, 3, 64, 64)).shape == (1, 3, 64, 64)


class Touch:
    """Pickled, it makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.usefixtures("configs")
def test_no_part_of_a_model_unpickles_a_file(tmp_path: Path) -> None:
    weights, touched = tmp_path / "teacher.pth", tmp_path / "touched"
    weights.write_bytes(pickle.dumps({"state_dict": {}, "meta": Touch(touched)}))
    teacher = {"type": "mmdet.LAD", "teacher_ckpt": str(weights), "teacher_backbone": {"type": "mmdet.ResNet", "depth": 18}}
    model = {**mmocr_models.section_of(DBNET.network), "backbone": {**teacher, "backbone": {"type": "mmdet.ResNet", "depth": 18}}}
    with pytest.raises(BadInput, match=r"part of type 'mmdet\.LAD', which is no part of a text network"):
        mmocr_networks.build({"architecture": "mmocr", "model": model})
    assert not touched.exists()


@pytest.mark.usefixtures("configs")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"backbone": {"type": "mmdet.ResNet", "depth": 19}}, "KeyError: .*invalid depth 19"),
        ({"neck": {"type": "FPNX"}}, "KeyError: .*FPNX is not in the models registry"),
        ({"neck": {"type": "FPNC", "twice": True}}, "TypeError: .*twice"),
        ({"type": "FPNC"}, "TypeError: .*backbone"),
    ],
)
def test_what_mmocr_cannot_build_is_a_sentence(change: dict[str, Any], sentence: str) -> None:
    model = {**mmocr_models.section_of(DBNET.network), **change}
    with pytest.raises(BadInput, match=f"MMOCR cannot build the config's model: {sentence}"):
        mmocr_networks.build({"architecture": "mmocr", "model": model})


def test_what_is_not_the_network_is_left_out() -> None:
    norm = {"type": "SyncBN", "requires_grad": True}
    backbone = {"type": "mmdet.ResNet", "depth": 18, "norm_cfg": norm, "init_cfg": {"checkpoint": "somewhere"}, "pretrained": "x"}
    head = {"type": "DBHead", "in_channels": 256, "loss": {"type": "DBLoss"}, "postprocessor": {}, "text_repr_type": "quad"}
    model = {"type": "DBNet", "backbone": backbone, "neck": None, "bbox_head": head, "train_cfg": None, "test_cfg": {}}
    assert mmocr_models.section_of({"architecture": "mmocr", "model": model}) == {
        "type": "DBNet",
        "backbone": {"type": "mmdet.ResNet", "depth": 18, "norm_cfg": {"type": "BN", "requires_grad": True}},
        "neck": None,
        "bbox_head": {"type": "DBHead", "in_channels": 256},
    }


def test_a_recognizer_has_as_many_classes_as_its_specification_says() -> None:
    model = {"type": "CRNNNet", "label_convertor": {"type": "CTCConvertor", "dict_file": "gone.txt"}}
    convertor = mmocr_models.section_of({"architecture": "mmocr", "num_classes": 95, "model": model})["label_convertor"]
    assert len(set(convertor["dict_list"])) == 94  # and the blank
    assert "dict_file" not in convertor


def test_what_mmocr_does_not_have_is_a_sentence() -> None:
    with pytest.raises(BadInput, match="enlarge their maps by nearest only"):
        mmocr_models.section_of({**DBNET.network, "upsample": "bilinear"})
    with pytest.raises(BadInput, match=r"model\.encoder of the config is given"):
        mmocr_models.section_of({"architecture": "mmocr", "num_classes": 37, "model": {"encoder": {"type": "SAREncoder"}}})


@pytest.mark.parametrize(
    ("versions", "problem", "fix"),
    [
        ({}, "networks=mmocr needs mmocr, which is not installed", mmocr_networks.INSTALL),
        ({"mmocr": "0.6.3", "mmdet": "2.28.2"}, "networks=mmocr needs mmcv, which is not installed", mmocr_networks.INSTALL),
        (
            {"mmocr": "1.0.1", "mmdet": "3.1.0", "mmcv": "2.0.1"},
            "networks=mmocr needs mmocr 0.x, and 1.0.1 is installed",
            f"in another environment: {mmocr_networks.INSTALL}",
        ),
    ],
)
def test_without_mmocr_the_command_is_named(
    versions: dict[str, str], problem: str, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(name: str) -> str:
        if name not in versions:
            raise PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(mmocr_networks, "version", version)
    with pytest.raises(Unavailable) as raised:
        mmocr_networks.build(DBNET.network)
    assert (raised.value.problem, raised.value.fix) == (problem, fix)


def test_an_mmocr_that_cannot_be_imported_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> ModuleType:
        raise ImportError("undefined symbol:\n _ZN3c10")

    monkeypatch.setattr(mmocr_networks, "version", {"mmocr": "0.6.3", "mmdet": "2.28.2", "mmcv-full": "1.7.2", "mmcv": ""}.get)
    monkeypatch.setattr(mmocr_shims, "import_mmocr", broken)
    with pytest.raises(Unavailable, match=r"mmcv 1\.7\.2\) and cannot be imported: ImportError: undefined symbol: _ZN3c10"):
        mmocr_networks.build(DBNET.network)


def test_what_stands_in_for_a_missing_module_says_so_when_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "no_such_module", None)
    monkeypatch.delitem(sys.modules, "no_such_module")
    mmocr_shims.stand_in("no_such_module", "it is not here", "get it")
    assert not hasattr(sys.modules["no_such_module"], "__path__")
    with pytest.raises(Unavailable, match=r"no_such_module\.anything cannot be called: it is not here"):
        sys.modules["no_such_module"].anything(1, key=2)


def test_nothing_stands_in_for_a_module_that_is_there() -> None:
    mmocr_shims.stand_in("ocrdeploy.errors", "it is not here", "get it")
    assert sys.modules["ocrdeploy.errors"].BadInput is BadInput


def test_asking_whether_mmocr_is_there_imports_neither_it_nor_torch() -> None:
    ask = "from ocrdeploy_pytorch.mmocr import networks as m\ntry: m.installed()\nexcept Exception: pass"
    code = f"{ask}\nimport sys\nsys.exit(bool({{'torch', 'mmcv', 'mmdet', 'mmocr'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_axis_that_does_not_grow_with_the_pictures_is_fixed_in_the_file() -> None:
    line = ("batch", 1, 32, "width")
    assert exporter_axes.larger(line, (32, 96)) == (32, 128)
    assert exporter_axes.of_output(Task.RECOGNITION, (2, 26, 37), line, (2, 26, 37)) == ("batch", 26, 37)
    assert exporter_axes.of_output(Task.RECOGNITION, (2, 25, 37), line, (2, 33, 37)) == ("batch", "seq_len", 37)
