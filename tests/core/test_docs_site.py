"""The documents are a site: every page is in the navigation, it builds without a warning, and it loads nothing from elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from ocrdeploy import hookspecs

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md")])
INDEX = (REPOSITORY / "docs" / "index.md").read_text(encoding="utf-8")
LOADS = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}


class Loaded(HTMLParser):
    """The addresses that a page loads something from; links are not among them."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value for name, value in attrs if name == LOADS.get(tag) and value]


def relative(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def test_the_first_page_leads_to_every_document_once() -> None:
    links = [(REPOSITORY / "docs" / target).resolve() for target in re.findall(r"^- \[[^\]]+\]\(([^)]+)\)", INDEX, re.MULTILINE)]
    assert len(links) == len(set(links))
    missing = {relative(page) for page in PAGES if page.name != "index.md"} - {relative(link) for link in links}
    assert not missing, f"docs/index.md, whose lists are the site's navigation, does not lead to {', '.join(sorted(missing))}"


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_a_page_has_one_title(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert text.startswith("# ")
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1


def test_the_picture_of_the_architecture_has_every_hook() -> None:
    picture = ET.parse(REPOSITORY / "docs" / "architecture.svg")  # it is in this repository
    words = {word for text in picture.iter("{http://www.w3.org/2000/svg}text") for word in "".join(text.itertext()).split()}
    hooks = {name for name in vars(hookspecs) if name.startswith("ocrd_")}
    assert {word for word in words if word.startswith("ocrd_")} == hooks


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as CONTRIBUTING.md says; a warning, such as one of a link that leads nowhere, ends the build."""
    if not find_spec("sphinx"):
        pytest.skip("the site needs Sphinx: pip install -r requirements-dev.txt")
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", "docs", "-d", str(target / "trees"), "."]
    done = subprocess.run([*command, str(target / "html")], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target / "html"


def test_the_site_has_every_page_and_a_search(site: Path) -> None:
    assert 'url=docs/index.html"' in (site / "index.html").read_text(encoding="utf-8")
    for page in PAGES:
        assert (site / page.relative_to(REPOSITORY).with_suffix(".html")).is_file()
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    assert (site / "search.html").is_file()
    assert "docs/tensorrt" in index
    assert "hmean" in index


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(PAGES)
    for page in pages:
        parser = Loaded()
        parser.feed(page.read_text(encoding="utf-8"))
        assert [address for address in parser.addresses if re.match(r"(\w+:)?//", address)] == [], page.name
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert not re.search(r"@import|url\([\"']?(https?:)?//", text), style.name


def test_the_navigation_names_the_pages_in_the_order_of_the_first_page(site: Path) -> None:
    page = (site / "docs" / "index.html").read_text(encoding="utf-8")
    shown = re.findall(r'<a class="reference internal" href="([^"#]+)\.html">', page)
    linked = [target.removesuffix(".md") for target in re.findall(r"^- \[[^\]]+\]\(([^)]+)\)", INDEX, re.MULTILINE)]
    assert shown[: len(linked)] == linked
