"""Run the contract suite on one plugin, in a process of its own, and read what became of it."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from ocrdeploy.errors import OcrdError, Unavailable

_PASSED, _FAILED = 0, 1
"""Exit codes of pytest; all others say that the tests were not run."""


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """How many tests passed and were skipped, and what each that failed says."""

    passed: int
    skipped: int
    failures: Mapping[str, str]


def run(option: str, path: Sequence[str]) -> SuiteResult:
    """Run the tests that `option` (--ocrd-backend=NAME or --ocrd-models=NAME) asks for, with `path` before `sys.path`.

    Raises `OcrdError` where they cannot be run.
    """
    if find_spec("pytest") is None:
        raise Unavailable("the contract suite needs pytest, which is not installed", "pip install 'ocrdeploy[testing]'")
    with TemporaryDirectory(prefix="ocrdeploy-suite-") as folder:
        report = Path(folder) / "report.xml"
        done = subprocess.run(  # noqa: S603 - our own interpreter, and a name that is a plugin's
            [*_command(report), "--pyargs", "ocrdeploy.testing", option],
            cwd=folder,
            env=_environment(path),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            encoding="utf-8",
            errors="replace",
        )
        if done.returncode not in (_PASSED, _FAILED) or not report.is_file():
            raise OcrdError(f"the contract suite could not be run: {_last(done.stderr) or _last(done.stdout)}", _again(option))
        return _read(report)


def _command(report: Path) -> list[str]:
    # No settings of the folder that somebody happens to be in; and no cache, since that folder goes.
    own = ["-c", os.devnull, f"--rootdir={report.parent}", "-p", "no:cacheprovider", "--import-mode=importlib"]
    return [sys.executable, "-P", "-m", "pytest", "-q", *own, f"--junitxml={report}"]


def _environment(path: Sequence[str]) -> dict[str, str]:
    given = os.environ.get("PYTHONPATH", "")
    kept = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, [*path, given]))}


def _again(option: str) -> str:
    return f"run it yourself to see more: python -m pytest --pyargs ocrdeploy.testing {option}"


def _last(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def _read(report: Path) -> SuiteResult:
    cases = list(ET.parse(report).getroot().iter("testcase"))  # noqa: S314 - pytest wrote it a moment ago
    failures = {}
    for case in cases:
        wrong = case.find("failure") if case.find("failure") is not None else case.find("error")
        if wrong is not None:
            message = wrong.get("message", "").removeprefix("Failed: ")
            failures[case.get("name", "?")] = message or _last(wrong.text or "")
    skipped = sum(case.find("skipped") is not None for case in cases)
    return SuiteResult(len(cases) - skipped - len(failures), skipped, failures)
