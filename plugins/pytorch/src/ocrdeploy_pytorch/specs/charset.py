"""The classes of a CTC recognizer, from its label convertor."""

from __future__ import annotations

from ocrdeploy_pytorch.config.error import ConfigError, Place
from ocrdeploy_pytorch.config.tree import Tree
from ocrdeploy_pytorch.specs.section import Section, quoted

FIX = "correct the label_convertor"

LETTERS = "abcdefghijklmnopqrstuvwxyz"
DICT36 = "0123456789" + LETTERS
DICT90 = DICT36 + LETTERS.upper() + "!\"#$%&'()*+,-./:;<=>?@[\\]_`~"
DICTIONARIES = {"DICT36": DICT36, "DICT37": DICT36 + " ", "DICT90": DICT90, "DICT91": DICT90 + " "}
"""MMOCR's dictionaries, in the order of their classes."""

UNKNOWN = "<UKN>"
"""What MMOCR writes for the last class, where the convertor has `with_unknown`."""

MOST_BYTES = 1024 * 1024
"""The longest dict_file."""


def charset_of(convertor: Section, tree: Tree | None) -> tuple[str, ...]:
    """Return the classes behind the blank, in order. `tree` says where a dict_file may lie; None: nowhere."""
    convertor.kind(("CTCConvertor",))
    dictionary = convertor.take("dict_type", "DICT90")
    listed, file = convertor.take("dict_list"), convertor.take("dict_file")
    # `lower` says how the labels are trained, and nothing about the answers.
    convertor.flag("lower", default=False)
    convertor.without_bearing("max_seq_len")
    unknown = convertor.flag("with_unknown", default=True)
    convertor.done()
    if file is not None:
        characters = _of_file(convertor, file, tree)
    elif listed is not None:
        characters = _of_list(convertor, listed)
    elif isinstance(dictionary, str) and dictionary in DICTIONARIES:
        characters = list(DICTIONARIES[dictionary])
    else:
        raise convertor.error("dict_type", f"is {quoted(dictionary)}, and must be one of {', '.join(DICTIONARIES)}")
    if not characters or len(set(characters)) != len(characters):
        raise ConfigError(f"the dictionary of {convertor.place} of the config is empty, or has a character twice", FIX)
    return (*characters, UNKNOWN) if unknown else tuple(characters)


def _of_list(convertor: Section, listed: object) -> list[str]:
    if not isinstance(listed, list) or not all(isinstance(each, str) and each for each in listed):
        raise convertor.error("dict_list", f"is {quoted(listed)}, and must be a list of characters")
    return listed


def _of_file(convertor: Section, name: object, tree: Tree | None) -> list[str]:
    """Read a dictionary of one character a line; empty lines do not count."""
    if not isinstance(name, str):
        raise convertor.error("dict_file", f"is {quoted(name)}, and must be the path of a file")
    if tree is None:
        raise convertor.error("dict_file", f"is {quoted(name)}, and no folder was named in which it may lie")
    file = tree.find(name)

    def complain(problem: str, fix: str) -> ConfigError:
        return ConfigError(f"{convertor.place}.dict_file of the config: {problem}", fix)

    text = tree.read(file, complain, MOST_BYTES)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for number, line in enumerate(lines, start=1):
        if len(line) > 1:
            raise Place(file, number).error(f"it has {len(line)} characters on one line", "write one character on each line")
    return [line for line in lines if line]
