"""MMOCR 0.6.3's three deployment tools: every parameter, as `argparse` knew it, and what stands for it here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a tool: a positional one has a name without dashes.

    `here` is what stands for it, "" where nothing does; `remark` says what differs, or why nothing does. `kind`, `count`
    (`argparse`'s nargs), `choices` and `default` are the tool's own; a `flag` takes no value.
    """

    name: str
    here: str
    remark: str
    kind: type = str
    count: int | Literal["+"] | None = None
    choices: tuple[str, ...] = ()
    default: Any = None
    flag: bool = False

    @property
    def positional(self) -> bool:
        """Whether the tool cannot do without it."""
        return not self.name.startswith("-")

    @property
    def usage(self) -> str:
        """How it is written on the tool's command line."""
        if self.positional:
            return f"{{{','.join(self.choices)}}}" if self.choices else self.name
        if self.flag:
            return f"[{self.name}]"
        value = "N" if self.kind is int else "VALUE"
        values = [value] * self.count if isinstance(self.count, int) else [value + "..." * (self.count == "+")]
        return f"[{' '.join([self.name, *values])}]"


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool: its file without `.py`, the verb that replaces it, and its parameters in their order."""

    name: str
    verb: str
    parameters: tuple[Parameter, ...]

    @property
    def usage(self) -> str:
        """The form of its command line."""
        return " ".join((f"{self.name}.py", *(parameter.usage for parameter in self.parameters)))


_TASKS = ("recog", "det")
_SHAPE = (1, 3, 400, 600)

PYTORCH2ONNX = Tool(
    "pytorch2onnx",
    "export",
    (
        Parameter("model_config", "CONFIG", "it is parsed, never run"),
        Parameter("model_ckpt", "CHECKPOINT", "a file; one that is named by a URL has to be downloaded first"),
        Parameter("model_type", "", "the task is read from the config", choices=_TASKS),
        Parameter(
            "image_path", "--image FILE", "the network is shown the size that this picture gets; with --static it keeps it"
        ),
        Parameter(
            "--output-file",
            "-o FILE --overwrite",
            "the tool replaced a file that was there; FILE has to end in .onnx",
            default="tmp.onnx",
        ),
        Parameter("--device-id", "--device cuda:N", "the tool needed CUDA; here cpu does, and is the default", default="0"),
        Parameter("--opset-version", "--opset N", "the default here is 17", kind=int, default=11),
        Parameter(
            "--verify",
            "--verify",
            "compares in several sizes and batches, and boxes one to one; exit code 3 where they differ",
            flag=True,
        ),
        Parameter("--verbose", "-v", "says what is chosen and done; the graph is not printed", flag=True),
        Parameter("--show", "--show", "writes FILE.show.png, no windows; the tool drew with --verify only", flag=True),
        Parameter(
            "--dynamic-export",
            "--dynamic",
            "--static where it is not given; --dynamic is the default here",
            flag=True,
        ),
    ),
)

ONNX2TENSORRT = Tool(
    "onnx2tensorrt",
    "build",
    (
        Parameter("model_config", "", "the ONNX file carries its specification"),
        Parameter("model_type", "", "the ONNX file's specification says it", choices=_TASKS),
        Parameter("image_path", "--images FILE", "the picture of --verify and --show"),
        Parameter(
            "onnx_file",
            "MODEL.onnx",
            "has to be written by ocrd export: a file of pytorch2onnx.py carries no specification, unless FILE.json is beside it",
        ),
        Parameter("--trt-file", "-o FILE", "the tool made the folder, too, where it was missing", default="tmp.trt"),
        Parameter(
            "--max-shape",
            "--max-shape NxCxHxW",
            "ocrd profile recommends shapes from pictures",
            kind=int,
            count=4,
            default=_SHAPE,
        ),
        Parameter(
            "--min-shape",
            "--min-shape NxCxHxW --opt-shape NxCxHxW",
            "the tool tuned the engine for the smallest shape",
            kind=int,
            count=4,
            default=_SHAPE,
        ),
        Parameter("--workspace-size", "--workspace GIB", "the tool counted in GiB, too", kind=int, default=1),
        Parameter(
            "--fp16",
            "--precision fp16",
            "--precision fp32 where it is not given; the tool's TensorRT took TF32 then, where the GPU had it: --precision tf32",
            flag=True,
        ),
        Parameter("--verify", "--verify", "on in the tool, given or not", flag=True, default=True),
        Parameter(
            "--show", "--show", "on in the tool, given or not; here a picture is written, no windows", flag=True, default=True
        ),
        Parameter("--verbose", "--verbose", "says what TensorRT says", flag=True),
    ),
)

DEPLOY_TEST = Tool(
    "deploy_test",
    "eval",
    (
        Parameter(
            "model_config",
            "--dataset KIND:PATH",
            "put in what the config's data.test names; ocrd datasets lists the kinds; all else of it is in the model's file",
        ),
        Parameter("model_file", "MODEL", "has to be written by ocrd export or ocrd build: those files carry their specification"),
        Parameter("model_type", "", "the file's specification says it", choices=_TASKS),
        Parameter(
            "backend", "--backend NAME", "all compares every backend that is installed", choices=("TensorRT", "ONNXRuntime")
        ),
        Parameter("--eval", "--metric NAME", "without it the tool measured nothing", count="+"),
        Parameter("--device", "--device DEVICE", "the tool ran the model on device 0, whatever was given", default="cuda:0"),
    ),
)

TOOLS: Mapping[str, Tool] = {tool.name: tool for tool in (PYTORCH2ONNX, ONNX2TENSORRT, DEPLOY_TEST)}
