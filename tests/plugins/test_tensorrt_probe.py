"""What `ocrd backends` says of TensorRT on every kind of machine, by stand-ins for the driver and for what pip installed."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError
from typing import Any

import pytest

from ocrdeploy import BadInput, Unavailable, UnknownName, backend, plugins
from ocrdeploy.vocabulary import Artifact, InferOptions, Probe
from ocrdeploy_tensorrt import devices, hooks, module, probing
from ocrdeploy_tensorrt.devices import Gpu, Machine

H100, GEFORCE, VOLTA = Gpu("NVIDIA H100", (9, 0)), Gpu("NVIDIA GeForce RTX 4090", (8, 9)), Gpu("Tesla V100", (7, 0))
SDK = {"tensorrt": "11.4.0.106", "tensorrt-cu13-libs": "11.4.0.106", "cuda-core": "1.2.2"}
RTX = {"tensorrt-rtx": "1.7.1.116", "cuda-core": "1.2.2"}
NO_DRIVER = Machine(problem=devices.NO_DRIVER)

Pretend = Callable[..., Probe]


def machine(*gpus: Gpu, cuda: tuple[int, int] = (13, 0), **fields: str) -> Machine:
    return Machine(cuda, "580.159.03", gpus, **fields)


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> Pretend:
    """The probe's answer where these distributions are installed, on this machine; `load` imports TensorRT."""
    monkeypatch.delenv(probing.ANY_GPU, raising=False)

    def probe(installed: Mapping[str, str], found: Machine, load: Callable[[], Any] = lambda: None) -> Probe:
        def version(name: str) -> str:
            if name not in installed:
                raise PackageNotFoundError(name)
            return installed[name]

        monkeypatch.setattr(module, "version", version)
        return probing.probe(lambda: found, load)

    return probe


def test_a_machine_that_has_everything_is_ready(probed: Pretend) -> None:
    answer = probed(SDK, machine(H100))
    assert answer.ok
    assert (answer.version, answer.device) == ("11.4.0.106", "NVIDIA H100 (sm_90)")
    assert answer.details == {
        "flavour": "tensorrt",
        "cuda": "13",
        "cuda_core": "1.2.2",
        "driver": "580.159.03",
        "driver_cuda": "13.0",
        "gpu": "NVIDIA H100",
        "compute_capability": "9.0",
    }


def test_version_and_device_tell_the_flavours_and_gpus_apart(probed: Pretend) -> None:
    # They stand in the manifest of a cached engine: another flavour or GPU has it built again.
    sdk, rtx = probed({**SDK, "tensorrt": "1.7.1.116"}, machine(H100)), probed(RTX, machine(GEFORCE))
    assert rtx.ok
    assert (rtx.version, rtx.details["flavour"]) == ("RTX 1.7.1.116", "tensorrt-rtx")
    assert sdk.version != rtx.version
    assert sdk.device != rtx.device


@pytest.mark.parametrize("distribution", ["tensorrt", "tensorrt-cu13", "tensorrt-cu12"])
def test_each_package_of_tensorrt_is_known(probed: Pretend, distribution: str) -> None:
    answer = probed({distribution: "11.4", "cuda-core": "1.2.2"}, machine(H100))
    assert (answer.details["flavour"], answer.version, answer.ok) == ("tensorrt", "11.4", True)


def test_where_both_flavours_are_installed_it_is_tensorrt(probed: Pretend) -> None:
    assert probed({**RTX, **SDK}, machine(H100)).details["flavour"] == "tensorrt"


@pytest.mark.parametrize("installed", [{}, SDK, RTX])
def test_without_a_driver_the_driver_is_what_is_missing(probed: Pretend, installed: dict[str, str]) -> None:
    answer = probed(installed, NO_DRIVER, lambda: pytest.fail("it imports TensorRT, in vain"))
    assert answer.problem == "no NVIDIA driver was found"
    assert answer.fix.startswith(
        "install a driver that supports CUDA 13, 580 or newer (on Ubuntu: sudo apt install nvidia-driver-580"
    )
    assert answer.details.get("flavour", "") == {(): "", tuple(SDK): "tensorrt", tuple(RTX): "tensorrt-rtx"}[tuple(installed)]


def test_a_driver_too_old_is_told_with_both_versions(probed: Pretend) -> None:
    answer = probed(SDK, Machine((12, 8), "570.86", (H100,)))
    assert answer.problem == "the driver 570.86 supports CUDA 12.8, and TensorRT needs CUDA 13"
    assert "nvidia-driver-580" in answer.fix


def test_for_cuda_12_its_driver_is_enough(probed: Pretend) -> None:
    installed = {"tensorrt-cu12": "10.16.1", "tensorrt-cu12-libs": "10.16.1", "cuda-core": "1.2.2"}
    assert probed(installed, Machine((12, 8), "570.86", (H100,))).ok
    assert "525" in probed(installed, Machine((11, 8), "520.61", (H100,))).fix


def test_no_gpu_is_told_in_the_drivers_words(probed: Pretend) -> None:
    answer = probed(SDK, machine(problem="the driver sees no GPU", fix="docker run --gpus all"))
    assert (answer.problem, answer.fix) == ("the driver sees no GPU", "docker run --gpus all")


def test_a_gpu_too_old_is_named(probed: Pretend) -> None:
    assert probed(SDK, machine(VOLTA)).problem == "TensorRT does not run on Tesla V100 (sm_70)"


@pytest.mark.parametrize(("gpu", "extra"), [(H100, "[sdk]"), (GEFORCE, "[rtx]")])
def test_without_a_runtime_the_extra_that_fits_the_gpu_is_named(probed: Pretend, gpu: Gpu, extra: str) -> None:
    answer = probed({}, machine(gpu))
    assert answer.problem == "neither tensorrt nor tensorrt-rtx is installed"
    assert answer.fix.startswith(f"pip install 'ocrdeploy-tensorrt{extra}'")


def test_rtx_on_a_gpu_that_it_is_not_made_for_says_what_is(probed: Pretend, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = probed(RTX, machine(H100))
    assert answer.problem == "TensorRT-RTX is not made for NVIDIA H100 (sm_90)"
    assert answer.fix == "pip install 'ocrdeploy-tensorrt[sdk]', or set OCRDEPLOY_RTX_ON_ANY_GPU=1 to try"
    assert all(probed(RTX, machine(Gpu("any", sm))).ok for sm in ((7, 5), (8, 6), (8, 9), (12, 0), (12, 1)))
    assert not any(probed(RTX, machine(Gpu("any", sm))).ok for sm in ((7, 0), (8, 0), (8, 7), (10, 0)))
    monkeypatch.setenv(probing.ANY_GPU, "1")
    assert probed(RTX, machine(H100)).ok
    assert not probed(RTX, machine(VOLTA)).ok


def test_without_cuda_core_the_extra_brings_it(probed: Pretend) -> None:
    answer = probed({"tensorrt-rtx": "1.7.1"}, machine(GEFORCE), lambda: pytest.fail("it imports TensorRT, in vain"))
    assert (answer.problem, answer.fix) == ("cuda-core is not installed", "pip install 'ocrdeploy-tensorrt[rtx]'")


def test_a_cuda_core_that_is_not_stable_yet_is_too_old(probed: Pretend) -> None:
    answer = probed({**SDK, "cuda-core": "0.4.1"}, machine(H100))
    assert (answer.problem, answer.fix) == ("cuda-core 0.4.1 is too old", "pip install --upgrade 'cuda-core>=1.0'")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ImportError("libnvonnxparser.so.11: cannot open shared object file"), "libnvonnxparser.so.11: cannot open"),
        (TypeError("pybind11::init(): factory function returned nullptr"), "factory function returned nullptr"),
        (OSError("libnvinfer.so.11: file too short"), "file too short"),
        (AttributeError(), "AttributeError"),
    ],
)
def test_libraries_that_are_missing_are_named_with_the_command_that_brings_them(
    probed: Pretend, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def fails(_: str) -> None:
        raise error

    monkeypatch.setattr(module, "import_module", fails)
    answer = probed(SDK, machine(H100), module.load)
    assert answer.problem.startswith("tensorrt 11.4.0.106 is installed and cannot be imported: ")
    assert said in answer.problem
    assert answer.fix == "pip install tensorrt-cu13-libs==11.4.0.106 --extra-index-url https://pypi.nvidia.com"
    assert probed(RTX, machine(GEFORCE), module.load).fix == "pip install --force-reinstall tensorrt-rtx==1.7.1.116"


def test_a_folder_of_that_name_is_no_tensorrt(probed: Pretend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "import_module", lambda _: sys.modules["plugins_of_nobody"])
    monkeypatch.setitem(sys.modules, "plugins_of_nobody", type(sys)("tensorrt"))
    assert "has no attribute 'Runtime'" in probed(SDK, machine(H100), module.load).problem


def test_this_machine_is_answered_without_an_exception() -> None:
    assert isinstance(hooks.ocrd_probe(), Probe)


def test_asking_for_it_ends_in_one_sentence_with_a_remedy(probed: Pretend, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = probed({}, NO_DRIVER)
    monkeypatch.setattr(probing, "probe", lambda: answer)
    with pytest.raises(Unavailable) as raised:
        backend.choose(plugins.discover(), "tensorrt", ["onnx"])
    assert raised.value.problem == "backend 'tensorrt' cannot run here: no NVIDIA driver was found"
    assert ", or use one of: onnxruntime" in raised.value.fix
    with pytest.raises(Unavailable, match="no NVIDIA driver was found"):
        hooks.ocrd_infer(Artifact(None, "trt-engine", "", None), InferOptions())  # type: ignore[arg-type]


def test_no_module_of_the_plugin_imports_a_runtime() -> None:
    code = """
import importlib, pkgutil, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"tensorrt", "tensorrt_rtx", "tensorrt_bindings", "cuda", "torch"}:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())
import ocrdeploy_tensorrt
for each in pkgutil.iter_modules(ocrdeploy_tensorrt.__path__, "ocrdeploy_tensorrt."):
    importlib.import_module(each.name)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# ------------------------------------------------------------------------------------------------------------ the driver


class Library:
    """libcuda and libnvidia-ml at once: functions that fill in what they are given and return a status."""

    def __init__(self, *gpus: Gpu, cuda: int = 13010, status: int = 0, management: int = 0) -> None:
        self.gpus, self.cuda, self.status, self.management = gpus, cuda, status, management

    def cuDriverGetVersion(self, out: Any) -> int:  # noqa: N802 - the driver's name for it
        out._obj.value = self.cuda
        return 0

    def cuInit(self, _flags: int) -> int:  # noqa: N802
        return self.status

    def cuDeviceGetCount(self, out: Any) -> int:  # noqa: N802
        out._obj.value = len(self.gpus)
        return 0

    def cuDeviceGet(self, out: Any, index: int) -> int:  # noqa: N802
        out._obj.value = index
        return 0

    def cuDeviceGetName(self, out: Any, size: int, device: Any) -> int:  # noqa: N802
        out.value = self.gpus[device.value].name.encode()[: size - 1]
        return 0

    def cuDeviceGetAttribute(self, out: Any, attribute: int, device: Any) -> int:  # noqa: N802
        out._obj.value = self.gpus[device.value].capability[attribute - 75]
        return 0

    def nvmlInit_v2(self) -> int:  # noqa: N802
        return self.management

    def nvmlSystemGetDriverVersion(self, out: Any, _size: int) -> int:  # noqa: N802
        out.value = b"580.159.03"
        return 0

    def nvmlShutdown(self) -> int:  # noqa: N802
        return 0


def found(library: Library) -> Machine:
    return devices.look(lambda _: library)


def test_the_driver_is_asked_for_its_version_and_its_gpus() -> None:
    assert found(Library(H100, GEFORCE)) == Machine((13, 1), "580.159.03", (H100, GEFORCE))
    assert found(Library(H100, management=9)).driver == ""


def test_no_library_is_no_driver() -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    assert devices.look(missing) == NO_DRIVER


def test_a_management_library_that_is_missing_costs_the_drivers_version_only() -> None:
    def load(name: str) -> Library:
        if "cuda" not in name:
            raise OSError(name)
        return Library(H100)

    assert devices.look(load) == Machine((13, 1), "", (H100,))


@pytest.mark.parametrize(
    ("status", "problem", "fix"),
    [
        (34, "stub for linking", "LD_LIBRARY_PATH"),
        (100, "the driver sees no GPU", "docker run --gpus all"),
        (802, "fabric", "sudo systemctl start nvidia-fabricmanager"),
        (803, "different versions", "restart the machine"),
        (804, "compatibility package", "LD_LIBRARY_PATH"),
        (999, "cuInit answers 999", "nvidia-smi"),
    ],
)
def test_a_driver_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch, status: int, problem: str, fix: str) -> None:
    monkeypatch.delenv(devices.VISIBLE, raising=False)
    answer = found(Library(H100, status=status))
    assert answer.gpus == ()
    assert problem in answer.problem
    assert fix in answer.fix


def test_gpus_that_are_hidden_are_unhidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(devices.VISIBLE, "")
    answer = found(Library(status=100))
    assert answer.problem == "the driver sees no GPU, since CUDA_VISIBLE_DEVICES is ''"
    assert answer.fix == "unset CUDA_VISIBLE_DEVICES"


def test_a_library_that_is_no_driver_is_told() -> None:
    assert "is not a whole NVIDIA driver" in devices.look(lambda _: object()).problem


def test_the_real_driver_is_asked_without_an_exception() -> None:
    answer = devices.look(ctypes.CDLL)
    assert answer.gpus or answer.problem


@pytest.mark.parametrize(("device", "index"), [("auto", 0), ("cuda", 0), ("cuda:0", 0), ("cuda:12", 12)])
def test_devices_are_read(device: str, index: int) -> None:
    assert devices.chosen(device) == index


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "cud", "cuda:-1"])
def test_a_device_that_is_none_is_told(device: str) -> None:
    with pytest.raises(UnknownName, match="did you mean 'cuda"):
        devices.chosen(device)


def test_the_cpu_is_refused_with_a_backend_that_has_it() -> None:
    with pytest.raises(Unavailable, match="does not run on the CPU") as raised:
        devices.chosen("cpu")
    assert "--backend onnxruntime" in raised.value.fix


def test_a_gpu_that_is_not_there_is_told_with_those_that_are() -> None:
    assert devices.require(machine(H100, GEFORCE), 1) == GEFORCE
    with pytest.raises(BadInput, match="there is no device cuda:2") as raised:
        devices.require(machine(H100, GEFORCE), 2)
    assert "cuda:1 is NVIDIA GeForce RTX 4090 (sm_89)" in raised.value.fix
    with pytest.raises(Unavailable, match="no NVIDIA driver"):
        devices.require(NO_DRIVER, 0)
