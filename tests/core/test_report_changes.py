"""Two reports compared: what changed, what is noise, and what is a reason not to compare."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from ocrdeploy import tables
from ocrdeploy.evaluation.report import changes, schema
from ocrdeploy.evaluation.report.changes import Change, Verdict

GOLDEN = Path(__file__).parent / "goldens" / "report.json"
FP32 = "onnxruntime fp32 cpu"


@pytest.fixture
def old() -> dict[str, Any]:
    return dict(schema.read(GOLDEN))


@pytest.fixture
def new(old: dict[str, Any]) -> dict[str, Any]:
    return deepcopy(old)


def change(old: dict[str, Any], new: dict[str, Any], key: str, row: str = FP32) -> Change | None:
    (found,) = [each for each in changes.compare(old, new).rows if each.id == row]
    return next((each for each in found.changes if each.key == key), None)


def verdict(old: dict[str, Any], new: dict[str, Any], key: str) -> Verdict:
    found = change(old, new, key)
    assert found is not None
    return found.verdict


def test_a_report_does_not_differ_from_itself(old: dict[str, Any], new: dict[str, Any]) -> None:
    found = changes.compare(old, new)
    assert found.doubts == ()
    assert found.beyond_noise == ()
    assert all(row.changes == () for row in found.rows)
    assert changes.render(found).endswith("nothing changed beyond noise\n")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.74, Verdict.NOISE), (0.80, Verdict.BETTER), (0.60, Verdict.WORSE)],
)
def test_accuracy_changed_where_each_value_is_outside_of_the_other_interval(
    old: dict[str, Any], new: dict[str, Any], value: float, expected: Verdict
) -> None:
    new["rows"][1].update(hmean=value, hmean_low=value - 0.04, hmean_high=value + 0.04)
    assert verdict(old, new, "hmean") is expected


def test_a_value_within_one_of_the_two_intervals_is_noise(old: dict[str, Any], new: dict[str, Any]) -> None:
    new["rows"][1].update(hmean=0.60, hmean_low=0.45, hmean_high=0.75)
    assert verdict(old, new, "hmean") is Verdict.NOISE
    assert verdict(new, old, "hmean") is Verdict.NOISE


def test_a_setting_is_no_worse_for_being_another(old: dict[str, Any], new: dict[str, Any]) -> None:
    old["rows"][1].update(hmean_threshold=0.5, hmean_threshold_low=0.4, hmean_threshold_high=0.5)
    new["rows"][1].update(hmean_threshold=0.8, hmean_threshold_low=0.8, hmean_threshold_high=0.9)
    assert verdict(old, new, "hmean_threshold") is Verdict.CHANGED


def test_of_some_figures_less_is_better(old: dict[str, Any], new: dict[str, Any]) -> None:
    new["rows"][1].update(cer=0.1, cer_low=0.09, cer_high=0.11)
    assert verdict(old, new, "cer") is Verdict.BETTER
    assert verdict(new, old, "cer") is Verdict.WORSE


def test_without_an_interval_nothing_can_be_told(old: dict[str, Any], new: dict[str, Any]) -> None:
    new["rows"][1].update(hmean=0.1, hmean_low=None)
    assert verdict(old, new, "hmean") is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("factor", "spread", "expected"),
    [
        (1.04, 0.01, Verdict.NOISE),
        (1.20, 0.01, Verdict.WORSE),
        (0.80, 0.01, Verdict.BETTER),
        (1.20, 3.00, Verdict.NOISE),
    ],
)
def test_latency_changed_beyond_a_floor_and_beyond_the_notches(
    old: dict[str, Any], new: dict[str, Any], factor: float, spread: float, expected: Verdict
) -> None:
    # A notch of n = 100 timings is 1.57 x IQR / 10, and of these quantiles the IQR is half of the spread.
    for report, median in ((old, 100.0), (new, 100.0 * factor)):
        quantiles = [median * (1 + spread * (q - 50) / 100) for q in range(101)]
        report["rows"][1].update(p50_ms=median, timings=100, latency_quantiles_ms=quantiles)
    assert verdict(old, new, "p50_ms") is expected


def test_the_half_notch_is_that_of_mcgill_tukey_and_larsen() -> None:
    row = {"latency_quantiles_ms": [float(q) for q in range(101)], "timings": 25}
    assert changes._half_notch(row) == pytest.approx(1.57 * 50 / 5)
    assert changes._half_notch({"latency_quantiles_ms": [1.0], "timings": 25}) is None


def test_agreement_changes_by_chance_only_where_answers_do(old: dict[str, Any], new: dict[str, Any]) -> None:
    new["rows"][1]["agreement"] -= 1 / 60
    assert verdict(old, new, "agreement") is Verdict.WORSE
    new["rows"][1]["repeat_agreement"] = 58 / 60
    assert verdict(old, new, "agreement") is Verdict.NOISE


@pytest.mark.parametrize(("more", "expected"), [(30.0, Verdict.NOISE), (40.0, Verdict.WORSE), (-200.0, Verdict.BETTER)])
def test_memory_changed_beyond_a_share_and_an_amount(
    old: dict[str, Any], new: dict[str, Any], more: float, expected: Verdict
) -> None:
    new["rows"][1]["host_memory_peak_mib"] += more
    assert verdict(old, new, "host_memory_peak_mib") is expected


def test_size_version_and_proved_precision_change_or_do_not(old: dict[str, Any], new: dict[str, Any]) -> None:
    new["rows"][1].update(artifact_bytes=48_912_005, version="1.24.0", precision_proved="fp16")
    assert verdict(old, new, "artifact_bytes") is Verdict.WORSE
    assert verdict(old, new, "version") is Verdict.CHANGED
    assert verdict(old, new, "precision_proved") is Verdict.CHANGED


def test_a_row_that_stopped_running_is_worse_and_nothing_else_is_said_of_it(old: dict[str, Any], new: dict[str, Any]) -> None:
    new["rows"][1] = {"id": FP32, "status": "failed", "problem": "it broke"}
    (found,) = [each.changes for each in changes.compare(old, new).rows if each.id == FP32]
    assert [(each.key, each.verdict, each.why) for each in found] == [("status", Verdict.WORSE, "it broke")]
    assert change(new, old, "status") == Change("status", "failed", "ok", Verdict.BETTER, "it runs now")


def test_rows_in_one_report_only_are_named(old: dict[str, Any], new: dict[str, Any]) -> None:
    del old["rows"][4], new["rows"][0]
    found = changes.compare(old, new)
    assert (found.only_old, found.only_new) == (("pytorch fp32 cpu",), ("vega fp32 cpu",))
    text = changes.render(found)
    assert "only in the old report: pytorch fp32 cpu\n" in text
    assert "only in the new report: vega fp32 cpu\n" in text


def test_reasons_not_to_compare_come_first(old: dict[str, Any], new: dict[str, Any]) -> None:
    new["environment"]["cpu"] = "another"
    new["environment"]["packages"] = {"numpy": "3.0"}
    new["environment"]["load"] = {"before": 1.9}
    new["settings"]["threads"] = 8
    new["dataset"].update(fingerprint="x", seed=1)
    new["models"][0]["sha256"] = "y"
    new["reference"] = None
    text = changes.render(changes.compare(old, new))
    head, _, rest = text.partition("pytorch fp32 cpu: unchanged")
    assert rest
    for reason in (
        "the dataset is another one: its fingerprint differs",
        "dataset seed: 0 in the old, 1 in the new",
        "settings threads: 2 in the old, 8 in the new",
        "environment cpu: Example CPU 3.0 GHz in the old, another in the new",
        "package numpy: 2.3.4 in the old, 3.0 in the new",
        "package torch: 2.9.0 in the old, none in the new",
        "report reference: pytorch fp32 cpu in the old, none in the new",
        "the models are others: their files differ",
        "the machine was busy before the new report was begun: a load of 1.9 on 2 cores",
    ):
        assert f"  {reason}\n" in head


@pytest.mark.parametrize("room", [0, 60])
def test_changes_are_shown_with_their_reasons(old: dict[str, Any], new: dict[str, Any], room: int) -> None:
    new["rows"][1].update(p50_ms=600.0, artifact_bytes=2)
    text = changes.render(changes.compare(old, new), room)
    assert "2 changes beyond noise\n" in text
    assert "beyond the spread" in text
    assert not room or all(tables.columns(line) <= room for line in text.split(FP32, 1)[1].splitlines())
