"""Numbers are written with the digits that they have."""

from __future__ import annotations

from typing import Any

import pytest

from ocrdeploy.evaluation.report import wording


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "-"),
        (0, "0"),
        (0.0012345, "0.00123"),
        (1.0, "1.00"),
        (9.996, "10.0"),
        (41.26, "41.3"),
        (999.6, "1000"),
        (1234.5, "1234"),
        (-2.345, "-2.35"),
    ],
)
def test_three_digits_are_written_and_no_digit_before_the_point_is_lost(value: float | None, written: str) -> None:
    assert wording.significant(value) == written


@pytest.mark.parametrize(
    ("row", "written"),
    [
        ({"f": 0.7321, "f_low": 0.6912, "f_high": 0.7711}, "0.732 [0.69, 0.77]"),
        ({"f": 0.84234, "f_low": 0.8383, "f_high": 0.8469}, "0.8423 [0.838, 0.847]"),
        ({"f": 1.0, "f_low": 1.0, "f_high": 1.0}, "1.0000 [1.000, 1.000]"),
        ({"f": 0.7321}, "0.7321"),
        ({"f": 0.7321, "f_low": None, "f_high": 0.8}, "0.7321"),
        ({"f": float("nan")}, "-"),
        ({"f": None}, "-"),
        ({}, "-"),
    ],
)
def test_a_figure_has_as_many_digits_as_its_interval_is_narrow(row: dict[str, Any], written: str) -> None:
    assert wording.figure(row, "f") == written


@pytest.mark.parametrize(
    ("row", "written"),
    [
        ({"f_drop": 0.0117, "f_drop_low": 0.0081, "f_drop_high": 0.0158}, "+0.0117 [+0.008, +0.016]"),
        ({"f_drop": -0.02, "f_drop_low": -0.05, "f_drop_high": 0.01}, "-0.020 [-0.05, +0.01]"),
        ({"f_drop": 0.0, "f_drop_low": 0.0, "f_drop_high": 0.0}, "0.0000"),
        ({"f_drop": -0.00001}, "0.0000"),
        ({"f_drop": 0.0, "reference": True}, "-"),
        ({}, "-"),
    ],
)
def test_a_drop_has_a_sign_and_zero_has_none(row: dict[str, Any], written: str) -> None:
    assert wording.drop(row, "f") == written


@pytest.mark.parametrize(
    ("share", "written"), [(1.0, "1.0000"), (0.99999, "0.9999"), (52 / 60, "0.8667"), (None, "-"), (0.0, "0.0000")]
)
def test_only_full_agreement_is_written_as_one(share: float | None, written: str) -> None:
    assert wording.share(share) == written


@pytest.mark.parametrize(
    ("key", "timings", "rough"), [("p99_ms", 99, "~"), ("p99_ms", 100, ""), ("p95_ms", 19, "~"), ("p50_ms", 1, "")]
)
def test_percentiles_of_too_few_timings_are_marked(key: str, timings: int, rough: str) -> None:
    assert wording.milliseconds({key: 12.0, "timings": timings}, key) == f"{rough}12.0"


def test_a_precision_that_was_not_kept_is_loud() -> None:
    assert wording.precision({"precision": "fp16", "precision_proved": "fp16"}) == "fp16"
    assert wording.precision({"precision": "fp16", "precision_proved": "fp32"}) == "fp16 (proved fp32!)"
    assert wording.precision({"precision": "fp16", "precision_proved": None}) == "fp16"


def test_an_artifact_that_was_there_says_so() -> None:
    assert wording.build({"built": "now", "build_s": 14.23}) == "14.2"
    assert wording.build({"built": "earlier", "build_s": 14.23}) == "14.2 (earlier)"
    assert wording.build({"built": "nothing to build", "build_s": 0.0}) == "-"


def test_what_a_terminal_would_obey_is_seen_instead() -> None:
    assert wording.visible("a\x1b[31mb\nc\u202ed\udce9\U000e0001") == "a\\x1b[31mb\\x0ac\\u202ed\\udce9\\U000e0001"
    assert wording.visible("Größe 河滨路") == "Größe 河滨路"
