"""Lines of a shell become the words of their commands, and words become a line again."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator

from ocrdeploy.errors import BadInput

_CONTINUED = re.compile(r"\\[ \t]*(?:\n|\Z)")
"""A line's end that a backslash takes back; blanks after the backslash, which a shell minds, slip in where text is copied."""

_REDIRECTION = re.compile(r"(?<!\S)(?:\d*(?:>>?|<)|&>>?)(?:&\d|\s*[^\s;&|<>]+)")
_BETWEEN = {";", "&&", "||", "|", "|&", "&"}
_VARIABLE = re.compile(r"\$(?:\w+|\{\w+\})")
_HOME = re.compile(r"~\w*")
_SPECIAL = re.compile(r'([\\"`])')


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each simple command in `text`, in order: what stands between line ends, `&&`, `;`, `|` and the like.

    Quotes, continued lines and comments are understood, variables are kept as they are written; where output goes to is left
    out. Raises `BadInput` for a quotation that does not end, and for other things of the shell.
    """
    for line in _CONTINUED.sub("", text.replace("\r\n", "\n")).splitlines():
        command: list[str] = []
        for word in _words(_REDIRECTION.sub(" ", line)):
            if word.startswith("#"):
                break
            if word in _BETWEEN:
                yield command
                command = []
            else:
                command.append(word)
        yield command


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""  # which would end words in their middle
    try:
        words = list(lexer)
    except ValueError as error:
        raise BadInput(f"the shell would not understand {line.strip()!r}: {error}", "close its quotation marks") from None
    for word in words:
        if word not in _BETWEEN and word and set(word) <= set("();<>|&"):
            raise BadInput(f"{word!r} in {line.strip()!r} is not understood here", "give the command of the tool alone")
    return words


def line(words: Iterable[str]) -> str:
    """Return the words as one line that a shell reads as these words, but for variables, which it fills in."""
    return " ".join(map(quoted, words))


def quoted(word: str) -> str:
    """Return a word for a shell: as it is, or in quotation marks, but so that `$NAME` and `~` at its beginning still hold."""
    home, slash, rest = word.partition("/")
    if slash and _HOME.fullmatch(home):
        return f"{home}/{quoted(rest) if rest else ''}"
    if _VARIABLE.search(word):
        return '"' + _SPECIAL.sub(r"\\\1", word) + '"'
    return shlex.quote(word)
