"""Reports as text: for a terminal, a spreadsheet, a document."""

from __future__ import annotations

import csv
import io
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from ocrdeploy import tables
from ocrdeploy.evaluation.report import columns, delimited, schema, terminal

GOLDEN = Path(__file__).parent / "goldens" / "report.json"


@pytest.fixture
def report() -> dict[str, Any]:
    return dict(schema.read(GOLDEN))


def line(text: str, beginning: str) -> str:
    return next(each for each in text.splitlines() if each.startswith(beginning))


def test_the_heading_names_what_a_table_is_worth(report: dict[str, Any]) -> None:
    text = terminal.render(report)
    assert text.startswith("dbnet+crnn (detector and recognizer) on icdar03_scene")
    assert "reference: pytorch fp32 cpu, marked *" in text
    assert "a seeded sample of 60 of 150 pictures, seed 0, 311 true regions, 12 ignored" in text
    assert "sittings: 2; timings come from all of them" in text
    report["dataset"].update(limit=None, pictures=150, labelled=False)
    report["sittings"] = 1
    text = terminal.render(report)
    assert "150 pictures, without labels: agreement and speed only" in text
    assert "sittings" not in text


def test_a_line_has_identity_figures_and_cost(report: dict[str, Any]) -> None:
    words = line(terminal.render(report), "onnxruntime  1.23.2   cpu     fp16").split("  ")
    cells = [word.strip() for word in words if word.strip()]
    assert cells[:4] == ["onnxruntime", "1.23.2", "cpu", "fp16 (proved fp32!)"]
    assert cells[4:9] == [
        "0.720 [0.68, 0.76]",
        "+0.0117 [+0.008, +0.016]",
        "0.231 [0.21, 0.26]",
        "+0.0168 [+0.013, +0.021]",
        "0.8667",
    ]
    assert cells[-3:] == ["21.7 (earlier)", "24.5", "655"]
    assert "~438" in cells
    assert "~ rough: of fewer timings than a percentile needs" in terminal.render(report)


def test_rows_that_did_not_run_are_in_the_table_with_reason_and_remedy_below(report: dict[str, Any]) -> None:
    text = terminal.render(report)
    assert line(text, "tensorrt ").split() == ["tensorrt", "-", "auto", "fp16", "unavailable"]
    assert line(text, "vega ").split() == ["vega", "0.4.0", "cpu", "fp32", "failed"]
    assert (
        "tensorrt fp16 cuda\n  unavailable: backend 'tensorrt' cannot run here: no NVIDIA driver was found\n  fix: install"
        in text
    )
    assert "vega fp32 cpu\n  failed: the process of this row ended on picture 37" in text


@pytest.mark.parametrize("room", [40, 80, 120, 250])
def test_a_narrow_terminal_gets_a_block_for_each_row(report: dict[str, Any], room: int) -> None:
    report["rows"] = [{**row, "disagreements": [], "problem": "no", "fix": "", "warnings": []} for row in report["rows"]]
    table = terminal._table(report, room)
    assert all(tables.columns(each) <= room for each in table.splitlines())
    assert ("\n  agreement" in table) == (room < 250)
    if room < 250:
        assert "pytorch fp32 cpu*\n" in table
        assert "tensorrt fp16 cuda: unavailable\n" in table


def test_columns_that_no_row_has_a_value_for_are_left_out(report: dict[str, Any]) -> None:
    assert "device MiB" not in [column.title for column in columns.of(report)]
    report["rows"][1]["device_memory_peak_mib"] = 812.0
    assert "device MiB" in [column.title for column in columns.of(report)]
    for row in report["rows"]:
        row["metrics"] = {}
    titles = [column.title for column in columns.of(report)]
    assert titles[4] == "agreement"
    assert "drop" not in " ".join(titles)


def test_disagreements_say_what_differs(report: dict[str, Any]) -> None:
    text = terminal.render(report)
    assert "IMG_1261.JPG: reference 'CHECK-IN', here 'CHECK-lN'\n" in text
    assert "dPICT0033.JPG: only the reference: 'mind', 'the'; only here: 'mindthe'\n" in text
    assert "IMG_1197.JPG: reference 'Größe', here 'Grösse'; true: 'Größe'\n" in text
    assert "answers 8 pictures otherwise than the reference:\n" in text
    assert "    and 3 more\n" in text
    report["rows"][1]["disagreements"][0]["row"] = {"problem": "it broke"}
    assert "IMG_1261.JPG: reference 3 regions, here error: it broke\n" in terminal.render(report)


def test_the_sweeps_are_there_for_those_who_ask(report: dict[str, Any]) -> None:
    assert "by threshold" not in terminal.render(report)
    text = terminal.render(report, details=True)
    assert text.count("hmean-iou, by threshold:") == 3
    assert "0.5000     0.7121  0.7521     0.7321" in text


def test_a_report_in_which_nothing_ran_is_a_table_all_the_same(report: dict[str, Any]) -> None:
    report["rows"], report["reference"] = report["rows"][3:], None
    text = terminal.render(report, 80)
    assert "reference: none, since no row ran" in text
    assert line(text, "BACKEND").split() == ["BACKEND", "VERSION", "DEVICE", "PRECISION", "STATUS"]
    assert line(text, "vega ").split()[-1] == "failed"


def test_the_barest_report_can_be_shown_in_every_form() -> None:
    bare = {
        "schema": 1,
        "title": "t",
        "dataset": {},
        "environment": {},
        "rows": [{"id": "a", "status": "ok"}, {"id": "b", "status": "failed"}],
    }
    schema.check(bare, "x")
    assert line(terminal.render(bare, details=True), "b").split() == ["b", "-", "-", "-", "failed"]
    assert delimited.to_csv(bare) == "id,status\r\na,ok\r\nb,failed\r\n"
    assert "| b | - | - | - | failed |" in delimited.to_markdown(bare)


def test_nothing_of_a_stranger_is_obeyed_by_a_terminal(report: dict[str, Any]) -> None:
    attack = "\x1b]0;owned\x07\u202e"
    for row in report["rows"]:
        row.update(id=row["id"] + attack, version=attack, problem=attack, fix=attack, warnings=[attack], precision=attack)
        for each in row.get("disagreements", ()):
            each.update(picture=attack, true=[attack], row={"regions": [{"text": attack}]})
    report.update(title=attack, reference=attack)
    report["dataset"].update(kind=attack, path=attack)
    for text in (terminal.render(report), terminal.render(report, 60), delimited.to_markdown(report)):
        assert not {"\x1b", "\x07", "\u202e"} & set(text)


def test_the_csv_has_every_scalar_under_its_key_and_in_full(report: dict[str, Any]) -> None:
    text = delimited.to_csv(report)
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(rows) == len(report["rows"])
    for written, row in zip(rows, report["rows"], strict=True):
        scalars = {key: value for key, value in row.items() if not isinstance(value, dict | list)}
        for key, value in scalars.items():
            if isinstance(value, bool) or value is None or isinstance(value, str):
                assert written[key] == ("" if value is None else str(value).lower() if isinstance(value, bool) else value)
            else:
                assert float(written[key]) == value
    assert not {"metrics", "warnings", "disagreements", "latency_quantiles_ms"} & set(rows[0])
    assert text.count("\r\n") == text.count("\n") == len(rows) + 1


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_of_the_csv_is_a_formula_and_numbers_stay_numbers(report: dict[str, Any], formula: str) -> None:
    report["rows"][0].update(id=formula, hmean_drop=-0.25)
    first = next(csv.DictReader(io.StringIO(delimited.to_csv(report), newline="")))
    assert first["id"] == f"'{formula}"
    assert first["hmean_drop"] == "-0.25"


def test_the_csv_quotes_what_would_break_it(report: dict[str, Any]) -> None:
    report["rows"][3]["problem"] = 'a "b", c\nd\udce9'
    rows = list(csv.DictReader(io.StringIO(delimited.to_csv(report), newline="")))
    assert rows[3]["problem"] == 'a "b", c\nd\\udce9'
    delimited.to_csv(report).encode("utf-8")


def test_markdown_has_the_table_and_what_is_said_below(report: dict[str, Any]) -> None:
    text = delimited.to_markdown(report)
    table = [each for each in text.splitlines() if each.startswith("|")]
    assert len(table) == 2 + len(report["rows"])
    assert {each.count(" | ") for each in table} == {len(columns.of(report)) - 1}
    assert "**vega fp32 cpu** failed: the process of this row ended" in text


def test_markdown_takes_no_markup_from_strangers(report: dict[str, Any]) -> None:
    report["rows"][1]["version"] = "<b>|`x`|[a](javascript:b)"
    text = delimited.to_markdown(report)
    assert r"\<b\>\|\`x\`\|\[a\](javascript:b)" in text


def test_reports_are_not_changed_by_being_shown(report: dict[str, Any]) -> None:
    before = deepcopy(report)
    terminal.render(report, 80, details=True)
    delimited.to_csv(report)
    delimited.to_markdown(report)
    assert report == before
