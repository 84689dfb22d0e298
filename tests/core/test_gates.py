"""Gates: what they let pass, and what is said of what they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ocrdeploy.errors import BadInput
from ocrdeploy.evaluation.report import gates, schema

GOLDEN = Path(__file__).parent / "goldens" / "report.json"

PYTORCH, FP32, FP16, TENSORRT, VEGA = (
    "pytorch fp32 cpu",
    "onnxruntime fp32 cpu",
    "onnxruntime fp16 cpu",
    "tensorrt fp16 cuda",
    "vega fp32 cpu",
)


@pytest.fixture
def report() -> dict[str, Any]:
    """The golden report without the row that broke off, which fails whatever is asked."""
    found = dict(schema.read(GOLDEN))
    found["rows"] = [row for row in found["rows"] if row["status"] != "failed"]
    return found


def failed(report: dict[str, Any], *texts: str) -> list[str]:
    return [failure.row for failure in gates.failing(report, [gates.parse(text) for text in texts])]


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        ("hmean_drop > 0.005", ("hmean_drop", ">", 0.005, "")),
        ("agreement<0.999", ("agreement", "<", 0.999, "")),
        ("  p95_ms >= 4e1 ", ("p95_ms", ">=", 40.0, "")),
        ("1-N.E.D_drop > -0.01", ("1-N.E.D_drop", ">", -0.01, "")),
        ("errors != 0", ("errors", "!=", 0.0, "")),
        ("onnxruntime: p95_ms > 40", ("p95_ms", ">", 40.0, "onnxruntime")),
        ("tensorrt fp16 cuda:0: p95_ms > 40", ("p95_ms", ">", 40.0, "tensorrt fp16 cuda:0")),
    ],
)
def test_a_gate_is_a_key_a_sign_and_a_number(text: str, gate: tuple[str, str, float, str]) -> None:
    found = gates.parse(text)
    assert (found.key, found.sign, found.bound, found.rows) == gate


@pytest.mark.parametrize(
    "text",
    [
        "",
        "p95_ms",
        "p95_ms > ",
        "> 40",
        "p95_ms = 40",
        "p95_ms => 40",
        "p95_ms > fast",
        "p95_ms > nan",
        "p95_ms > 40 ms",
        "a b > 4",
    ],
)
def test_what_is_no_gate_is_named_with_an_example(text: str) -> None:
    with pytest.raises(BadInput, match="is no gate") as caught:
        gates.parse(text)
    assert "hmean_drop > 0.005" in caught.value.fix


def test_a_key_that_nobody_knows_is_named_with_the_nearest() -> None:
    with pytest.raises(BadInput, match=r"unknown key 'p95ms' \(did you mean 'p95_ms'\?\) in the gate 'p95ms > 4'"):
        gates.parse("p95ms > 4", ["hmean"])
    with pytest.raises(BadInput, match="did you mean 'hmean_drop'"):
        gates.parse("hmean_dorp > 0", ["hmean"])
    gates.parse("hmean_drop_high > 0", ["hmean"])
    gates.parse("1-N.E.D_low < 0.5", ["1-N.E.D"])


def test_without_the_figures_the_report_tells_which_keys_there_are(report: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="unknown key 'hmaen'"):
        gates.failing(report, [gates.parse("hmaen > 4")])


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("hmean_drop > 0.005", [FP16]),
        ("hmean_drop > 0.0117", []),
        ("hmean_drop >= 0.0117", [FP16]),
        ("agreement < 0.98", [FP16]),
        ("agreement < 0.99", [FP32, FP16]),
        ("agreement == 1", [PYTORCH]),
        ("p50_ms <= 240", [FP32]),
        ("onnxruntime: p50_ms > 1", [FP32, FP16]),
        ("onnxruntime fp16: p50_ms > 1", [FP16]),
        ("onnxruntime fp16 cpu: p50_ms > 1", [FP16]),
        ("onnxruntime: cer_drop > 0.1", []),
    ],
)
def test_rows_fail_by_their_values(report: dict[str, Any], text: str, rows: list[str]) -> None:
    assert failed(report, text) == rows


def test_better_than_the_reference_is_no_drop(report: dict[str, Any]) -> None:
    report["rows"][1]["hmean_drop"] = -0.3
    assert failed(report, "hmean_drop > 0.005") == [FP16]


def test_a_failure_is_a_sentence_with_the_row_and_its_value(report: dict[str, Any]) -> None:
    (failure,) = gates.failing(report, [gates.parse("hmean_drop > 0.005")])
    assert failure == gates.Failure(FP16, "hmean_drop > 0.005", 0.0117, f"{FP16}: hmean_drop is 0.0117, > 0.005")


def test_a_row_that_lacks_the_value_fails_since_it_cannot_be_told(report: dict[str, Any]) -> None:
    report["rows"][1]["p95_ms"] = None
    (failure,) = gates.failing(report, [gates.parse("p95_ms > 10000")])
    assert (failure.row, failure.value) == (FP32, None)
    assert failure.sentence == f"{FP32}: it cannot be told: the row has no p95_ms"


def test_the_reference_does_not_lack_what_it_is_by_itself(report: dict[str, Any]) -> None:
    for key in ("hmean_drop", "hmean_drop_high", "agreement", "deviation"):
        del report["rows"][0][key]
    assert failed(report, "hmean_drop > 0.5", "hmean_drop_high > 0.5", "agreement < 0.5", "deviation > 1") == []


def test_what_cannot_run_here_fails_only_a_gate_that_names_it(report: dict[str, Any]) -> None:
    assert failed(report, "p95_ms > 10000") == []
    (failure,) = gates.failing(report, [gates.parse("tensorrt: p95_ms > 10000")])
    assert failure.row == TENSORRT
    assert failure.sentence.startswith(f"{TENSORRT}: unavailable: backend 'tensorrt' cannot run here")


def test_a_row_that_broke_off_fails_every_gate_that_covers_it() -> None:
    report = dict(schema.read(GOLDEN))
    assert failed(report, "p95_ms > 10000", "agreement < 0", "onnxruntime: p95_ms > 10000") == [VEGA, VEGA]


def test_a_gate_that_was_tried_on_nothing_fails(report: dict[str, Any]) -> None:
    (failure,) = gates.failing(report, [gates.parse("onnxruntim: p95_ms > 1")])
    assert failure.sentence == f"no row is called 'onnxruntim' (did you mean '{FP32}'?)"
    report["rows"] = [row for row in report["rows"] if row["status"] == "unavailable"]
    (failure,) = gates.failing(report, [gates.parse("hmean_drop > 1")])
    assert (failure.row, failure.sentence) == ("", "no row could be tried, since none could run here")


def test_a_selector_is_whole_words(report: dict[str, Any]) -> None:
    report["rows"][1]["id"], report["rows"][1]["backend"] = "onnxruntime-rtx fp32 cpu", "onnxruntime-rtx"
    assert failed(report, "onnxruntime: p50_ms > 1") == [FP16]


def test_the_documented_gates_are_gates(repository: Path) -> None:
    document = (repository / "docs" / "eval-json.md").read_text(encoding="utf-8").split("## Gates", 1)[1].split("## ", 1)[0]
    shown = [line.split("`")[1] for line in document.splitlines() if line.startswith("| `")]
    assert len([gates.parse(text, ["hmean", "1-N.E.D"]) for text in shown]) == 5
