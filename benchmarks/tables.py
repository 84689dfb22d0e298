"""Make docs/results.md: the tables of `ocrd eval` on the research data, each under the command that made it.

    python benchmarks/tables.py DATA [--limit N] [--reports FOLDER] [--target docs/results.md]

DATA is the folder of the research data; every command is run there. The whole takes about half an hour on two quiet cores.
FOLDER, if given, keeps the reports as JSON and as pages. What stands in the target between the markers of a table is replaced;
what stands elsewhere stays.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

CRNN = "crnn_academic_dataset::checkpoints/crnn_academic_selftrained.pth"
DBNET = "dbnet_r18_fpnc_1200e_icdar2015::checkpoints/dbnet_r18_selftrained.pth"
PPOCR = "ppocr-v6-det+ppocr-v6-rec"

TABLES: dict[str, tuple[str, ...]] = {
    "words-ppocr": ("ppocr-v6-rec", "--dataset", "iiit5k:iiit5k", "--backend", "all"),
    "words-crnn": (CRNN, "--dataset", "iiit5k:iiit5k", "--backend", "all"),
    "boxes-dbnet": (DBNET, "--dataset", "words-json:icdar03_scene", "--backend", "all", "--details"),
    "boxes-dbnet-toy": (DBNET, "--dataset", "mmocr1:mmocr_det_toy", "--backend", "all", "--details"),
    "pages-ppocr": (PPOCR, "--dataset", "words-json:icdar03_scene", "--backend", "all"),
    "pages-mmocr": (f"{DBNET}+{CRNN}", "--dataset", "words-json:icdar03_scene", "--backend", "all"),
}
"""Each table's name and its `ocrd eval`."""


def run(name: str, arguments: tuple[str, ...], data: Path, folder: Path, limit: int) -> str:
    """Return the table as Markdown, under its command and followed by where and when it was made."""
    more = ("--limit", str(limit)) if limit else ()
    report, page, table = (folder / f"{name}.{suffix}" for suffix in ("json", "html", "md"))
    files = ("--json", str(report), "--html", str(page), "--markdown", str(table))
    command = [sys.executable, "-m", "ocrdeploy", "eval", *arguments, *more, *files]
    # The backend of the tests is no one's choice.
    subprocess.run(command, cwd=data, check=True, env={**os.environ, "OCRDEPLOY_DISABLED_PLUGINS": "fake"})
    facts = json.loads(report.read_text(encoding="utf-8"))
    shown = shlex.join(["ocrd", "eval", *arguments, *more])
    return f"\n    {shown}\n\n{_lower(table.read_text(encoding='utf-8'))}{_sweep(facts)}\n{_where(facts)}\n"


def _lower(table: str) -> str:
    """Put the table's heading below those of the document."""
    return re.sub(r"^## ", "#### ", table, flags=re.MULTILINE)


def _sweep(facts: dict[str, Any]) -> str:
    """Return hmean's sweep over the score thresholds, where there is one: a line for each row that ran."""
    lines = []
    for row in facts["rows"]:
        sweep = (row.get("metrics") or {}).get("hmean-iou", {}).get("details", {}).get("per_threshold")
        if sweep and facts["task"] == "detect":
            cells = [f"{each['recall']:.3f} / {each['precision']:.3f} / {each['hmean']:.3f}" for each in sweep]
            lines.append(f"| {row['backend']} | {' | '.join(cells)} |")
            scores = [f"{each['threshold']:.1f}" for each in sweep]
            head = f"| recall / precision / hmean at a score of | {' | '.join(scores)} |"
            rule = "| --- |" + " ---: |" * len(sweep)
    return "\n".join(["", head, rule, *lines, ""]) if lines else ""


def _where(facts: dict[str, Any]) -> str:
    machine, packages = facts["environment"], facts["environment"]["packages"]
    versions = ", ".join(
        f"{name} {packages[name]}" for name in ("ocrdeploy", "numpy", "opencv-python-headless") if name in packages
    )
    load = machine["load"]
    return (
        f"Measured on {date.fromisoformat(facts['finished'][:10])}: {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB, no GPU, Python {machine['python']}, {versions}; "
        f"load {load['before']} before, {load['after']} after."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Make docs/results.md.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--reports", type=Path)
    parser.add_argument("--target", type=Path, default=Path("docs/results.md"))
    parser.add_argument("--only", choices=TABLES, action="append")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.reports or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        for name in options.only or TABLES:
            made = run(name, TABLES[name], options.data, folder, options.limit)
            text = options.target.read_text(encoding="utf-8")
            marked = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
            text, found = marked.subn(lambda place, made=made: f"{place[1]}{made}{place[2]}", text)  # type: ignore[misc]
            if not found:
                raise SystemExit(f"{options.target} has no place for the table {name}: <!-- table: {name} --> ... <!-- end -->")
            options.target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
