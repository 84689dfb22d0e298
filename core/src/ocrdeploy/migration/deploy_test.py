"""`deploy_test.py` becomes `ocrd eval`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ocrdeploy.migration.arguments import Arguments
from ocrdeploy.migration.becoming import Becomes, words

BUILT_IN = "one picture at a time, built in"

BACKENDS = {"TensorRT": "tensorrt", "ONNXRuntime": "onnxruntime"}

METRICS = {
    "det": {"hmean-iou": "hmean-iou"},
    "recog": dict.fromkeys(
        (
            "acc",
            "word_acc",
            "word_acc_ignore_case",
            "word_acc_ignore_case_symbol",
            "char_recall",
            "char_precision",
            "one_minus_ned",
        ),
        "acc",
    ),
}
"""MMOCR's metrics by task, and what measures them here; `acc` is all six figures that MMOCR knew one by one, too."""


def deploy_test(given: Arguments) -> Mapping[str, Becomes]:
    """Return what becomes of each parameter, and of what the tool had built in."""
    return {
        "model_file": words(given["model_file"]),
        "model_config": words("--dataset", "KIND:PATH"),
        "model_type": Becomes(),
        "backend": words("--backend", BACKENDS[given["backend"]]),
        "--eval": _metrics(given["model_type"], given["--eval"] or ()),
        "--device": words("--device", given["--device"]),
        BUILT_IN: words("--batch-size", "1"),
    }


def _metrics(task: str, wanted: Sequence[str]) -> Becomes:
    known = METRICS[task]
    chosen = dict.fromkeys(known[name] for name in wanted if name in known)
    lacking = [name for name in wanted if name not in known]
    remark = f"nothing measures {', '.join(lacking)} here" if lacking else ""
    return words(*(word for name in chosen for word in ("--metric", name)), remark=remark)
