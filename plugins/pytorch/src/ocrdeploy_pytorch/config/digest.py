"""A digest of a config's values that does not depend on how they were written, nor on who parsed them.

The canonical form is JSON without spaces. A dictionary becomes {"dict": [[key, value], ...]} sorted by the keys' own form, a
tuple {"tuple": [...]}, a set {"set": [...]} sorted likewise; lists, texts, numbers, true, false and null are themselves. So a
tuple and a list differ, 1 and 1.0 differ, and the order of a dictionary does not count. Only the standard library is used:
the tests run this beside MMCV.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical(value: Any) -> str:
    """Return `value` as canonical JSON. Raises `TypeError` for what a config cannot hold."""
    return _json(_tagged(value))


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical form, in hexadecimal."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _tagged(value: Any) -> Any:
    if isinstance(value, dict):
        return {"dict": sorted(([_tagged(key), _tagged(each)] for key, each in value.items()), key=lambda pair: _json(pair[0]))}
    if isinstance(value, tuple):
        return {"tuple": [_tagged(each) for each in value]}
    if isinstance(value, set):
        return {"set": sorted((_tagged(each) for each in value), key=_json)}
    if isinstance(value, list):
        return [_tagged(each) for each in value]
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"a config holds no {type(value).__name__}")
