"""PyTorch's two exporters, as the plugin drives them: the same numbers in ONNX Runtime, whatever the batch and the size."""

from __future__ import annotations

import json
import logging
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ocrdeploy.errors import BadInput, OcrdError, Unavailable, UnknownName
from ocrdeploy.onnxgraph import checks, metadata
from ocrdeploy.onnxgraph.checks import Dims, InvalidGraphError
from ocrdeploy.vocabulary import ExportOptions, ModelSpec, Task

pytest.importorskip("torch", reason="needs PyTorch")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime, to compare with")

import onnxruntime
import torch
from torch import nn

from ocrdeploy_pytorch import exporter
from ocrdeploy_pytorch.exporter import axes as exporter_axes
from ocrdeploy_pytorch.exporter import messages as exporter_messages
from ocrdeploy_pytorch.exporter import names as exporter_names
from ocrdeploy_pytorch.networks.build import build
from ocrdeploy_pytorch.specs import SIX

Export: TypeAlias = Callable[..., Path]

DBNET, PSENET, PANET, CRNN = (
    "dbnet_r18_fpnc_1200e_icdar2015",
    "psenet_r50_fpnf_600e_ctw1500",
    "panet_r18_fpem_ffm_600e_ctw1500",
    "crnn_academic_dataset",
)
SPECS: Mapping[str, ModelSpec] = SIX

slow = pytest.mark.skipif(
    not os.environ.get("OCRDEPLOY_SLOW_TESTS"),
    reason="takes long: set OCRDEPLOY_SLOW_TESTS=1 (one export of its kind runs always)",
)


GAINS = {".bn2.weight": 0.5, "binarize.6.weight": 0.15, "threshold.6.weight": 0.15, "weight_ih": 2.0, "1.embedding.weight": 10.0}


def fill(network: nn.Module) -> nn.Module:
    """Give a network numbers with which its outputs vary, the same in every run."""
    for name, tensor in network.state_dict().items():
        if tensor.dtype != torch.float32:
            continue
        noise = torch.randn(tensor.shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))
        gain = next((factor for part, factor in GAINS.items() if part in name), 1.0)
        if name.endswith("running_var"):
            tensor.copy_(1 + 0.1 * noise.abs())
        elif tensor.ndim == 1:
            tensor.copy_(0.1 * noise + (gain if name.endswith(".weight") else 0))
        else:
            inputs = len(tensor) if "6.weight" in name or "binarize.3" in name or "threshold.3" in name else tensor[0].numel()
            tensor.copy_(gain * noise * (2 / inputs) ** 0.5)
    return network.eval()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two libraries that take all cores in turn wait for each other; on small pictures that is most of the time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def network() -> Callable[..., nn.Module]:
    """`network(name, **values)`: the model's network, with these values of its description changed; each is made once."""
    made: dict[str, nn.Module] = {}

    def get(name: str, **values: Any) -> nn.Module:
        key = f"{name} {values}"
        if key not in made:
            made[key] = fill(build({**SPECS[name].network, **values}))
        return made[key]

    return get


@pytest.fixture
def export(network: Callable[..., nn.Module], tmp_path: Path) -> Export:
    def run(name: str, options: ExportOptions | None = None, **values: Any) -> Path:
        target = tmp_path / "model.onnx"
        exporter.export(network(name, **values), SPECS[name], target, options or ExportOptions())
        return target

    return run


def pictures(name: str, batch: int, size: tuple[int, int]) -> NDArray[np.float32]:
    channels = SPECS[name].input.channels
    noise = np.random.default_rng([batch, *size]).standard_normal((batch, channels, *size))
    return noise.astype(np.float32)


def run(path: Path) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 2  # a warning, a shape that is not the declared one for instance, is printed
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda inputs: np.asarray(session.run(["output"], {"input": inputs})[0])


def answers(network: nn.Module, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.inference_mode():
        return np.asarray(network(torch.from_numpy(inputs)))


def require_same(name: str, path: Path, network: nn.Module, batches: tuple[int, ...], sizes: list[tuple[int, int]]) -> None:
    """Compare at every batch and size; DBNet's third plane magnifies the noise of the other two 12 times."""
    compute = run(path)
    for size in sizes:
        for batch in batches:
            inputs = pictures(name, batch, size)
            expected, found = answers(network, inputs), compute(inputs)
            assert found.shape == expected.shape
            limit = np.full(expected.shape[1], 1e-4 * expected.std())
            if name == DBNET:
                limit[2] = 2e-3
            worst = np.abs(found - expected).max(axis=(0, 2, 3) if expected.ndim == 4 else None)
            assert np.all(worst <= limit), (size, batch, worst)


def dims(path: Path) -> tuple[Dims, Dims]:
    model = onnx.load(path)
    (picture,), (output,) = checks.inputs(model), checks.outputs(model)
    assert (picture.name, picture.dtype, output.name, output.dtype) == ("input", "float32", "output", "float32")
    return picture.dims, output.dims


MAPS, LINES = [(32, 64), (64, 32), (50, 75)], [(32, 96), (32, 64), (32, 200)]
OPEN_PICTURE, OPEN_LINE = ("batch", 3, "height", "width"), ("batch", 1, 32, "width")


@pytest.mark.parametrize(
    ("name", "opset", "output"),
    [
        (DBNET, 11, 3),
        pytest.param(DBNET, 17, 3, marks=slow),
        pytest.param(DBNET, 23, 3, marks=slow),
        (PSENET, 17, 7),
        (PANET, 17, 6),
    ],
)
def test_a_detector_takes_any_batch_and_any_size(
    network: Callable[..., nn.Module], export: Export, name: str, opset: int, output: int
) -> None:
    path = export(name, ExportOptions(opset=opset))
    assert checks.opset(onnx.load(path)) == opset
    assert dims(path) == (OPEN_PICTURE, ("batch", output, "map_height", "map_width"))
    require_same(name, path, network(name), (1, 2), MAPS)
    require_same(name, path, network(name), (3, 5), MAPS[:1])


@pytest.mark.parametrize("opset", [11, 17, 23])
def test_a_recognizer_takes_any_batch_and_any_width(network: Callable[..., nn.Module], export: Export, opset: int) -> None:
    path = export(CRNN, ExportOptions(opset=opset))
    assert checks.opset(onnx.load(path)) == opset
    assert dims(path) == (OPEN_LINE, ("batch", "seq_len", 37))
    require_same(CRNN, path, network(CRNN), (1, 2, 3, 5), LINES if opset == 17 else LINES[1:2])


@pytest.mark.parametrize(
    ("name", "opset"),
    [
        (CRNN, 18),
        pytest.param(CRNN, 23, marks=slow),
        pytest.param(DBNET, 18, marks=slow),
        pytest.param(DBNET, 23, marks=slow),
        pytest.param(PSENET, 18, marks=slow),
        pytest.param(PANET, 18, marks=slow),
    ],
)
def test_the_other_exporter_does_too(network: Callable[..., nn.Module], export: Export, name: str, opset: int) -> None:
    pytest.importorskip("onnxscript", reason="the dynamo exporter needs it")
    path = export(name, ExportOptions(exporter="dynamo", opset=opset))
    model = onnx.load(path)
    assert checks.opset(model) == opset
    assert dims(path)[0] == (OPEN_LINE if name == CRNN else OPEN_PICTURE)
    assert b"site-packages" not in path.read_bytes()
    assert str(Path(__file__).resolve().parents[2]).encode() not in path.read_bytes()
    assert any(node.name.startswith(("/backbone/cnn/conv0/", "/backbone/relu/")) for node in model.graph.node)
    require_same(name, path, network(name), (1, 2, 3, 5), LINES if name == CRNN else MAPS)


def test_twins_have_one_network() -> None:
    def description(name: str) -> dict[str, Any]:
        return {key: value for key, value in SPECS[name].network.items() if key != "config_sha256"}

    assert description(PSENET) == description("psenet_r50_fpnf_600e_icdar2015")
    assert description(PANET) == description("panet_r18_fpem_ffm_600e_icdar2015")
    assert len(SPECS) == 6


@pytest.mark.parametrize("how", ["legacy", pytest.param("dynamo", marks=slow)])
def test_two_exports_are_the_same_bytes(export: Export, how: str) -> None:
    options = ExportOptions(exporter=how)
    assert export(CRNN, options).read_bytes() == export(CRNN, options).read_bytes()


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        (CRNN, ExportOptions(dynamic=False), ((1, 1, 32, 128), (1, 33, 37))),
        (CRNN, ExportOptions(dynamic=False, size=(32, 64), batch=2), ((2, 1, 32, 64), (2, 17, 37))),
        (CRNN, ExportOptions(batch=3), ((3, 1, 32, "width"), (3, "seq_len", 37))),
        (DBNET, ExportOptions(dynamic=False, size=(32, 96)), ((1, 3, 32, 96), (1, 3, 32, 96))),
        (DBNET, ExportOptions(batch=2, opset=11), ((2, 3, "height", "width"), (2, 3, "map_height", "map_width"))),
        pytest.param(
            CRNN,
            ExportOptions(dynamic=False, exporter="dynamo"),
            ((1, 1, 32, 128), (1, 33, 37)),
            marks=slow,
        ),
    ],
)
def test_what_is_asked_to_be_fixed_is_fixed(
    network: Callable[..., nn.Module], export: Export, name: str, options: ExportOptions, expected: tuple[Dims, Dims]
) -> None:
    path = export(name, options)
    assert dims(path) == expected
    batch, _, height, width = expected[0]
    assert isinstance(batch, int)
    size = (height if isinstance(height, int) else 96, width if isinstance(width, int) else 160)
    require_same(name, path, network(name), (batch,), [size])
    with pytest.raises(Exception, match=r"invalid dimensions|INVALID_ARGUMENT"):
        run(path)(pictures(name, batch + 1, size))


@pytest.mark.parametrize(
    ("upsample", "settings"),
    [
        ("nearest", {("nearest", "asymmetric", "floor")}),
        ("bilinear", {("linear", "half_pixel", "floor"), ("linear", "half_pixel", "round_prefer_floor")}),
    ],
)
def test_maps_are_enlarged_as_the_model_says(
    network: Callable[..., nn.Module], export: Export, upsample: str, settings: set[tuple[str, ...]]
) -> None:
    path = export(DBNET, upsample=upsample)
    found = [node for node in onnx.load(path).graph.node if node.op_type == "Resize"]
    assert len(found) == 6
    for node in found:
        values = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        mode, places, nearest = (
            values.get(name, b"round_prefer_floor").decode()
            for name in ("mode", "coordinate_transformation_mode", "nearest_mode")
        )
        assert (mode, places, nearest) in settings
    require_same(DBNET, path, network(DBNET, upsample=upsample), (2,), [(50, 75)])


@pytest.mark.parametrize(
    ("options", "complaint", "fix"),
    [
        (ExportOptions(opset=10), "legacy exporter cannot write opset 10: it writes opsets 11 to 23", "--opset from 11 to 23"),
        (ExportOptions(opset=24), "legacy exporter cannot write opset 24", "--opset from 11 to 23"),
        (ExportOptions(opset=17, exporter="dynamo"), "dynamo exporter cannot write opset 17: .* 18 to 23", "--exporter legacy"),
        (ExportOptions(opset=99, exporter="dynamo"), "dynamo exporter cannot write opset 99", "--opset from 18 to 23"),
        (ExportOptions(device="cpu:7"), "unknown device 'cpu:7'", "cuda:N"),
        (ExportOptions(size=(48, 96)), "takes pictures 32 pixels high, and was given 48 x 96", "height of 32"),
    ],
)
def test_what_cannot_be_is_a_sentence(export: Export, options: ExportOptions, complaint: str, fix: str) -> None:
    with pytest.raises(OcrdError, match=complaint) as caught:
        export(CRNN, options)
    assert fix in caught.value.fix


def test_the_dynamo_exporter_without_its_library_is_a_sentence(export: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(Unavailable, match="needs onnxscript, which is not installed") as caught:
        export(CRNN, ExportOptions(exporter="dynamo"))
    assert "pip install 'onnxscript" in caught.value.fix


def test_an_unknown_exporter_names_the_nearest(export: Export) -> None:
    with pytest.raises(UnknownName, match="did you mean 'dynamo'"):
        export(CRNN, ExportOptions(exporter="dynmo"))


def test_a_fixed_size_that_nobody_names_is_asked_for() -> None:
    from dataclasses import replace

    model = SPECS[DBNET]
    shapeless = replace(model, input=replace(model.input, shapes=None))
    with pytest.raises(BadInput, match="does not say which size is usual") as caught:
        exporter_axes.traced_size(shapeless, ExportOptions(dynamic=False))
    assert "--image" in caught.value.fix


def test_pytorch_giving_up_is_one_sentence(tmp_path: Path) -> None:
    class Odd(nn.Module):
        def forward(self, _: Any) -> Any:
            raise ValueError("no such size\nand a page more")

    with pytest.raises(OcrdError, match=r"PyTorch's legacy exporter gave up: ValueError: no such size$") as caught:
        exporter.export(Odd(), SPECS[DBNET], tmp_path / "model.onnx", ExportOptions())
    assert "--exporter dynamo" in caught.value.fix
    assert list(tmp_path.iterdir()) == []


def test_exporters_are_heard_by_those_who_ask_only(
    export: Export, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        export(CRNN)
    assert [record.levelname for record in caplog.records if record.levelno > logging.INFO] == []
    assert any("DeprecationWarning: You are using the legacy" in record.getMessage() for record in caplog.records)
    assert capfd.readouterr() == ("", "")


def test_what_libraries_print_warn_and_log_becomes_messages(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    import warnings

    loggers = [logging.getLogger(name) for name in ("torch", "torch.onnx", "torch.export", "onnxscript")]
    before = [(each.handlers, each.propagate) for each in loggers]
    with caplog.at_level(logging.INFO), exporter_messages.overhearing():
        print("printed")  # noqa: T201 - as a library would
        warnings.warn("warned", FutureWarning, stacklevel=1)
        logging.getLogger("torch.onnx").warning("logged %d", 1)
        logging.getLogger("onnxscript.deep").warning("logged 2")
    messages = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert sorted(messages) == [("INFO", each) for each in ("FutureWarning: warned", "logged 1", "logged 2", "printed")]
    assert capfd.readouterr() == ("", "")
    assert [(each.handlers, each.propagate) for each in loggers] == before


@pytest.fixture
def fixed_inside() -> Any:
    """A graph whose input leaves the width open, and which reshapes to the width that it was traced with."""
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["input", "shape"], ["output"])],
        "g",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["b", 1, 32, "w"])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["b", "t", 37])],
        [numpy_helper.from_array(np.array([-1, 25, 37], np.int64), "shape")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_a_size_that_was_built_into_the_graph_is_found(fixed_inside: Any) -> None:
    with pytest.raises(InvalidGraphError, match=r"axis 1 of 'output' is 25, and should be open \(seq_len\)"):
        exporter_axes.settle(fixed_inside, OPEN_LINE, ("batch", "seq_len", 37))


def test_an_input_that_the_exporter_fixed_is_found(fixed_inside: Any) -> None:
    fixed_inside.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    with pytest.raises(InvalidGraphError, match=r"axis 0 of 'input' is 1, and should be open \(batch\)"):
        exporter_axes.settle(fixed_inside, OPEN_LINE, ("batch", "seq_len", 37))


def test_output_axes_follow_the_input() -> None:
    of_output = exporter_axes.of_output
    assert of_output(Task.DETECTION, (2, 7, 16, 24), OPEN_PICTURE) == ("batch", 7, "map_height", "map_width")
    assert of_output(Task.DETECTION, (4, 7, 16, 24), (4, 3, "height", "width")) == (4, 7, "map_height", "map_width")
    assert of_output(Task.DETECTION, (1, 7, 16, 24), (1, 3, 64, 96)) == (1, 7, 16, 24)
    assert of_output(Task.RECOGNITION, (2, 25, 37), OPEN_LINE) == ("batch", "seq_len", 37)
    assert of_output(Task.CLASSIFICATION, (2, 2), ("batch", 3, 48, "width")) == ("batch", 2)


def test_names_do_not_depend_on_the_exporters_numbers() -> None:
    def numbered(first: int) -> Any:
        scopes = {"key": exporter_names.SCOPES}
        nodes = [
            helper.make_node("Conv", ["x", "backbone.conv.weight"], [f"conv2d_{first}"], name=f"node_Conv_{first}"),
            helper.make_node("Add", [f"conv2d_{first}", f"val_{first}"], [f"val_{first + 1}"], name=f"node_Add_{first}"),
            helper.make_node("Add", [f"val_{first + 1}", f"val_{first}"], ["output"], name=f"node_Add_{first + 9}"),
        ]
        nodes[0].metadata_props.add(**scopes, value=f"['', 'backbone', 'backbone.conv', 'conv2d_{first}']")
        nodes[0].metadata_props.add(key="pkg.torch.onnx.stack_trace", value="File /home/me/net.py")
        graph = helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)],
            [helper.make_tensor_value_info("output", TensorProto.FLOAT, None)],
            [
                numpy_helper.from_array(np.ones((1, 1, 1, 1), np.float32), "backbone.conv.weight"),
                numpy_helper.from_array(np.ones(1, np.float32), f"val_{first}"),
            ],
        )
        return helper.make_model(graph)

    one, other = numbered(3), numbered(70)
    for each in (one, other):
        exporter_names.rename(each)
    assert one == other
    assert [node.name for node in one.graph.node] == ["/backbone/conv/Conv", "/Add", "/Add_1"]
    assert [list(node.input) for node in one.graph.node] == [
        ["x", "backbone.conv.weight"],
        ["/backbone/conv/Conv_output_0", "constant"],
        ["/Add_output_0", "constant"],
    ]
    assert one.graph.node[-1].output == ["output"]
    assert b"/home/me" not in one.SerializeToString()


def test_an_exporter_says_what_only_it_knows(export: Export) -> None:
    recipe = json.loads(metadata.read(export(CRNN))[metadata.RECIPE])
    assert recipe == {"exporter": "legacy", "versions": {"torch": torch.__version__}}
