"""The parts of an evaluation: answers that travel, journals that survive, numbers and memory that tell on a backend."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ocrdeploy.errors import BadInput, OcrdError
from ocrdeploy.evaluation import agreement, answers, deviation, journal, memory, order, plan, timing
from ocrdeploy.evaluation.answers import Answer
from ocrdeploy.evaluation.journal import Journal
from ocrdeploy.evaluation.numbers import Numbers
from ocrdeploy.evaluation.order import Order, Subject
from ocrdeploy.evaluation.row import FAILED, Call, Row
from ocrdeploy.plugins import Plugins
from ocrdeploy.vocabulary import ModelSpec, Region

ORDER = Order(Subject("recognize", ("read.onnx",), ("",)), "nova", extra={"streams": "2"})
CALLED = {"event": "called", "round": 0, "pictures": [0], "ms": {"total": 3.5, "infer": 2.0}, "resident_mib": 100.0}
OPENED = {"event": "opened", "built": "now", "build_s": 2.0, "loaded": [{"device": "cpu"}]}


def box(left: float, top: float, width: float = 40, height: float = 20) -> tuple[tuple[float, float], ...]:
    return ((left, top), (left + width, top), (left + width, top + height), (left, top + height))


def test_an_order_comes_back_from_json_as_it_was() -> None:
    full = replace(ORDER, custom_ops=("ops.so",), subject=replace(ORDER.subject, shape=(32, 100), min_score=0.25))
    for each in (ORDER, full):
        assert order.from_dict(json.loads(json.dumps(each.to_dict()))) == each
    assert full.options.custom_ops == (Path("ops.so"),)


def test_an_answer_comes_back_from_json_to_the_last_bit() -> None:
    numbers = [float(np.float32(value)) for value in (0.1, 1 / 3, 1e-30, 123.456)]
    region = Region(((numbers[0], numbers[1]), (numbers[3], 2.0), (5.0, 6.0)), "é本", numbers[2], numbers[1], (), "180")
    for answer in (Answer((region, Region(score=math.inf))), Answer(), Answer((), "it is damaged", "copy it again")):
        assert answers.from_dict(json.loads(json.dumps(answer.to_dict()))) == answer


def test_answers_agree_where_texts_are_equal_and_boxes_match_one_to_one() -> None:
    one = Answer((Region(box(0, 0), "a"), Region(box(100, 0), "b")))
    assert agreement.compare(one, Answer(one.regions[::-1])).agrees
    assert not agreement.compare(one, Answer(one.regions[:1])).agrees
    assert not agreement.compare(one, Answer((*one.regions, one.regions[0]))).agrees
    assert not agreement.compare(one, Answer((one.regions[0], replace(one.regions[1], text="c")))).agrees
    near = agreement.compare(one, Answer((Region(box(1, 0), "a"), one.regions[1])))
    assert near.agrees
    assert sorted(near.overlaps) == [pytest.approx(39 / 41), 1.0]
    assert not agreement.compare(one, Answer((Region(box(9, 0), "a"), one.regions[1]))).agrees


def test_texts_without_boxes_and_problems_are_compared_as_they_are() -> None:
    read, empty, problem = Answer((Region(text="a"),)), Answer((Region(text=""),)), Answer((), "too long", "")
    assert agreement.compare(read, read).agrees
    assert not agreement.compare(read, empty).agrees
    assert not agreement.compare(empty, problem).agrees
    assert agreement.compare(problem, problem).agrees
    assert agreement.compare(Answer(), Answer()).agrees


@pytest.mark.parametrize(
    ("made", "precision"),
    [
        (lambda values: values, ""),
        (lambda values: values.astype(np.float16).astype(np.float32), "fp16"),
        (lambda values: (values.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32), "bf16"),
        (lambda values: np.round(values * 4) / 4, ""),
        (lambda values: np.round(values * 1000), ""),
        (lambda values: np.where(values > 0, np.inf, values.astype(np.float16)).astype(np.float32), "fp16"),
        (lambda values: values[:50].astype(np.float16).astype(np.float32), ""),
        (lambda values: values.astype(np.float64), ""),
    ],
)
def test_numbers_tell_in_which_precision_they_were_computed(made: Callable[[Any], Any], precision: str) -> None:
    values = np.random.default_rng(0).normal(size=2000).astype(np.float32)
    numbers = Numbers()
    numbers.see({"output": made(values)})
    assert numbers.precision == precision


def test_one_output_in_full_precision_clears_a_session() -> None:
    values = np.random.default_rng(0).normal(size=2000).astype(np.float32)
    numbers = Numbers()
    numbers.see({"a": values.astype(np.float16).astype(np.float32), "b": values})
    assert not numbers.precision


def test_growth_is_what_goes_on_in_every_quarter() -> None:
    steady = [100.0 + 0.5 * picture for picture in range(200)]
    assert memory.growth_mib_per_picture(steady) == pytest.approx(0.5)
    filled_up = [min(100.0 + 2 * picture, 200.0) for picture in range(200)]
    assert memory.growth_mib_per_picture(filled_up) == 0.0
    jumps = [100.0 + 50 * (picture > 120) for picture in range(200)]
    assert memory.growth_mib_per_picture(jumps) == 0.0
    assert memory.growth_mib_per_picture(steady[:20]) is None
    assert memory.growth_mib_per_picture([0.0] * 200) is None


def test_the_peak_of_a_process_is_its_own_and_not_its_parents() -> None:
    ballast = np.ones(40 << 20, np.uint8)
    code = "from ocrdeploy.evaluation import memory; print(memory.peak_mib(), memory.resident_mib())"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    peak, resident = map(float, printed.split())
    assert ballast.sum() == len(ballast)
    assert memory.resident_mib() > 40
    assert 5 < resident < peak + 1  # the kernel counts pages in batches
    assert peak < 60


def test_latencies_become_percentiles_and_outliers_are_counted() -> None:
    found = timing.figures([*range(1, 101), 1000])
    assert found["p50_ms"] == 51
    assert found["max_ms"] == 1000
    assert found["outliers"] == 1
    assert found["timings"] == 101
    assert len(found["latency_quantiles_ms"]) == 101
    assert timing.figures([]) == {"timings": 0}


def test_the_deviation_is_in_standard_deviations_and_leaves_steep_planes_out(tmp_path: Path) -> None:
    a = np.random.default_rng(1).normal(0, 2, (1, 3, 8, 8)).astype(np.float32)
    b = a.copy()
    b[0, 0, 0, 0] += 0.5
    b[0, 2] += 9
    np.savez(tmp_path / "a.npz", output_0=a)
    np.savez(tmp_path / "b.npz", output_0=b)
    files = [tmp_path / "a.npz"], [tmp_path / "b.npz"]
    std = np.delete(a.astype(np.float64), 2, axis=1).std()
    assert deviation.largest(*files, "dbnet") == pytest.approx(0.5 / std, rel=1e-6)
    assert deviation.largest(*files, "psenet") == pytest.approx(9 / a.astype(np.float64).std(), rel=1e-6)
    np.savez(tmp_path / "b.npz", output_0=b[..., :4])
    assert deviation.largest(*files, "dbnet") == math.inf
    assert deviation.largest([tmp_path / "a.npz"], [tmp_path / "none.npz"], "dbnet") is None


def test_a_journal_brings_a_row_back_and_drops_a_line_that_was_cut_off(tmp_path: Path) -> None:
    facts = {"runtime": "1.0"}
    row, kept = Row(ORDER), Journal(tmp_path)
    kept.resume(row, facts)
    kept.add(row, OPENED)
    kept.add(row, {**CALLED, "answers": [Answer((Region(text="a"),)).to_dict()]})
    kept.add(row, {"event": "memory", "peak_mib": 120.0, "device_mib": None})
    kept.close()
    (file,) = tmp_path.glob("*.jsonl")
    whole = file.read_bytes()
    for torn in (b'{"event": "called", "round"', b'{"event": "called"}', b"\x00\x00\x00"):
        file.write_bytes(whole + torn)
        again, journal_again = Row(ORDER), Journal(tmp_path)
        journal_again.resume(again, facts)
        assert again.answers == row.answers == {0: Answer((Region(text="a"),))}
        assert again.done == {Call(0, (0,))}
        assert again.peak_mib == 120.0
        assert again.build_s == 2.0
        journal_again.add(again, OPENED)
        journal_again.close()
        assert again.sittings == 2
        assert [json.loads(line)["event"] for line in file.read_bytes().splitlines()][-1] == "opened"
        file.write_bytes(whole)


def test_a_row_whose_runtime_changed_begins_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    row, kept = Row(ORDER), Journal(tmp_path)
    kept.resume(row, {"runtime": "1.0"})
    kept.add(row, OPENED)
    kept.close()
    again, kept = Row(ORDER), Journal(tmp_path)
    assert kept.resume(again, {"runtime": "2.0"}) == 0
    kept.close()
    assert again.sittings == 0
    assert "begins anew: runtime was '1.0', is '2.0'" in caplog.text


def test_a_row_that_stopped_stays_stopped(tmp_path: Path) -> None:
    row, kept = Row(ORDER), Journal(tmp_path)
    kept.resume(row, {})
    kept.add(row, row.stop(FAILED, "it died", "report it"))
    kept.close()
    again, kept = Row(ORDER), Journal(tmp_path)
    kept.resume(again, {})
    kept.close()
    assert (again.status, again.problem, again.fix) == ("failed", "it died", "report it")


def test_a_journal_that_cannot_be_made_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OCRDEPLOY_CACHE", str(tmp_path / "file"))
    with pytest.raises(OcrdError, match="cannot write"), journal.opened({"of": "this test"}):
        pass


Install = Callable[..., Plugins]


class Pack:
    """Lists models by name."""

    ocrd_contract = 1

    def __init__(self, *models: ModelSpec) -> None:
        from ocrdeploy import hookimpl

        self.ocrd_models = hookimpl(lambda: list(models))
        self.ocrd_artifact = hookimpl(lambda: None)


def test_a_pair_is_split_where_both_halves_are_models(
    install: Install, detector: ModelSpec, recognizer: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plugins = install(pack=Pack(detector, recognizer, replace(recognizer, name="read+more")))
    for name in ("a+b.onnx", "c.onnx"):
        (tmp_path / name).write_bytes(b"")
    assert plan.split(plugins, "find") == ("find",)
    assert plan.split(plugins, "find+read") == ("find", "read")
    assert plan.split(plugins, "read+more") == ("read+more",)
    assert plan.split(plugins, "find+read+more") == ("find", "read+more")
    assert plan.split(plugins, "a+b.onnx") == ("a+b.onnx",)
    assert plan.split(plugins, "a+b.onnx+read") == ("a+b.onnx", "read")
    assert plan.split(plugins, "cfg.py::c.onnx+read") == ("cfg.py::c.onnx", "read")
    assert plan.split(plugins, "nobody+read") == ("nobody", "read")
    for half in ("find+", "+read"):
        with pytest.raises(BadInput, match="half a pair"):
            plan.split(plugins, half)


def test_the_reference_is_pytorchs_row_or_the_first_that_can_run() -> None:
    rows = [Row(replace(ORDER, backend=name)) for name in ("tensorrt", "nova", "pytorch")]
    rows[0].hear(rows[0].stop("unavailable", "no driver", ""))
    assert plan.reference_row(rows, "") is rows[2]
    assert plan.reference_row(rows[:2], "") is rows[1]
    assert plan.reference_row(rows, "nova fp32") is rows[1]
    assert plan.reference_row(rows, "nov") is None
    with pytest.raises(OcrdError, match="the reference tensorrt fp32 auto cannot run: no driver"):
        plan.check_reference(rows, "tensorrt")
    with pytest.raises(OcrdError, match="unknown reference"):
        plan.check_reference(rows, "nobody")
