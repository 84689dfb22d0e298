"""What the HTML page is made of: safe markup, axes, places of names, exhibits. A browser looks at the whole elsewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ocrdeploy.evaluation.report import gallery, labels, markup, page, pairing, scales, schema
from ocrdeploy.evaluation.report.labels import Box
from ocrdeploy.evaluation.report.markup import Markup, tag

GOLDEN = Path(__file__).parent / "goldens" / "report.json"
ATTACK = "</script><img src=x onerror=\"alert('1')\">&amp;"


@pytest.fixture
def report() -> dict[str, Any]:
    return dict(schema.read(GOLDEN))


def white(_: object) -> Image.Image:
    return Image.new("RGB", (1280, 960), "white")


class Balance(HTMLParser):
    """Tells whether every element is closed where it should be."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, name: str, attrs: object) -> None:
        del attrs
        self.seen.append(name)
        if name not in {"meta", "link", "wbr"}:
            self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name


def test_text_is_escaped_and_markup_is_not() -> None:
    assert tag("p", "a < b", tag("b", '"'), class_="x y", data_row="'\"", hidden=True, title=None) == (
        '<p class="x y" data-row="&#x27;&quot;" hidden>a &lt; b<b>&quot;</b></p>'
    )
    assert isinstance(tag("p"), Markup)
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8">'
    assert tag("rect", x=1.0, width=1 / 3) == '<rect x="1" width="0.33"></rect>'


def test_what_no_page_can_hold_is_an_escape() -> None:
    made = markup.escape("a\x00\x1b\udce9")
    assert made == "a\\x00\\x1b\\udce9"
    made.encode("utf-8")


@pytest.mark.parametrize(
    ("low", "high", "ends"),
    [
        (0.68, 0.78, (0.672, 0.788)),
        (0.0, 1.0, (0.0, 1.0)),
        (0.95, 0.99, (0.9468, 0.9932)),
        (0.9, 0.9, (0.828, 0.972)),
        (0.0, 0.0, (0.0, 0.08)),
        (1.0, 1.0, (0.92, 1.0)),
        (0.5, 1.5, (0.42, 1.58)),
        (-0.1, 0.1, (-0.116, 0.116)),
    ],
)
def test_an_axis_holds_its_values_and_nothing_that_no_share_can_be(low: float, high: float, ends: tuple[float, float]) -> None:
    scale = scales.around(low, high)
    assert (scale.low, scale.high) == pytest.approx(ends)
    assert all(scale.low - 1e-9 <= tick <= scale.high + 1e-9 for tick in scale.ticks)
    assert 4 <= len(scale.ticks) <= 9
    assert len({scale.label(tick) for tick in scale.ticks}) == len(scale.ticks)


def test_an_axis_from_zero_holds_its_bars() -> None:
    scale = scales.from_zero(417.0)
    assert (scale.low, scale.ticks) == (0.0, (0.0, 100.0, 200.0, 300.0, 400.0))
    assert 0.95 < scale.share(417.0) < 1
    assert scale.share(5000.0) == 1
    assert scales.from_zero(0.0).share(0.0) == 0


def test_no_name_covers_another_or_a_point_even_in_a_crowd() -> None:
    points = [(200.0 + 9 * (index % 4), 150.0 + 7 * (index // 4)) for index in range(12)]
    names = [f"onnxruntime fp{index} cpu" for index in range(12)]
    dots = [Box(x - 8, y - 8, x + 8, y + 8) for x, y in points]
    frame = Box(0, 0, 880, 400)
    placed = labels.place(points, names, dots, frame)
    assert all(frame.holds(box) for box in placed)
    assert not any(one.meets(other) for index, one in enumerate(placed) for other in placed[index + 1 :])
    assert not any(name.meets(dot) for name in placed for dot in dots)


def test_a_name_that_is_alone_is_beside_its_point() -> None:
    ((left, top, _, bottom),) = labels.place([(100.0, 100.0)], ["a"], [], Box(0, 0, 400, 400))
    assert left > 100
    assert top < 100 < bottom


def test_a_name_that_is_too_long_ends_in_an_ellipsis() -> None:
    assert labels.shortened("short", 100) == "short"
    long = labels.shortened("x" * 50, 20 * labels.CHARACTER)
    assert long == "x" * 19 + "\u2026"


def test_answers_are_paired_by_box_or_by_place() -> None:
    box, far = [[0, 0], [10, 0], [10, 5], [0, 5]], [[50, 50], [60, 50], [60, 55], [50, 55]]
    found = pairing.pair(
        {"regions": [{"polygon": box, "text": "a"}, {"polygon": far, "text": "b"}]},
        {"regions": [{"polygon": far, "text": "b"}, {"polygon": box, "text": "c"}, {"polygon": [[90, 90], [99, 90], [99, 99]]}]},
    )
    assert [(ours["text"], theirs["text"]) for ours, theirs in found.unlike] == [("a", "c")]
    assert [ours["text"] for ours, _ in found.alike] == ["b"]
    assert (len(found.only_reference), len(found.only_row)) == (0, 1)
    lines = pairing.pair({"regions": [{"text": "a"}]}, {"regions": []})
    assert [region["text"] for region in lines.only_reference] == ["a"]
    assert pairing.pair({"problem": "x"}, {"regions": []}) == pairing.Pairing((), (), (), ())


def test_characters_that_differ_are_marked_on_both_sides() -> None:
    assert gallery._marked("CHECK-lN", "CHECK-IN") == "CHECK-<mark>l</mark>N"
    assert gallery._marked("a<b", "a") == "a<mark>&lt;b</mark>"
    assert gallery._marked("same", "same") == "same"
    assert "(nothing)" in gallery._marked("", "x")


def test_the_page_is_whole_and_every_element_closed(report: dict[str, Any]) -> None:
    made = page.to_html(report, white)
    parser = Balance()
    parser.feed(made)
    assert parser.open == []
    assert made.startswith('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">')
    assert parser.seen.count("article") == 8
    assert re.findall(r"(?:src|href)=\"(?!#|data:)[^\"]*\"", made) == []
    assert "url(" not in made
    assert "@import" not in made


def test_a_picture_is_embedded_once_and_small_however_many_rows_disagree(report: dict[str, Any]) -> None:
    made = page.to_html(report, white)
    assert made.count("<image ") == 8
    assert made.count('<use href="#picture-7">') == 2
    assert 'width="1280" height="960"' in made, "boxes are in pixels of the original"
    small = gallery._embedded(white(None))
    assert small is not None
    assert small.address.startswith("data:image/jpeg;base64,")
    line = gallery._embedded(Image.new("L", (100, 32)))
    assert line is not None
    assert line.address.startswith("data:image/png;base64,")


def test_a_picture_that_is_gone_leaves_its_boxes(report: dict[str, Any]) -> None:
    made = page.to_html(report, lambda _: None)
    assert "<image " not in made
    assert "<use " not in made
    assert made.count("The picture could not be opened when this page was made.") == 8
    assert made.count('class="picture missing"') == 17


def test_a_box_at_no_number_is_not_drawn(report: dict[str, Any]) -> None:
    report["rows"] = report["rows"][:2]
    report["rows"][1]["disagreements"][0]["row"]["regions"][0]["polygon"][0] = [float("nan"), float("inf")]
    for picture in (white, lambda _: None):
        made = page.to_html(schema.check(report, "x"), picture)
        assert not re.search(r'points="[^"]*(nan|inf)', made)
        assert len(re.findall(r'class="outline row', made)) == 2
        assert "only here" in made


def test_both_answers_are_drawn_and_what_differs_is_thick(report: dict[str, Any]) -> None:
    report["rows"] = report["rows"][:2]
    made = page.to_html(report, white)
    assert len(re.findall(r'class="outline reference"', made)) == 2
    assert len(re.findall(r'class="outline reference strong"', made)) == 1
    assert len(re.findall(r'class="outline row"', made)) == 2
    assert len(re.findall(r'class="outline row strong"', made)) == 1
    assert "CHECK-<mark>l</mark>N" in made


def test_nothing_of_a_stranger_is_markup(report: dict[str, Any]) -> None:
    report.update(title=ATTACK, command=ATTACK, reference=ATTACK)
    report["environment"]["packages"] = {ATTACK: ATTACK}
    report["dataset"].update(kind=ATTACK, path=ATTACK)
    for row in report["rows"]:
        row.update(id=row["id"] + ATTACK, backend=ATTACK, version=ATTACK, problem=ATTACK, fix=ATTACK, warnings=[ATTACK])
        for each in row.get("disagreements", ()):
            each.update(picture=ATTACK, true=[ATTACK], row={"problem": ATTACK})
    made = page.to_html(report, white)
    parser = Balance()
    parser.feed(made)
    assert parser.open == []
    assert "img" not in parser.seen
    assert parser.seen.count("script") == 1
    assert "<img" not in made


@pytest.mark.parametrize("kept", [0, 1, 3, 5])
def test_a_page_is_made_of_whatever_there_is(report: dict[str, Any], kept: int) -> None:
    report["rows"] = report["rows"][::-1][:kept]
    parser = Balance()
    parser.feed(page.to_html(report, white))
    assert parser.open == []


def test_without_labels_agreement_is_plotted(report: dict[str, Any]) -> None:
    for row in report["rows"]:
        row["metrics"] = {}
    made = page.to_html(report, white)
    assert "Agreement against latency" in made
    assert "agreement (higher is better)" in made


def test_the_barest_report_is_a_page() -> None:
    bare = {"schema": 1, "title": "t", "dataset": {}, "environment": {}, "rows": [{"id": "a", "status": "ok"}]}
    made = page.to_html(schema.check(bare, "x"), white)
    assert "<h1>t</h1>" in made
    assert "<section" in made
