"""The readers on real label files: what is in them is read, and nothing is complained of that is not true."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ocrdeploy import samples
from ocrdeploy.plugins import Plugins, discover


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return discover()


@pytest.mark.parametrize(
    ("path", "kind", "counts", "faults"),
    [
        ("iiit5k", "iiit5k", (3000, 3000, 0), {}),
        ("iiit5k/test_labels.tsv", "iiit5k", (3000, 3000, 0), {}),
        # Two boxes begin left of the picture, by 4 and by 2 pixels, and words.json leaves Pict0013 out.
        ("icdar03_scene", "words-json", (150, 720, 0), {"outside": 2, "unlabelled picture": 1}),
        ("icdar03_scene/words.json", "words-json", (150, 720, 0), {"outside": 2}),
        ("mmocr_det_toy", "mmocr1", (10, 21, 61), {}),
        ("ctw1500_one", "ctw1500", (1, 3, 0), {}),
        ("cute80", "pictures", (2, 0, 0), {}),
    ],
)
def test_pictures_with_their_labels(
    plugins: Plugins, data_folder: Path, path: str, *, kind: str, counts: tuple[int, int, int], faults: dict[str, int]
) -> None:
    read = samples.load(plugins, str(data_folder / path))
    assert read.kind == kind
    regions, ignored = (sum(len(getattr(sample, each)) for sample in read.samples) for each in ("regions", "ignored"))
    assert (len(read.samples), regions, ignored) == counts
    assert samples.missing(read) == []
    assert Counter(fault.kind for fault in samples.faults(read)) == faults


@pytest.mark.parametrize(
    ("name", "kind", "counts", "texts"),
    [("ctw1500-gt.zip", "ctw1500", (3068, 0), False), ("icdar2015_test_gt.zip", "icdar2015", (2077, 3153), True)],
)
def test_labels_without_pictures(
    plugins: Plugins, data_folder: Path, name: str, kind: str, counts: tuple[int, int], *, texts: bool
) -> None:
    read = samples.load(plugins, str(data_folder / "gt_only" / name))
    assert read.kind == kind
    assert (sum(len(sample.regions) for sample in read.samples), sum(len(sample.ignored) for sample in read.samples)) == counts
    assert samples.missing(read) == list(range(500))
    assert read.texts is texts
    assert read.polygons
    assert [fault.words for fault in samples.faults(read, pictures=False)] == []


def test_texts_and_places_of_a_few(plugins: Plugins, data_folder: Path) -> None:
    words = samples.load(plugins, str(data_folder / "iiit5k"))
    assert (words.names[0], words.samples[0].regions[0].text) == ("test/1002_1.png", "PRIVATE")
    scene = samples.load(plugins, str(data_folder / "icdar03_scene"))
    first = scene.samples[0].regions[0]
    assert (first.text, first.polygon) == ("311", ((196, 901), (307, 901), (307, 968), (196, 968)))
    bent = samples.load(plugins, str(data_folder / "ctw1500_one"))
    assert {len(region.polygon) for region in bent.samples[0].regions} == {14}
