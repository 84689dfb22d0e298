"""Reports from files: what is one, what is said of what is none, and that every key is documented."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ocrdeploy.errors import BadInput
from ocrdeploy.evaluation.report import keys, schema

GOLDEN = Path(__file__).parent / "goldens" / "report.json"


@pytest.fixture
def report() -> dict[str, Any]:
    return dict(schema.read(GOLDEN))


def test_a_report_is_read_as_it_is(report: dict[str, Any]) -> None:
    assert report == json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert [row["status"] for row in report["rows"]] == ["ok", "ok", "ok", "unavailable", "failed"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "it is not JSON, line 1, column 2"),
        ("[" * 100_000, "it is not JSON"),
        ("[]", "it has no key 'schema'"),
        ('{"rows": []}', "it has no key 'schema'"),
        ('{"schema": 1}', "it has no key 'title'"),
        ('{"schema": "1"}', "its schema is '1', not 1"),
        ('{"schema": 0}', "its schema is 0, not 1"),
        ('{"schema": 2}', "written by a newer ocrdeploy: its schema is 2, this one reads 1"),
    ],
)
def test_what_is_no_report_is_named(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "old.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        schema.read(path)
    assert said in caught.value.problem
    assert "old.json" in caught.value.problem
    assert caught.value.fix


def test_a_newer_report_asks_for_a_newer_version() -> None:
    with pytest.raises(BadInput) as caught:
        schema.check({"schema": 2}, "x.json")
    assert caught.value.fix.startswith("update ocrdeploy")


def test_a_file_that_is_not_there_and_one_that_is_no_text_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot read the report"):
        schema.read(tmp_path / "gone.json")
    (tmp_path / "latin.json").write_bytes(b'{"schema": "\xe9"}')
    with pytest.raises(BadInput, match="not UTF-8 at byte 12"):
        schema.read(tmp_path / "latin.json")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("text", r"rows\[1\] is no object"),
        ({"status": "ok"}, r"rows\[1\] has no key 'id'"),
        ({"id": "a", "status": "fine"}, r"rows\[1\].status is 'fine', none of ok, unavailable, failed"),
        ({"id": 5, "status": "ok"}, r"rows\[1\].id is 5, not a string"),
        ({"id": "a", "status": "ok", "p50_ms": "5"}, r"rows\[1\].p50_ms is '5', not a number or null"),
        ({"id": "a", "status": "ok", "timings": True}, r"rows\[1\].timings is True, not an integer or null"),
        ({"id": "a", "status": "ok", "metrics": {"acc": {}}}, r"metrics\['acc'\] has no headline"),
        (
            {"id": "a", "status": "ok", "metrics": {"acc": {"headline": "x", "figures": ["x"]}}, "x_low": "low"},
            r"rows\[1\].x_low is 'low', not a number or null",
        ),
        ({"id": "a", "status": "ok", "disagreements": [{}]}, r"rows\[1\].disagreements\[0\] has no key 'index'"),
    ],
)
def test_a_row_that_no_evaluation_writes_is_named(report: dict[str, Any], row: object, said: str) -> None:
    report["rows"] = [report["rows"][0], row]
    with pytest.raises(BadInput, match=said):
        schema.check(report, "x.json")


@pytest.mark.parametrize("polygon", [[[1]], [[1, "2"]], "abc", [[1, None]], 5])
def test_a_polygon_that_cannot_be_drawn_is_named(report: dict[str, Any], polygon: object) -> None:
    report["rows"][1]["disagreements"][0]["row"]["regions"][0]["polygon"] = polygon
    with pytest.raises(BadInput, match=r"disagreements\[0\].row.regions has something that is no region"):
        schema.check(report, "x.json")


def test_new_keys_and_missing_ones_are_let_pass(report: dict[str, Any]) -> None:
    bare = {key: report[key] for key in schema.NEEDED} | {"schema": 1, "colour": "red"}
    bare["rows"] = [{"id": "a", "status": "unavailable", "smell": None}]
    assert schema.check(bare, "x.json") is bare


def test_every_key_of_a_report_is_documented(report: dict[str, Any]) -> None:
    named = {key.name for section in keys.SECTIONS.values() for key in section}
    figures = {name for figure in keys.figures(report["rows"]) for name in keys.around(figure)}
    places = [report, report["dataset"], report["settings"], report["environment"], *report["models"], *report["rows"]]
    places += [each for row in report["rows"] for each in row.get("disagreements", ())]
    assert {name for place in places for name in place} - figures <= named


def test_the_document_is_the_table_of_keys(repository: Path) -> None:
    document = (repository / "docs" / "eval-json.md").read_text(encoding="utf-8")
    for title, section in keys.SECTIONS.items():
        text = re.split(r"^## ", document.split(f"\n## {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
        rows = [f"| `{key.name}` | {key.kind} | {key.unit} | {key.meaning} |" for key in section]
        assert [line for line in text.splitlines() if line.startswith("| `")] == rows
