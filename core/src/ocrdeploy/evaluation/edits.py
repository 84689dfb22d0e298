"""How far apart two texts are."""

from __future__ import annotations


def distance(first: str, second: str) -> int:
    """Return the fewest characters that have to be inserted, deleted or replaced to turn one text into the other (Levenshtein).

    All of a column of the usual table is kept in two numbers, a bit for each row: where it is by one more than the row above,
    and where by one less (Myers 1999, as simplified by Hyyrö 2003). So it takes a few operations for each character.
    """
    if not first:
        return len(second)
    places: dict[str, int] = {}
    for row, character in enumerate(first):
        places[character] = places.get(character, 0) | 1 << row
    every, last = (1 << len(first)) - 1, 1 << (len(first) - 1)
    more, less, edits = every, 0, len(first)
    for character in second:
        equal = places.get(character, 0)
        diagonal = (((equal & more) + more) ^ more) | equal | less
        right_more, right_less = less | (every & ~(diagonal | more)), diagonal & more
        edits += bool(right_more & last) - bool(right_less & last)
        right_more, right_less = right_more << 1 | 1, right_less << 1
        more, less = (right_less | ~(diagonal | right_more)) & every, diagonal & right_more & every
    return edits


def normalised(first: str, second: str) -> float:
    """Return the distance as a share of the longer text, 0 where both are empty."""
    return distance(first, second) / max(len(first), len(second), 1)
