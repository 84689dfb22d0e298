"""How the documents become a site: `python -m sphinx -W -c docs . build/site`, from the root of the checkout.

The source folder is the root, not docs/, so that a link means the same in the site as on a code host, also one from docs/ to
the README. What the site holds, and in which order, stands in docs/index.md alone: its headings and lists are the navigation.
"""

# ruff: noqa: INP001  # Sphinx reads it by its path

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]
INDEX = "docs/index"
LINK = re.compile(r"^- \[(?P<title>[^\]]+)\]\((?P<file>[^)#:]+\.md)\)", re.MULTILINE)
FORWARD = """<!doctype html>
<meta charset="utf-8"><title>{title}</title><meta http-equiv="refresh" content="0; url={target}">
<a href="{target}">{title}</a>
"""


def contents() -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the chapters of docs/index.md, each with its pages: titles for the navigation, and files as seen from the root."""
    found = []
    for chapter in (ROOT / f"{INDEX}.md").read_text(encoding="utf-8").split("\n## ")[1:]:
        links = [(link["title"], (ROOT / "docs" / link["file"]).resolve()) for link in LINK.finditer(chapter)]
        found.append((chapter.partition("\n")[0], [(title, file.relative_to(ROOT).as_posix()) for title, file in links]))
    return found


def add_navigation(_app: Sphinx, name: str, source: list[str]) -> None:
    """Append to the first page what Sphinx makes the navigation of, which would be noise to people who read the file itself."""
    if name != INDEX:
        return
    for chapter, pages in contents():
        entries = "".join(f"{title} </{file.removesuffix('.md')}>\n" for title, file in pages)
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {chapter}\n\n{entries}```\n"


def lead_to_the_first_page(app: Sphinx, failure: Exception | None) -> None:
    """Write index.html at the site's root: the pages lie below it as their files lie in the checkout."""
    if failure is None and app.builder.format == "html":
        page = FORWARD.format(title=project, target=f"{INDEX}.html")
        (Path(app.outdir) / "index.html").write_text(page, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx of the two functions above."""
    app.connect("source-read", add_navigation)
    app.connect("build-finished", lead_to_the_first_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


project = "ocrdeploy"
release = tomllib.loads((ROOT / "core" / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
html_title = f"{project} {release}"

extensions = ["myst_parser"]
root_doc = INDEX
# Every document, so that one which docs/index.md forgets is an error; a plugin's README is for the package index.
include_patterns = ["*.md", "docs/*.md", "benchmarks/*.md", "tests/agreement/*.md"]
myst_heading_anchors = 3
nitpicky = True
highlight_language = "text"

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
html_use_index = False
