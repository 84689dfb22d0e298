"""The memory of a session, and how batches are cut to fit it: parts, and tiles."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from tests.plugins.tensorrt_fake.cuda_core import FakeCudaCore, Stream
from tests.plugins.tensorrt_fake.gpu import CUDAError, FakeGpu

from ocrdeploy import BadInput, OcrdError, UnknownName
from ocrdeploy_tensorrt import choices, tiles
from ocrdeploy_tensorrt.buffers import Buffers
from ocrdeploy_tensorrt.ports import Port
from ocrdeploy_tensorrt.tiles import Cut

FLOAT = np.dtype(np.float32)


@pytest.fixture
def gpu() -> FakeGpu:
    return FakeGpu()


@pytest.fixture
def stream(gpu: FakeGpu) -> Stream:
    device = FakeCudaCore(gpu).Device(0)
    device.set_current()
    return device.create_stream()


@pytest.fixture
def buffers(gpu: FakeGpu, stream: Stream) -> Buffers:
    cuda = FakeCudaCore(gpu)
    return Buffers(cuda, cuda.Device(0), stream)


def numbers(*shape: int) -> Any:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


# -------------------------------------------------------------------------------------------------------------- memory


def test_what_goes_up_comes_down(buffers: Buffers, stream: Stream) -> None:
    buffers.reserve("x", 400, host=True)
    for shape in ((10, 10), (3, 5), (1,)):
        array = numbers(*shape)
        buffers.upload("x", array)
        array += 1  # it is the caller's again
        buffers.download("x", array.nbytes)
        stream.sync()
        np.testing.assert_array_equal(buffers.taken("x", shape, FLOAT), array - 1)


def test_an_array_in_another_order_goes_up_in_c_order(buffers: Buffers, gpu: FakeGpu, stream: Stream) -> None:
    buffers.reserve("x", 96, host=True)
    array = numbers(2, 3, 4).transpose(2, 0, 1)
    buffers.upload("x", array)
    stream.sync()
    np.testing.assert_array_equal(gpu.at(buffers.address("x"), 96).view(np.float32), array.ravel())


def test_memory_grows_and_does_not_shrink(buffers: Buffers, gpu: FakeGpu) -> None:
    assert buffers.reserve("x", 100, host=False)
    before = buffers.address("x")
    assert not buffers.reserve("x", 100, host=False)
    assert not buffers.reserve("x", 4, host=False)
    assert buffers.address("x") == before
    assert buffers.reserve("x", 101, host=False)
    assert [piece.size for piece in gpu.memory.values()] == [101]


def test_what_is_not_fetched_has_no_memory_on_the_host(buffers: Buffers, gpu: FakeGpu) -> None:
    buffers.reserve("x", 100, host=False)
    assert gpu.alive["pinned memory"] == 0


@pytest.mark.parametrize(("what", "capacity"), [("GPU memory", 0), ("pinned host memory", 3 << 20)])
def test_too_little_memory_is_told_and_what_there_was_is_freed(buffers: Buffers, gpu: FakeGpu, what: str, capacity: int) -> None:
    gpu.capacity = capacity
    with pytest.raises(OcrdError, match=f"cannot have 2.0 MiB of {what} for the tensor 'x': CUDA_ERROR_OUT_OF_MEMORY"):
        buffers.reserve("x", 2 << 20, host=True)
    buffers.close()
    assert gpu.memory == {}


def test_growing_frees_before_it_asks_for_more(buffers: Buffers, gpu: FakeGpu) -> None:
    gpu.capacity = 150
    buffers.reserve("x", 100, host=False)
    buffers.reserve("x", 140, host=False)
    assert [piece.size for piece in gpu.memory.values()] == [140]


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_piece_that_cannot_be_freed_leaves_no_other_behind(
    buffers: Buffers, gpu: FakeGpu, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    for name in ("x", "y"):
        buffers.reserve(name, 10, host=True)
    gpu.plan("Buffer.close", number, CUDAError("CUDA_ERROR_INVALID_VALUE"))
    with caplog.at_level(logging.WARNING):
        buffers.close()
    assert gpu.steps.count("Buffer.close") == 4
    assert "was not freed: CUDA_ERROR_INVALID_VALUE" in caplog.text
    buffers.close()
    assert gpu.steps.count("Buffer.close") == 4


# --------------------------------------------------------------------------------------------------------------- tiles


def test_a_side_that_fits_is_one_tile() -> None:
    assert tiles.cuts(640, 640, 32) == [Cut(0, 640, 0, 640)]


@pytest.mark.parametrize("length", range(672, 4000, 224))
@pytest.mark.parametrize("largest", [512, 640, 650, 1344])
def test_tiles_cover_a_side_once_overlap_and_start_on_the_grid(length: int, largest: int) -> None:
    found = tiles.cuts(length, largest, 32)
    assert [each for cut in found for each in range(cut.first, cut.last)] == list(range(length))
    if len(found) == 1:
        return
    assert {cut.stop - cut.start for cut in found} == {largest // 32 * 32}
    assert all(edge % 32 == 0 for cut in found for edge in (cut.start, cut.first, cut.last))
    assert found[0].start == 0
    assert found[-1].stop == length
    for left, right in pairwise(found):
        # What counts of a tile has at least half of the overlap, less the grid, around it.
        assert left.stop - right.start >= min(tiles.OVERLAP, largest // 2 // 32 * 32)
        assert left.stop - left.last >= tiles.OVERLAP // 2 - 32
        assert right.first - right.start >= tiles.OVERLAP // 2 - 32


@pytest.mark.parametrize(("length", "largest", "multiple"), [(96, 32, 32), (100, 64, 32), (128, 31, 32)])
def test_sides_that_leave_no_room_are_refused(length: int, largest: int, multiple: int) -> None:
    with pytest.raises(BadInput, match=f"a side of {length} cannot be tiled with tiles of {largest}"):
        tiles.cuts(length, largest, multiple)


@pytest.mark.parametrize("factor", [1, 4])
def test_what_is_cut_out_is_put_back_where_it_was(factor: int) -> None:
    picture = np.random.default_rng(0).standard_normal((2, 3, 960, 1248)).astype(np.float32)
    down, across = tiles.cuts(960, 512, 32), tiles.cuts(1248, 512, 32)
    maps = {
        (row, column): tiles.crop(picture, (2, 3), one, other)[:, :1, ::factor, ::factor]
        for row, one in enumerate(down)
        for column, other in enumerate(across)
    }
    np.testing.assert_array_equal(tiles.stitch(maps, down, across, (2, 3)), picture[:, :1, ::factor, ::factor])


@pytest.mark.parametrize("shape", [(1, 5), (1, 1, 100, 128), (1, 1, 512, 5), (1, 1, 0, 512)])
def test_what_is_no_map_of_its_tile_is_refused(shape: tuple[int, ...]) -> None:
    down = across = tiles.cuts(1024, 512, 32)
    maps = {(row, column): np.zeros(shape) for row in range(len(down)) for column in range(len(across))}
    with pytest.raises(BadInput, match="is no map of a tile of 512 x 512"):
        tiles.stitch(maps, down, across, (2, 3))


# ------------------------------------------------------------------------------------------------------------- options


def test_options_have_defaults_and_pass_over_the_builders() -> None:
    assert choices.chosen({}) == choices.Settings()
    assert choices.chosen({"keep_fp32": "Resize"}) == choices.Settings()


def test_options_are_read() -> None:
    given = {"cuda_graph": "ON", "oversize": "tile", "trust_engine": "yes"}
    assert choices.chosen(given) == choices.Settings(choices.GRAPHS, tile=True, trusted=True)
    assert [choices.chosen({"cuda_graph": number}).graphs for number in ("0", "1", "12")] == [0, 1, 12]


@pytest.mark.parametrize("pair", [("cuda_graph", "yes"), ("oversize", "crop"), ("trust_engine", "maybe"), ("cuda_graph", "-1")])
def test_a_value_that_there_is_not_is_told(pair: tuple[str, str]) -> None:
    with pytest.raises(UnknownName, match=f"unknown backend option '{pair[0]}={pair[1]}'"):
        choices.chosen(dict([pair]))


def test_too_many_graphs_are_refused() -> None:
    with pytest.raises(BadInput, match="1000 CUDA graphs are too many"):
        choices.chosen({"cuda_graph": "1000"})


def test_a_port_is_written_as_people_read_it() -> None:
    port = Port("x", FLOAT, (1, 3, 32, 4), (16, 3, 32, 960))
    assert str(port) == "'x': float32 (1..16, 3, 32, 4..960)"
    assert str(replace(port, low=(-1, 37), high=(-1, 37))) == "'x': float32 (?, 37)"
    assert port.nbytes == 16 * 3 * 32 * 960 * 4
