"""A picture's text does not depend on what else is in its batch, on its place there, on the batch's size or on threads."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from ocrdeploy import Reader, backend
from ocrdeploy.page import Page
from ocrdeploy.plugins import Plugins, discover
from ocrdeploy.vocabulary import Pixels

Read: TypeAlias = Callable[..., list[Page]]

BATCH_SIZES = (1, 2, 3, 7, 16)
NEEDED = ("ppocr-v6-det", "ppocr-v6-rec", "ppocr-v2-cls")


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    found = discover()
    if missing := [name for name in NEEDED if name not in found.models]:
        pytest.skip(f"needs the models {', '.join(missing)}: pip install ocrdeploy-ppocr")
    return found


@pytest.fixture(scope="module", params=["onnxruntime"])
def read(request: pytest.FixtureRequest, plugins: Plugins) -> Iterator[Read]:
    """Read pictures on a real backend, in the order of `seed`; pages come in the pictures' own order."""
    name: str = request.param
    if name not in plugins.backends:
        pytest.skip(f"needs the backend {name}: pip install 'ocrdeploy-{name}[cpu]'")
    if problem := backend.probe(plugins, name).problem:
        pytest.skip(f"needs the backend {name}: {problem}")
    opened: dict[tuple[str, int], Reader] = {}

    def reader(task: str, threads: int) -> Reader:
        if (task, threads) not in opened:
            settings: dict[str, Any] = {"backend": name, "device": "cpu", "min_score": 0, "plugins": plugins}
            opened[task, threads] = Reader(task=task, threads=threads, **settings)
        return opened[task, threads]

    def pages(pictures: Sequence[Path | Pixels], *, task: str, batch_size: int, threads: int, seed: int = 0) -> list[Page]:
        order = list(range(len(pictures)))
        if seed:
            random.Random(seed).shuffle(order)
        reader(task, threads).batch_size = batch_size
        found = list(reader(task, threads).read((pictures[index] for index in order), on_error="raise"))
        return [page for _, page in sorted(zip(order, found, strict=True), key=lambda pair: pair[0])]

    yield pages
    for each in opened.values():
        each.close()


def assert_invariant(read: Read, pictures: Sequence[Path | Pixels], threads: Sequence[int]) -> list[str]:
    """Read lines in batches of every size, in every order; return their texts."""
    alone = read(pictures, task="recognize", batch_size=1, threads=1)
    texts = [page.text for page in alone]
    for count in threads:
        for batch_size in BATCH_SIZES:
            pages = read(pictures, task="recognize", batch_size=batch_size, threads=count, seed=batch_size)
            assert [page.text for page in pages] == texts, (count, batch_size)
            for page, reference in zip(pages, alone, strict=True):
                assert [region.score for region in page.regions] == pytest.approx(
                    [region.score for region in reference.regions], abs=1e-3
                )
    return texts


def letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def aspect(path: Path) -> float:
    with Image.open(path) as image:
        return image.width / image.height


def test_the_text_of_real_crops_does_not_depend_on_their_batch(read: Read, data_folder: Path) -> None:
    labels = (data_folder / "iiit5k" / "test_labels.tsv").read_text(encoding="utf-8").splitlines()
    words = {data_folder / "iiit5k" / name: word for name, word in (line.split("\t") for line in labels)}
    by_width = sorted(words, key=lambda path: (aspect(path), path))
    pictures = by_width[:-6:56] + by_width[-6:]  # most lines of this set are padded to one width; the widest are not
    assert len(pictures) == 60
    texts = assert_invariant(read, pictures, threads=(1, 2))
    right = sum(letters(text) == letters(words[path]) for text, path in zip(texts, pictures, strict=True))
    assert right >= 54, "the words are read, so there is something to compare"


WORDS = ("platform", "seven", "departs", "at", "noon", "towards", "the", "harbour", "bridge", "and", "museum")
RENDERED = [" ".join(WORDS[start : start + count]) for count in (1, 2, 4, 6) for start in range(0, 6, 2)]


def rendered(text: str, size: int) -> Pixels:
    """Return a line of dark text on a light ground, with a little noise, so that nearly equal scores are possible."""
    font = ImageFont.load_default(size)
    width = int(font.getlength(text)) + 20
    image = Image.new("RGB", (width, size + 16), (235, 230, 215))
    ImageDraw.Draw(image).text((10, 4), text, fill=(40, 45, 70), font=font)
    noise = np.random.default_rng(len(text)).integers(-12, 13, (size + 16, width, 3))
    noisy: Pixels = np.clip(np.asarray(image, np.int16) + noise, 0, 255).astype(np.uint8)
    return noisy


def test_the_text_of_rendered_lines_does_not_depend_on_their_batch(read: Read) -> None:
    pictures = [rendered(text, 20 + 4 * (index % 4)) for index, text in enumerate(RENDERED)]
    texts = assert_invariant(read, pictures, threads=(2,))
    right = sum(text.replace(" ", "") == line.replace(" ", "") for text, line in zip(texts, RENDERED, strict=True))
    assert right >= len(RENDERED) - 2


def test_the_text_of_a_page_does_not_depend_on_the_batches_of_its_lines(read: Read) -> None:
    lines = [rendered(text, 28) for text in RENDERED[:7]]
    page = np.full((60 * len(lines) + 40, max(line.shape[1] for line in lines) + 80, 3), (235, 230, 215), np.uint8)
    for row, line in enumerate(lines):
        top = 30 + 60 * row
        page[top : top + line.shape[0], 40 : 40 + line.shape[1]] = line
    (alone,) = read([page], task="ocr", batch_size=1, threads=1)
    assert alone.text.replace(" ", "").split("\n") == [text.replace(" ", "") for text in RENDERED[:7]]
    for batch_size in (2, 16):
        (together,) = read([page], task="ocr", batch_size=batch_size, threads=2)
        assert [region.text for region in together.regions] == [region.text for region in alone.regions]
