"""The slim copy of MMOCR's golden results agrees, and a golden that is wrong in any way is found and named."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

import replay
import slim
from ocrdeploy_pytorch.specs import SIX
from replays import networks, postprocess
from replays.comparison import Case, Comparison, Outcome, run
from replays.goldens import Goldens

HERE = Path(__file__).parent
SLIM = HERE / "goldens"

Facts: TypeAlias = dict[str, Any]
Arrays: TypeAlias = dict[str, NDArray[Any]]
Edit: TypeAlias = Callable[[Facts, Arrays], object]


def edited(folder: Path, kind: str, edit: Edit, source: Path = SLIM) -> Goldens:
    """Copy one kind's files into `folder`, edited."""
    facts = json.loads((source / f"{kind}.json").read_text(encoding="utf-8"))
    with np.load(source / f"{kind}.npz") as stored:
        arrays = dict(stored)
    edit(facts, arrays)
    (folder / f"{kind}.json").write_text(json.dumps(facts), encoding="utf-8")
    np.savez(folder / f"{kind}.npz", **arrays)
    return Goldens(folder)


def failures(outcomes: Iterable[Outcome]) -> dict[str, tuple[str, ...]]:
    return {outcome.name: outcome.problems for outcome in outcomes if outcome.problems}


def test_the_slim_copy_agrees(capsys: pytest.CaptureFixture[str]) -> None:
    assert replay.main([str(SLIM)]) == 0
    title, *rows = capsys.readouterr().out.splitlines()
    assert title.split()[:5] == ["kind", "cases", "passed", "failed", "skipped"]
    counts = {line[:22].strip(): [int(number) for number in line[22:].split()[:4]] for line in rows}
    kinds = ["networks pytorch", "networks onnxruntime", "preprocess", *postprocess.KINDS, "ctc", "metrics", "all"]
    assert list(counts) == kinds
    for kind, (cases, passed, failed, skipped) in counts.items():
        assert (passed, failed, skipped) == (cases, 0, 0), kind
        assert cases > 6, kind


def test_all_golden_results_agree(reference_folder: Path, data_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not os.environ.get("OCRDEPLOY_TEST_FULL"):
        pytest.skip("takes a minute: set OCRDEPLOY_TEST_FULL=1 to run every golden result, not only the slim copy")
    assert replay.main([str(reference_folder / "open"), "--data", str(data_folder)]) == 0, capsys.readouterr().out


def test_the_slim_copy_is_part_of_the_reference(reference_folder: Path, tmp_path: Path) -> None:
    slim.main([str(reference_folder / "open"), str(tmp_path)])
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in SLIM.iterdir()}
    for path in sorted(tmp_path.glob("*.json")):
        assert path.read_text(encoding="utf-8") == (SLIM / path.name).read_text(encoding="utf-8"), path.name
        if path.with_suffix(".npz").exists():
            made, kept = Goldens(tmp_path).arrays(path.stem), Goldens(SLIM).arrays(path.stem)
            assert made.keys() == kept.keys()
            assert all(np.array_equal(made[name], kept[name]) for name in made), path.name


def test_the_slim_copy_is_slim() -> None:
    assert sum(path.stat().st_size for path in SLIM.iterdir()) < 3_000_000


def test_it_runs_as_a_script_anywhere(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(HERE / "replay.py"), str(SLIM), "--only", "ctc"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1].startswith("ctc ")


def boundaries(facts: Facts, config: str, place: str) -> list[list[float]]:
    """Of the first map that has some."""
    case = next(case for case in facts["cases"] if len(case["results"][config][place]) > 2)
    found: list[list[float]] = case["results"][config][place]
    return found


def swap(found: list[list[float]]) -> None:
    found[0], found[1] = found[1], found[0]


def shift(found: list[list[float]], position: int, by: float) -> None:
    found[1][position] += by


def turn(found: list[list[float]]) -> None:
    found[1][:-1] = found[1][2:-1] + found[1][:2]


POST_EDITS: dict[str, tuple[Callable[[list[list[float]]], object], str]] = {
    "swapped order": (swap, "boundary 0: "),
    "removed boundary": (lambda found: found.pop(), "the number of boundaries is "),
    "added boundary": (lambda found: found.append(found[0]), "the number of boundaries is "),
    "moved corner": (lambda found: shift(found, 2, 2e-3), "boundary 1: corner differs by 0.00"),
    "other score": (lambda found: shift(found, -1, 2e-5), "boundary 1: score differs by 2e-05, allowed 1e-05"),
    "removed corner": (lambda found: found[1].__delitem__(slice(0, 2)), "boundary 1: the number of corners is "),
    "not a number": (lambda found: shift(found, 0, float("nan")), "boundary 1: corner differs by nan"),
}


@pytest.mark.parametrize("place", postprocess.PLACES)
@pytest.mark.parametrize("edit", POST_EDITS)
@pytest.mark.parametrize("kind", postprocess.KINDS)
def test_a_wrong_boundary_is_found(tmp_path: Path, kind: str, edit: str, place: str) -> None:
    change, complaint = POST_EDITS[edit]

    def apply(facts: Facts, _: Arrays) -> None:
        config = next(iter(facts["parameters"]))
        facts["cases"] = [next(case for case in facts["cases"] if len(case["results"][config][place]) > 2)]
        change(boundaries(facts, config, place))

    goldens = edited(tmp_path, kind, apply)
    facts = goldens.facts(kind)
    ((name, problems),) = failures(replay.replay(goldens, [kind])).items()
    assert name == f"{facts['cases'][0]['map']}, {next(iter(facts['parameters']))}, {place}"
    assert problems[0].startswith(complaint)


def test_a_quad_may_begin_at_another_corner_and_a_polygon_may_not(tmp_path: Path) -> None:
    configs = {"quad": "dbnet_r18_fpnc_1200e_icdar2015", "poly": "DBPostprocessor_poly"}

    def apply(facts: Facts, _: Arrays) -> None:
        facts["cases"] = facts["cases"][:1]
        for config in configs.values():
            turn(boundaries(facts, config, "raw"))

    ((name, problems),) = failures(replay.replay(edited(tmp_path, "postprocess_db", apply), ["postprocess_db"])).items()
    assert configs["poly"] in name
    assert "corner differs by" in problems[0]


def test_a_listed_exception_counts_as_listed(tmp_path: Path) -> None:
    def apply(facts: Facts, _: Arrays) -> None:
        facts["cases"] = [case for case in facts["cases"] if case["different_with_opencv5_numpy2"]]
        for case in facts["cases"]:
            for exceptions in case["different_with_opencv5_numpy2"].values():
                exceptions.clear()

    import cv2

    if int(cv2.__version__.partition(".")[0]) < 5:
        pytest.skip(f"OpenCV {cv2.__version__} may answer as MMOCR's own did, without exceptions")
    problems = failures(replay.replay(edited(tmp_path, "postprocess_db", apply), ["postprocess_db"]))
    assert {name.partition(",")[0] for name in problems} == {"07_noise", "09_holes"}
    assert len(problems) == 8


def first(facts: Facts) -> Facts:
    case: Facts = facts["cases"][0]
    return case


def add(array: NDArray[Any], by: float) -> None:
    array[tuple(size // 2 for size in array.shape)] += by


EDITS: dict[str, tuple[str, Edit, str]] = {
    "grid": ("preprocess", lambda facts, arrays: add(arrays[first(facts)["grid"]], 2e-6), "tensor differs by 2e-06"),
    "picture": (
        "preprocess",
        lambda facts, arrays: add(arrays[first(facts)["array"]], 1),
        "'enc_det0png' is cut short or damaged",
    ),
    "crc": ("preprocess", lambda facts, _: first(facts).update(crc32_uint8=1), "the CRC of the resized picture is"),
    "mean": ("preprocess", lambda facts, _: first(facts)["mean"].reverse(), "mean differs by"),
    "deviation": ("preprocess", lambda facts, _: first(facts)["std"].reverse(), "deviation differs by"),
    "extreme": ("preprocess", lambda facts, _: first(facts).update(min=-3), "extreme differs by"),
    "padding": ("preprocess", lambda facts, _: first(facts).update(pad_abs_max=1), "padding differs by 1"),
    "shape": ("preprocess", lambda facts, _: first(facts)["tensor_shape"].reverse(), "the tensor's shape is"),
    "dtype": ("preprocess", lambda facts, _: first(facts).update(tensor_dtype="torch.float16"), "the tensor's dtype is"),
    "image size": ("preprocess", lambda facts, _: first(facts)["img_metas"]["img_shape"].reverse(), "img_shape is"),
    "padded size": ("preprocess", lambda facts, _: first(facts)["img_metas"].update(pad_shape=[1, 2, 3]), "pad_shape is"),
    "factor": ("preprocess", lambda facts, _: first(facts)["img_metas"]["scale_factor"]["value"].reverse(), "scale_factor is"),
    "norm": (
        "preprocess",
        lambda facts, _: first(facts)["img_metas"]["img_norm_cfg"]["std"].reverse(),
        "the std of img_norm_cfg",
    ),
    "order": ("preprocess", lambda facts, _: first(facts)["img_metas"]["img_norm_cfg"].update(to_rgb=False), "to_rgb is"),
    "config": ("preprocess", lambda facts, _: first(facts).update(config="unheard-of"), "the golden files have no 'unheard-of'"),
    "array": ("preprocess", lambda facts, arrays: arrays.pop(first(facts)["grid"]) is None, "the golden files have no 'grid_"),
    "text": ("ctc", lambda facts, _: first(facts)["texts"].reverse(), "the texts is"),
    "class": ("ctc", lambda facts, _: first(facts)["indexes"][0].reverse(), "the classes is"),
    "character's score": ("ctc", lambda facts, _: first(facts)["scores"][1].append(0.5), "row 1: the shape of the score is"),
    "another score": ("ctc", lambda facts, _: first(facts)["scores"].__setitem__(0, [0.5] * 3), "row 0: score differs by"),
    "logits": ("ctc", lambda facts, arrays: arrays[first(facts)["logits"]].fill(1), "the classes is"),
    "ratio": ("ctc", lambda facts, _: first(facts).update(valid_ratio=[0.2] * 6), "the classes is"),
    "classes": (
        "ctc",
        lambda facts, _: facts["convertors"][first(facts)["convertor"]].update(num_classes=3),
        "the number of classes is 37, expected 3",
    ),
    "dictionary": (
        "ctc",
        lambda facts, _: facts["convertors"][first(facts)["convertor"]]["idx2char"].__setitem__(5, "!"),
        "the charset of our own spec is",
    ),
    "map": ("postprocess_db", lambda facts, arrays: arrays[first(facts)["map"]].fill(255), "the number of boundaries is"),
    "map's shape": ("postprocess_pan", lambda facts, _: first(facts)["map_shape"].reverse(), "the shape of the map is"),
    "factors": ("postprocess_pse", lambda facts, _: first(facts).update(scale_factor=[1, 2, 1, 2]), "boundary 0: corner differs"),
    "parameters": (
        "postprocess_pse",
        lambda facts, _: facts["parameters"]["psenet_r50_fpnf_600e_icdar2015"].update(min_text_area=17),
        "the options of our own spec is",
    ),
}


@pytest.mark.parametrize("what", EDITS)
def test_a_wrong_golden_is_found(tmp_path: Path, what: str) -> None:
    kind, edit, complaint = EDITS[what]

    def apply(facts: Facts, arrays: Arrays) -> None:
        facts["cases"] = facts["cases"][:1]
        edit(facts, arrays)

    problems = failures(replay.replay(edited(tmp_path, kind, apply), [kind]))
    assert problems
    assert any(problem.startswith(complaint) for each in problems.values() for problem in each), problems
    assert not failures(replay.replay(edited(tmp_path, kind, lambda facts, _: facts.update(cases=facts["cases"][:1])), [kind]))


def test_a_wrong_network_output_is_found_in_both_backends(tmp_path: Path) -> None:
    def apply(facts: Facts, arrays: Arrays) -> None:
        facts["cases"] = [case for case in facts["cases"] if case["config"] == "crnn_academic_dataset"]
        for case, share in zip(facts["cases"], (2e-4, 2e-5), strict=True):
            add(arrays[case["output"]], share * case["std"])

    shutil.copy(SLIM / "state_dicts.json", tmp_path)
    outcomes = list(replay.replay(edited(tmp_path, "networks", apply), ["networks"]))
    wrong = [outcome for outcome in outcomes if outcome.problems]
    assert [outcome.row for outcome in wrong] == ["networks pytorch", "networks onnxruntime"]
    assert {outcome.name for outcome in wrong} == {"crnn_academic_dataset, input_rec0 -> crnn_academic_dataset_0"}
    assert all("output / std differs by 0.000" in outcome.problems[-1] for outcome in wrong)
    assert len(outcomes) == 4


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda facts, _: first(facts).update(std=9.0), "the golden output has other statistics, "),
        (lambda facts, _: first(facts).update(output_shape=[1]), "the shape of the golden output is"),
        (lambda facts, _: first(facts).update(input_shape=[1]), "the shape of the input is"),
        (lambda facts, arrays: arrays.pop(first(facts)["input"]) is None, "the golden files have no 'input"),
        (lambda facts, _: first(facts).update(config="unheard-of"), "the golden files have no 'unheard-of'"),
    ],
)
def test_a_wrong_fact_of_a_network_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edit: Edit, complaint: str) -> None:
    monkeypatch.delattr(networks._Network, "session")  # what runs the network, which is the last and the slow part

    def apply(facts: Facts, arrays: Arrays) -> None:
        facts["cases"] = facts["cases"][-1:]
        edit(facts, arrays)

    folder = tmp_path / "below"
    folder.mkdir()
    goldens = edited(folder, "networks", apply)
    shutil.copy(SLIM / "state_dicts.json", tmp_path)  # above the folder, where it serves several
    (problems,) = failures(replay.replay(goldens, ["networks"])).values()
    assert problems[0].startswith(complaint)


def test_the_step_has_an_allowance_of_its_own() -> None:
    expected = np.random.default_rng(1).random((2, 3, 8, 8), np.float32)
    for channel, difference, fails in [(0, 1e-4, True), (1, 1e-5, False), (2, 1e-3, False), (2, 3e-3, True)]:
        found = expected.copy()
        found[1, channel, 4, 4] += difference
        comparison = Comparison()
        networks.compare_outputs(comparison, found, expected, step=True)
        assert bool(comparison.problems) is fails, (channel, difference)


def test_keys_in_another_order_are_found() -> None:
    entries = Goldens(SLIM).state_dicts()["crnn_academic_dataset"]
    turned = dict(reversed(entries.items()))
    model = SIX["crnn_academic_dataset"]
    for given, number in ((entries, 0), (turned, 1), ({**entries, "more": [[1], "float32"]}, 1)):
        comparison = Comparison()
        networks.compare_entries(comparison, model, given)
        assert len(comparison.problems) == number


def by_metrics(folder: Path, edit: Callable[[Facts], object]) -> dict[str, tuple[str, ...]]:
    """Say which metrics' cases fail once the golden file was edited."""
    facts = json.loads((SLIM / "metrics.json").read_text(encoding="utf-8"))
    edit(facts)
    (folder / "metrics.json").write_text(json.dumps(facts), encoding="utf-8")
    return failures(replay.replay(Goldens(folder), ["metrics"]))


def copied(facts: Facts) -> Facts:
    """The data set of one picture whose regions are all found."""
    found: Facts = next(each for each in facts["hmean"]["datasets"] if each["name"].startswith("single_exact_copy"))
    return found


def at_first(facts: Facts) -> Facts:
    found: Facts = copied(facts)["result"]["per_threshold"][0]
    return found


def words(facts: Facts) -> Facts:
    found: Facts = facts["recognition"][0]["result"]
    return found


METRIC_EDITS: dict[str, tuple[Callable[[Facts], object], str]] = {
    "threshold": (lambda facts: copied(facts)["result"]["thresholds"].__setitem__(3, 0.6), "the thresholds is"),
    "last threshold": (lambda facts: copied(facts)["result"]["per_threshold"].pop(), "the number of thresholds is"),
    "hits": (lambda facts: at_first(facts)["dataset"].update(num_match=4), "threshold 0: the data set is"),
    "detections": (lambda facts: at_first(facts)["dataset"].update(num_dets=6), "threshold 0: the data set is"),
    "a last digit": (lambda facts: at_first(facts)["dataset"].update(hmean=1 - 1e-16), "threshold 0: the data set is"),
    "picture": (lambda facts: at_first(facts)["images"][0].update(recall=0.8), "threshold 0: exact_copy is"),
    "pictures": (lambda facts: at_first(facts)["images"].pop(), "threshold 0: the number of pictures is"),
    "final": (lambda facts: copied(facts)["result"]["final"].update({"hmean-iou:recall": 0.0}), "the result is"),
    "figure": (lambda facts: words(facts)["eval_ocr_metric"].update(char_recall=0.9999), "the figures is"),
    "count": (lambda facts: words(facts)["count_matches"].update(match_word_num=1), "the counts is"),
    "distance": (lambda facts: words(facts)["count_matches"].update(ned=1e-9), "edit distance differs by"),
}


@pytest.mark.parametrize("what", METRIC_EDITS)
def test_a_wrong_metric_is_found(tmp_path: Path, what: str) -> None:
    edit, complaint = METRIC_EDITS[what]
    ((_, problems),) = by_metrics(tmp_path, edit).items()
    assert problems[0].startswith(complaint)


def test_a_moved_region_and_a_changed_word_are_found(tmp_path: Path) -> None:
    def apply(facts: Facts) -> None:
        (index,) = copied(facts)["images"]
        facts["hmean"]["images"][index]["pred"][0][:8] = [0, 0, 9, 0, 9, 9, 0, 9]
        facts["recognition"][0]["pred"][0] += "z"

    assert [name.partition(",")[0] for name in by_metrics(tmp_path, apply)] == ["hmean-iou", "acc"]


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda facts: facts["recognition"].clear(), "metrics.json holds no cases"),
        (lambda facts: facts["hmean"]["datasets"].clear(), "metrics.json holds no cases"),
        (lambda facts: facts.pop("hmean"), "damaged: KeyError('hmean')"),
    ],
)
def test_metrics_without_cases_fail(tmp_path: Path, edit: Callable[[Facts], object], complaint: str) -> None:
    ((name, (problem,)),) = by_metrics(tmp_path, edit).items()
    assert name == "its files"
    assert complaint in problem


def test_metrics_that_are_missing_or_cut_short_fail(tmp_path: Path) -> None:
    assert "there is no metrics.json in" in failures(replay.replay(Goldens(tmp_path), ["metrics"]))["its files"][0]
    (tmp_path / "metrics.json").write_text("{", encoding="utf-8")
    assert "metrics.json cannot be read: " in failures(replay.replay(Goldens(tmp_path), ["metrics"]))["its files"][0]


def file_case(facts: Facts, arrays: Arrays, data: Path) -> None:
    """Make the first encoded picture a file, as it would lie in a data folder."""
    case = next(case for case in facts["cases"] if case["source"] == "encoded")
    data.mkdir()
    picture = arrays[case.pop("array")].tobytes()
    (data / "picture.png").write_bytes(picture)
    case.update(source="file", path="picture.png", sha256=hashlib.sha256(picture).hexdigest())
    facts["cases"] = [case]


def test_pictures_are_looked_for_in_every_data_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, empty = tmp_path / "data", tmp_path / "empty"
    empty.mkdir()
    edited(tmp_path, "preprocess", lambda facts, arrays: file_case(facts, arrays, data))
    command = [str(tmp_path), "--only", "preprocess"]
    assert replay.main(command) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["preprocess", "1", "0", "0", "1"]
    assert replay.main([*command, "--data", str(empty), "--data", str(data)]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[1:5] == ["1", "1", "0", "0"]
    assert replay.main([*command, "--data", str(empty)]) == 1
    assert f"there is no picture.png in {empty}" in capsys.readouterr().out
    (data / "picture.png").write_bytes(b"another")
    assert replay.main([*command, "--data", str(data)]) == 1
    assert "is not the picture that MMOCR was given" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda folder: (folder / "ctc.json").unlink(), "there is no ctc.json in "),
        (lambda folder: (folder / "ctc.npz").unlink(), "ctc.npz cannot be read: "),
        (lambda folder: (folder / "ctc.npz").write_bytes(b"PK\x03\x04"), "ctc.npz cannot be read: "),
        (lambda folder: (folder / "ctc.json").write_text("{"), "ctc.json cannot be read: "),
        (lambda folder: (folder / "ctc.json").write_text("[]"), "ctc.json holds no mapping"),
        (lambda folder: (folder / "ctc.json").write_text('{"cases": []}'), "ctc.json holds no cases"),
        (lambda folder: (folder / "ctc.json").write_text('{"cases": [{}]}'), "damaged: KeyError('convertors')"),
        (lambda folder: (folder / "ctc.json").write_text('{"cases": [7], "convertors": {}}'), "damaged: AttributeError"),
    ],
)
def test_a_kind_that_is_missing_or_damaged_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], object], complaint: str
) -> None:
    edited(tmp_path, "ctc", lambda _facts, _arrays: None)
    spoil(tmp_path)
    assert replay.main([str(tmp_path), "--only", "ctc"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("FAILED ctc: its files: ")
    assert complaint in out


def test_networks_without_the_keys_of_their_models_fail(tmp_path: Path) -> None:
    goldens = edited(tmp_path, "networks", lambda _facts, _arrays: None)
    ((_, problems),) = failures(replay.replay(goldens, ["networks"])).items()
    assert "there is no state_dicts.json in" in problems[0]


def test_a_folder_that_is_not_there_is_a_wrong_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        replay.main([str(tmp_path / "nowhere")])
    assert caught.value.code == 2
    assert "there is no folder" in capsys.readouterr().err


def test_a_check_that_throws_is_a_failed_case() -> None:
    def check(_: Comparison) -> None:
        raise ValueError("of no use")

    assert run(Case("kind", "name", check)).problems == ("ValueError: of no use",)
