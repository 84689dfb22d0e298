"""Whole processes: `ocrd --help` beside `import click`, and `ocrd run` on one picture beside rapidocr.

    python benchmarks/startup.py [--picture FILE] [--runs N] [--json FILE]

Each command runs in turn with the others, so that a noisy minute falls on all. Printed: wall time, processor time and the
peak of resident memory, each the median over the runs, and the ratios of the medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Run:
    """One process from start to end."""

    wall_s: float
    cpu_s: float
    peak_mib: float


def run(command: list[str]) -> Run:
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with exit code {process.returncode}")
    return Run(wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def medians(runs: list[Run]) -> Run:
    return Run(*(statistics.median(getattr(each, name) for each in runs) for name in ("wall_s", "cpu_s", "peak_mib")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=Path, default=ROOT / "docs" / "demo.png")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    python, picture = sys.executable, str(options.picture)
    rapidocr = f"from rapidocr import RapidOCR; print(RapidOCR(params={{'Global.log_level': 'error'}})({picture!r}).txts)"
    commands = {
        "import click": [python, "-c", "import click"],
        "ocrd --help": [str(Path(python).with_name("ocrd")), "--help"],
        "ocrd run": [str(Path(python).with_name("ocrd")), "run", picture],
        "rapidocr": [python, "-c", rapidocr],
    }
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for turn in range(options.runs + 1):
        for name, command in commands.items():
            result = run(command)
            if turn:  # the first turn fills the caches, the file system's and ours
                runs[name].append(result)
    figures = {name: medians(each) for name, each in runs.items()}
    for name, figure in figures.items():
        print(f"{name:14} wall {figure.wall_s:7.3f} s   processor {figure.cpu_s:7.3f} s   peak {figure.peak_mib:7.1f} MiB")
    help_ratio = figures["ocrd --help"].wall_s / figures["import click"].wall_s
    run_ratio = figures["rapidocr"].wall_s / figures["ocrd run"].wall_s
    memory_ratio = figures["ocrd run"].peak_mib / figures["rapidocr"].peak_mib
    print(f"ocrd --help takes {help_ratio:.2f} x import click")
    print(f"ocrd run, from process start to text, is {run_ratio:.2f} x as fast as rapidocr, with {memory_ratio:.2f} x its memory")
    if options.json:
        plain = {name: vars(figure) for name, figure in figures.items()}
        options.json.write_text(json.dumps({"medians": plain, "runs": options.runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
