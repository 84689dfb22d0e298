"""Lets the tests import what stands beside them, as `python tests/agreement/replay.py` does."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
