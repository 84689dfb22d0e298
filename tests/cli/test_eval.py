"""`ocrd eval` with backends whose faults are planted: each is seen in its own row, and in no other."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import cv2
import pytest
from ocrdeploy_fake import stripes

from ocrdeploy.plugins import discover

Ocrd = Callable[..., CompletedProcess[str]]
Site = Callable[..., Path]
Row = dict[str, Any]

PICTURES = 60
CRASHES_ON = 37


@pytest.fixture
def evaluate(
    ocrd: Ocrd, words: Path, read_model: Path, tmp_path: Path
) -> Callable[..., tuple[CompletedProcess[str], dict[str, Row]]]:
    """Run `ocrd eval` over the words; returns what it printed, and the report's rows by backend."""

    def run(*arguments: object) -> tuple[CompletedProcess[str], dict[str, Row]]:
        report = tmp_path / "report.json"
        done = ocrd("eval", read_model, "--dataset", f"list:{words / 'labels.tsv'}", "--json", report, "--rounds", 1, *arguments)
        rows = json.loads(report.read_text())["rows"] if report.exists() else []
        return done, {row["backend"]: row for row in rows}

    return run


Evaluate = Callable[..., tuple[CompletedProcess[str], dict[str, Row]]]


def test_two_backends_that_are_right_agree_in_everything(evaluate: Evaluate, backend: Callable[..., str]) -> None:
    done, rows = evaluate("--backend", f"{backend('good')},{backend('steady')}")
    assert done.returncode == 0, done.stderr
    assert list(rows) == ["good", "steady"]
    for row in rows.values():
        assert row["status"] == "ok"
        assert row["word_acc"] == row["agreement"] == row["batch_agreement"] == 1.0
        assert row["pictures"] == PICTURES
        assert row["errors"] == 0
        assert row["warnings"] == []
        assert row["disagreements"] == []
        assert 0 < row["min_ms"] <= row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"] <= row["max_ms"]
        assert 20 < row["host_memory_peak_mib"] < 1000
        assert row["timings"] == PICTURES
    assert rows["good"]["reference"]
    assert rows["steady"]["deviation"] == 0.0
    assert "good" in done.stdout
    assert "1.0000" in done.stdout


@pytest.mark.parametrize(
    ("fault", "words_of_warning"),
    [
        ("swap", "in a batch it answers otherwise than alone"),
        ("half", "its session says fp32, and every number that it gives is a fp16 number"),
        ("noise", "it says fp32, and its outputs are up to"),
        ("leak", "its memory grows by 1.0"),
        ("refuse", "1 pictures gave an error, and count as empty answers, first: the line is too long for it"),
        ("moody", "asked again, it answers otherwise on"),
    ],
)
def test_a_planted_fault_is_seen_in_its_row_alone(
    evaluate: Evaluate, backend: Callable[..., str], fault: str, words_of_warning: str
) -> None:
    done, rows = evaluate("--backend", f"{backend('good')},{backend('faulty', fault)}", "--rounds", 2)
    assert done.returncode == 0, done.stderr
    assert rows["good"]["warnings"] == []
    assert any(words_of_warning in warning for warning in rows["faulty"]["warnings"]), rows["faulty"]["warnings"]
    assert words_of_warning.split(":", maxsplit=1)[0] in " ".join(done.stdout.split())


def test_what_is_wrong_shows_in_the_figures(evaluate: Evaluate, backend: Callable[..., str]) -> None:
    faults = ("swap", "half", "refuse", "moody", "leak")
    names = ",".join([backend("good"), *(backend(f"has_{fault}", fault) for fault in faults)])
    done, rows = evaluate("--backend", names, "--rounds", 2)
    assert done.returncode == 0, done.stderr
    assert rows["has_swap"]["batch_agreement"] < 1.0
    assert rows["has_half"]["precision_proved"] == "fp16"
    assert rows["has_refuse"]["errors"] == 1
    assert rows["has_refuse"]["agreement"] == (PICTURES - 1) / PICTURES
    assert rows["has_refuse"]["word_acc_drop"] == pytest.approx(1 / PICTURES, abs=1e-4)
    (shown,) = rows["has_refuse"]["disagreements"]
    assert shown["picture"] == f"{CRASHES_ON}.png"
    assert shown["row"]["problem"].startswith("the line is too long")
    assert rows["has_moody"]["repeat_agreement"] < 1.0
    assert rows["has_leak"]["host_memory_growth_mib_per_picture"] == pytest.approx(1.0, abs=0.2)
    assert all(rows[name]["host_memory_growth_mib_per_picture"] < 0.05 for name in rows if name != "has_leak")


def test_a_backend_that_crashes_is_a_row_that_names_the_picture(evaluate: Evaluate, backend: Callable[..., str]) -> None:
    done, rows = evaluate("--backend", f"{backend('good')},{backend('faulty', 'crash')}")
    assert done.returncode == 1
    assert rows["faulty"]["status"] == "failed"
    assert f"SIGSEGV while reading picture {CRASHES_ON} of {PICTURES}, {CRASHES_ON}.png" in rows["faulty"]["problem"]
    assert rows["faulty"]["fix"]
    assert rows["good"]["status"] == "ok"
    assert rows["good"]["word_acc"] == 1.0
    assert "failed" in done.stdout


def test_a_backend_that_fails_on_every_picture_is_given_up(evaluate: Evaluate, backend: Callable[..., str]) -> None:
    done, rows = evaluate("--backend", f"{backend('good')},{backend('faulty', 'raise')}")
    assert done.returncode == 1
    assert rows["faulty"]["status"] == "failed"
    assert "none of the first 20 pictures was answered" in rows["faulty"]["problem"]
    assert "RuntimeError: no luck" in rows["faulty"]["problem"]


def test_a_backend_that_takes_one_picture_at_a_time_is_no_fault(evaluate: Evaluate, backend: Callable[..., str]) -> None:
    _, rows = evaluate("--backend", backend("single", "one"))
    assert rows["single"]["batch_agreement"] is None
    assert rows["single"]["warnings"] == []


def test_every_installed_backend_has_its_row_and_those_that_cannot_run_say_why(
    evaluate: Evaluate, backend: Callable[..., str], site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCRDEPLOY_DISABLED_PLUGINS", "onnxruntime")  # a row that is right, too, and slow to start
    backend("good", rank=100)
    site("broken", "raise RuntimeError('half installed')")
    done, rows = evaluate()
    assert done.returncode == 0, done.stderr
    assert {"good", "fake", "tensorrt", "pytorch", "broken"} <= set(rows)
    for name in ("tensorrt", "broken"):
        assert rows[name]["status"] == "unavailable"
        assert rows[name]["problem"]
        assert rows[name]["problem"] in done.stdout
    assert "half installed" in rows["broken"]["problem"]
    assert rows["good"]["status"] == "ok"
    assert rows["good"]["reference"]


def test_precisions_are_rows_and_what_a_backend_lacks_is_its_reason(evaluate: Evaluate, backend: Callable[..., str]) -> None:
    done, _ = evaluate("--backend", f"{backend('good')},fake", "--precision", "fp32,fp16", "--reference", "good fp32")
    assert done.returncode == 0, done.stderr
    report = json.loads((Path(str(done.args[5]))).read_text())
    states = {row["id"]: row["status"] for row in report["rows"]}
    assert states == {
        "good fp32 auto": "ok",
        "good fp16 auto": "ok",
        "fake fp32 auto": "ok",
        "fake fp16 auto": "unavailable",
    }
    assert report["reference"] == "good fp32 auto"
    claims = next(row for row in report["rows"] if row["id"] == "good fp16 auto")
    assert claims["precision"] == claims["precision_proved"] == "fp16"


def test_rows_take_turns(evaluate: Evaluate, backend: Callable[..., str], tmp_path: Path) -> None:
    log = tmp_path / "runs.log"
    names = f"{backend('good')},{backend('steady')}"
    evaluate("--backend", names, "--backend-option", f"log={log}", "--backend-option", "delay_ms=20", "--rounds", 1)
    order = [line.split()[0] for line in log.read_text().splitlines()]
    changes = sum(first != second for first, second in itertools.pairwise(order))
    assert changes >= 4


def test_batches_are_timed_as_batches(evaluate: Evaluate, backend: Callable[..., str]) -> None:
    option = ("--backend-option", "delay_ms=10")
    _, alone = evaluate("--backend", backend("good"), "--batch-size", 1, *option)
    _, batched = evaluate("--backend", "good", "--batch-size", 60, *option)
    assert batched["good"]["word_acc"] == 1.0
    assert batched["good"]["timings"] == PICTURES
    assert batched["good"]["pictures_per_s"] > alone["good"]["pictures_per_s"]
    assert batched["good"]["p50_ms"] > alone["good"]["p50_ms"]


def test_a_limit_takes_a_seeded_sample_and_says_so(evaluate: Evaluate, backend: Callable[..., str]) -> None:
    done, rows = evaluate("--backend", backend("good"), "--limit", 7, "--seed", 3)
    assert rows["good"]["pictures"] == 7
    assert "a seeded sample of 7 of 60 pictures" in done.stdout
    assert "seed 3" in done.stdout


def test_all_forms_of_the_report_are_written_and_read_again(
    evaluate: Evaluate, backend: Callable[..., str], ocrd: Ocrd, tmp_path: Path
) -> None:
    files = {form: tmp_path / f"again.{form}" for form in ("csv", "markdown", "html")}
    options = [each for form, path in files.items() for each in (f"--{form}", path)]
    done, _ = evaluate("--backend", f"{backend('good')},{backend('faulty', 'refuse')}", *options)
    assert done.returncode == 0, done.stderr
    (first, second) = csv.DictReader(files["csv"].read_text().splitlines())
    assert [first["backend"], second["backend"]] == ["good", "faulty"]
    assert "| good" in files["markdown"].read_text()
    assert "data:image/" in files["html"].read_text()
    again = ocrd("eval", tmp_path / "report.json")
    assert again.returncode == 0
    assert again.stdout == done.stdout


def test_gates_fail_with_code_3_and_name_the_row(evaluate: Evaluate, backend: Callable[..., str]) -> None:
    names = f"{backend('good')},{backend('faulty', 'refuse')}"
    done, _ = evaluate("--backend", names, "--fail-if", "word_acc_drop > 0.5", "--fail-if", "agreement < 0.5")
    assert done.returncode == 0
    done, _ = evaluate("--backend", names, "--fail-if", "word_acc_drop > 0.005", "--fail-if", "agreement < 0.999")
    assert done.returncode == 3
    assert done.stderr.count("error: gate failed: ") == 2
    assert "faulty fp32 auto" in done.stderr
    assert "good fp32" not in done.stderr


def test_a_report_is_compared_with_an_older_one(evaluate: Evaluate, backend: Callable[..., str], tmp_path: Path) -> None:
    evaluate("--backend", backend("good"))
    old = tmp_path / "old.json"
    (tmp_path / "report.json").rename(old)
    done, _ = evaluate("--backend", "good", "--compare", old)
    assert done.returncode == 0
    assert "good fp32 auto" in done.stdout.split("\n\n", 1)[1]


def test_a_pair_is_judged_end_to_end(ocrd: Ocrd, tmp_path: Path) -> None:
    folder = tmp_path / "pages"
    folder.mkdir()
    pages = [["abcd", "dcba"], ["aabb"], ["bad", "cab", "dad"]]
    labels = []
    for number, lines in enumerate(pages):
        cv2.imwrite(str(folder / f"{number}.png"), stripes.draw(lines))
        boxes = [
            {"bbox": [30, 36 + 84 * row, len(line) * 28 + 8, 14 * (2 * 4 - 1)], "text": line} for row, line in enumerate(lines)
        ]
        labels.append({"file": f"{number}.png", "words": boxes})
    (folder / "words.json").write_text(json.dumps(labels))
    detector = stripes.write_onnx(stripes.DETECTOR, tmp_path / "find.onnx")
    recognizer = stripes.write_onnx(stripes.RECOGNIZER, tmp_path / "read.onnx")
    report = tmp_path / "report.json"
    done = ocrd("eval", f"{detector}+{recognizer}", "--dataset", folder, "--backend", "fake", "--json", report, "--rounds", 1)
    assert done.returncode == 0, done.stderr
    found = json.loads(report.read_text())
    (row,) = found["rows"]
    assert found["task"] == "ocr"
    assert row["word_recall"] == 1.0
    assert row["infer_ms"] > 0
    assert row["detect_ms"] > 0
    assert row["recognize_ms"] > 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--limit", 0), "--limit 0 leaves no pictures"),
        (("--limit", -3), "--limit -3 leaves no pictures"),
        (("--metric", "hmean-iou"), "hmean-iou does not judge the task recognize"),
        (("--metric", "accuracy"), "unknown metric 'accuracy'"),
        (("--backend", "goood"), "unknown backend 'goood' (did you mean 'good'?)"),
        (("--precision", "fp8"), "unknown precision 'fp8'"),
        (("--reference", "nobody"), "unknown reference 'nobody'"),
        (("--backend-option", "speed=9"), "unknown option of these backends 'speed'"),
        (("--fail-if", "hmean"), "hmean"),
        (("--fail-if", "agrement < 1"), "agreement"),
        (("--compare", "none.json"), "cannot read the report 'none.json'"),
        (("--backend", "tensorrt"), "no row of the table ran"),
        (("--detector-spec", "x.json"), "one model is no pair"),
    ],
)
def test_bad_input_gets_a_sentence(
    evaluate: Evaluate, backend: Callable[..., str], arguments: tuple[object, ...], said: str
) -> None:
    backend("good")
    given = arguments if "--backend" in arguments else ("--backend", "good", *arguments)
    done, _ = evaluate(*given)
    assert done.returncode == 1
    assert said in done.stderr
    assert "fix:" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("form", ["json", "csv", "markdown", "html"])
def test_a_report_that_cannot_be_written_is_told_before_anything_runs(
    evaluate: Evaluate, backend: Callable[..., str], tmp_path: Path, form: str
) -> None:
    log = tmp_path / "runs.log"
    arguments = ("--backend", backend("good"), "--backend-option", f"log={log}")
    done, _ = evaluate(*arguments, f"--{form}", tmp_path / "nowhere" / "report")
    assert done.returncode == 1
    assert "cannot be written: there is no folder" in done.stderr
    done, _ = evaluate(*arguments, f"--{form}", tmp_path)
    assert done.returncode == 1
    assert "is a folder" in done.stderr
    assert not log.exists()


def test_missing_pictures_stop_it_unless_they_may_be_left_out(
    evaluate: Evaluate, backend: Callable[..., str], words: Path
) -> None:
    (words / "03.png").unlink()
    done, rows = evaluate("--backend", backend("good"))
    assert done.returncode == 1
    assert "1 picture is labelled in" in done.stderr
    assert "03.png" in done.stderr
    assert not rows
    done, rows = evaluate("--backend", "good", "--allow-missing")
    assert done.returncode == 0
    assert rows["good"]["pictures"] == PICTURES - 1
    assert "1 more are labelled and missing" in done.stdout


def test_a_damaged_picture_is_an_error_of_that_picture(evaluate: Evaluate, backend: Callable[..., str], words: Path) -> None:
    (words / "03.png").write_bytes(b"no picture")
    done, rows = evaluate("--backend", backend("good"))
    assert done.returncode == 0, done.stderr
    assert rows["good"]["errors"] == 1
    assert any("count as empty answers" in warning for warning in rows["good"]["warnings"])


def test_pictures_without_labels_are_measured_and_not_judged(
    ocrd: Ocrd, words: Path, read_model: Path, backend: Callable[..., str], tmp_path: Path
) -> None:
    (words / "labels.tsv").unlink()
    report = tmp_path / "report.json"
    names = f"{backend('good')},{backend('faulty', 'refuse')}"
    done = ocrd("eval", read_model, "--dataset", words, "--backend", names, "--json", report)
    assert done.returncode == 0, done.stderr
    good, faulty = json.loads(report.read_text())["rows"]
    assert "word_acc" not in good
    assert faulty["agreement"] == (PICTURES - 1) / PICTURES
    assert good["p50_ms"] > 0
    done = ocrd("eval", read_model, "--dataset", words, "--backend", "good", "--metric", "acc")
    assert done.returncode == 1
    assert "has no labels, so acc cannot be told" in done.stderr


def test_a_dataset_for_another_task_is_refused(ocrd: Ocrd, words: Path, backend: Callable[..., str], tmp_path: Path) -> None:
    detector = stripes.write_onnx(stripes.DETECTOR, tmp_path / "find.onnx")
    done = ocrd("eval", detector, "--dataset", words, "--backend", backend("good"))
    assert done.returncode == 1
    assert "are texts without boxes, and a detector finds boxes" in done.stderr


def test_every_picture_can_be_brought_to_one_shape(
    evaluate: Evaluate, backend: Callable[..., str], ocrd: Ocrd, tmp_path: Path
) -> None:
    done, rows = evaluate("--backend", backend("good"), "--shape", "48x200", "--limit", 5)
    assert done.returncode == 0, done.stderr
    assert rows["good"]["status"] == "ok"
    assert "each stretched to 48 x 200" in done.stdout
    detector = stripes.write_onnx(stripes.DETECTOR, tmp_path / "find.onnx")
    done = ocrd("eval", detector, "--dataset", tmp_path, "--shape", "100x64")
    assert done.returncode == 1
    assert "stripes-det takes sides that are multiples of 32" in done.stderr
    done = ocrd("eval", detector, "--dataset", tmp_path, "--shape", "x64")
    assert done.returncode == 2


def test_without_any_backend_there_is_no_table(
    ocrd: Ocrd, words: Path, read_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCRDEPLOY_DISABLED_PLUGINS", ",".join(discover().backends))
    done = ocrd("eval", read_model, "--dataset", words)
    assert done.returncode == 1
    assert "no backend is installed" in done.stderr
    assert "pip install" in done.stderr


def test_a_model_without_a_dataset_is_a_wrong_command_line(ocrd: Ocrd, read_model: Path) -> None:
    done = ocrd("eval", read_model)
    assert done.returncode == 2
    assert "--dataset" in done.stderr
