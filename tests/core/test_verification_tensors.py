"""How far arrays may be apart, and what is said of those that are further."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ocrdeploy.errors import BadInput
from ocrdeploy.verification import tolerance
from ocrdeploy.verification.judge import Judge, rounded_to_half
from ocrdeploy.verification.tensors import Tally, deviation
from ocrdeploy.verification.tolerance import Tolerance

FP32 = tolerance.of("fp32")


@pytest.fixture
def array() -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(0, 2, (3, 40, 50)).astype(np.float32)


def test_an_array_agrees_with_itself(array: NDArray[np.float32]) -> None:
    found = deviation(array, array, FP32)
    assert found.agrees
    assert (found.max_abs, found.max_rel, found.mean_abs, found.beyond) == (0, 0, 0, 0)
    assert found.cosine == pytest.approx(1)
    assert found.values == array.size


def test_noise_below_the_tolerance_agrees_and_above_it_differs(array: NDArray[np.float32]) -> None:
    allowed = FP32.atol * float(array.std())
    assert deviation(array, array + np.float32(0.9 * allowed), FP32).agrees
    other = array.copy()
    other[1, 2, 3] += 0.01
    found = deviation(array, other, FP32)
    assert not found.agrees
    assert found.place == (1, 2, 3)
    assert found.beyond == 1
    assert found.max_abs == pytest.approx(0.01, rel=1e-3)
    assert found.excess == pytest.approx(0.01 / (allowed + FP32.rtol * abs(float(array[1, 2, 3]))), rel=1e-3)
    assert found.mean_abs == pytest.approx(0.01 / array.size, rel=1e-3)
    assert "differs by 0.01 at [1, 2, 3]" in found.words("maps")
    assert "1 of 6000 numbers" in found.words("maps")


def test_the_worst_place_is_the_one_furthest_beyond_what_is_allowed_there() -> None:
    a = np.array([1000.0, 0.0, 1.0])
    found = deviation(a, a + np.array([0.05, 0.04, 0.0]), Tolerance(atol=0, rtol=1e-4, score=0, iou=0))
    assert found.place == (1,)
    assert found.max_abs == pytest.approx(0.05)


def test_relative_differences_are_those_of_numbers_as_large_as_the_std() -> None:
    a = np.array([0.0, 1e-9, 4.0, -4.0])
    found = deviation(a, a + np.array([0.0, 1e-3, 0.0, 0.04]), FP32)
    assert found.max_rel == pytest.approx(0.01)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_differs_unless_both_have_it_there(array: NDArray[np.float32], bad: float) -> None:
    other = array.copy()
    other[0, 1, 2] = bad
    found = deviation(array, other, FP32)
    assert not found.agrees
    assert found.place == (0, 1, 2)
    assert (found.nan[1], found.inf[1]) == ((1, 0) if math.isnan(bad) else (0, 1))
    assert ("1 NaN in B and 0 in A" if math.isnan(bad) else "1 infinite numbers in B and 0 in A") in found.words("maps")
    assert deviation(other, other, FP32).agrees
    assert not deviation(other, array, FP32).agrees
    moved = array.copy()
    moved[0, 0, 0] = bad
    assert not deviation(other, moved, FP32).agrees


@pytest.mark.parametrize("share", [-0.1, math.nan, math.inf])
def test_a_tolerance_is_a_share(share: float) -> None:
    with pytest.raises(BadInput, match="the tolerance rtol is"):
        tolerance.chosen(FP32, None, share)


def test_opposite_infinities_differ() -> None:
    for allowed in (FP32, Tolerance(atol=1, rtol=0, score=1, iou=0)):
        assert not deviation(np.array([math.inf, 1.0]), np.array([-math.inf, 1.0]), allowed).agrees
        assert deviation(np.array([math.inf, 1.0]), np.array([math.inf, 1.0]), allowed).agrees


def test_an_empty_page_is_not_judged_by_its_own_tiny_std() -> None:
    a = np.full((10, 10), 1e-6, np.float32)
    assert deviation(a, a + np.float32(5e-8), FP32).agrees
    assert not deviation(a, a + np.float32(1e-3), FP32).agrees


@pytest.mark.parametrize("shape", [(0, 7), (), (1,)])
def test_arrays_of_any_shape_are_compared(shape: tuple[int, ...]) -> None:
    a = np.ones(shape, np.float32)
    found = deviation(a, a, FP32)
    assert found.agrees
    assert found.values == a.size
    if a.size:
        assert not deviation(a, a + 1, FP32).agrees


def test_a_tolerance_of_zero_asks_for_equal_numbers() -> None:
    exact = Tolerance(atol=0, rtol=0, score=0, iou=1)
    a = np.array([0.0, 1.0, math.nan])
    assert deviation(a, a, exact).agrees
    assert deviation(a, np.array([np.nextafter(0, 1), 1.0, math.nan]), exact).beyond == 1


def test_integers_and_truth_values_are_compared_exactly() -> None:
    assert not deviation(np.array([1, 3, 736]), np.array([1, 3, 737]), FP32).agrees
    assert not deviation(np.array([True, False]), np.array([True, True]), FP32).agrees


def test_the_steep_plane_of_dbnet_may_deviate_more_and_the_others_not() -> None:
    judge = Judge(FP32, tolerance.STEEP["dbnet"])
    a = {"output": np.random.default_rng(1).uniform(0, 1, (3, 8, 8)).astype(np.float32)}
    for plane, agrees in ((0, False), (1, False), (2, True)):
        other = a["output"].copy()
        other[plane, 4, 4] += 1.9e-3
        assert judge.agree(a, {"output": other}) is agrees
    other = a["output"].copy()
    other[2, 4, 4] += 3e-3
    assert not judge.agree(a, {"output": other})
    one_plane = {"output": a["output"][:1]}
    assert judge.agree(one_plane, one_plane)


def test_the_less_exact_of_two_precisions_decides() -> None:
    assert tolerance.of("fp32", "fp16") == tolerance.of("fp16", "fp32") == tolerance.of("tf32")
    assert tolerance.of("fp16", "bf16").atol > tolerance.of("fp16").atol > FP32.atol
    assert tolerance.of("fp32", "int7") == tolerance.of("bf16")
    assert tolerance.chosen(FP32, None, 0.5) == Tolerance(FP32.atol, 0.5, FP32.score, FP32.iou)


def test_half_precision_is_recognised(array: NDArray[np.float32]) -> None:
    half = array.astype(np.float16).astype(np.float32)
    assert rounded_to_half({"x": array}, {"x": half})
    assert not rounded_to_half({"x": array}, {"x": array})
    assert not rounded_to_half({"x": half}, {"x": half})
    assert not rounded_to_half({"x": array}, {"x": array * np.float32(1e6)})


def test_rows_add_up_to_a_summary() -> None:
    tally = Tally("maps")
    assert tally.summary() is None
    a: NDArray[Any] = np.array([1.0, 2.0, math.nan])
    tally.add(deviation(a, a, FP32), "picture 1")
    tally.add(deviation(a, np.array([1.0, 2.5, math.nan]), FP32), "picture 2")
    found = tally.summary()
    assert found is not None
    assert (found.rows, found.values, found.nan, found.where) == (2, 6, (2, 2), "picture 2")
    assert found.max_abs == pytest.approx(0.5)
    assert found.mean_abs == pytest.approx(0.5 / 6)
    assert found.worst.place == (1,)
