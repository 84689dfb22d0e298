"""A checkpoint opened once: what runs is what was asked for, PyTorch's own settings stay as they were, errors are sentences."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from ocrdeploy import BadInput, OcrdError, Unavailable, UnknownName, backend, plugins
from ocrdeploy.cores import usable_cores
from ocrdeploy.vocabulary import Artifact, InferOptions, ModelSpec, Quantity, Session, SideInput, Threads
from ocrdeploy_pytorch import arithmetic, devices, settings, untrained
from ocrdeploy_pytorch.networks.build import build
from ocrdeploy_pytorch.session import TorchSession, open_session
from ocrdeploy_pytorch.specs import SIX

CRNN = SIX["crnn_academic_dataset"]
DBNET = replace(
    SIX["dbnet_r18_fpnc_1200e_icdar2015"],
    network={
        "architecture": "dbnet",
        "upsample": "nearest",
        "backbone": {"depth": 18},
        "neck": {"lateral_channels": 8, "out_channels": 4},
    },
)
CPU = torch.device("cpu")

Open = Callable[..., TorchSession]


def network_of(model: ModelSpec) -> nn.Module:
    torch.manual_seed(0)
    return build(model.network).eval()


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # several would wait for each other where the machine is busy
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def networks() -> Mapping[str, nn.Module]:
    return {"crnn": network_of(CRNN), "dbnet": network_of(DBNET)}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, networks: Mapping[str, nn.Module]) -> Mapping[str, Path]:
    folder = tmp_path_factory.mktemp("checkpoints")
    for name, network in networks.items():
        torch.save({"state_dict": network.state_dict()}, folder / f"{name}.pth")
    return {name: folder / f"{name}.pth" for name in networks}


@pytest.fixture
def crnn(files: Mapping[str, Path]) -> Open:
    """`crnn(model=CRNN, **options)`: an open session."""

    def open_it(model: ModelSpec = CRNN, **options: Any) -> TorchSession:
        return open_session(
            Artifact(files["crnn"], "checkpoint", "", model), InferOptions(**{"device": "cpu", "threads": 1, **options})
        )

    return open_it


@pytest.fixture(scope="module")
def opened(files: Mapping[str, Path]) -> TorchSession:
    """One session for all that changes nothing about it."""
    return open_session(Artifact(files["crnn"], "checkpoint", "", CRNN), InferOptions(device="cpu", threads=1))


@pytest.fixture
def dbnet(files: Mapping[str, Path]) -> Open:
    def open_it(model: ModelSpec = DBNET, **options: Any) -> TorchSession:
        return open_session(
            Artifact(files["dbnet"], "checkpoint", "", model), InferOptions(**{"device": "cpu", "threads": 1, **options})
        )

    return open_it


@pytest.fixture(autouse=True)
def _settings_stay() -> Iterator[None]:
    def state() -> list[Any]:
        return [
            *(switch.fp32_precision for switch in arithmetic._SWITCHES),
            torch.get_num_threads(),
            torch.is_inference_mode_enabled(),
        ]

    before = state()
    yield
    assert state() == before


def lines(count: int = 2, width: int = 48) -> NDArray[np.float32]:
    return np.random.default_rng(0).random((count, 1, 32, width), np.float32)


def pages(height: int = 64, width: int = 96) -> NDArray[np.float32]:
    return np.random.default_rng(1).random((1, 3, height, width), np.float32)


def answer(network: nn.Module, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.inference_mode():
        output: NDArray[np.float32] = network(torch.from_numpy(pictures)).numpy()
    return output


# ------------------------------------------------------------------------------------------------------------------ running


def test_it_answers_what_the_network_answers(crnn: Open, dbnet: Open, networks: Mapping[str, nn.Module]) -> None:
    for open_it, name, pictures in ((crnn, "crnn", lines()), (dbnet, "dbnet", pages()), (dbnet, "dbnet", pages(50, 70))):
        found = open_it().run({"input": pictures})
        assert list(found) == ["output"]
        np.testing.assert_allclose(found["output"], answer(networks[name], pictures), atol=1e-6)


def test_it_is_a_session_of_the_core(crnn: Open, files: Mapping[str, Path]) -> None:
    assert isinstance(crnn(), Session)
    opened = backend.open_session(
        plugins.discover(), "pytorch", Artifact(files["crnn"], "checkpoint", "", CRNN), InferOptions(device="cpu")
    )
    assert opened.run({"input": lines()})["output"].shape == (2, 13, 37)


@pytest.mark.parametrize("options", [{}, {"precision": "bf16"}, {"extra": {"channels_last": "on"}}])
def test_outputs_are_float32_in_c_order_and_the_callers_to_keep(options: dict[str, Any], crnn: Open, dbnet: Open) -> None:
    for open_it, one, other in ((crnn, lines(), -lines()), (dbnet, pages(), -pages())):
        session = open_it(**options)
        first = session.run({"input": one})["output"]
        kept = first.copy()
        second = session.run({"input": other})["output"]
        session.close()
        assert (str(first.dtype), first.flags.c_contiguous, first.flags.writeable) == ("float32", True, True)
        assert not np.shares_memory(first, second)
        np.testing.assert_array_equal(first, kept)


def test_inputs_are_not_modified_and_may_be_any_view(opened: TorchSession) -> None:
    session, pictures = opened, lines(4)
    expected = session.run({"input": pictures[::2].copy()})["output"]
    pictures.flags.writeable = False
    np.testing.assert_array_equal(session.run({"input": pictures[::2]})["output"], expected)
    np.testing.assert_array_equal(pictures, lines(4))


def test_a_row_does_not_depend_on_the_others(opened: TorchSession) -> None:
    session, pictures = opened, lines(3)
    together = session.run({"input": pictures})["output"]
    for row, picture in zip(together, pictures, strict=True):
        np.testing.assert_allclose(row, session.run({"input": picture[None]})["output"][0], atol=1e-5)


def test_channels_last_is_the_same_network(dbnet: Open) -> None:
    session = dbnet(extra={"channels_last": "on"})
    np.testing.assert_allclose(session.run({"input": pages()})["output"], dbnet().run({"input": pages()})["output"], atol=1e-5)
    assert session.loaded().details["channels_last"] == "on"


def test_upsample_may_be_chosen_at_opening_and_concerns_detectors_only(
    dbnet: Open, crnn: Open, files: Mapping[str, Path]
) -> None:
    bilinear = build({**DBNET.network, "upsample": "bilinear"}).eval()
    bilinear.load_state_dict(torch.load(files["dbnet"], weights_only=True)["state_dict"])
    found = dbnet(extra={"upsample": "bilinear"}).run({"input": pages()})["output"]
    np.testing.assert_allclose(found, answer(bilinear, pages()), atol=1e-6)
    assert np.abs(found - dbnet().run({"input": pages()})["output"]).max() > 1e-4
    assert crnn(extra={"upsample": "bilinear"}).run({"input": lines()})["output"].shape == (2, 13, 37)


def test_compile_wraps_the_network_for_any_shape(crnn: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def compiled(network: nn.Module, **options: Any) -> Callable[..., Any]:
        asked.append(options)
        return network.forward

    monkeypatch.setattr(torch, "compile", compiled)
    session = crnn(extra={"compile": "on"})
    assert asked == [{"dynamic": True}]
    assert session.loaded().details["compile"] == "on"
    np.testing.assert_array_equal(session.run({"input": lines()})["output"], crnn().run({"input": lines()})["output"])


def test_a_compilation_that_fails_is_a_sentence_at_opening(crnn: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("No working C++ compiler found\nand a page more")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: fail)
    with pytest.raises(OcrdError, match=r"No working C\+\+ compiler found$") as caught:
        crnn(extra={"compile": "on"})
    assert "leave compile=on out" in caught.value.fix


# ---------------------------------------------------------------------------------------------------------------- precision


@pytest.mark.parametrize(("precision", "dtype", "far"), [("fp16", torch.float16, 0.01), ("bf16", torch.bfloat16, 0.05)])
def test_a_low_precision_really_runs_and_is_near(precision: str, dtype: torch.dtype, far: float, crnn: Open, dbnet: Open) -> None:
    for open_it, pictures in ((crnn, lines()), (dbnet, pages())):
        session = open_it(precision=precision)
        assert session.loaded().precision == precision
        weights = {each.dtype for layer in session._network.modules() for each in layer.parameters(recurse=False)}
        assert weights == {dtype, torch.float32}  # batch normalisation keeps float32
        exact = open_it().run({"input": pictures})["output"]
        found = session.run({"input": pictures})["output"]
        assert 0 < np.abs(found - exact)[:, :2].max() <= far * max(1.0, exact.std())


def test_batch_normalisation_survives_variances_that_float16_cannot_hold() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)).eval()
    assert isinstance(network[1].running_var, torch.Tensor)
    network[1].running_var.fill_(1e7)
    arithmetic.cast(network, "fp16")
    assert network[1].running_var.item() == 1e7
    assert network[0].weight.dtype == torch.float16
    with torch.inference_mode():
        assert network(torch.full((1, 1, 2, 2), 5e4, dtype=torch.float16)).dtype == torch.float16


def test_the_precision_is_read_and_not_believed(crnn: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "cast", lambda *_: None)
    with pytest.raises(OcrdError, match=r"torch could not run|the network does not compute in bf16"):
        crnn(precision="bf16")
    with arithmetic.computing("fp32", 1), pytest.raises(OcrdError, match="does not compute in fp16: ieee"):
        arithmetic.proved("fp16", nn.Linear(1, 1), torch.zeros(1))
    with arithmetic.computing("tf32", 1), pytest.raises(OcrdError, match="does not compute in fp32: tf32"):
        arithmetic.proved("fp32", nn.Linear(1, 1), torch.zeros(1))


def test_tf32_is_off_for_fp32_and_on_for_tf32_while_a_run_lasts() -> None:
    for precision, mode in (("fp32", "ieee"), ("bf16", "ieee"), ("tf32", "tf32")):
        with arithmetic.computing(precision, 1):
            assert {switch.fp32_precision for switch in arithmetic._SWITCHES} == {mode}
            assert torch.is_inference_mode_enabled()


def test_tf32_is_refused_where_no_gpu_has_it(crnn: Open) -> None:
    with pytest.raises(Unavailable, match="there is no tf32 on cpu: only NVIDIA GPUs from Ampere on have it"):
        crnn(precision="tf32")


def test_tf32_needs_an_ampere(monkeypatch: pytest.MonkeyPatch) -> None:
    for capability, able in (((7, 5), False), ((8, 0), True), ((9, 0), True)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, has=capability: has)
        if able:
            arithmetic.require("tf32", torch.device("cuda", 0))
        else:
            with pytest.raises(Unavailable, match="there is no tf32 on cuda:0"):
                arithmetic.require("tf32", torch.device("cuda", 0))


# ------------------------------------------------------------------------------------------------------------ threads, settings


def test_threads_are_those_asked_for_while_a_run_lasts(crnn: Open) -> None:
    seen: list[int] = []

    def watch(*_: object) -> None:
        seen.append(torch.get_num_threads())

    for threads, expected in ((1, 1), (2, 2), (0, usable_cores())):
        session = crnn(threads=threads)
        session._network.register_forward_hook(watch)
        session.run({"input": lines()})
        assert seen.pop() == expected
        assert session.loaded().details["threads"] == str(expected)


def test_settings_come_back_after_an_error() -> None:
    before = [switch.fp32_precision for switch in arithmetic._SWITCHES], torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), arithmetic.computing("tf32", 1):
        _ = 1 / 0
    assert ([switch.fp32_precision for switch in arithmetic._SWITCHES], torch.get_num_threads()) == before


def test_sessions_of_two_precisions_may_run_in_two_threads(crnn: Open) -> None:
    sessions = {precision: crnn(precision=precision) for precision in ("fp32", "bf16")}
    alone = {precision: session.run({"input": lines()})["output"] for precision, session in sessions.items()}
    same: list[bool] = []

    def work(precision: str) -> None:
        run = sessions[precision].run
        same.extend(np.array_equal(run({"input": lines()})["output"], alone[precision]) for _ in range(5))

    threads = [threading.Thread(target=work, args=(precision,)) for precision in sessions for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same == [True] * 20


# ------------------------------------------------------------------------------------------------------------------- devices


def test_auto_takes_the_cpu_here_and_says_why(crnn: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "why_no_cuda", lambda: "no NVIDIA driver was found")
    loaded = crnn(device="auto").loaded()
    assert (loaded.device, loaded.chosen) == ("cpu", "device auto: cpu (no NVIDIA driver was found)")
    assert crnn(device="cpu").loaded().chosen == ""


def test_auto_takes_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "why_no_cuda", lambda: "")
    assert devices.choose("auto") == (torch.device("cuda", 0), "device auto: cuda:0")


@pytest.mark.parametrize(("device", "index"), [("cuda", 0), ("cuda:0", 0), ("cuda:1", 1)])
def test_a_gpu_is_taken_by_its_number(device: str, index: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "why_no_cuda", lambda: "")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert devices.choose(device) == (torch.device("cuda", index), "")


def test_a_gpu_that_is_not_there_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "why_no_cuda", lambda: "")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(Unavailable, match=r"there is no cuda:3: torch sees 1 CUDA device$"):
        devices.choose("cuda:3")


def test_a_gpu_without_cuda_is_a_sentence_with_the_remedy(crnn: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "why_no_cuda", lambda: "torch 2.13.0+cpu was built without CUDA")
    with pytest.raises(Unavailable, match=r"device 'cuda:0' cannot be used: torch 2.13.0\+cpu was built without CUDA") as caught:
        crnn(device="cuda:0")
    assert "--device cpu" in caught.value.fix


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:-1", "cuda:x", "CUDA", "mps"])
def test_an_unknown_device_lists_the_known_ones(device: str, crnn: Open) -> None:
    with pytest.raises(UnknownName) as caught:
        crnn(device=device)
    assert caught.value.fix == "use one of: auto, cpu, cuda, cuda:N"


def test_why_there_is_no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.version, "hip", None)
    assert devices.why_no_cuda() == f"torch {torch.__version__} was built without CUDA"
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert devices.why_no_cuda() == ""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(devices, "driver_found", lambda: False)
    assert devices.why_no_cuda() == "no NVIDIA driver was found"
    monkeypatch.setattr(devices, "driver_found", lambda: True)
    assert devices.why_no_cuda() == f"torch {torch.__version__} sees no CUDA device"


def test_what_torch_says_of_its_driver_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    import warnings

    def warn() -> bool:
        warnings.warn("CUDA initialization: The NVIDIA driver on your system is too old (found version 11040).", stacklevel=1)
        return False

    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", warn)
    monkeypatch.setattr(devices, "driver_found", lambda: True)
    assert devices.why_no_cuda() == "CUDA initialization: The NVIDIA driver on your system is too old"


# --------------------------------------------------------------------------------------------------------------- what is said


def test_loaded_says_what_runs(opened: TorchSession) -> None:
    loaded = opened.loaded()
    assert (loaded.version, loaded.device, loaded.provider, loaded.precision) == (torch.__version__, "cpu", "", "fp32")
    assert loaded.threads is Threads.ANY
    assert loaded.details == {"threads": "1", "networks": "native", "upsample": "model", "channels_last": "off", "compile": "off"}


def test_weights_that_are_no_numbers_are_said(networks: Mapping[str, nn.Module], tmp_path: Path) -> None:
    path = tmp_path / "nan.pth"
    weights = dict(networks["crnn"].state_dict())
    weights["backbone.cnn.conv0.bias"] = torch.full((64,), torch.nan)
    torch.save(weights, path)
    session = open_session(Artifact(path, "checkpoint", "", CRNN), InferOptions(device="cpu", threads=1))
    assert "weights that are NaN or infinite: 64 (in backbone.cnn.conv0.bias)" in session.loaded().details["weights"]


def test_a_closed_session_says_so_and_may_be_closed_twice(crnn: Open) -> None:
    session = crnn()
    session.close()
    session.close()
    with pytest.raises(OcrdError, match="the session of model 'crnn_academic_dataset' is closed"):
        session.run({"input": lines()})


# ------------------------------------------------------------------------------------------------------------- wrong questions

WRONG: list[tuple[Any, str]] = [
    ({}, "was given nothing"),
    ({"x": lines()}, "takes 'input': float32 (?, 1, ?, ?), and was given 'x': float32 (2, 1, 32, 48)"),
    ({"input": lines(), "more": lines()}, "'more': float32"),
    ({"input": lines().astype(np.float64)}, "was given 'input': float64"),
    ({"input": lines()[0]}, "was given 'input': float32 (1, 32, 48)"),
    ({"input": pages()}, "was given 'input': float32 (1, 3, 64, 96)"),
    ({"input": lines(0)}, "was given 'input': float32 (0, 1, 32, 48)"),
    ({"input": np.zeros((1, 1, 48, 100), np.float32)}, "takes pictures 32 pixels high, and was given 48 x 100 (height x width)"),
    ({"input": np.zeros((1, 1, 32, 3), np.float32)}, "takes pictures of at least 32 x 4 pixels, and was given 32 x 3"),
]


@pytest.mark.parametrize(("inputs", "complaint"), WRONG, ids=[complaint[:40] for _, complaint in WRONG])
def test_wrong_inputs_are_named(inputs: dict[str, Any], complaint: str, opened: TorchSession) -> None:
    with pytest.raises(BadInput, match=re.escape(complaint)) as caught:
        opened.run(inputs)
    assert caught.value.problem.startswith("model 'crnn_academic_dataset' takes")
    assert caught.value.fix


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"extra": {"channels_last": "yes"}}, "unknown backend option 'channels_last=yes'"),
        ({"extra": {"threading": "on"}}, "unknown option of backend 'pytorch' 'threading'"),
        ({"provider": "CUDA"}, "backend 'pytorch' has no execution provider 'CUDA'"),
        ({"custom_ops": (Path("x.so"),)}, "backend 'pytorch' loads no custom-op libraries"),
        ({"threads": -1}, "-1 threads cannot be"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], complaint: str, crnn: Open) -> None:
    with pytest.raises(OcrdError, match=re.escape(complaint)) as caught:
        crnn(**options)
    assert caught.value.fix


def test_an_export_knows_fewer_options_than_a_session() -> None:
    assert settings.chosen({"upsample": "bilinear"}, settings.NETWORK) == {"networks": "native", "upsample": "bilinear"}
    with pytest.raises(UnknownName, match="unknown option of backend 'pytorch' 'compile'"):
        settings.chosen({"compile": "on"}, settings.NETWORK)


def test_a_model_that_says_nothing_of_its_network_cannot_be_opened(crnn: Open) -> None:
    with pytest.raises(BadInput, match="does not say what its network is") as caught:
        crnn(replace(CRNN, network={}))
    assert "CONFIG::CHECKPOINT" in caught.value.fix


@pytest.mark.parametrize(
    "model",
    [
        replace(CRNN, outputs=("output", "more")),
        replace(CRNN, input=replace(CRNN.input, layout="NHWC")),
        replace(CRNN, input=replace(CRNN.input, side_inputs=(SideInput("ratio", Quantity.VALID_RATIO),))),
    ],
)
def test_a_specification_that_is_not_the_networks_is_refused(model: ModelSpec, crnn: Open) -> None:
    with pytest.raises(BadInput, match="has another input or output than its network"):
        crnn(model)


@pytest.mark.parametrize(
    ("error", "complaint"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
            "does not fit into the memory of cpu for (2, 1, 32, 48)",
        ),
        (
            RuntimeError("Kernel size can't be greater\nthan that"),
            "torch could not run model 'crnn_academic_dataset' on (2, 1, 32, 48): Kernel size can't be greater",
        ),
    ],
)
def test_what_torch_raises_in_a_run_is_a_sentence(
    error: Exception, complaint: str, opened: TorchSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(opened, "_forward", fail)
    with pytest.raises(OcrdError, match=re.escape(complaint)) as caught:
        opened.run({"input": lines()})
    assert "\n" not in caught.value.problem


def test_mmocr_builds_the_network_where_it_is_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Mapping[str, Any]] = []

    def make(network: Mapping[str, Any]) -> nn.Module:
        asked.append(network)
        return nn.Identity()

    monkeypatch.setattr("ocrdeploy_pytorch.mmocr.networks.build", make)
    untrained.network_of(CRNN, settings.chosen({"networks": "mmocr"}))
    untrained.network_of(replace(CRNN, network={"architecture": "mmocr", "model": {}}), settings.chosen({}))
    assert [network["architecture"] for network in asked] == ["crnn", "mmocr"]
