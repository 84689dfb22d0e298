"""Command lines of MMOCR 0.6.3's deployment tools, and what does the same here."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import pytest

from ocrdeploy import cli
from ocrdeploy.errors import BadInput
from ocrdeploy.migration import arguments, invocation, shell
from ocrdeploy.migration.tools import DEPLOY_TEST, ONNX2TENSORRT, PYTORCH2ONNX, TOOLS, Parameter, Tool
from ocrdeploy.migration.translation import Translation, translate

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "migrate.md"

EXPORT = "python tools/deployment/pytorch2onnx.py"
BUILD = "python tools/deployment/onnx2tensorrt.py"
TEST = "python tools/deployment/deploy_test.py"

SHAPES = "--max-shape 1x3x400x600 --min-shape 1x3x400x600 --opt-shape 1x3x400x600"

LINES = {
    f"{EXPORT} c.py m.pth det a.jpg": (
        "ocrd export c.py m.pth --image a.jpg -o tmp.onnx --overwrite --device cuda:0 --opset 11 --static"
    ),
    f"{EXPORT} c.py m.pth recog a.jpg --output-file out/crnn.onnx --device-id 1 --opset-version 13 --verify --verbose --show "
    "--dynamic-export": (
        "ocrd export c.py m.pth --image a.jpg -o out/crnn.onnx --overwrite --device cuda:1 --opset 13 --verify -v --show "
        "--dynamic"
    ),
    f"{EXPORT} --verify c.py --show m.pth det a.jpg": (
        "ocrd export c.py m.pth --image a.jpg -o tmp.onnx --overwrite --device cuda:0 --opset 11 --verify --show --static"
    ),
    f"{EXPORT} c.py https://example.org/models/db.pth?x=1 det a.jpg --output-file db.bin": (
        "ocrd export c.py db.pth --image a.jpg -o db.bin.onnx --overwrite --device cuda:0 --opset 11 --static"
    ),
    f"{BUILD} c.py det a.jpg m.onnx": (
        f"ocrd build m.onnx --images a.jpg -o tmp.trt {SHAPES} --workspace 1 --precision fp32 --verify --show"
    ),
    f"{BUILD} c.py recog a.jpg m.onnx --trt-file out/m.engine --min-shape 1 1 32 32 --max-shape 4 1 32 512 --workspace-size 4 "
    "--fp16 --verify --show --verbose": (
        "ocrd build m.onnx --images a.jpg -o out/m.engine --max-shape 4x1x32x512 --min-shape 1x1x32x32 --opt-shape 1x1x32x32 "
        "--workspace 4 --precision fp16 --verify --show --verbose"
    ),
    f"{TEST} c.py m.onnx det ONNXRuntime": (
        "ocrd eval m.onnx --dataset KIND:PATH --backend onnxruntime --device cuda:0 --batch-size 1"
    ),
    f"{TEST} c.py m.onnx recog ONNXRuntime --eval acc --device cpu": (
        "ocrd eval m.onnx --dataset KIND:PATH --backend onnxruntime --metric acc --device cpu --batch-size 1"
    ),
    f"{TEST} c.py m.trt det TensorRT --eval hmean-iou hmean-ic13": (
        "ocrd eval m.trt --dataset KIND:PATH --backend tensorrt --metric hmean-iou --device cuda:0 --batch-size 1"
    ),
    f"{TEST} c.py m.onnx recog ONNXRuntime --eval word_acc one_minus_ned": (
        "ocrd eval m.onnx --dataset KIND:PATH --backend onnxruntime --metric acc --device cuda:0 --batch-size 1"
    ),
}
"""What was typed, and what does the same."""


def only(text: str) -> Translation:
    (found,) = invocation.of_text(text)
    return translate(found)


@pytest.mark.parametrize(("old", "new"), LINES.items())
def test_the_command_that_does_the_same(old: str, new: str) -> None:
    assert str(only(old)) == new
    assert str(translate(invocation.of_words(shlex.split(old)))) == new


@pytest.mark.parametrize("new", LINES.values())
def test_every_printed_command_is_understood(new: str) -> None:
    _, verb, *rest = shlex.split(new)
    command = cli.ocrd.get_command(click.Context(cli.ocrd), verb)
    assert command is not None
    assert command.make_context("ocrd", rest).args == []


# The real tools' parameters, from mmocr 0.6.3: what argparse was told, in the order of the source.
REAL = {
    "pytorch2onnx": [
        ("model_config", str, None, (), None),
        ("model_ckpt", str, None, (), None),
        ("model_type", str, None, ("recog", "det"), None),
        ("image_path", str, None, (), None),
        ("--output-file", str, None, (), "tmp.onnx"),
        ("--device-id", str, None, (), "0"),
        ("--opset-version", int, None, (), 11),
        ("--verify", "flag", None, (), None),
        ("--verbose", "flag", None, (), None),
        ("--show", "flag", None, (), None),
        ("--dynamic-export", "flag", None, (), None),
    ],
    "onnx2tensorrt": [
        ("model_config", str, None, (), None),
        ("model_type", str, None, ("recog", "det"), None),
        ("image_path", str, None, (), None),
        ("onnx_file", str, None, (), None),
        ("--trt-file", str, None, (), "tmp.trt"),
        ("--max-shape", int, 4, (), (1, 3, 400, 600)),
        ("--min-shape", int, 4, (), (1, 3, 400, 600)),
        ("--workspace-size", int, None, (), 1),
        ("--fp16", "flag", None, (), None),
        ("--verify", "flag", None, (), True),
        ("--show", "flag", None, (), True),
        ("--verbose", "flag", None, (), None),
    ],
    "deploy_test": [
        ("model_config", str, None, (), None),
        ("model_file", str, None, (), None),
        ("model_type", str, None, ("recog", "det"), None),
        ("backend", str, None, ("TensorRT", "ONNXRuntime"), None),
        ("--eval", str, "+", (), None),
        ("--device", str, None, (), "cuda:0"),
    ],
}


@pytest.mark.parametrize("name", REAL)
def test_every_parameter_of_the_real_tools_is_known(name: str) -> None:
    ours = [
        (each.name, "flag" if each.flag else each.kind, each.count, each.choices, each.default) for each in TOOLS[name].parameters
    ]
    assert ours == REAL[name]


PARAMETERS = [(tool, parameter) for tool in TOOLS.values() for parameter in tool.parameters]


@pytest.mark.parametrize(("tool", "parameter"), PARAMETERS, ids=lambda each: each.name)
def test_every_parameter_that_is_given_is_accounted_for(tool: Tool, parameter: Parameter) -> None:
    given = {"--eval": ["acc"], "--device": ["cpu"], "--device-id": ["0"]}
    values = (
        [] if parameter.flag else given.get(parameter.name, ["1"] * (parameter.count if isinstance(parameter.count, int) else 1))
    )
    positional = [each.choices[0] if each.choices else each.name for each in tool.parameters if each.positional]
    extra = [] if parameter.positional else [parameter.name, *values]
    if parameter.name == "--max-shape":
        extra = ["--max-shape", *["2000"] * 4]
    translation = translate(invocation.of_words([f"{tool.name}.py", *positional, *extra]))
    (note,) = [note for note in translation.notes if note.startswith((f"{parameter.name} ", f"{parameter.name}:"))]
    assert parameter.remark in note
    assert (": nothing (" in note) == (not parameter.here)


@pytest.mark.parametrize(("tool", "parameter"), PARAMETERS, ids=lambda each: each.name)
def test_the_document_has_a_row_for_every_parameter(tool: Tool, parameter: Parameter) -> None:
    section = DOCUMENT.read_text(encoding="utf-8").partition(f"## `{tool.name}.py`")[2].partition("\n## ")[0]
    default = parameter.default
    was = "given" if parameter.positional else "off" if default is None else "on" if default is True else f"`{shown(default)}`"
    if parameter.count == "+":
        was = "none"
    here = f"`{parameter.here}`" if parameter.here else "nothing"
    assert f"| `{parameter.name}` | {was} | {here} | {parameter.remark} |" in section.splitlines()


def shown(default: object) -> str:
    return " ".join(map(str, default)) if isinstance(default, tuple) else str(default)


# How a tool was called


CALLS = {
    "an absolute path": "/opt/mmocr/tools/deployment/deploy_test.py {}",
    "an interpreter of its own": "/usr/bin/python3.8 -u -W ignore tools/deployment/deploy_test.py {}",
    "mim": "mim run mmocr deploy_test {}",
    "a module": "python -m tools.deployment.deploy_test {}",
    "a prompt": "$ python deploy_test.py {}",
    "a Windows path": "python 'C:\\mmocr\\tools\\deployment\\deploy_test.py' {}",
    "output to a file": "python deploy_test.py {} > log.txt 2>&1",
    "output to a program": "python deploy_test.py {} 2>/dev/null | tee log",
    "after another command": "cd mmocr && python deploy_test.py {}; echo done",
    "a comment": "# evaluate\npython deploy_test.py {}   # slow",
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_tool_is_found_however_it_is_called(call: str) -> None:
    translation = only(call.format("c#1.py m.onnx det ONNXRuntime"))
    assert str(translation) == "ocrd eval m.onnx --dataset KIND:PATH --backend onnxruntime --device cuda:0 --batch-size 1"
    assert translation.notes[0].startswith("model_config 'c#1.py': ")


@pytest.mark.parametrize("end", ["\\\n", "\\ \n", "\\\r\n"])
def test_lines_may_be_continued(end: str) -> None:
    assert str(only(f"{TEST} {end} c.py m.onnx {end}det ONNXRuntime {end}")) == LINES[f"{TEST} c.py m.onnx det ONNXRuntime"]


def test_environment_variables_are_kept_but_for_those_of_mmocrs_own_modules() -> None:
    translation = only(f"PYTHONPATH=. CUDA_VISIBLE_DEVICES=3 OMP='a b' {TEST} c.py m.onnx det ONNXRuntime")
    assert str(translation).startswith("CUDA_VISIBLE_DEVICES=3 OMP='a b' ocrd eval ")
    assert translation.notes[0] == "left out: PYTHONPATH=."


def test_what_starts_the_interpreter_is_left_out_and_said() -> None:
    assert only(f"env A=1 srun -p gpu {TEST} c.py m.onnx det ONNXRuntime").notes[0] == "left out: srun -p gpu"


def test_options_may_be_shortened_and_carry_their_value_as_argparse_had_it() -> None:
    translation = only(f"{EXPORT} --out=o.onnx --opset 12 --dyn c.py m.pth det a.jpg")
    assert str(translation) == "ocrd export c.py m.pth --image a.jpg -o o.onnx --overwrite --device cuda:0 --opset 12 --dynamic"


def test_names_with_blanks_and_quotes_are_quoted() -> None:
    words = ("pytorch2onnx.py", "my config.py", "it's.pth", "det", "a&b.jpg")
    line = str(translate(invocation.of_words(words)))
    assert shlex.split(line)[2:6] == ["my config.py", "it's.pth", "--image", "a&b.jpg"]


def test_variables_and_homes_are_left_to_the_shell() -> None:
    line = str(only(f'{EXPORT} "$CFG" ~/m.pth det ${{DIR}}/a\\"b.jpg'))
    assert line.startswith('ocrd export "$CFG" ~/m.pth --image "${DIR}/a\\"b.jpg" ')
    assert shell.quoted("~user/a b") == "~user/'a b'"
    assert shell.quoted("~") == "'~'"


def test_a_script_may_call_several_tools() -> None:
    found = invocation.of_text("\n".join(LINES))
    assert [str(translate(each)) for each in found] == list(LINES.values())


# What the tools would have refused


REFUSED = {
    f"{EXPORT} c.py m.pth det": "the following arguments are required: image_path",
    f"{EXPORT} c.py m.pth a.jpg": "model_type",
    f"{EXPORT} c.py m.pth det a.jpg more": "unrecognized arguments: more",
    f"{EXPORT} c.py m.pth det a.jpg --simplify": "unrecognized arguments: --simplify",
    f"{EXPORT} c.py m.pth det a.jpg --ver": "ambiguous option: --ver could match",
    f"{EXPORT} c.py m.pth det a.jpg --opset-version eleven": "argument --opset-version: invalid int value: 'eleven'",
    f"{EXPORT} c.py m.pth det a.jpg --output-file": "argument --output-file: expected one argument",
    f"{EXPORT} c.py m.pth det a.jpg --device-id cuda:1": "--device-id is 'cuda:1', not the number of a device",
    f"{BUILD} c.py rec a.jpg m.onnx": "argument model_type: invalid choice: 'rec'",
    f"{BUILD} c.py det a.jpg m.onnx --min-shape 1 3 400": "argument --min-shape: expected 4 arguments",
    f"{BUILD} c.py det a.jpg m.onnx --max-shape 1 3 64 64": "a side of --min-shape 1x3x400x600 is longer",
    f"{BUILD} c.py det a.jpg m.onnx --workspace-size -1": "--workspace-size is -1",
    f"{TEST} c.py m.onnx det": "the following arguments are required: backend",
    f"{TEST} c.py m.onnx det OpenVINO": "argument backend: invalid choice: 'OpenVINO'",
    f"{TEST} --eval acc c.py m.onnx det ONNXRuntime": "the following arguments are required: model_config, model_file",
    f"{TEST} 'c.py m.onnx": "No closing quotation",
    f"({TEST} c.py m.onnx det ONNXRuntime)": "'(' in",
    "python tools/train.py c.py": "'python tools/train.py c.py' calls none of MMOCR's deployment tools",
    "": "an empty command line calls none",
    "pytorch2onnx.py=1": "calls none",
}


@pytest.mark.parametrize(("line", "problem"), REFUSED.items())
def test_a_wrong_command_is_an_error_that_names_what_is_wrong(line: str, problem: str) -> None:
    with pytest.raises(BadInput) as refused:
        only(line)
    assert problem in refused.value.problem
    assert refused.value.fix


def test_what_a_tool_lacks_is_told_with_its_form() -> None:
    with pytest.raises(BadInput) as refused:
        arguments.read(ONNX2TENSORRT, ["c.py"])
    assert refused.value.fix == (
        "its form was: onnx2tensorrt.py model_config {recog,det} image_path onnx_file [--trt-file VALUE] [--max-shape N N N N] "
        "[--min-shape N N N N] [--workspace-size N] [--fp16] [--verify] [--show] [--verbose]"
    )
    assert "[--eval VALUE...]" in DEPLOY_TEST.usage
    assert PYTORCH2ONNX.usage.endswith("[--dynamic-export]")
