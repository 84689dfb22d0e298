"""Word accuracy on cropped words: letters and digits, case ignored.

    python benchmarks/words.py FOLDER [--limit 700] [--recognizer ppocr-v6-rec] [--json FILE]

FOLDER holds pictures and a test_labels.tsv: path, tab, word.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from importlib.metadata import version
from pathlib import Path

from ocrdeploy import Reader


def letters(text: str) -> str:
    return re.sub(r"[^0-9a-z]", "", text.lower())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int, default=700, help="only the first N words (0: all)")
    parser.add_argument("--recognizer", default="ppocr-v6-rec")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    rows = [line.split("\t") for line in (options.folder / "test_labels.tsv").read_text().splitlines()][: options.limit or None]
    started = time.perf_counter()
    with Reader(task="recognize", recognizer=options.recognizer, batch_size=options.batch_size) as reader:
        pages = reader.read([options.folder / path for path, _ in rows], on_error="raise")
        right = sum(letters(page.text) == letters(word) for page, (_, word) in zip(pages, rows, strict=True))
    spent = time.perf_counter() - started
    print(f"{right} of {len(rows)} words right: accuracy {right / len(rows):.4f} ({options.recognizer}, {spent:.1f} s)")
    if options.json:
        figures = {"words": len(rows), "right": right, "accuracy": right / len(rows), "ocrdeploy": version("ocrdeploy")}
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
