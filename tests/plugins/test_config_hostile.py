"""Configs that try to run something, or to use up the machine: refused in one sentence, and nothing happened.

All cases are read by one process, which forks for each: a child has 1 GiB and five seconds of a core, and an audit hook that
sees whatever it does. Starting Python for each case would take most of a minute.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

DRIVER = r"""
import json, os, resource, sys, time
from pathlib import Path
from ocrdeploy import OcrdError
from ocrdeploy_pytorch import specs

SEEN = []
QUIET = ("compile", "open", "object.__getattr__", "os.listdir", "os.scandir", "pathlib.Path.glob", "marshal.loads", "import")

def watch(event, args):
    if event == "open":
        if isinstance(args[1], str) and set(args[1]) & set("wax+"):
            SEEN.append(event)
    elif event not in QUIET and not event.startswith(("sys.", "code.__new__", "cpython.", "gc.")):
        SEEN.append(event)

def read(path):
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    resource.setrlimit(resource.RLIMIT_CPU, (5, 6))
    sys.addaudithook(watch)
    SEEN.clear()
    try:
        specs.from_file(Path(path))
        answer = {"kind": "none"}
    except BaseException as error:
        problem, fix = getattr(error, "problem", repr(error)), getattr(error, "fix", "")
        answer = {"kind": type(error).__name__, "problem": problem, "fix": fix}
    return {**answer, "seen": list(SEEN)}

def in_child(path):
    near, far = os.pipe()
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        with os.fdopen(far, "w") as stream:
            json.dump(read(path), stream)
            stream.flush()
        os._exit(0)
    os.close(far)
    with os.fdopen(near) as stream:
        text = stream.read()
    _, status, usage = os.wait4(child, 0)
    answer = json.loads(text) if text else {"kind": "killed", "problem": "", "fix": "", "seen": []}
    return {**answer, "status": status, "seconds": time.monotonic() - start, "mib": usage.ru_maxrss / 1024}

cases = json.load(sys.stdin)
for path in cases.pop("good"):
    try:
        specs.from_file(Path(path))  # whatever is imported only when it is needed, is now
    except OcrdError:
        pass
json.dump({name: in_child(path) for name, path in cases.items()}, sys.stdout)
"""

RECOGNIZER = """
model = dict(type='CRNNNet', backbone=dict(type='VeryDeepVgg', leaky_relu=False, input_channels=1),
             decoder=dict(type='CRNNDecoder', in_channels=512, rnn_flag=True),
             label_convertor=dict(type='CTCConvertor', dict_file=DICT, with_unknown=False))
data = dict(test=dict(pipeline=[
    dict(type='LoadImageFromFile', color_type='grayscale'),
    dict(type='ResizeOCR', height=32, min_width=32, max_width=None, keep_aspect_ratio=True),
    dict(type='Normalize', mean=[127], std=[127])]))
"""

STATEMENTS: Mapping[str, tuple[str, str]] = {
    "import": ("import os", "an import"),
    "import from": ("from os import system as dict", "an import"),
    "import of endless names": (f"import {'a.' * 100_000}a", "a line with too many dots"),
    "import of names over many lines": (f"import {'a.' * 500}" + "\\\na." * 40_000 + "a", "a line with too many dots"),
    "call": ("x = open('CANARY', 'w')", "a call"),
    "call as a statement": ("open('CANARY', 'w')", "a call"),
    "import inside an expression": ("x = __import__('os').system('touch CANARY')", "a call"),
    "exec": ("""x = exec("open('CANARY', 'w')")""", "a call"),
    "eval": ("""x = dict(a=[eval("open('CANARY', 'w')")])""", "a call"),
    "builtins": ("x = __builtins__['open']", "'__builtins__', which it has not assigned"),
    "dict with another meaning": ("dict = 3", "gives the name dict to something else"),
    "method of dict": ("x = dict.fromkeys([1])", "a call"),
    "attribute chain": ("x = ().__class__.__base__.__subclasses__()", "a call"),
    "attribute chain without a call": ("x = ''.__class__.__mro__", "an attribute"),
    "endless attribute chain": ("a = 1\nx = (a" + "\n.a" * 50_000 + ")", "nested too deep"),
    "list comprehension": ("x = [open('CANARY', 'w') for _ in (1,)]", "a comprehension"),
    "dictionary comprehension": ("d = dict(a=1)\nx = {k: open('CANARY', 'w') for k, v in d.items()}", "a comprehension"),
    "copy with a condition": ("d = dict(a=1)\nx = {k: v for k, v in d.items() if open('CANARY', 'w')}", "a comprehension"),
    "generator": ("x = list(open('CANARY', 'w') for _ in (1,))", "a call"),
    "f-string that calls": ("x = f\"{open('CANARY', 'w')}\"", "an f-string of more than plain names"),
    "f-string with an attribute": ("a = 1\nx = f'{a.__class__}'", "an f-string of more than plain names"),
    "f-string with a width": ("a = 1\nx = f'{a:>1000000000}'", "an f-string of more than plain names"),
    "f-string with a conversion": ("a = 1\nx = f'{a!r}'", "an f-string of more than plain names"),
    "format by %": ("x = '%1000000000d' % 1", "applies an operator"),
    "f-string of many parts": (f"a = 1\nx = f'{'{a}' * 80_000}'", "too many braces"),
    "f-string of fewer parts": (f"x = f'{'{a}' * 2_000}{'a' * 200_000}'", "uses the name 'a'"),
    "lambda": ("x = (lambda: open('CANARY', 'w'))()", "a call"),
    "lambda uncalled": ("x = lambda: 0", "a lambda"),
    "walrus": ("x = [(y := 3), y]", "an assignment inside an expression"),
    "decorator": ("@open('CANARY', 'w')\ndef f(): pass", "a function"),
    "class": ("class A(open('CANARY', 'w')): pass", "a class"),
    "endless loop": ("while True: pass", "a loop"),
    "condition": ("x = 1 if open('CANARY', 'w') else 2", "a condition"),
    "subscript that calls": ("d = dict(a=1)\nd[open('CANARY', 'w')] = 1", "a call"),
    "value that holds itself": ("d = dict(a=1)\nd['a'] = d", "changes a part of 'd'"),
    "power tower": ("x = 9 ** 9 ** 9", "a power that is too large"),
    "power over names": ("a = 10 ** 19\nx = a ** a", "a power that is too large"),
    "giant number": (f"x = 0x{'f' * 200_000}", "a number that is too large"),
    "giant number in decimals": (f"x = {'9' * 200_000}", "not Python: Exceeds the limit"),
    "infinity": ("x = 1e999", "a number that is too large"),
    "division by zero": ("x = 1 % 0", "divides by zero"),
    "complex number": ("x = (-8) ** 0.5", "a root of a negative number"),
    "shift": ("x = 1 << 10 ** 10", "applies an operator"),
    "deep lists": (f"x = {'[' * 50_000}{']' * 50_000}", "too many nested parentheses"),
    "deep signs": (f"x = {'-' * 200_000}1", "nested too deep"),
    "deep sums": (f"x = {'1+' * 100_000}1", "nested too deep"),
    "deep powers": (f"x = {'2**' * 60_000}2", "nested too deep"),
    "deep lambdas": (f"x = {'lambda:' * 30_000}1", "nested too deep"),
    "deep by names": ("a = [1]\n" + "a = [a]\n" * 5000, "nested too deep"),
    "deep f-strings": ("x = f'{" + "(" * 150 + ")" * 150 + "}'", "nested too deep|f-string"),
    "broken and deep": (f"x = {'f(a=' * 90}for", "it is not Python"),
    "long text": ("x = 'a' * 10 ** 10", "more values than any config needs"),
    "long list": ("x = [0] * 10 ** 9", "more values than any config needs"),
    "long tuple": ("x = 10 ** 9 * (0, 1)", "more values than any config needs"),
    "doubled lists": ("a = ['lol']\n" + "a = [a, a, a, a, a, a, a, a, a, a]\n" * 30, "more values than any config needs"),
    "doubled by stars": ("a = ['lol']\n" + "a = [*a, *a]\n" * 60, "more values than any config needs"),
    "doubled by joining": ("a = ('lol',)\n" + "a = a + a\n" * 60, "more values than any config needs"),
    "doubled texts": ("a = 'lol'\n" + "a = f'{a}{a}'\n" * 60, "more values than any config needs"),
    "the same again and again": (
        "a = [0] * 50_000\n" + "".join(f"a{index} = a\n" for index in range(15_000)),
        "more values than any config needs",
    ),
    "unpacked again and again": (
        f"a = dict({','.join(f'a{index}=0' for index in range(10_000))})\nx = {{{'**a,' * 20_000}}}",
        "more values than any config needs",
    ),
    "very many statements": ("x=1\n" * 60_000, "too long"),
    "key that has no hash": ("x = {(): {[]: 1}}", "a key that is no text or number"),
    "placeholder that imports": ("_base_ = 'good.py'\nx = {{ _base_.__import__('os').system('touch CANARY') }}", "a call"),
    "placeholder that indexes": ("_base_ = 'good.py'\nx = {{ _base_[open('CANARY', 'w')] }}", "."),
    "placeholder in quotes": ("_base_ = 'good.py'\nx = '{{ _base_.x }}'", "in quotes"),
    "placeholder of an attribute": ("_base_ = 'good.py'\nx = {{ _base_.__class__.__init__ }}", "have no such value"),
    "placeholder that is added to": ("_base_ = 'good.py'\nx = {{ _base_.y }} + [1]", "applies an operator"),
    "base that has itself": ("_base_ = 'case.py'", "has it as a base itself"),
    "bases in a circle": ("_base_ = 'circle.py'", "has it as a base itself"),
    "base outside": ("_base_ = '../../../outside.py'", "outside the folder"),
    "base outside, absolute": ("_base_ = '/etc/hosts.py'", "outside the folder"),
    "base that is a device": ("_base_ = '/dev/zero'", "is no Python config"),
    "base behind a link": ("_base_ = 'link.py'", "outside the folder"),
    "base behind a circle of links": ("_base_ = 'loop.py'", "cannot read"),
    "base that is a pipe": ("_base_ = 'pipe.py'", "it is not a file"),
    "base that is a folder": ("_base_ = 'folder.py'", "it is not a file"),
    "base of 100 MB": ("_base_ = 'large.py'", "it is too long"),
    "base with a NUL in its name": ("_base_ = 'a\\0.py'", "cannot read"),
    "base with a long name": (f"_base_ = '{'a' * 5000}.py'", "cannot read"),
    "base that is missing": ("_base_ = 'missing.py'", "No such file"),
    "base that is data of another kind": ("_base_ = 'other.json'", "is no Python config"),
    "base that is no text": ("_base_ = [3]", "no path"),
    "one base very often": ("_base_ = ['good.py'] * 100_000", "two of its bases|more than 50 files"),
    "bases that multiply": ("_base_ = 'many0.py'", "more than 50 files"),
    "bases that double a value": ("_base_ = 'laugh9.py'", "more values than any config needs"),
    "file name with code in it": ("_base_ = \"quote'+open(1)+'/named.py\"", "a quote, a brace"),
    "NUL": ("x = 1\0", "null bytes"),
    "half a character": ("x = '\\ud800'", "surrogate"),
    "dictionary outside": (RECOGNIZER.replace("DICT", "'/etc/passwd'"), "outside the folder"),
    "dictionary of 100 MB": (RECOGNIZER.replace("DICT", "'deep/large.txt'"), "it is too long"),
    "dictionary that is a pipe": (RECOGNIZER.replace("DICT", "'deep/pipe.py'"), "it is not a file"),
    "dictionary that is no text": (RECOGNIZER.replace("DICT", "'deep/latin.txt'"), "it is not UTF-8 text"),
}
"""What is in the config, and what the complaint says."""


def prepare(folder: Path) -> None:
    """Write what the cases name, into `configs/<case>/deep` and around it."""
    (folder / "good.py").write_text("y = [1]\n", encoding="utf-8")
    (folder / "recognizer.py").write_text(RECOGNIZER.replace("DICT", "'deep/good.txt'"), encoding="utf-8")
    (folder / "good.txt").write_text("a\nb\n", encoding="utf-8")
    (folder / "circle.py").write_text("_base_ = ['good.py', 'case.py']\n", encoding="utf-8")
    (folder / "other.json").write_text("{}", encoding="utf-8")
    (folder / "link.py").symlink_to(folder.parents[2] / "outside.py")
    (folder / "loop.py").symlink_to("loop.py")
    os.mkfifo(folder / "pipe.py")
    (folder / "folder.py").mkdir()
    (folder / "latin.txt").write_bytes("ä".encode("latin-1"))
    for name in ("large.py", "large.txt"):
        with (folder / name).open("wb") as stream:
            stream.truncate(100_000_000)
    for level in range(10):
        following = f"_base_ = ['many{level + 1}.py', 'many{level + 1}.py']\n" if level < 9 else ""
        (folder / f"many{level}.py").write_text(following, encoding="utf-8")
        lower = f"_base_ = 'laugh{level - 1}.py'\nx = [{{{{ _base_.x }}}}] * 10\n" if level else "x = ['lol'] * 10\n"
        (folder / f"laugh{level}.py").write_text(lower, encoding="utf-8")
    quoting = folder / "quote'+open(1)+'"
    quoting.mkdir()
    (quoting / "named.py").write_text("x = '{{ fileDirname }}'", encoding="utf-8")


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    root = tmp_path_factory.mktemp("hostile")
    (root / "outside.py").write_text("y = 1\n", encoding="utf-8")
    folder = root / "tree" / "configs" / "deep"
    folder.mkdir(parents=True)
    prepare(folder)
    cases: dict[str, Any] = {"good": [str(folder / "good.py"), str(folder / "recognizer.py")]}
    for index, (name, (text, _)) in enumerate(STATEMENTS.items()):
        file = folder / ("case.py" if "case.py" in text or "circle.py" in text else f"case{index}.py")
        if file.name == "case.py":
            file = folder.parent / f"own{index}" / "case.py"
            file.parent.mkdir()
            (file.parent / "circle.py").write_text("_base_ = ['case.py']\n", encoding="utf-8")
        file.write_bytes(text.replace("CANARY", str(root / "CANARY")).encode())
        cases[name] = str(file)
    latin = folder / "latin.py"
    latin.write_bytes("x = 'ä'".encode("latin-1"))
    cases["not UTF-8"] = str(latin)
    done = subprocess.run(
        [sys.executable, "-c", DRIVER], input=json.dumps(cases), capture_output=True, text=True, check=False, cwd=root
    )
    assert done.returncode == 0, done.stderr
    assert not (root / "CANARY").exists()
    assert not list(root.rglob("CANARY"))
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", [*STATEMENTS, "not UTF-8"])
def test_a_hostile_config_is_refused_in_one_sentence_at_little_cost(answers: dict[str, dict[str, Any]], name: str) -> None:
    answer = answers[name]
    expected = STATEMENTS[name][1] if name in STATEMENTS else "latin.py:1: it is not UTF-8 text"
    assert answer["kind"] == "ConfigError", answer
    assert re.search(expected, answer["problem"]), answer
    assert "\n" not in answer["problem"] + answer["fix"]
    assert len(answer["problem"]) < 1500
    assert answer["fix"]
    assert answer["seconds"] < 5
    assert answer["mib"] < 1024


def test_reading_does_nothing_but_open_files_to_read(answers: dict[str, dict[str, Any]]) -> None:
    assert {name: answer["seen"] for name, answer in answers.items() if answer["seen"]} == {}


def test_there_are_as_many_cases_as_were_promised() -> None:
    assert len(STATEMENTS) >= 40
