"""Plain tables: aligned columns, also where names are written in wide characters."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

GAP = "  "


def table(header: Sequence[str], rows: Sequence[Sequence[str]], room: int = 0, *, titles: Sequence[str] = ()) -> str:
    """Return the lines of a table, each ended; where it is wider than `room` columns (0: no limit), a block for each row.

    A block stands below its row's title; without `titles`, below the row's first cell.
    """
    lines = [[title.upper() for title in header], *rows]
    widths = [max(columns(line[index]) for line in lines) for index in range(len(header))]
    made = [_line(line, widths) for line in lines]
    if room and any(columns(line) > room for line in made):
        if titles:
            return "\n".join(_block(title, header, row) for title, row in zip(titles, rows, strict=True))
        return "\n".join(_block(row[0], header[1:], row[1:]) for row in rows)
    return "".join(made)


def _block(title: str, header: Sequence[str], row: Sequence[str]) -> str:
    width = max(map(len, header), default=0)
    return f"{title}\n" + "".join(f"  {name:{width}}  {cell}\n" for name, cell in zip(header, row, strict=True) if cell)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell + " " * (width - columns(cell)) for cell, width in zip(cells, widths, strict=True))
    return GAP.join(padded).rstrip() + "\n"


def trouble(what: str, row: Mapping[str, Any]) -> str:
    """Return the lines below a table that say what is wrong with a row and what mends it: `row` has "problem" and "fix"."""
    fix = f"  fix: {row['fix']}\n" if row["fix"] else ""
    return f"\n{what}: {row['problem']}\n{fix}"


def columns(text: str) -> int:
    """Return how many columns of a terminal `text` takes."""
    return sum(_columns_of(character) for character in text)


def _columns_of(character: str) -> int:
    if unicodedata.category(character) in {"Cc", "Cf", "Me", "Mn"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
