"""With --require-backends, a backend that cannot run ends the tests at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("backends", "code", "said"),
    [
        ("fake", pytest.ExitCode.OK, "test_all_distributions_are_found"),
        ("fake,nonesuch", pytest.ExitCode.USAGE_ERROR, "'nonesuch' cannot run here"),
        ("", pytest.ExitCode.OK, "test_all_distributions_are_found"),
    ],
)
def test_only_a_required_backend_that_cannot_run_ends_the_tests(backends: str, code: pytest.ExitCode, said: str) -> None:
    options = ["-p", "tests.require_backends", f"--require-backends={backends}", "--collect-only", "-q"]
    command = [sys.executable, "-m", "pytest", *options, "tests/packaging/test_versions.py"]
    done = subprocess.run(command, cwd=REPOSITORY, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr
