"""The text of a config as a syntax tree, of a size that is safe to walk."""

from __future__ import annotations

import ast
import re
import warnings
from pathlib import Path

from ocrdeploy_pytorch.config.error import Place

MOST_NODES = 200_000
MOST_DEPTH = 128
MOST_DOT_WORK = 200_000_000
"""Python's parser joins the names of `import a.b.c` step by step: its memory grows with dots times characters of a line."""

MOST_BRACE_WORK = 1_000_000_000
"""Python 3.11's parser goes through an f-string once for each of its parts: its time grows with braces times characters."""

_SHORTER = "make it simpler; a long dictionary of characters belongs into a dict_file"
_CONTINUED = re.compile(r"\\\r?\n")


def tree_of(text: str, file: Path) -> ast.Module:
    """Return the syntax tree. Raises `ConfigError` for what is not Python, and for what is too large or nested too deep."""
    text = _with_file_names(text, file)
    if sum(line.count(".") * len(line) for line in _CONTINUED.sub("  ", text).splitlines()) > MOST_DOT_WORK:
        raise Place(file).error("it has a line with too many dots", _SHORTER)
    if text.count("{") * len(text) > MOST_BRACE_WORK:
        raise Place(file).error("it has too many braces", _SHORTER)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a backslash that escapes nothing is a warning, and not ours
            tree = ast.parse(text)
    except SyntaxError as error:
        raise Place(file, error.lineno or 0).error(f"it is not Python: {error.msg}", "correct the config") from None
    except ValueError as error:  # a NUL
        raise Place(file).error(f"it is not Python: {error}", "correct the config") from None
    except (MemoryError, RecursionError):
        raise Place(file).error("it is nested too deep to be read", _SHORTER) from None
    _check(tree, file)
    return tree


def _check(tree: ast.Module, file: Path) -> None:
    """Raise `ConfigError` for more than `MOST_NODES` nodes, or a depth above `MOST_DEPTH`, so that recursion is safe later."""
    nodes: list[tuple[ast.AST, int, int]] = [(tree, 0, 0)]
    count = 0
    while nodes:
        node, depth, line = nodes.pop()
        line = getattr(node, "lineno", line)
        count += 1
        if depth > MOST_DEPTH:
            raise Place(file, line).error("it is nested too deep", _SHORTER)
        if count > MOST_NODES:
            raise Place(file).error("it is too long", _SHORTER)
        nodes.extend((child, depth + 1, line) for child in ast.iter_child_nodes(node))


def _with_file_names(text: str, file: Path) -> str:
    """Put the file's own names in place of `{{ fileDirname }}` and its like, as MMCV does: in the text, wherever it is."""
    own = {
        "fileDirname": str(file.parent),
        "fileBasename": file.name,
        "fileBasenameNoExtension": file.stem,
        "fileExtname": file.suffix,
    }
    for name, value in own.items():
        pattern = re.compile(rf"\{{\{{\s*{name}\s*\}}\}}")
        found = pattern.search(text)
        if not found:
            continue
        if not re.fullmatch(r"[^'\"{}\\]*", value) or not value.isprintable():
            # It would end the quotes around it, and what follows would be read as something else.
            raise Place(file, text.count("\n", 0, found.start()) + 1).error(
                f"it asks for its own {name}, which has a quote, a brace, a backslash or a control character in it",
                "rename the file or folder",
            )
        text = value.join(pattern.split(text))
    return text
