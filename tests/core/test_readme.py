"""README's two commands are what CI runs, name things that are there, and the documents' links lead somewhere."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
DOCUMENTS = sorted(
    path for pattern in ("*.md", "docs/*.md", "core/*.md", "plugins/*/*.md", "tests/*/*.md") for path in REPOSITORY.glob(pattern)
)


def command(name: str) -> str:
    found = re.findall(rf"^<!-- command: {name} -->\n```sh\n(.+)\n```$", README, re.MULTILINE)
    assert len(found) == 1
    return str(found[0])


def test_the_first_command_installs_and_reads_what_is_in_the_checkout() -> None:
    install, _, read = command("read").partition(" && ")
    words = shlex.split(install)
    assert words[:2] == ["pip", "install"]
    folders = [word.partition("[")[0] for word in words if word.startswith("./")]
    assert {"./core", "./plugins/onnxruntime", "./plugins/ppocr"} <= set(folders)
    assert all((REPOSITORY / folder / "pyproject.toml").is_file() for folder in folders)
    assert words[-2:] == ["-c", "constraints.txt"]
    assert read == "ocrd run docs/demo.png"


def test_the_first_command_survives_a_shell_that_expands_brackets() -> None:
    assert re.search(r"(?<!')\./[\w/]+\[", command("read")) is None


def test_the_second_command_installs_and_tests() -> None:
    assert command("test") == "pip install -r requirements-dev.txt && python -m pytest"


def test_ci_takes_both_commands_from_the_readme() -> None:
    script = REPOSITORY / ".ci" / "run"
    subprocess.run(["bash", "-n", str(script)], check=True)
    text = script.read_text(encoding="utf-8")
    assert "readme_command read" in text
    assert "readme_command test" in text
    assert "requirements-dev.txt" not in text


def test_the_demo_picture_is_small() -> None:
    assert 0 < (REPOSITORY / "docs" / "demo.png").stat().st_size < 200_000


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_links_lead_to_files_and_headings_that_exist(path: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        file, _, heading = target.partition("#")
        linked = path.parent / file if file else path
        assert linked.exists(), f"{path.name} links to {target}"
        if heading:
            assert heading in headings(linked), f"{path.name} links to {target}"


def headings(path: Path) -> set[str]:
    """The anchors that a Markdown reader makes of a document's headings."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
