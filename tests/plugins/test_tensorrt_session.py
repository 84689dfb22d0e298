"""What a session does on the GPU, on one that is not there: see `tensorrt_fake`. None of this has run on a real one."""

from __future__ import annotations

import gc
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.plugins.tensorrt_fake.cuda_core import FakeCudaCore
from tests.plugins.tensorrt_fake.gpu import GARBAGE, CUDAError, FakeGpu
from tests.plugins.tensorrt_fake.trt import FakeTensorRT, Tensor, find_text, plan, read_text

from ocrdeploy import BadInput, OcrdError
from ocrdeploy.vocabulary import (
    Artifact,
    Colour,
    Exact,
    Height,
    InferOptions,
    InputSpec,
    ModelSpec,
    Quantity,
    Session,
    SideInput,
    Task,
    Threads,
)
from ocrdeploy_tensorrt import opening
from ocrdeploy_tensorrt.devices import Gpu, Machine

Array = NDArray[Any]
Open = Callable[..., Session]

MACHINE = Machine((13, 0), "580.159.03", (Gpu("NVIDIA H100", (9, 0)), Gpu("NVIDIA H100", (9, 0))))
READER = ModelSpec("crnn", "ctc", Task.RECOGNITION, InputSpec("x", Height(8, 4), Colour.RGB), ("texts", "sums"))
FINDER = ModelSpec("dbnet", "dbnet", Task.DETECTION, InputSpec("x", Exact(64, 64), pad_to=32), ("maps", "small"))

TEXTS = [Tensor("texts", [-1, -1, 5]), Tensor("sums", [-1, -1])]
READS = plan([Tensor("x", [-1, 3, 8, -1], [1, 3, 8, 8], [4, 3, 8, 64])], TEXTS, "read_text")
MAPS = [Tensor("maps", [-1, 1, -1, -1]), Tensor("small", [-1, 1, -1, -1])]
FINDS = plan([Tensor("x", [-1, 3, -1, -1], [1, 3, 32, 32], [2, 3, 512, 512])], MAPS, "find_text")


def picture(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    # Whole numbers, so that sums are equal whatever their order.
    return np.random.default_rng(seed).integers(-50, 50, shape).astype(np.float32)


@pytest.fixture
def gpu() -> FakeGpu:
    return FakeGpu()


@pytest.fixture
def open_plan(gpu: FakeGpu, tmp_path: Any) -> Open:
    """Open a plan as an engine file of a model, on the GPU `gpu`."""

    def open_it(model: ModelSpec = READER, data: bytes = READS, *, device: str = "cuda:0", **extra: str) -> Session:
        path = tmp_path / "model.engine"
        path.write_bytes(data)
        options = InferOptions(device=device, extra={"trust_engine": "yes", **extra})
        return opening.open_session(
            FakeTensorRT(gpu), FakeCudaCore(gpu), MACHINE, Artifact(path, "trt-engine", "", model), options
        )

    return open_it


def same(outputs: Any, expected: Sequence[Array]) -> None:
    for found, wanted in zip(outputs.values(), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


# ------------------------------------------------------------------------------------------------------------- running


def test_outputs_come_by_name_in_the_order_of_the_specification(open_plan: Open) -> None:
    x = picture(2, 3, 8, 20)
    outputs = open_plan().run({"x": x})
    assert list(outputs) == ["texts", "sums"]
    same(outputs, read_text(x))
    swapped = open_plan(replace(READER, outputs=("sums", "texts"))).run({"x": x})
    assert list(swapped) == ["sums", "texts"]


def test_an_output_that_the_specification_does_not_name_is_not_fetched(open_plan: Open, gpu: FakeGpu) -> None:
    outputs = open_plan(replace(READER, outputs=("sums",))).run({"x": picture(1, 3, 8, 8)})
    assert list(outputs) == ["sums"]
    assert gpu.alive["pinned memory"] == 2
    assert gpu.alive["device memory"] == 3


def test_shapes_may_change_from_run_to_run(open_plan: Open) -> None:
    session = open_plan()
    for rows, width in ((1, 8), (4, 64), (2, 12), (1, 64), (4, 8)):
        x = picture(rows, 3, 8, width, seed=width)
        same(session.run({"x": x}), read_text(x))


def test_memory_is_had_once_for_the_largest_shapes(open_plan: Open, gpu: FakeGpu) -> None:
    session = open_plan()
    sizes = sorted(piece.size for piece in gpu.memory.values())
    assert sizes == sorted([4 * 3 * 8 * 64 * 4, 4 * 17 * 5 * 4, 4 * 64 * 4] * 2)
    for width in (8, 64, 32):
        session.run({"x": picture(4, 3, 8, width)})
    assert sorted(piece.size for piece in gpu.memory.values()) == sizes
    assert gpu.steps.count("Device.allocate") == 3


def test_an_input_in_another_memory_order_gives_the_same_and_is_not_modified(open_plan: Open) -> None:
    x = picture(2, 8, 12, 3).transpose(0, 3, 1, 2)
    before = x.copy()
    assert not x.flags.c_contiguous
    same(open_plan().run({"x": x}), read_text(before))
    np.testing.assert_array_equal(x, before)


def test_outputs_stay_the_callers_after_other_runs_and_the_close(open_plan: Open) -> None:
    session, x = open_plan(), picture(1, 3, 8, 64)
    kept = session.run({"x": x})
    for _ in range(3):
        session.run({"x": x * 0})
    session.close()
    same(kept, read_text(x))
    assert all(array.flags.owndata and array.flags.writeable and array.flags.c_contiguous for array in kept.values())


def test_everything_of_a_run_is_queued_on_one_stream_that_is_waited_for_once(open_plan: Open, gpu: FakeGpu) -> None:
    session = open_plan()
    before = len(gpu.steps)
    session.run({"x": picture(1, 3, 8, 8)})
    counts = Counter(gpu.steps[before:])
    assert counts["Stream.sync"] == 1
    assert counts["Buffer.copy_from"] == 3
    assert len(gpu.streams) == 1


@pytest.mark.parametrize(
    ("inputs", "given"),
    [
        ({}, "nothing"),
        ({"y": picture(1, 3, 8, 8)}, "'y': float32"),
        ({"x": picture(1, 3, 8, 8), "z": picture(1)}, "'z': float32"),
        ({"x": picture(1, 3, 8, 8).astype(np.float64)}, "float64 (1, 3, 8, 8)"),
        ({"x": picture(3, 8, 8)}, "(3, 8, 8)"),
        ({"x": picture(0, 3, 8, 8)}, "(0, 3, 8, 8)"),
    ],
)
def test_inputs_that_the_model_does_not_take_are_named(open_plan: Open, gpu: FakeGpu, inputs: dict[str, Any], given: str) -> None:
    session = open_plan()
    before = len(gpu.steps)
    with pytest.raises(BadInput) as raised:
        session.run(inputs)
    assert raised.value.problem.startswith("model 'crnn' takes 'x': float32 (1..4, 3, 8, 8..64), and was given ")
    assert given in raised.value.problem
    assert gpu.steps[before:] == [], "TensorRT is not asked"


@pytest.mark.parametrize("shape", [(1, 3, 8, 68), (1, 3, 8, 4), (1, 1, 8, 8), (1, 3, 16, 8)])
def test_a_shape_outside_of_the_profile_is_refused_with_the_command_that_takes_it(
    open_plan: Open, shape: tuple[int, ...]
) -> None:
    session = open_plan()
    with pytest.raises(BadInput) as raised:
        session.run({"x": picture(*shape)})
    assert f"takes 'x': float32 (1..4, 3, 8, 8..64), and was given {shape}" in raised.value.problem
    assert raised.value.fix.startswith("build one for it: ocrd build MODEL.onnx -o MODEL.engine --min-shape ")
    x = picture(1, 3, 8, 8)
    same(session.run({"x": x}), read_text(x))


def test_the_command_names_shapes_that_hold_both(open_plan: Open) -> None:
    with pytest.raises(BadInput) as raised:
        open_plan().run({"x": picture(2, 3, 8, 100)})
    assert raised.value.fix.endswith("--min-shape 1x3x8x8 --max-shape 4x3x8x100")


def test_a_batch_of_more_rows_than_the_profile_is_run_in_parts(open_plan: Open, gpu: FakeGpu) -> None:
    session = open_plan()
    for rows in (5, 8, 9, 37):
        x = picture(rows, 3, 8, 16, seed=rows)
        before = gpu.steps.count("IExecutionContext.execute_async_v3")
        same(session.run({"x": x}), read_text(x))
        assert gpu.steps.count("IExecutionContext.execute_async_v3") - before == -(-rows // 4)


def test_parts_are_as_equal_as_can_be(open_plan: Open) -> None:
    # Where the profile begins at 3 rows, 5 are no 4 and 1; nor can they be 3 and 3.
    data = plan([Tensor("x", [-1, 3, 8, -1], [2, 3, 8, 8], [4, 3, 8, 64])], TEXTS, "read_text")
    session, x = open_plan(READER, data), picture(5, 3, 8, 8)
    same(session.run({"x": x}), read_text(x))
    with pytest.raises(BadInput, match="and was given"):
        session.run({"x": picture(1, 3, 8, 8)})


def test_a_batch_whose_answer_is_not_by_rows_is_not_run_in_parts(open_plan: Open) -> None:
    data = plan([Tensor("x", [-1, 3, 8, -1], [1, 3, 8, 8], [2, 3, 8, 64])], [Tensor("mean", [1, 3, 8, -1])], "first_row")
    session, x = open_plan(replace(READER, outputs=("mean",)), data), picture(4, 3, 8, 8)
    same(session.run({"x": x[:2]}), [x[:2].mean(axis=0, keepdims=True)])
    with pytest.raises(BadInput, match=r"'mean' of model 'crnn' has shape \(1, 3, 8, 8\) for 2 pictures") as raised:
        session.run({"x": x})
    assert "--batch-size" in raised.value.fix


def test_side_inputs_are_fed_and_split_with_the_pictures(open_plan: Open) -> None:
    sides = [Tensor("x", [-1, 3, 8, -1], [1, 3, 8, 8], [2, 3, 8, 64]), Tensor("ratio", [-1], [1], [2])]
    model = replace(READER, input=replace(READER.input, side_inputs=(SideInput("ratio", Quantity.VALID_RATIO),)))
    x = picture(5, 3, 8, 8)
    same(open_plan(model, plan(sides, TEXTS, "read_text")).run({"x": x, "ratio": np.ones(5, np.float32)}), read_text(x))


def test_inputs_of_fixed_shape_need_no_profile(open_plan: Open) -> None:
    data = plan([Tensor("x", [1, 3, 8, 16])], TEXTS, "read_text")
    x = picture(3, 3, 8, 16)
    same(open_plan(READER, data).run({"x": x}), read_text(x))


# --------------------------------------------------------------------------------------------------------------- tiles


def test_a_larger_picture_is_refused_unless_tiles_are_asked_for(open_plan: Open) -> None:
    with pytest.raises(BadInput, match="was given"):
        open_plan(FINDER, FINDS).run({"x": picture(1, 3, 544, 512)})


@pytest.mark.parametrize("size", [(544, 512), (512, 1344), (1344, 992), (64, 2048)])
def test_tiles_are_put_together_to_what_the_whole_would_have_given(open_plan: Open, size: tuple[int, int]) -> None:
    x = picture(3, 3, *size)
    same(open_plan(FINDER, FINDS, oversize="tile").run({"x": x}), find_text(x))


def test_tiles_are_for_detectors(open_plan: Open) -> None:
    with pytest.raises(BadInput, match="'crnn' is a recognition model"):
        open_plan(READER, READS, oversize="tile").run({"x": picture(1, 3, 8, 100)})


def test_what_is_no_map_is_not_put_together(open_plan: Open) -> None:
    data = plan([Tensor("x", [-1, 3, -1, -1], [1, 3, 32, 32], [2, 3, 512, 512])], TEXTS, "read_text")
    session = open_plan(replace(FINDER, outputs=("texts",)), data, oversize="tile")
    with pytest.raises(BadInput, match=r"an output of shape \(1, 129, 5\) is no map of a tile of 512 x 512"):
        session.run({"x": picture(1, 3, 544, 512)})


# --------------------------------------------------------------------------------------------------------- CUDA graphs


def test_a_graph_is_recorded_for_a_shape_that_comes_twice_and_launched_from_then_on(open_plan: Open, gpu: FakeGpu) -> None:
    session = open_plan(cuda_graph="on")
    for number in range(5):
        x = picture(2, 3, 8, 32, seed=number)
        same(session.run({"x": x}), read_text(x))
    assert gpu.steps.count("Graph.launch") == 3
    # The first run by hand, the second one by hand in the graph's own context, and the recording.
    assert gpu.steps.count("IExecutionContext.execute_async_v3") == 3
    assert session.loaded().details["cuda_graph"] == "on: 1 of at most 8 shapes recorded"


def test_shapes_take_turns_with_their_graphs(open_plan: Open, gpu: FakeGpu) -> None:
    session = open_plan(cuda_graph="on")
    for number in range(12):
        x = picture(1 + number % 2, 3, 8, 8 * (1 + number % 3), seed=number)
        same(session.run({"x": x}), read_text(x))
    assert gpu.alive["graph"] == 6 - 0
    assert gpu.alive["context"] == 7
    session.close()
    assert gpu.leaks == {}


def test_no_more_shapes_are_recorded_than_asked_for(open_plan: Open, gpu: FakeGpu) -> None:
    session = open_plan(cuda_graph="2")
    for number in range(18):
        x = picture(1, 3, 8, 8 * (1 + number % 6), seed=number)
        same(session.run({"x": x}), read_text(x))
    assert gpu.alive["graph"] == 2
    assert session.loaded().details["cuda_graph"] == "on: 2 of at most 2 shapes recorded"


@pytest.mark.parametrize(
    ("step", "number", "failure"),
    [
        ("ICudaEngine.create_execution_context", 2, None),
        ("IExecutionContext.execute_async_v3", 3, False),
        ("GraphBuilder.begin_building", 1, CUDAError("cannot begin")),
        ("GraphBuilder.end_building", 1, CUDAError("CUDA_ERROR_STREAM_CAPTURE_INVALIDATED")),
        ("GraphBuilder.complete", 1, CUDAError("a loop")),
        ("Device.create_graph_builder", 1, CUDAError("no builder")),
    ],
)
def test_what_cannot_be_recorded_is_run_by_hand_and_told(
    open_plan: Open, gpu: FakeGpu, step: str, number: int, failure: Any
) -> None:
    gpu.plan(step, number, failure)
    session = open_plan(cuda_graph="on")
    for index in range(4):
        x = picture(1, 3, 8, 8, seed=index)
        same(session.run({"x": x}), read_text(x))
    assert gpu.steps.count("Graph.launch") == 0
    told = session.loaded().details["cuda_graph"]
    assert told.startswith("on: 0 of at most 8 shapes recorded, 1 not (")
    assert (str(failure) if isinstance(failure, Exception) else "TensorRT" if failure is None else "planned failure") in told
    assert gpu.alive["context"] == 1
    assert gpu.alive["graph builder"] == 0
    session.close()
    assert gpu.leaks == {}


def test_without_the_option_nothing_is_recorded(open_plan: Open, gpu: FakeGpu) -> None:
    session = open_plan()
    for _ in range(4):
        session.run({"x": picture(1, 3, 8, 8)})
    assert not [step for step in gpu.steps if "Graph" in step]
    assert session.loaded().details["cuda_graph"] == "off"


# -------------------------------------------------------------------------------------------- closing, threads, failures


def test_a_closed_session_says_so_closes_twice_and_holds_nothing(open_plan: Open, gpu: FakeGpu) -> None:
    session = open_plan(cuda_graph="on")
    for _ in range(3):
        session.run({"x": picture(1, 3, 8, 8)})
    assert gpu.leaks
    session.close()
    session.close()
    assert gpu.leaks == {}
    with pytest.raises(OcrdError, match="the session of model 'crnn' is closed"):
        session.run({"x": picture(1, 3, 8, 8)})
    assert session.loaded().device == "cuda:0"


def test_two_sessions_at_once_do_not_know_of_each_other(open_plan: Open, gpu: FakeGpu) -> None:
    reader, finder = open_plan(), open_plan(FINDER, FINDS)
    x, page = picture(1, 3, 8, 16), picture(1, 3, 64, 64)
    for _ in range(2):
        same(reader.run({"x": x}), read_text(x))
        same(finder.run({"x": page}), find_text(page))
    reader.close()
    same(finder.run({"x": page}), find_text(page))
    finder.close()
    assert gpu.leaks == {}


def test_one_thread_at_a_time_runs_and_others_wait(open_plan: Open) -> None:
    session = open_plan()
    assert session.loaded().threads is Threads.ONE
    inputs = [picture(1 + index % 4, 3, 8, 8 + 4 * (index % 9), seed=index) for index in range(60)]
    with ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(lambda x: session.run({"x": x}), inputs))
    for x, output in zip(inputs, outputs, strict=True):
        same(output, read_text(x))


def test_a_thread_in_which_no_device_is_current_may_run_and_close(open_plan: Open, gpu: FakeGpu) -> None:
    opened: list[Session] = []
    thread = threading.Thread(target=lambda: opened.append(open_plan()))
    thread.start()
    thread.join()
    x = picture(1, 3, 8, 8)
    same(opened[0].run({"x": x}), read_text(x))
    opened[0].close()
    assert gpu.leaks == {}


def scenario(open_plan: Open) -> tuple[list[OcrdError], Session | None]:
    """Open, run five times by hand and by graph, in parts, and close; return what was raised."""
    errors: list[OcrdError] = []
    try:
        session = open_plan(cuda_graph="on")
    except OcrdError as error:
        return [error], None
    for rows, width in ((2, 8), (2, 8), (2, 8), (6, 16), (2, 8)):
        x = picture(rows, 3, 8, width, seed=rows)
        try:
            same(session.run({"x": x}), read_text(x))
        except OcrdError as error:
            errors.append(error)
    session.close()
    return errors, session


def calls() -> list[tuple[str, int]]:
    """Every call of the scenario on the GPU that could fail, by its name and number."""
    gpu = FakeGpu()
    memory: list[tuple[str, int]] = []
    seen: Counter[str] = Counter()

    def open_it(**extra: str) -> Session:
        return opened(gpu, **extra)

    scenario(open_it)
    for step in gpu.steps:
        seen[step] += 1
        memory.append((step, seen[step]))
    return memory


def opened(gpu: FakeGpu, **extra: str) -> Session:
    from pathlib import Path
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.engine"
        path.write_bytes(READS)
        options = InferOptions(device="cuda:0", extra={"trust_engine": "yes", **extra})
        artifact = Artifact(path, "trt-engine", "", READER)
        return opening.open_session(FakeTensorRT(gpu), FakeCudaCore(gpu), MACHINE, artifact, options)


ANSWERS = {
    "Runtime.deserialize_cuda_engine": None,
    "ICudaEngine.create_execution_context": None,
    "IExecutionContext.set_input_shape": False,
    "IExecutionContext.infer_shapes": ["x"],
    "IExecutionContext.set_tensor_address": False,
    "IExecutionContext.execute_async_v3": False,
}
"""What TensorRT's functions answer where they fail; all others raise."""

MAY_PASS = ("GraphBuilder", "Graph.close", "Buffer.close", "Stream.close", "Device.create_graph_builder")
"""What may fail without anybody noticing: recording, which has a fall-back, and what is freed at the end."""


@pytest.mark.parametrize(("step", "number"), calls())
def test_whatever_fails_is_named_and_nothing_leaks(step: str, number: int) -> None:
    gpu = FakeGpu()
    failure: Any = ANSWERS.get(step, CUDAError("CUDA_ERROR_OUT_OF_MEMORY: planned, out of memory"))
    if step == "Runtime":
        failure = TypeError("pybind11::init(): factory function returned nullptr")
    gpu.plan(step, number, failure)
    errors, session = scenario(lambda **extra: opened(gpu, **extra))
    # The errors are still held, and with them the frames in which they were raised: those hold nothing on the GPU.
    assert gpu.leaks == {}
    assert len(errors) <= 1
    for error in errors:
        assert error.fix
        if isinstance(failure, Exception):
            assert str(failure).split("(")[0] in error.problem
    if not errors and session is not None and not step.startswith(MAY_PASS):
        details = session.loaded().details
        at_the_end = step in {"Device.set_current", "Stream.sync"} and (step, number + 1) not in calls()
        reason = details["precision"]
        told = reason == str(failure) or reason.startswith(("TensorRT does not take", "TensorRT lacks"))
        assert " not (" in details["cuda_graph"] or told or at_the_end


@pytest.mark.parametrize("step", ["Buffer.copy_from", "IExecutionContext.execute_async_v3", "Stream.sync"])
def test_a_gpu_that_is_lost_in_the_middle_closes_the_session_and_says_why(step: str) -> None:
    failure = ANSWERS.get(step, CUDAError("planned failure"))
    gpu = FakeGpu()
    session = opened(gpu)
    x = picture(1, 3, 8, 8)
    same(session.run({"x": x}), read_text(x))

    gpu.plan(step, gpu.steps.count(step) + 1, failure, fatal=True)
    with pytest.raises(OcrdError, match=r"could not run model 'crnn' on 'x' \(1, 3, 8, 8\): .*planned failure"):
        session.run({"x": x})
    with pytest.raises(OcrdError, match=r"was closed after a failure \(CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access"):
        session.run({"x": x})
    session.close()
    assert gpu.leaks == {}


def test_a_failure_that_the_stream_survives_leaves_the_session_usable(open_plan: Open, gpu: FakeGpu) -> None:
    session, x = open_plan(), picture(1, 3, 8, 8)
    gpu.plan("IExecutionContext.execute_async_v3", 1, False)
    with pytest.raises(OcrdError, match="planned failure") as raised:
        session.run({"x": x})
    assert "Error Code 1: Cuda Runtime" in raised.value.problem
    same(session.run({"x": x}), read_text(x))


def test_a_stream_that_fails_for_good_ends_the_session(open_plan: Open, gpu: FakeGpu) -> None:
    session, x = open_plan(), picture(1, 3, 8, 8)
    gpu.plan("IExecutionContext.execute_async_v3", 1, CUDAError("first"))
    gpu.plan("Stream.sync", 1, CUDAError("CUDA_ERROR_ILLEGAL_ADDRESS"))
    with pytest.raises(OcrdError, match=r"on 'x' \(1, 3, 8, 8\): first"):
        session.run({"x": x})
    assert gpu.leaks == {}
    with pytest.raises(OcrdError, match=r"was closed after a failure \(CUDA_ERROR_ILLEGAL_ADDRESS\)"):
        session.run({"x": x})


@pytest.mark.parametrize("room", [0, 20_000, 40_000, 51_000])
def test_too_little_memory_names_the_tensor_and_its_size(open_plan: Open, gpu: FakeGpu, room: int) -> None:
    gpu.capacity = room
    with pytest.raises(OcrdError, match=r"cannot have \d+\.\d MiB of (GPU|pinned host) memory for the tensor") as raised:
        open_plan()
    assert "out of memory" in raised.value.problem
    assert "--max-shape" in raised.value.fix
    assert gpu.leaks == {}


def test_ctrl_c_in_a_run_waits_for_the_gpu_and_passes(open_plan: Open, gpu: FakeGpu) -> None:
    session, x = open_plan(), picture(1, 3, 8, 8)

    def interrupt() -> None:
        raise KeyboardInterrupt

    gpu.queue(next(iter(gpu.streams)), interrupt)
    with pytest.raises(KeyboardInterrupt):
        session.run({"x": x})
    same(session.run({"x": x}), read_text(x))
    session.close()
    assert gpu.leaks == {}


def test_a_session_that_nobody_closes_ends_with_its_last_reference(open_plan: Open, gpu: FakeGpu) -> None:
    session = open_plan()
    session.run({"x": picture(1, 3, 8, 8)})
    del session
    gc.collect()
    assert not {"engine", "context", "runtime"} & set(gpu.leaks)


def test_the_fake_notices_what_a_session_might_get_wrong(gpu: FakeGpu) -> None:
    device = FakeCudaCore(gpu).Device(0)
    with pytest.raises(CUDAError, match="no device is current"):
        device.create_stream()
    device.set_current()
    stream = device.create_stream()
    one, other = device.allocate(8, stream=stream), device.allocate(4, stream=stream)
    with pytest.raises(ValueError, match="sizes mismatch"):
        other.copy_from(one, stream=stream)
    assert (gpu.at(one.handle, 8) == GARBAGE).all()
    one.close(stream)
    with pytest.raises(CUDAError, match="ILLEGAL_ADDRESS"):
        gpu.at(one.handle, 8)
