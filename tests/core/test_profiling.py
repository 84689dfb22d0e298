"""Sizes from headers, shapes for engines, and what padding costs."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ocrdeploy import batching, images, lines, samples, sources
from ocrdeploy.errors import BadInput
from ocrdeploy.profiling import profile, report, shapes, sizes, summary, widths
from ocrdeploy.samples import Dataset
from ocrdeploy.vocabulary import (
    Align,
    Colour,
    Exact,
    Fit,
    Height,
    InputSpec,
    ModelSpec,
    Orientation,
    Placement,
    Region,
    Rounding,
    Sample,
    Task,
)

DETECTOR = ModelSpec("det", "dbnet", Task.DETECTION, InputSpec("x", Fit(1333, 736), pad_to=32), ("y",))
LINES = InputSpec("x", Height(32, width_multiple=16, rounding=Rounding.NEAREST, min_width=32), Colour.GRAY, align=Align.STRETCH)
RECOGNIZER = ModelSpec("rec", "ctc", Task.RECOGNITION, LINES, ("y",), charset=("a",))

ONE = (1, 1, 1)


def encoded(size: tuple[int, int], form: str = "PNG", orientation: int = 1, mode: str = "RGB") -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = BytesIO()
    Image.new(mode, size[::-1], 128).save(buffer, form, exif=exif)
    return buffer.getvalue()


def placed(*found: tuple[int, int], spec: InputSpec = DETECTOR.input) -> list[Placement]:
    return [batching.place(size, spec, index) for index, size in enumerate(found)]


# Sizes


@pytest.mark.parametrize("wanted", Orientation)
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF"])
def test_a_header_tells_the_size_that_decoding_gives(form: str, orientation: int, wanted: Orientation) -> None:
    data = encoded((20, 30), form, orientation)
    decoded = images.decode(data, name="a", orientation=wanted)
    assert sizes.upright_size(data, name="a", orientation=wanted) == decoded.shape[:2]


def test_transparent_and_gray_pictures_have_the_size_that_decoding_gives() -> None:
    for mode, orientation in itertools.product(("L", "LA", "RGBA", "P"), (1, 6)):
        data = encoded((20, 30), "PNG", orientation, mode)
        decoded = images.decode(data, name="a")
        assert sizes.upright_size(data, name="a", orientation=Orientation.EXIF) == decoded.shape[:2], (mode, orientation)


@pytest.mark.parametrize("data", [b"", b"text", encoded((20, 30))[:-9], encoded((20, 30), "JPEG")[:200]])
def test_a_damaged_picture_has_no_size(data: bytes) -> None:
    with pytest.raises(BadInput, match=r"'a\.png' is "):
        sizes.upright_size(data, name="a.png", orientation=Orientation.EXIF)


def dataset(folder: Path, *read: Sample) -> Dataset:
    return Dataset("toy", folder, read, tuple(sample.image.name for sample in read))


def test_a_dataset_is_measured_and_what_is_missing_or_damaged_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded((20, 30)))
    (tmp_path / "b.jpg").write_bytes(encoded((20, 30), "JPEG", 6))
    (tmp_path / "c.png").write_bytes(b"no picture")
    read = [Sample(tmp_path / name) for name in ("a.png", "b.jpg", "c.png", "d.png")]
    found = list(sizes.of_dataset(dataset(tmp_path, *read, Sample(Path("e"), data=encoded((5, 6)))), DETECTOR))
    assert [(each.name, each.size) for each in found] == [
        ("a.png", (20, 30)),
        ("b.jpg", (30, 20)),
        ("c.png", None),
        ("d.png", None),
        ("e", (5, 6)),
    ]
    assert str(found[2].error).startswith("'c.png' is not a picture")
    assert str(found[3].error) == "'d.png' cannot be read: No such file or directory"
    with pytest.raises(BadInput, match=r"d\.png"):
        found[3].known()


def test_a_recognizer_gets_the_lines_that_are_labelled_in_a_picture(tmp_path: Path) -> None:
    corners = [
        ((5, 5), (65, 5), (65, 25), (5, 25)),
        ((10.5, 10), (80, 20), (78, 44), (8, 34)),
        ((50, 10), (60, 10), (60, 70), (50, 70)),
        ((90, 50), (140, 50), (140, 90), (90, 90)),
    ]
    (tmp_path / "a.png").write_bytes(encoded((80, 120)))
    regions = [Region(polygon) for polygon in corners]
    sample = Sample(tmp_path / "a.png", (regions[0], Region(text="no polygon"), *regions[1:]), ignored=(regions[0],))
    found = list(sizes.of_dataset(dataset(tmp_path, sample), RECOGNIZER))
    picture = np.zeros((80, 120, 3), np.uint8)
    assert [each.size for each in found] == [lines.cut_line(picture, polygon).shape[:2] for polygon in corners]
    assert [each.name for each in found] == [f"a.png, line {number}" for number in (1, 3, 4, 5)]
    assert [each.size for each in sizes.of_dataset(dataset(tmp_path, sample), DETECTOR)] == [(80, 120)]
    assert [sizes.expected(dataset(tmp_path, sample), model) for model in (RECOGNIZER, DETECTOR)] == [4, 1]


def test_pages_are_measured_one_by_one_and_files_by_their_header(tmp_path: Path) -> None:
    Image.new("L", (30, 20)).save(tmp_path / "a.tif", save_all=True, append_images=[Image.new("L", (40, 10))])
    (tmp_path / "b.jpg").write_bytes(encoded((20, 30), "JPEG", 6))
    (tmp_path / "c.jpg").write_bytes(b"")
    (tmp_path / "d.tif").write_bytes(b"II*\0")
    found = list(sizes.of_inputs(sources.find([tmp_path, tmp_path / "e"]), DETECTOR.input))
    assert [each.size for each in found] == [(20, 30), (10, 40), (30, 20), None, None, None]
    assert [Path(each.name).name for each in found] == ["a.tif#1", "a.tif#2", "b.jpg", "c.jpg", "d.tif", "e"]
    assert all((each.size is None) != (each.error is None) for each in found)


def test_three_thousand_words_have_the_sizes_that_decoding_gives(data_folder: Path) -> None:
    from ocrdeploy.plugins import discover

    words = samples.load(discover(), f"iiit5k:{data_folder / 'iiit5k'}")
    found = list(sizes.of_dataset(words, RECOGNIZER))
    assert len(found) == 3000
    for each, sample in list(zip(found, words.samples, strict=True))[::100]:
        assert each.size == images.decode(sample.data or sample.image.read_bytes(), name=each.name).shape[:2]


# Shapes


def test_the_shapes_hold_every_tensor_and_the_usual_one_is_where_the_pixels_are() -> None:
    found = profile(placed((480, 640), (480, 640), (640, 480), (100, 1000)), DETECTOR.input, batches=(1, 2, 4))
    assert found.sizes == {(736, 992): 2, (992, 736): 1, (160, 1344): 1}
    assert (found.shapes.min, found.shapes.opt, found.shapes.max) == ((1, 3, 160, 736), (2, 3, 736, 992), (4, 3, 992, 1344))
    assert found.multiples == (32, 32)
    assert found.outside == ()
    assert " ".join(shapes.options(found.shapes)) == ("--min-shape 1x3x160x736 --opt-shape 2x3x736x992 --max-shape 4x3x992x1344")


def test_the_largest_pictures_may_be_left_out() -> None:
    small, large = [(480, 640)] * 98, [(640, 480), (100, 1000)]
    found = profile(placed(*small[:50], *large, *small[50:]), DETECTOR.input, batches=ONE, cover=0.98)
    assert found.shapes.max == (1, 3, 736, 992)
    assert found.outside == (50, 51)
    assert found.at_max.fit == 98
    assert profile(placed(*small, *large), DETECTOR.input, batches=ONE, cover=0.981).outside != (98, 99)


def test_the_box_that_covers_a_share_is_the_smallest_there_is() -> None:
    random = np.random.default_rng(0)
    for _ in range(100):
        counted = Counter((int(h), int(w)) for h, w in random.integers(1, 12, (30, 2)))
        share = float(random.uniform(0.1, 1))
        boxes = [
            height * width
            for height, width in itertools.product(range(1, 12), repeat=2)
            if sum(n for size, n in counted.items() if shapes.fits(size, (height, width))) >= share * 30
        ]
        assert math.prod(shapes.covering(counted, share)) == min(boxes)


def test_a_share_of_whole_pictures_is_not_missed_by_rounding() -> None:
    assert shapes.covering({(1, width): 1 for width in range(1, 11)}, 0.7) == (1, 7), "0.7 * 10 is a little more than 7"
    assert shapes.covering({(1, width): 1 for width in range(1, 11)}, 0.71) == (1, 8)


def test_shapes_stand_in_the_order_of_the_layout() -> None:
    spec = InputSpec("x", Exact(48, 192), layout="NHWC")
    assert profile(placed((5, 9), spec=spec), spec, batches=(1, 8, 8)).shapes.max == (8, 48, 192, 3)


# Padding


def test_what_padding_costs_is_counted_in_pixels() -> None:
    tensors = [Placement(0, (1, 1), (10, 8), (10, 10)), Placement(1, (1, 1), (10, 20), (10, 20))]
    now, both, small = (summary.padded(tensors, each) for each in ((), ((10, 30), (10, 20)), ((10, 10),)))
    assert (now.fit, now.pixels, now.own, now.content) == (2, 300, 300, 280)
    assert now.padding == pytest.approx(20 / 300)
    assert now.more == 0
    assert (both.fit, both.pixels, both.own) == (2, 400, 300)
    assert both.padding == pytest.approx(120 / 400)
    assert both.more == pytest.approx(100 / 300)
    assert (small.fit, small.pixels, small.own, small.content) == (1, 100, 100, 80)
    none = summary.padded(tensors, ((1, 1),))
    assert (none.fit, none.padding, none.more) == (0, 0, 0)


def area(counted: Counter[int], chosen: tuple[int, ...]) -> int:
    return sum(count * min(each for each in chosen if each >= width) for width, count in counted.items())


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_the_widths_are_the_best_there_are(count: int) -> None:
    random = np.random.default_rng(count)
    for _ in range(40):
        counted = Counter(random.integers(1, 40, random.integers(1, 25)).tolist())
        chosen = widths.best(counted, count)
        assert list(chosen) == sorted(set(chosen))
        assert len(chosen) == min(count, len(counted))
        every = itertools.combinations(counted, min(count, len(counted)))
        assert area(counted, chosen) == min(area(counted, each) for each in every if max(each) == max(counted))


def test_lines_are_tried_in_two_and_three_widths_and_pages_are_not() -> None:
    found = profile(placed((10, 10), (10, 20), (10, 40), (10, 160), spec=LINES), LINES, batches=(1, 8, 8))
    assert [cost.sizes for cost in found.buckets] == [((32, 128), (32, 512)), ((32, 64), (32, 128), (32, 512))]
    assert [cost.more for cost in found.buckets] == sorted((cost.more for cost in found.buckets), reverse=True)
    assert profile(placed((10, 10), (10, 20), spec=LINES), LINES, batches=ONE).buckets == ()
    assert profile(placed((480, 640), (640, 480), (400, 640)), DETECTOR.input, batches=ONE).buckets == ()


# Reports


def test_the_histogram_shows_the_most_frequent_sizes_and_sums_up_the_rest() -> None:
    found = profile(placed(*[(10, 10 * n) for n in range(1, 31) for _ in range(n)], spec=LINES), LINES, batches=(1, 8, 8))
    text = report.to_text(found, RECOGNIZER, "words", [])
    assert text.startswith("rec (recognition) on words: 465 tensors of 30 sizes\n")
    rows = text.split("\n\n")[1].splitlines()
    assert len(rows) == 1 + report.MOST + 1
    assert rows[1].split() == ["32", "x", "960", "30", "6.5", "%", "#" * report.BAR]
    assert rows[-1].split() == ["10", "more", "55", "11.8", "%"]
    assert "\nheights  32\nwidths   32 to 960, multiples of 32\n" in text
    assert text.endswith("\n\n--min-shape 1x1x32x32 --opt-shape 8x1x32x960 --max-shape 8x1x32x960\n")


def test_pictures_that_do_not_fit_are_named_the_first_few() -> None:
    found = profile(placed(*[(10, 10)] * 93, *[(10, 20 + n) for n in range(7)], spec=LINES), LINES, batches=ONE, cover=0.93)
    names = [f"{index}.png" for index in found.outside]
    text = report.to_text(found, RECOGNIZER, "words", names)
    assert "\n7 of 100 pictures do not fit into --max-shape:\n  93.png\n  94.png\n  95.png\n  96.png\n  97.png\n  ...\n" in text
    plain: dict[str, Any] = report.to_dict(found, RECOGNIZER, "words", names, 0.93)
    assert (plain["fit"], plain["outside"], plain["max_shape"]) == (93, names, [1, 1, 32, 32])
    assert [each["padded_to"] for each in plain["costs"]] == ["own", "opt", "max"]
