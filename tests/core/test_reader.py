"""The reader: what goes in, in which order pages come out, what happens to a picture that fails, and who closes what.

A scripted backend answers with the very pixels that it was given, and scripted families read the answers off them: what is
tested is all between the two.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from ocrdeploy import Reader, artifact, hookimpl, sources, spec
from ocrdeploy.errors import BadInput, BadPlugin, OcrdError, UnknownName
from ocrdeploy.page import Page
from ocrdeploy.plugins import Plugins
from ocrdeploy.vocabulary import (
    Align,
    Artifact,
    BackendInfo,
    Batch,
    Exact,
    FamilyInfo,
    InferOptions,
    InputSpec,
    Interpolation,
    Loaded,
    ModelSpec,
    Pixels,
    Placement,
    Prediction,
    Probe,
    Region,
    Session,
    Task,
    Tensors,
)

Install: TypeAlias = Callable[..., Plugins]
Box: TypeAlias = tuple[float, float, float, float]

AS_IT_IS = InputSpec("x", Exact(8, 8), align=Align.STRETCH, interpolation=Interpolation.NEAREST)
SPECS = {
    "det": ModelSpec("det", "finder", Task.DETECTION, AS_IT_IS, ("x",)),
    "rec": ModelSpec("rec", "speller", Task.RECOGNITION, AS_IT_IS, ("x",), charset=("a",)),
    "cls": ModelSpec("cls", "turner", Task.CLASSIFICATION, AS_IT_IS, ("x",), options={"threshold": 0.9}),
}


@dataclass
class Script:
    """What the scripted models answer, and what they were asked.

    The detector finds `boxes` (left, top, right, bottom, of the tensor's picture) in every picture, with `scores`. The
    recognizer reads the red of a line's first pixel as its text and the green as its score, of 255; it refuses the red 13 and
    breaks at the red 66. The classifier calls a line upside down whose first pixel is darker than its last.
    """

    boxes: Sequence[Box] = ((0, 0, 10, 10),)
    scores: Sequence[float] = ()
    turned: float = 0.95
    opened: list[str] = field(default_factory=list)
    precisions: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    refuses: str = ""

    def find(self, _: Tensors, placement: Placement) -> tuple[Region, ...]:
        self.sizes.append(placement.size)
        scores = self.scores or [0.75] * len(self.boxes)
        return tuple(
            Region(((x0, y0), (x1, y0), (x1, y1), (x0, y1)), score=score, detection_score=score)
            for (x0, y0, x1, y1), score in zip(self.boxes, scores, strict=True)
        )

    def spell(self, row: Any, _: Placement) -> tuple[Region, ...]:
        red, green, blue = (int(value) for value in row[:, 0, 0])
        if red == 13:
            raise BadInput("this line cannot be read", "choose another")
        if red == 66:
            raise ZeroDivisionError("a bug")
        return (Region(text=" " if blue == 1 else f"word {red}", score=green / 255),)

    def turn(self, row: Any, _: Placement) -> tuple[Region, ...]:
        upside_down = row[0, 0, 0] < row[0, -1, -1]
        return (Region(label="180" if upside_down else "0", score=self.turned),)


class ScriptedSession:
    """Gives back the pixels that it is given."""

    def __init__(self, script: Script, name: str) -> None:
        self.script, self.name = script, name

    def run(self, inputs: Tensors) -> Tensors:
        if self.name == "rec":
            self.script.batches.append(len(inputs["x"]))
        return {"x": inputs["x"]}

    def loaded(self) -> Loaded:
        return Loaded("1.0", "cpu", chosen=f"device auto: cpu ({self.name} is small)")

    def close(self) -> None:
        self.script.closed.append(self.name)


class ScriptedBackend:
    """Opens any ONNX file, but not that of the model which the script refuses."""

    ocrd_contract = 1

    def __init__(self, script: Script) -> None:
        self.script = script

    @hookimpl
    def ocrd_backend(self) -> BackendInfo:
        return BackendInfo("scripted", runs=("onnx",), precisions=("fp32", "fp16"), options=("speed",))

    @hookimpl
    def ocrd_probe(self) -> Probe:
        return Probe(version="1.0")

    @hookimpl
    def ocrd_infer(self, model: ModelSpec, options: InferOptions) -> Session:
        if model.name == self.script.refuses:
            raise OcrdError(f"{model.name} does not fit {options.device}", "use another device")
        if self.script.refuses == f"{model.name} by ctrl-c":
            raise KeyboardInterrupt
        self.script.opened.append(model.name)
        self.script.precisions.append(options.precision)
        return ScriptedSession(self.script, model.name)


@dataclass
class Family:
    """A model family whose answers come from a script."""

    name: str
    task: Task
    answer: Callable[[Any, Placement], tuple[Region, ...]]
    ocrd_contract = 1

    @hookimpl
    def ocrd_family(self) -> FamilyInfo:
        return FamilyInfo(self.name, self.task)

    @hookimpl
    def ocrd_postprocess(self, outputs: Tensors, batch: Batch) -> list[Prediction]:
        rows = zip(outputs["x"], batch.placements, strict=True)
        return [Prediction(placement.index, self.answer(row, placement)) for row, placement in rows]


class Pack:
    """A model pack whose models share one file."""

    ocrd_contract = 1

    def __init__(self, weights: Path, *names: str) -> None:
        self.weights, self.names = weights, names

    @hookimpl
    def ocrd_models(self) -> Sequence[ModelSpec]:
        return [SPECS[name] for name in self.names]

    @hookimpl
    def ocrd_artifact(self, model: ModelSpec) -> Artifact:
        return Artifact(self.weights, "onnx", artifact.sha256(self.weights), model)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "identity.onnx"
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, 8, 8]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph), path)
    return path


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def install_packs(install: Install, weights: Path, script: Script) -> Install:
    """Install the scripted backend and families, and packs of models, given by their names."""

    def installed(*packs: Sequence[str]) -> Plugins:
        return install(
            scripted=ScriptedBackend(script),
            finder=Family("finder", Task.DETECTION, script.find),
            speller=Family("speller", Task.RECOGNITION, script.spell),
            turner=Family("turner", Task.CLASSIFICATION, script.turn),
            **{f"pack{number}": Pack(weights, *names) for number, names in enumerate(packs)},
        )

    return installed


@pytest.fixture
def plugins(install_packs: Install) -> Plugins:
    return install_packs(("det", "rec", "cls"))


Open: TypeAlias = Callable[..., Reader]


@pytest.fixture
def open_reader(plugins: Plugins) -> Iterator[Open]:
    """Open a reader on the scripted backend; it is closed after the test."""
    readers: list[Reader] = []

    def opened(**settings: Any) -> Reader:
        readers.append(Reader(**{"plugins": plugins, **settings}))
        return readers[-1]

    yield opened
    for reader in readers:
        reader.close()


def picture(red: int, green: int = 255, blue: int = 0, size: tuple[int, int] = (40, 60)) -> Pixels:
    made = np.empty((*size, 3), np.uint8)
    made[:] = red, green, blue
    return made


def encoded(pixels: Pixels, form: str = "PNG") -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def texts(pages: Iterator[Page]) -> list[str]:
    return [page.text for page in pages]


# What goes in


def test_one_picture_may_come_in_every_form(open_reader: Open, tmp_path: Path) -> None:
    path = tmp_path / "seven.png"
    path.write_bytes(encoded(picture(7)))
    reader = open_reader(task="recognize")
    ready = sources.Input("given", "given", data=encoded(picture(7)))
    for source in (path, str(path), encoded(picture(7)), picture(7), Image.fromarray(picture(7)), ready):
        (page,) = reader.read(source)
        assert page.text == "word 7"


def test_many_pictures_may_come_in_every_kind_of_collection(open_reader: Open) -> None:
    reader = open_reader(task="recognize")
    many = [picture(red) for red in range(5)]
    expected = [f"word {red}" for red in range(5)]
    assert texts(reader.read(many)) == expected
    assert texts(reader.read(tuple(many))) == expected
    assert texts(reader.read(each for each in many)) == expected
    assert texts(reader.read(dict(enumerate(many)).values())) == expected
    assert texts(reader.read(map(encoded, many))) == expected
    assert texts(reader.read([])) == []


def test_forms_may_be_mixed_and_names_say_which_is_which(open_reader: Open, tmp_path: Path) -> None:
    path = tmp_path / "scan.png"
    path.write_bytes(encoded(picture(1)))
    mixed = [picture(0), path, Image.fromarray(picture(2)), sources.Input("given", "folder/given", data=encoded(picture(3)))]
    pages = list(open_reader(task="recognize").read(mixed))
    assert [page.text for page in pages] == ["word 0", "word 1", "word 2", "word 3"]
    assert [page.image for page in pages] == ["picture-0001", str(path), "picture-0003", "given"]
    assert [page.stem for page in pages] == ["picture-0001", "scan", "picture-0003", "folder/given"]


@pytest.mark.parametrize("task", ["recognize", "ocr"])
def test_every_page_of_a_document_is_a_page(open_reader: Open, tmp_path: Path, task: str) -> None:
    path = tmp_path / "scan.tif"
    first, *others = (Image.fromarray(picture(red)) for red in range(3))
    first.save(path, save_all=True, append_images=others)
    pages = list(open_reader(task=task).read([path, picture(9)]))
    assert [page.text for page in pages] == ["word 0", "word 1", "word 2", "word 9"]
    assert pages[1].image == f"{path}#2"


@pytest.mark.parametrize(
    "nothing", [b"", b"no picture", bytearray(b"x"), "missing.png", np.zeros((4, 4), np.uint8), np.zeros((2, 2, 3)), 7, None]
)
def test_what_is_no_picture_is_a_page_with_an_error(open_reader: Open, nothing: Any) -> None:
    (page,) = open_reader().read(nothing)
    assert isinstance(page.error, BadInput)
    assert (page.regions, page.text, page.pixels) == ((), "", None)
    assert page.to_dict().keys() == {"image", "error"}


def test_an_open_file_is_one_thing_and_no_collection_of_lines(open_reader: Open, tmp_path: Path) -> None:
    path = tmp_path / "scan.png"
    path.write_bytes(encoded(picture(1)))
    with path.open("rb") as file:
        (page,) = open_reader().read(file)
    assert page.error is not None
    assert "BufferedReader" in page.error.problem


# Order and laziness


@pytest.mark.parametrize("task", ["recognize", "ocr", "detect"])
def test_pages_come_in_the_order_of_their_pictures(open_reader: Open, task: str) -> None:
    sizes = [(40, 60), (20, 30), (40, 60), (90, 10), (20, 30)] * 20
    pages = list(open_reader(task=task, batch_size=3).read(picture(100 + n, size=size) for n, size in enumerate(sizes)))
    assert [page.image for page in pages] == [f"picture-{index + 1:04}" for index in range(100)]
    assert [(page.height, page.width) for page in pages] == sizes
    if task != "detect":
        assert [page.text for page in pages] == [f"word {100 + n}" for n in range(100)]


def endless(pulled: list[int]) -> Iterator[Pixels]:
    for number in itertools.count():
        pulled.append(number)
        yield picture(number % 10)


@pytest.mark.parametrize(
    ("task", "batch_size", "most"), [("ocr", 8, 4), ("detect", 8, 4), ("recognize", 1, 8), ("recognize", 4, 20)]
)
def test_an_endless_source_is_read_a_few_pictures_ahead(open_reader: Open, task: str, batch_size: int, most: int) -> None:
    pulled: list[int] = []
    pages = open_reader(task=task, batch_size=batch_size).read(endless(pulled))
    assert pulled == [], "nothing is read before the first page is asked for"
    for number in range(50):
        assert next(pages).image == f"picture-{number + 1:04}"
        assert len(pulled) - number <= most


def decoding_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("ocrdeploy-decode")]


@pytest.mark.parametrize("task", ["ocr", "recognize"])
def test_reading_may_be_given_up_in_the_middle(open_reader: Open, task: str) -> None:
    reader = open_reader(task=task)
    pages = reader.read(endless([]))
    next(pages)
    assert decoding_threads()
    del pages
    assert not decoding_threads()
    assert texts(reader.read(picture(3))) == ["word 3"]


def test_what_the_users_own_iterator_raises_comes_out_where_it_happened(open_reader: Open) -> None:
    def broken() -> Iterator[Pixels]:
        yield picture(1)
        raise LookupError("no more scans")

    pages = open_reader().read(broken())
    assert next(pages).text == "word 1"
    with pytest.raises(LookupError, match="no more scans"):
        next(pages)


# Pictures that fail


@pytest.mark.parametrize("task", ["ocr", "recognize", "detect"])
def test_a_picture_that_cannot_be_decoded_hinders_no_other(open_reader: Open, task: str) -> None:
    pages = list(open_reader(task=task).read([picture(1), b"no picture", picture(3)]))
    assert [page.error is None for page in pages] == [True, False, True]
    assert [len(page.regions) for page in pages] == [1, 0, 1]


@pytest.mark.parametrize("task", ["ocr", "recognize"])
def test_a_picture_that_a_model_refuses_hinders_no_other(open_reader: Open, task: str) -> None:
    pages = list(open_reader(task=task).read([picture(12), picture(13), picture(14)]))
    assert [page.text for page in pages] == ["word 12", "", "word 14"]
    assert pages[1].to_dict() == {
        "image": "picture-0002",
        "error": {"problem": "this line cannot be read", "fix": "choose another"},
    }


@pytest.mark.parametrize("task", ["ocr", "recognize"])
def test_a_bug_in_a_plugin_is_that_plugins_error(open_reader: Open, task: str) -> None:
    pages = list(open_reader(task=task).read([picture(65), picture(66), picture(67)]))
    assert [page.text for page in pages] == ["word 65", "", "word 67"]
    assert isinstance(pages[1].error, BadPlugin)
    assert "plugin 'speller'" in pages[1].error.problem


@pytest.mark.parametrize("task", ["ocr", "recognize"])
@pytest.mark.parametrize("bad", [b"no picture", picture(13)], ids=["undecodable", "refused"])
def test_an_error_is_raised_in_its_turn_where_that_is_asked(open_reader: Open, task: str, bad: Any) -> None:
    pages = open_reader(task=task).read([picture(1), bad, picture(3)], on_error="raise")
    assert next(pages).text == "word 1"
    with pytest.raises(BadInput):
        next(pages)
    assert list(pages) == []


def test_a_picture_without_text_is_no_error(open_reader: Open, script: Script) -> None:
    script.boxes = ()
    (page,) = open_reader().read(picture(1))
    assert (page.error, page.regions, page.text) == (None, (), "")
    assert script.batches == [], "the recognizer is not asked about nothing"


# What comes out


def test_regions_have_both_scores_and_their_place(open_reader: Open, script: Script) -> None:
    script.boxes, script.scores = ((5, 10, 35, 20),), (0.75,)
    (page,) = open_reader().read(picture(1, green=204))
    (region,) = page.regions
    assert region.polygon == ((5, 10), (35, 10), (35, 20), (5, 20))
    assert (region.text, region.score, region.detection_score) == ("word 1", 0.8, 0.75)


def test_a_line_that_is_read_alone_is_the_whole_picture(open_reader: Open) -> None:
    (page,) = open_reader(task="recognize").read(picture(1, size=(40, 60)))
    assert page.regions == (Region(((0, 0), (60, 0), (60, 40), (0, 40)), "word 1", 1.0),)


def test_detection_alone_reads_nothing(open_reader: Open, script: Script) -> None:
    (page,) = open_reader(task="detect").read(picture(1))
    assert (page.text, page.regions[0].score, page.regions[0].detection_score) == ("", 0.75, 0.75)
    assert script.opened == ["det"]


TIMINGS = {
    "ocr": ["decode", "detect", "crop", "classify", "recognize"],
    "detect": ["decode", "detect"],
    "recognize": ["decode", "recognize"],
}


@pytest.mark.parametrize("task", TIMINGS)
def test_a_page_says_where_its_time_went(open_reader: Open, task: str) -> None:
    (page,) = open_reader(task=task).read(encoded(picture(1)))
    assert list(page.timings_ms) == TIMINGS[task]
    assert all(0 <= spent < 60_000 for spent in page.timings_ms.values())
    assert json.loads(json.dumps(page.to_dict()))["timings_ms"].keys() == set(TIMINGS[task])


def test_regions_come_in_reading_order(open_reader: Open, script: Script) -> None:
    script.boxes = ((30, 21, 55, 29), (5, 1, 25, 9), (5, 20, 25, 28), (30, 2, 55, 10))
    pixels = picture(0)
    for word, (left, top, right, bottom) in enumerate(script.boxes):
        pixels[int(top) : int(bottom), int(left) : int(right), 0] = word
    (page,) = open_reader(classifier="none").read(pixels)
    assert page.text == "word 1 word 3\nword 2 word 0"
    assert [region.text[-1] for region in page.regions] == list("1320")
    assert page.rows == [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    ("task", "min_score", "kept"),
    [
        ("ocr", None, [127, 128, 200, 255][1:]),
        ("ocr", 0.9, [255]),
        ("ocr", 0.0, [0, 127, 128, 200, 255]),
        ("recognize", None, [0, 127, 128, 200, 255]),
        ("recognize", 0.5, [128, 200, 255]),
    ],
)
def test_what_is_below_the_least_score_is_left_out(
    open_reader: Open, task: str, min_score: float | None, kept: list[int]
) -> None:
    pages = list(open_reader(task=task, min_score=min_score).read(picture(1, green) for green in (0, 127, 128, 200, 255)))
    assert [round(page.regions[0].score * 255) for page in pages if page.regions] == kept
    assert all(page.error is None for page in pages)


@pytest.mark.parametrize(("min_score", "count"), [(None, 3), (0.3, 2), (0.95, 0)])
def test_the_least_score_of_detection_is_the_detectors(
    open_reader: Open, script: Script, min_score: float | None, count: int
) -> None:
    script.boxes, script.scores = [(0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10)], [0.1, 0.5, 0.9]
    (page,) = open_reader(task="detect", min_score=min_score).read(picture(1))
    assert len(page.regions) == count


@pytest.mark.parametrize("task", ["ocr", "recognize"])
def test_a_line_of_nothing_but_spaces_is_no_text(open_reader: Open, task: str) -> None:
    (page,) = open_reader(task=task).read(picture(1, blue=1))
    assert (page.error, page.regions) == (None, ())


def test_lines_are_recognized_in_batches(open_reader: Open, script: Script) -> None:
    script.boxes = [(left, 0, left + 5, 10) for left in range(0, 50, 10)]
    list(open_reader(batch_size=2).read(picture(1)))
    assert script.batches == [2, 2, 1]
    script.batches.clear()
    list(open_reader(task="recognize", batch_size=4).read(picture(red) for red in range(6)))
    assert script.batches == [4, 2]


# Lines on their heads, and strips


def upside_down() -> Pixels:
    """Return a line whose upright first pixel is (200, 255, 0), turned by 180 degrees."""
    pixels = picture(9)
    pixels[-1, -1] = 200, 255, 0
    pixels[-8:, -12:] = 200, 255, 0
    return pixels


@pytest.mark.parametrize(
    ("settings", "turned", "expected"),
    [
        ({}, 0.95, "word 200"),
        ({}, 0.85, "word 9"),
        ({"classifier": "none"}, 0.95, "word 9"),
        ({"classifier": "cls"}, 0.95, "word 200"),
    ],
)
def test_a_line_on_its_head_is_turned_where_the_classifier_is_sure(
    open_reader: Open, script: Script, settings: dict[str, str], turned: float, expected: str
) -> None:
    script.boxes, script.turned = ((0, 0, 60, 40),), turned
    (page,) = open_reader(**settings).read(upside_down())
    assert page.text == expected
    assert page.regions[0].polygon[0] == (0, 0), "the region is where it was found"
    assert page.pixels is not None
    assert page.pixels[0, 0].tolist() == [9, 255, 0], "the picture is as it was given"


def test_how_sure_the_classifier_must_be_is_the_models_own_option(
    open_reader: Open, script: Script, tmp_path: Path, weights: Path
) -> None:
    asked = tmp_path / "cls.json"
    asked.write_text(spec.to_json(replace(SPECS["cls"], options={"threshold": 0.5})))
    script.boxes, script.turned = ((0, 0, 60, 40),), 0.6
    (page,) = open_reader(classifier=str(weights), classifier_spec=asked).read(upside_down())
    assert page.text == "word 200"


def test_a_recognizer_is_not_given_turned_lines_of_pictures_that_are_lines(open_reader: Open, script: Script) -> None:
    assert texts(open_reader(task="recognize").read(upside_down())) == ["word 9"]
    assert script.opened == ["rec"]


def test_a_strip_is_padded_for_the_detector_and_its_regions_lie_in_the_strip(open_reader: Open, script: Script) -> None:
    pixels = picture(0, size=(20, 400))
    pixels[:, 100:150, 0] = 5
    above = (400 // 8 * 2 - 20) // 2
    script.boxes = ((100, above, 150, above + 20), (200, above - 4, 250, above + 24))
    (page,) = open_reader(classifier="none").read(pixels)
    assert script.sizes == [(20 + 2 * above, 400)]
    assert [region.polygon[0] for region in page.regions] == [(100, 0), (200, -4)], "it may overhang the strip, as it was found"
    assert [region.text for region in page.regions] == ["word 5", "word 0"]
    assert (page.height, page.width) == (20, 400)


# Opening and closing


def test_models_are_opened_once_and_closed_once(open_reader: Open, script: Script) -> None:
    with open_reader() as reader:
        list(reader.read([picture(1)] * 3))
        list(reader.read(picture(2)))
        assert script.opened == ["det", "rec", "cls"]
        assert script.closed == []
    assert sorted(script.closed) == ["cls", "det", "rec"]
    reader.close()
    reader.close()
    assert len(script.closed) == 3


def test_models_are_closed_where_the_block_fails(open_reader: Open, script: Script) -> None:
    with pytest.raises(LookupError), open_reader():
        raise LookupError
    assert sorted(script.closed) == ["cls", "det", "rec"]


@pytest.mark.parametrize(("refused", "error"), [("cls", OcrdError), ("cls by ctrl-c", KeyboardInterrupt)])
def test_a_model_that_cannot_be_opened_closes_those_before_it(
    open_reader: Open, script: Script, refused: str, error: type[BaseException]
) -> None:
    script.refuses = refused
    with pytest.raises(error):
        open_reader()
    assert script.opened == ["det", "rec"]
    assert sorted(script.closed) == ["det", "rec"]


@pytest.mark.parametrize("task", ["ocr", "recognize"])
def test_a_closed_reader_says_so(open_reader: Open, task: str) -> None:
    with open_reader(task=task, batch_size=1) as reader:
        pages = reader.read(endless([]))
        next(pages)
    with pytest.raises(ValueError, match="this Reader is closed"):
        list(itertools.islice(pages, 20))
    with pytest.raises(ValueError, match="this Reader is closed"):
        list(reader.read(picture(1)))


def test_a_reader_adds_up_where_the_time_of_all_pictures_went(open_reader: Open) -> None:
    reader = open_reader()
    parts = {"preprocess": 0.0, "infer": 0.0, "postprocess": 0.0}
    assert reader.spent_ms == dict.fromkeys(("detector", "recognizer", "classifier"), parts)
    list(reader.read(picture(1)))
    first = reader.spent_ms
    assert all(spent > 0 for parts in first.values() for spent in parts.values())
    list(reader.read(picture(1)))
    assert all(reader.spent_ms[role][part] > spent for role, parts in first.items() for part, spent in parts.items())


def test_the_precision_reaches_every_model(open_reader: Open, script: Script) -> None:
    open_reader(precision="fp16")
    # Graphs are converted first, and for that their ranges are measured in fp32.
    assert script.precisions.count("fp16") == 3
    script.precisions.clear()
    open_reader(task="detect")
    assert script.precisions == ["fp32"]


def test_what_runs_is_told_by_role_and_what_auto_chose_once(open_reader: Open) -> None:
    reader = open_reader()
    assert {role: loaded.device for role, loaded in reader.loaded.items()} == dict.fromkeys(
        ("detector", "classifier", "recognizer"), "cpu"
    )
    assert reader.chosen[:2] == ("backend auto: scripted", "device auto: cpu (det is small)")
    assert len(set(reader.chosen)) == len(reader.chosen), "nothing is said twice"
    assert reader.notes[0] == "detector: det, by default"
    assert open_reader(task="recognize", backend="scripted").chosen == ("device auto: cpu (rec is small)",)


@pytest.mark.parametrize(
    ("packs", "asked", "classifies"),
    [
        ([("det", "rec", "cls")], None, True),
        ([("det", "rec", "cls")], "none", False),
        ([("det", "rec"), ("cls",)], None, False),
        ([("det", "rec"), ("cls",)], "cls", True),
        ([("det", "rec")], None, False),
    ],
)
def test_lines_are_classified_where_the_recognizers_own_pack_can_or_where_it_is_asked(
    install_packs: Install, packs: list[tuple[str, ...]], asked: str | None, classifies: bool
) -> None:
    for recognizer in (None, "rec"):
        with Reader(plugins=install_packs(*packs), classifier=asked, recognizer=recognizer) as reader:
            assert ("classifier" in reader.loaded) == classifies


SETTINGS: dict[str, tuple[dict[str, Any], type[OcrdError], str]] = {
    "task": ({"task": "translate"}, UnknownName, "unknown task 'translate'"),
    "batch size": ({"batch_size": 0}, BadInput, "batch_size is 0"),
    "threads": ({"threads": -1}, BadInput, "threads is -1"),
    "backend": ({"backend": "scriptet"}, UnknownName, r"unknown backend 'scriptet' \(did you mean 'scripted'\?\)"),
    "detector": ({"detector": "dett"}, UnknownName, r"unknown model 'dett' \(did you mean 'det'\?\)"),
    "detector for another task": ({"detector": "rec"}, BadInput, "rec is a recognition model, not a detection model"),
    "no detector": ({"detector": "none"}, UnknownName, "unknown model 'none'"),
    "precision": ({"precision": "fp61"}, UnknownName, r"precision of backend 'scripted' 'fp61' \(did you mean 'fp16'"),
    "option": ({"backend_options": {"sped": "1"}}, UnknownName, r"option of backend 'scripted' 'sped' \(did you mean 'speed'"),
    "missing spec": ({"recognizer": "rec", "recognizer_spec": "no.json"}, BadInput, r"cannot read the specification no\.json"),
    "spec for no model": ({"detector_spec": "det.json"}, BadInput, "a spec is given for the detector, and no detector"),
    "missing library": ({"custom_ops": ["no.so"]}, BadInput, r"cannot read no\.so"),
}


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_setting_that_cannot_be_fails_before_the_first_picture(open_reader: Open, script: Script, kind: str) -> None:
    settings, error, problem = SETTINGS[kind]
    with pytest.raises(error, match=problem) as caught:
        open_reader(**settings)
    assert caught.value.fix
    assert sorted(script.opened) == sorted(script.closed)


def test_an_unknown_way_to_treat_errors_fails_at_once(open_reader: Open) -> None:
    with pytest.raises(UnknownName, match="unknown value of on_error 'ignore'"):
        open_reader().read(picture(1), on_error="ignore")


# With a backend that is installed


@pytest.fixture
def stripes(tmp_path: Path) -> dict[str, Any]:
    """The fake backend's models in ONNX files of their own, as settings for a reader."""
    stripes = pytest.importorskip("ocrdeploy_fake.stripes", reason="pip install -e tests/fake_backend")
    roles = {"detector": stripes.DETECTOR, "recognizer": stripes.RECOGNIZER, "classifier": stripes.CLASSIFIER}
    return {role: str(stripes.write_onnx(model, tmp_path / f"{role}.onnx")) for role, model in roles.items()}


def test_an_installed_stranger_reads_a_picture_from_end_to_end(stripes: dict[str, Any]) -> None:
    from ocrdeploy_fake.stripes import draw

    lines = ["abcd", "dcba", "aabbccdd"]
    with Reader(backend="fake", **stripes) as reader:
        (page,) = reader.read(draw(lines))
        assert reader.loaded["detector"].provider == "numpy"
    assert page.text.split("\n") == lines
    assert json.loads(json.dumps(page.to_dict()))["regions"][0]["text"] == "abcd", "a family's numbers are Python's"
