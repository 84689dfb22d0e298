"""The three models as data. The constants are those of rapidocr 3.10.0's config.yaml; `weights` says where the files are."""

from __future__ import annotations

from typing import Any

from ocrdeploy.vocabulary import Align, Colour, Exact, Height, InputSpec, ModelSpec, Shapes, ShortSide, Task

_NORMALISED: dict[str, Any] = {
    "colour": Colour.BGR,
    "scale": 1 / 255,
    "mean": (0.5, 0.5, 0.5),
    "std": (0.5, 0.5, 0.5),
}
"""A pixel 0..255 becomes -1..1; padding is 0, which is mid-grey."""

DETECTOR = ModelSpec(
    name="ppocr-v6-det",
    family="dbnet",
    task=Task.DETECTION,
    input=InputSpec(
        name="x",
        resize=ShortSide(736, max_long=2000),
        align=Align.STRETCH,
        pad_to=32,
        shapes=Shapes(min=(1, 3, 32, 32), opt=(1, 3, 736, 992), max=(1, 3, 2016, 2016)),
        **_NORMALISED,
    ),
    outputs=("fetch_name_0",),
    options={
        "mask_threshold": 0.3,
        "dilation": 2,
        "max_candidates": 1000,
        "outline": "rectangle",
        "min_outline_side": 3.0,
        "score_threshold": 0.5,
        "unclip_ratio": 1.6,
        "representation": "quad",
        "min_side": 5.0,
        "min_side_inclusive": True,
        "snap": True,
        "min_picture_side": 4.0,  # Its whole part must be above 3.
    },
    rank=10,
)

RECOGNIZER = ModelSpec(
    name="ppocr-v6-rec",
    family="ctc",
    task=Task.RECOGNITION,
    input=InputSpec(
        name="x",
        # Lines are padded to 320 at least, as the model was trained. A line longer than 66 times its height is squeezed, so that
        # memory has a limit.
        resize=Height(48, width_multiple=32, min_width=320, max_width=3200),
        align=Align.PAD,
        shapes=Shapes(min=(1, 3, 48, 320), opt=(8, 3, 48, 320), max=(16, 3, 48, 3200)),
        **_NORMALISED,
    ),
    outputs=("fetch_name_0",),
    # The softmax is part of the graph. All steps are read, also those over the padding, as the model was trained.
    options={"blank": 0, "softmax": False, "merge_repeated": True, "skip_padding": False},
    rank=10,
)

CLASSIFIER = ModelSpec(
    name="ppocr-v2-cls",
    family="classifier",
    task=Task.CLASSIFICATION,
    input=InputSpec(
        name="x",
        resize=Exact(48, 192),
        align=Align.PAD,
        shapes=Shapes(min=(1, 3, 48, 192), opt=(8, 3, 48, 192), max=(16, 3, 48, 192)),
        **_NORMALISED,
    ),
    outputs=("save_infer_model/scale_0.tmp_1",),
    options={"labels": ("0", "180"), "softmax": False, "threshold": 0.9},
    rank=10,
)
