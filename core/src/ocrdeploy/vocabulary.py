"""The nouns that flow between the core and its plugins.

All are frozen values. Nothing here imports a plugin, a runtime, or anything but the standard library and numpy.
Sizes are (height, width) in pixels, points are (x, y), colours are in the order that `Colour` names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Tensors: TypeAlias = Mapping[str, NDArray[Any]]
"""Named arrays, in C order, of any dtype."""

Pixels: TypeAlias = NDArray[np.uint8]
"""A decoded picture: uint8, (H, W, 3) in RGB order, or (H, W) for gray."""

STRICT: dict[str, str] = {"extra": "forbid"}
"""Read by pydantic where a specification comes from a file: a misspelled field is an error, not silence."""


class Task(StrEnum):
    """What a model answers."""

    DETECTION = "detection"
    RECOGNITION = "recognition"
    CLASSIFICATION = "classification"


class Colour(StrEnum):
    """Channel order of a model's input. A gray model's file is decoded as gray, which differs from converting it."""

    RGB = "rgb"
    BGR = "bgr"
    GRAY = "gray"


class Orientation(StrEnum):
    """Whether the EXIF orientation of a file is applied when it is decoded."""

    EXIF = "exif"
    IGNORE = "ignore"


class Align(StrEnum):
    """How a resized picture meets `InputSpec.pad_to` or a fixed size."""

    STRETCH = "stretch"
    """The picture is stretched to the aligned size."""
    PAD = "pad"
    """The picture keeps its size; `pad_value` fills the right and the bottom."""


class Interpolation(StrEnum):
    """The resampling, by OpenCV's names (`cv2.INTER_*`)."""

    NEAREST = "nearest"
    LINEAR = "linear"
    CUBIC = "cubic"
    AREA = "area"


class Rounding(StrEnum):
    """How a width meets its multiple."""

    CEIL = "ceil"
    NEAREST = "nearest"
    """To the nearest multiple, a tie to the even one, as Python's `round`."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Scale, up or down, so that the long side is at most `long` and the short side at most `short`, and one of them equal.

    f = min(long / max(h, w), short / min(h, w)); each side becomes int(side * f + 0.5).  (MMCV's `imrescale` rule.)
    """

    __pydantic_config__: ClassVar = STRICT
    long: int
    short: int
    rule: Literal["fit"] = "fit"


@dataclass(frozen=True, slots=True)
class ShortSide:
    """Scale up until the short side is at least `minimum`; then down until the long side is at most `max_long`, which wins.

    Each side becomes int(side * f).  (PP-OCR's `limit_type: min`.)  `max_long` 0 means no limit.
    """

    __pydantic_config__: ClassVar = STRICT
    minimum: int
    max_long: int = 0
    rule: Literal["short_side"] = "short_side"


@dataclass(frozen=True, slots=True)
class Height:
    """Scale to `height`; the natural width is ceil(height / h * w), and meets `width_multiple` by `rounding`.

    The result is at least `min_width`, and at most `max_width` (0: no limit; a wider picture is squeezed). With
    `Align.PAD` the picture keeps its natural width (so `rounding` must be `ceil`) and is padded on the right; with
    `Align.STRETCH` it is stretched to the result.  (MMOCR's `ResizeOCR`, PP-OCR's `rec_image_shape`.)
    """

    __pydantic_config__: ClassVar = STRICT
    height: int
    width_multiple: int = 1
    rounding: Rounding = Rounding.CEIL
    min_width: int = 1
    max_width: int = 0
    rule: Literal["height"] = "height"


@dataclass(frozen=True, slots=True)
class Exact:
    """Every picture becomes `height` x `width`.

    It is stretched, or, with `Align.PAD`, scaled to `height` with its natural width (ceil(height / h * w), squeezed where
    that exceeds `width`) and padded on the right.
    """

    __pydantic_config__: ClassVar = STRICT
    height: int
    width: int
    rule: Literal["exact"] = "exact"


Resize: TypeAlias = Fit | ShortSide | Height | Exact


@dataclass(frozen=True, slots=True)
class Shapes:
    """The tensor shapes a model is built for, in the order of `InputSpec.layout`: smallest, usual, largest."""

    __pydantic_config__: ClassVar = STRICT
    min: tuple[int, ...]
    opt: tuple[int, ...]
    max: tuple[int, ...]


class Quantity(StrEnum):
    """What a side input tells the model about each picture."""

    PICTURE_SIZE = "picture_size"
    """(height, width) of the picture, (N, 2)."""
    CONTENT_SIZE = "content_size"
    """(height, width) of the picture inside the tensor, before padding, (N, 2)."""
    SCALE = "scale"
    """(y, x) scale from picture to tensor, (N, 2)."""
    VALID_RATIO = "valid_ratio"
    """Content width / tensor width, (N,)."""


@dataclass(frozen=True, slots=True)
class SideInput:
    """A second input of the model, computed from each picture's placement."""

    __pydantic_config__: ClassVar = STRICT
    name: str
    quantity: Quantity
    dtype: str = "float32"


@dataclass(frozen=True, slots=True)
class InputSpec:
    """How a picture becomes a row of the model's image input: data, executed once, in the core, for every backend alike.

    A pixel p (0..255) of channel c becomes (p * scale - mean[c]) / std[c], float32; padding is `pad_value`, after that.
    `mean` and `std` are in the order of `colour`. After `resize`, both sides are brought to multiples of `pad_to`: to the
    nearest one by stretching (at least one multiple), or up by padding, as `align` says.
    """

    __pydantic_config__: ClassVar = STRICT
    name: str
    resize: Resize
    colour: Colour = Colour.RGB
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    scale: float = 1.0
    align: Align = Align.PAD
    pad_to: int = 1
    pad_value: float = 0.0
    interpolation: Interpolation = Interpolation.LINEAR
    orientation: Orientation = Orientation.EXIF
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    shapes: Shapes | None = None
    side_inputs: tuple[SideInput, ...] = ()

    @property
    def channels(self) -> int:
        """The number of channels: 1 for gray, else 3."""
        return 1 if self.colour is Colour.GRAY else 3


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Everything that is needed to use a model's file, apart from the file.

    `outputs` are the names of the outputs that the family reads, in the family's order. `options` are the family's
    (`FamilyInfo.options` lists them with their defaults). `charset` holds a recognizer's classes without the CTC blank, in
    class order. `network` is what a framework needs to build the network again, in its plugin's own words; the core and the
    other plugins pass it on unread. Among models of one task, the highest `rank` is the default.
    """

    __pydantic_config__: ClassVar = STRICT
    name: str
    family: str
    task: Task
    input: InputSpec
    outputs: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    charset: tuple[str, ...] = ()
    network: Mapping[str, Any] = field(default_factory=dict)
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Artifact:
    """One model file on disk, and the file it was made from. `format` is an open set: "checkpoint", "onnx", "trt-engine", ...

    `facts`: what `ocrd_build` says of the file that it made; they are kept in the file's manifest.
    """

    path: Path
    format: str
    sha256: str
    model: ModelSpec
    parent_sha256: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BackendInfo:
    """What a backend says of itself, without importing its runtime.

    `runs` lists the formats it opens, best first; `builds_from` the formats that its `ocrd_build` takes; `options` the names
    that it understands in `extra`; `session_options` those of them that only opening reads: what was built stays fresh whatever
    they are. Among backends that can run, the highest `rank` is the default.
    """

    name: str
    runs: tuple[str, ...]
    builds_from: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ("fp32",)
    options: tuple[str, ...] = ()
    rank: int = 0
    session_options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether a backend can run here. `problem` is empty when it can; `fix` names the command that mends it."""

    version: str = ""
    device: str = ""
    problem: str = ""
    fix: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    """More for people who ask (`ocrd backends --json`): providers, driver, flavour, ..."""

    @property
    def ok(self) -> bool:
        """Whether the backend can run here."""
        return not self.problem


@dataclass(frozen=True, slots=True)
class FamilyInfo:
    """A model family: models that share one post-processing. `options` are its options with their default values."""

    name: str
    task: Task
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """How a checkpoint becomes ONNX. `opset` 0 and `exporter` "" are the plugin's defaults.

    `dynamic`: the sides of the picture are open, as the model allows, else fixed. `batch` 0: open too, or one picture where
    the sides are fixed. `size`: the (height, width) of the tensor that the network is shown, which is the fixed size; None:
    the usual one.
    """

    opset: int = 0
    dynamic: bool = True
    batch: int = 0
    size: tuple[int, int] | None = None
    device: str = "cpu"
    exporter: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How a backend makes its own format. `shapes` None means the model's own `InputSpec.shapes`."""

    precision: str = "fp32"
    device: str = "auto"
    shapes: Shapes | None = None
    workspace_gib: float = 0.0
    custom_ops: tuple[Path, ...] = ()
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InferOptions:
    """How a session is opened. What is asked for is what runs, or it is an error; only "auto" may choose.

    `device`: auto | cpu | cuda | cuda:N. `threads` 0: the cores that this process may use. `provider`: an execution
    provider by the runtime's own name, where the backend has such a thing.
    """

    device: str = "auto"
    precision: str = "fp32"
    threads: int = 0
    provider: str = ""
    custom_ops: tuple[Path, ...] = ()
    extra: Mapping[str, str] = field(default_factory=dict)


class Threads(StrEnum):
    """From how many threads `Session.run` may be called at a time."""

    ANY = "any"
    ONE = "one"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a session really is, read from the runtime after loading, not from the options.

    `device`: cpu | cuda:N | ...; `provider`: the execution provider or GPU that runs it; `precision`: proved, not asked;
    `chosen`: one sentence when "auto" chose between devices, else ''.
    """

    version: str
    device: str
    provider: str = ""
    precision: str = "fp32"
    threads: Threads = Threads.ONE
    chosen: str = ""
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture lies in its batch row, so that results can be mapped back.

    `size` is the picture's (h, w); `content` the (h, w) that it fills at the top left of the tensor; `tensor` the tensor's
    (h, w). `scale` is (x, y) = (content w / w, content h / h): tensor = picture * scale.
    """

    index: int
    size: tuple[int, int]
    content: tuple[int, int]
    tensor: tuple[int, int]

    @property
    def scale(self) -> tuple[float, float]:
        """(x, y) factors from picture to tensor."""
        return self.content[1] / self.size[1], self.content[0] / self.size[0]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Rows of one shape, and for each row which picture it is. `inputs` holds the image input and the side inputs."""

    inputs: Tensors
    placements: tuple[Placement, ...]


@dataclass(frozen=True, slots=True)
class Region:
    """One piece of text, or one classified picture.

    `polygon`: (x, y) in the picture's pixels; it may overhang the edge as the family made it; empty for a whole picture.
    `score` is the last step's: of the text where there is one, else of the detection; `detection_score` the detector's.
    `char_scores`: one for each character of `text`. `label`: a classifier's answer.
    """

    polygon: tuple[tuple[float, float], ...] = ()
    text: str = ""
    score: float = 1.0
    detection_score: float | None = None
    char_scores: tuple[float, ...] = ()
    label: str = ""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of one picture. `index` is `Placement.index`; a recognizer and a classifier give one region."""

    index: int
    regions: tuple[Region, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture of a dataset, and what it should be read as.

    `regions` are what counts, with a polygon where a detector is to find them and a text where a recognizer is to read them;
    `ignored` regions are don't-care; `where` says file and line of the label, for complaints. `labelled` False: nothing is
    known of the picture, and it has no regions. `data`: the picture's encoded bytes where it is in no file of its own; `image`
    then only names it.
    """

    image: Path
    regions: tuple[Region, ...] = ()
    ignored: tuple[Region, ...] = ()
    where: str = ""
    labelled: bool = True
    data: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """A kind of dataset. `sniff(path)` says quickly whether a folder or file is of this kind; it never raises."""

    kind: str
    sniff: Callable[[Path], bool]


@runtime_checkable
class Session(Protocol):
    """A loaded model. One owner opens it and closes it; it is a context manager through `contextlib.closing`."""

    def run(self, inputs: Tensors) -> Tensors:
        """Run one batch and block until every output is in host memory. The arrays are the caller's to keep.

        The inputs are not modified. Raises `OcrdError` where the model does not take these inputs.
        """
        ...

    def loaded(self) -> Loaded:
        """Say what was really loaded."""
        ...

    def close(self) -> None:
        """Free everything. A second call does nothing; `run` after it raises `OcrdError`."""
        ...
