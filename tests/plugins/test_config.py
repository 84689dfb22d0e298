"""Configs read as data: the values are MMCV's, and what is not data is refused with its line."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ocrdeploy import BadInput
from ocrdeploy_pytorch import config
from ocrdeploy_pytorch.config import ConfigError, parse
from ocrdeploy_pytorch.config import digest as config_digest

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "mmocr_config_digests.json").read_text(encoding="utf-8"))
FILES_OF_WHEEL = 125

MMCV = """
import json, sys, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[1])
import digest
from mmcv import Config
read = lambda file: Config.fromfile(file, import_custom_modules=False)._cfg_dict.to_dict()
json.dump({file: digest.digest(read(file)) for file in json.load(sys.stdin)}, sys.stdout)
"""


@pytest.fixture(scope="module")
def wheel_configs() -> Path:
    """The folder mmocr/.mim/configs of MMOCR 0.6.3, whose files are not part of the project."""
    folder = Path(os.environ.get("OCRDEPLOY_TEST_MMOCR_CONFIGS", ""))
    if not folder.name or not folder.is_dir():
        pytest.skip("needs MMOCR's configs: set OCRDEPLOY_TEST_MMOCR_CONFIGS to mmocr/.mim/configs of the wheel of mmocr 0.6.3")
    return folder


@pytest.fixture(scope="module")
def mmcv_python() -> str:
    """A Python that has mmcv 1.7.2."""
    named = os.environ.get("OCRDEPLOY_TEST_MMCV_PYTHON", "")
    if named or importlib.util.find_spec("mmcv"):
        return named or sys.executable
    pytest.skip("needs mmcv 1.7.2: set OCRDEPLOY_TEST_MMCV_PYTHON to a Python that has it")


def mmcv_digests(python: str, files: list[Path]) -> dict[str, str]:
    own = str(Path(config_digest.__file__).parent)
    given = json.dumps([str(file) for file in files])
    done = subprocess.run([python, "-c", MMCV, own], input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Write the files, and return the first."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    return folder / next(iter(files))


def values_of(folder: Path, text: str) -> dict[str, Any]:
    return parse(write(folder, {"config.py": text}))


# ------------------------------------------------------------------------------------------------- MMOCR's own configs


def test_every_config_of_the_wheel_gives_the_recorded_values_or_is_refused_as_recorded(wheel_configs: Path) -> None:
    found = {str(path.relative_to(wheel_configs)): path for path in sorted(wheel_configs.rglob("*.py"))}
    assert found.keys() == RECORDED["digests"].keys()
    for name, path in found.items():
        if name in RECORDED["refused"]:
            with pytest.raises(ConfigError, match=RECORDED["refused"][name]):
                parse(path)
        else:
            assert config_digest.digest(parse(path)) == RECORDED["digests"][name], name


def test_all_configs_of_the_wheel_but_five_are_data(wheel_configs: Path) -> None:
    # An installed wheel has compiled files beside them.
    assert sum(1 for path in wheel_configs.rglob("*") if path.suffix in {".py", ".yml"}) == FILES_OF_WHEEL
    assert len(RECORDED["digests"]) == 107  # the others are lists of checkpoints in YAML
    assert len(RECORDED["refused"]) == 5
    assert not [name for name in RECORDED["refused"] if "textdet" in name or "crnn" in name]


def test_the_recorded_digests_are_mmcvs(wheel_configs: Path, mmcv_python: str) -> None:
    found = mmcv_digests(mmcv_python, sorted(wheel_configs.rglob("*.py")))
    assert {str(Path(file).relative_to(wheel_configs)): digest for file, digest in found.items()} == RECORDED["digests"]


# --------------------------------------------------------------------------------------------------- what a config says

CASES: Mapping[str, tuple[dict[str, str], dict[str, Any]]] = {
    "literals": (
        {"own.py": "'''About.'''\na = 1\nb = -2.5e3\nc = 'x' 'y'\nd = (1,)\ne = []\nf = {1, 2}\ng = {'h': None, 3: True}"},
        {"a": 1, "b": -2500.0, "c": "xy", "d": (1,), "e": [], "f": {1, 2}, "g": {"h": None, 3: True}},
    ),
    "names, dict() and unpacking": (
        {"own.py": "a = dict(x=1)\nb = dict(a, **dict(y=a['x']))\nc = {**b, 'z': [*(1, 2), 3]}\nd = e = c['z'][-1]"},
        {"a": {"x": 1}, "b": {"x": 1, "y": 1}, "c": {"x": 1, "y": 1, "z": [1, 2, 3]}, "d": 3, "e": 3},
    ),
    "arithmetic": (
        {"own.py": "a = 32.0 / 255\nb = 2 ** 10 // 3 - 7 % 4 * 2\nc = -(-2) ** 2"},
        {"a": 32.0 / 255, "b": 335, "c": -4},
    ),
    "joining and repeating": (
        {"own.py": "c = [0] * 3 + [1]\nd = 'ab' * 2 + 'c'\ne = (1,) + 2 * (2,)\nf = [1] * -1"},
        {"c": [0, 0, 0, 1], "d": "ababc", "e": (1, 2, 2), "f": []},
    ),
    "MMOCR's idioms": (
        {
            "own.py": """
                root = 'data'
                one = dict(file=f'{root}/a.txt', deep=dict(x=1))
                two = {key: value for key, value in one.items()}
                two['file'] = f'{root}/b.txt' + \\
                    '.gz'
                both = [one, two]
            """
        },
        {
            "root": "data",
            "one": {"file": "data/a.txt", "deep": {"x": 1}},
            "two": {"file": "data/b.txt.gz", "deep": {"x": 1}},
            "both": [{"file": "data/a.txt", "deep": {"x": 1}}, {"file": "data/b.txt.gz", "deep": {"x": 1}}],
        },
    ),
    "names with underscores": ({"own.py": "__a = 1\n_b = __a\n_deprecation_ = dict(expected='x')"}, {"_b": 1}),
    "merging": (
        {
            "own.py": """
                _base_ = 'base.py'
                a = dict(x=2, y=dict(_delete_=True, q=1), z=dict(_delete_=False, p=2), new=dict(_delete_=True, r=1))
                b = [2]
                c = dict(_delete_=True, only=1)
                d = dict(_delete_=True, new=1)
            """,
            "base.py": "a = dict(x=1, y=dict(p=1), z=dict(q=1), w=[1])\nb = [1, 1]\nc = 3\ne = dict(_delete_=True, f=1)",
        },
        {
            # Where there is nothing to delete, MMCV leaves the word where it is.
            "a": {"x": 2, "y": {"q": 1}, "z": {"q": 1, "p": 2}, "w": [1], "new": {"_delete_": True, "r": 1}},
            "b": [2],
            "c": {"only": 1},
            "d": {"_delete_": True, "new": 1},
            "e": {"_delete_": True, "f": 1},
        },
    ),
    "chains of bases": (
        {
            "deep/own.py": "_base_ = ['../a.py', '../b/b.py']\nx = dict(own=1)",
            "a.py": "_base_ = './b/c.py'\nx = dict(a=1)",
            "b/b.py": "y = 1",
            "b/c.py": "x = dict(c=1, a=0)\nz = (1, 2)",
        },
        {"x": {"c": 1, "a": 1, "own": 1}, "y": 1, "z": (1, 2)},
    ),
    "values of the base": (
        {
            "own.py": """
                _base_ = ['base.py']
                # {{ _base_.nothing }} in a comment is none
                a = {{_base_.a}}
                b = dict(c=[{{ _base_.d.e }}, 1], f=({{_base_.d}},))
                g = {{_base_.a}}
                d = dict(e=3)
            """,
            "base.py": "a = [1]\nd = dict(e=2)\ng = {'h': 1}",
        },
        {"a": [1], "b": {"c": [2, 1], "f": ({"e": 2},)}, "g": [1], "d": {"e": 3}},
    ),
    "the file's own names": (
        {
            "own.py": "_base_ = '{{ fileDirname }}/b.py'\na = '{{ fileBasename }} {{fileBasenameNoExtension}} {{ fileExtname }}'",
            "b.py": "c = '{{fileBasename}}'",
        },
        {"a": "own.py own .py", "c": "b.py"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_config_gives_its_values(tmp_path: Path, name: str) -> None:
    files, expected = CASES[name]
    found = parse(write(tmp_path / "configs", files))
    assert found == expected
    assert config_digest.canonical(found) == config_digest.canonical(expected)


def test_mmcv_gives_the_same_values(tmp_path: Path, mmcv_python: str) -> None:
    files = {
        write(tmp_path / f"case{index}" / "configs", files): expected for index, (files, expected) in enumerate(CASES.values())
    }
    found = mmcv_digests(mmcv_python, list(files))
    assert found == {str(file): config_digest.digest(expected) for file, expected in files.items()}


def test_nothing_is_held_twice(tmp_path: Path) -> None:
    found = values_of(tmp_path, "a = dict(x=[1])\nb = [a, a]")
    found["b"][0]["x"].append(2)
    assert found["a"] == {"x": [1]}
    assert found["b"][1] == {"x": [1]}


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_bytes(b"\xef\xbb\xbfa = 1\r\nb = '''x\r\ny'''\r\n")
    assert parse(tmp_path / "own.py") == {"a": 1, "b": "x\ny"}


# ------------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("text", "line", "complaint"),
    [
        ("a = 1\nimport os", 2, "it has an import, which is not allowed"),
        ("a = dict(\n  b=[\n    len('x')])", 3, "it has a call, which is not allowed"),
        ("a = 1\n\nb = a.real", 3, "it has an attribute, which is not allowed"),
        ("a = _base_.x", 1, "_base_... without two pairs of braces around it"),
        ("a = b", 1, "it uses the name 'b', which it has not assigned before"),
        ("a = 1\na += 1", 2, "an assignment with an operator"),
        ("a, b = 1, 2", 1, "assigns to a part of the kind Tuple"),
        ("a = [1]\na[0] = 2", 2, "changes a part of 'a'"),
        ("a = dict(b=1)\nc = [a]\na['b'] = 2", 3, "changes a part of 'a', .* not used since"),
        ("a = dict(b=1)\nc = a\nc['b'] = 2", 3, "changes a part of 'c'"),
        ("a = b = dict(c=1)\na['c'] = 2", 2, "changes a part of 'a'"),
        ("a = dict(b=dict(c=1))\nd = a['b']\nd['c'] = 2", 3, "changes a part of 'd'"),
        ("a = [1, 2][0:1]", 1, "a slice"),
        ("a = 1 < 2", 1, "a comparison"),
        ("a = 1 and 2", 1, "a logical operator"),
        ("a = not 1", 1, "applies an operator"),
        ("a = True + 1", 1, "applies an operator"),
        ("a = [1] + (2,)", 1, "applies an operator"),
        ("a = [1] * 'x'", 1, "applies an operator"),
        ("a = b'x'", 1, "a literal of the kind bytes"),
        ("a = ...", 1, "a literal of the kind ellipsis"),
        ("a = [*1]", 1, "a star in front of what is no list or tuple"),
        ("a = {**[1]}", 1, "unpacks what is no dictionary"),
        ("a = dict([1], [2])", 1, "more than one mapping"),
        ("a = dict(b=1, **dict(b=2))", 1, "gives dict\\(\\) the key 'b'"),
        ("a = dict(**{1: 2})", 1, "gives dict\\(\\) the key 1"),
        ("a = {(1,): 2}", 1, "a key that is no text or number"),
        ("a = dict(b=1)['c']", 1, "takes the part 'c' out of a value that has no such part"),
        ("a = 'xy'[0]", 1, "takes a part out of what is no dictionary, list or tuple"),
        ("a = [1]\nb = f'{a}'", 2, "puts 'a' into a text, which is no text or whole number"),
        ("a: int = 1", 1, "an annotation"),
        ("a = (1", 1, "it is not Python: '\\(' was never closed"),
        ("a = {{ _base_.b }}", 1, "asks for {{ _base_.b }}, and its bases have no such value"),
        ("_base_ = 3", 1, "its _base_ is no path, and no list of paths"),
        ("_base_ = ('a.py',)", 1, "its _base_ is no path, and no list of paths"),
        ("text = 'x'", 0, "it assigns 'text', a name that MMCV keeps for itself"),
    ],
)
def test_what_is_not_data_is_refused_with_its_line(tmp_path: Path, text: str, line: int, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as raised:
        values_of(tmp_path, text)
    file = tmp_path / "config.py"
    assert raised.value.problem.startswith(f"{file}:{line}: it" if line else f"{file}: it")
    assert raised.value.fix
    assert isinstance(raised.value, BadInput)


def test_a_list_and_a_dictionary_do_not_merge(tmp_path: Path) -> None:
    main = write(tmp_path, {"own.py": "_base_ = 'base.py'\na = dict(b=dict(c=1))", "base.py": "a = dict(b=[1])"})
    with pytest.raises(ConfigError, match=r"own.py:2: it makes a dictionary of 'b', which is none in its base") as raised:
        parse(main)
    assert "_delete_=True" in raised.value.fix


def test_two_bases_may_not_assign_the_same_name(tmp_path: Path) -> None:
    main = write(tmp_path, {"own.py": "_base_ = ['a.py', 'b.py']", "a.py": "x = 1", "b.py": "x = 1"})
    with pytest.raises(ConfigError, match=r"own.py:1: two of its bases assign 'x'"):
        parse(main)


def test_a_mistake_in_a_base_is_found_there(tmp_path: Path) -> None:
    main = write(tmp_path, {"own.py": "_base_ = ['base.py']", "base.py": "x = 1\ny = z"})
    with pytest.raises(ConfigError, match=r"base.py:2: it uses the name 'z'"):
        parse(main)


def test_a_missing_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*nothing.py: No such file"):
        parse(tmp_path / "nothing.py")


# ------------------------------------------------------------------------------------------------------------- the tree


def test_a_users_config_beside_mmocrs_needs_the_root_that_holds_both(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        {
            "mine/own.py": "_base_ = '../mmocr/configs/textdet/base.py'\nb = 1",
            "mmocr/configs/textdet/base.py": "_base_ = '../_base_/x.py'",
            "mmocr/configs/_base_/x.py": "a = 1",
        },
    )
    with pytest.raises(ConfigError, match="lies outside the folder") as raised:
        parse(main)
    assert f"--config-root, such as {tmp_path}" in raised.value.fix
    assert parse(main, root=tmp_path) == {"a": 1, "b": 1}
    # The root adds to the config's own folder, and takes nothing away.
    assert parse(main, root=tmp_path / "mmocr" / "configs") == {"a": 1, "b": 1}


def test_a_config_anywhere_below_a_folder_called_configs_reaches_all_of_it(tmp_path: Path) -> None:
    files = {"configs/mine/deep/own.py": "_base_ = '../../_base_/x.py'", "configs/_base_/x.py": "a = 1"}
    assert parse(write(tmp_path, files)) == {"a": 1}


def test_a_link_to_a_config_counts_as_where_it_leads(tmp_path: Path) -> None:
    main = write(tmp_path, {"configs/own.py": "_base_ = 'base.py'", "configs/base.py": "a = 1"})
    (tmp_path / "elsewhere").symlink_to(tmp_path / "configs")
    assert parse(tmp_path / "elsewhere" / "own.py") == parse(main)


def test_the_tree_of_a_lone_config_is_its_folder(tmp_path: Path) -> None:
    assert config.Tree.of(tmp_path / "own.py").folders == (tmp_path.resolve(),)


# ------------------------------------------------------------------------------------------------------------- digests


def test_the_digest_depends_on_kinds_and_values_and_not_on_order() -> None:
    assert config_digest.digest({"a": 1, "b": 2}) == config_digest.digest({"b": 2, "a": 1})
    different = [{"a": [1]}, {"a": (1,)}, {"a": {1}}, {"a": [1.0]}, {"a": [True]}, {"a": ["1"]}, {1: [1]}, [["a", [1]]]]
    assert len({config_digest.digest(value) for value in different}) == len(different)


def test_what_no_config_holds_has_no_digest() -> None:
    with pytest.raises(TypeError, match="a config holds no bytes"):
        config_digest.digest({"a": b"x"})
