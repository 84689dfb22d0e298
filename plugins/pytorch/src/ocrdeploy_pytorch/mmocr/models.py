"""From `ModelSpec.network` to the `model` section of an MMOCR config, and what of such a section may be built.

MMOCR makes an object of any class that a section names and that one of its registers holds, among them classes that unpickle
a file on the way. So what is not the network is left out or replaced, and every class has to come from a package of layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ocrdeploy.errors import BadInput

TRAINING_ONLY = ("init_cfg", "pretrained", "train_cfg", "test_cfg")
"""Arguments, at any depth, that name weights to start from, or concern training."""

REPLACED = ("loss", "postprocessor", "text_repr_type", "decoding_type")
"""Arguments of a head that are not the network: its own defaults serve."""

PACKAGES = (
    "mmdet.models.backbones.",
    "mmdet.models.necks.",
    "mmocr.models.common.",
    "mmocr.models.textdet.",
    "mmocr.models.textrecog.",
)
"""Where the class of a model or of a part of it may come from. None of these opens a file while it is made."""

FIX = "correct the model section of the config"


def section_of(network: Mapping[str, Any]) -> dict[str, Any]:
    """Return what MMOCR builds the same network from: `model` of a config, without anything that is not the network.

    Raises `BadInput` where MMOCR has no such network.
    """
    if network.get("upsample", "nearest") != "nearest":
        raise BadInput("MMOCR's own networks enlarge their maps by nearest only", "use upsample=nearest, or networks=native")
    architecture = network["architecture"]
    model = network["model"] if architecture == "mmocr" else _SECTIONS[architecture](network)
    section: dict[str, Any] = _without_training(model)
    if "bbox_head" in section:
        section["bbox_head"] = {name: value for name, value in section["bbox_head"].items() if name not in REPLACED}
        return section
    if section.get("encoder") is not None:
        raise BadInput("model.encoder of the config is given, and no recognizer of family ctc has one here", FIX)
    # The classes are counted only; which they are is in the specification, and their file may be gone.
    classes = [chr(first) for first in range(0x4E00, 0x4E00 + network["num_classes"] - 1)]
    section["label_convertor"] = {"type": "CTCConvertor", "dict_list": classes, "with_unknown": False}
    section["loss"] = {"type": "CTCLoss"}
    return section


def check_classes(section: Mapping[str, Any], register: Any) -> None:
    """Raise `BadInput` where a dictionary, at any depth, has a `type` that `register` knows and that is not from `PACKAGES`."""
    for each in _dictionaries(section):
        kind = each.get("type")
        found = register.get(kind) if isinstance(kind, str) else None
        if found is not None and not found.__module__.startswith(PACKAGES):
            raise BadInput(f"the config's model has a part of type {kind!r}, which is no part of a text network", FIX)


def _without_training(value: Any) -> Any:
    if isinstance(value, Mapping):
        kept = {name: _without_training(each) for name, each in value.items() if name not in TRAINING_ONLY}
        # The same, once trained; it runs on one GPU only.
        return {**kept, "type": "BN"} if kept.get("type") == "SyncBN" else kept
    if isinstance(value, list | tuple):
        return type(value)(map(_without_training, value))
    return value


def _dictionaries(value: Any) -> list[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        return [value, *(each for part in value.values() for each in _dictionaries(part))]
    if isinstance(value, list | tuple):
        return [each for part in value for each in _dictionaries(part)]
    return []


def _detector(network: Mapping[str, Any], model: str, neck: str, head: str) -> dict[str, Any]:
    # A native network says what differs from network to network, in MMOCR's own words.
    return {
        "type": model,
        "backbone": {"type": "mmdet.ResNet", **network["backbone"]},
        "neck": {"type": neck, **network["neck"]},
        "bbox_head": {"type": head, **network["head"]},
    }


def _recognizer(network: Mapping[str, Any]) -> dict[str, Any]:
    head = {name: value for name, value in network["head"].items() if name != "num_classes"}
    return {
        "type": "CRNNNet",
        "backbone": {"type": "VeryDeepVgg", **network["backbone"]},
        "decoder": {"type": "CRNNDecoder", **head},
    }


_SECTIONS = {
    "dbnet": lambda network: _detector(network, "DBNet", "FPNC", "DBHead"),
    "psenet": lambda network: _detector(network, "PSENet", "FPNF", "PSEHead"),
    "panet": lambda network: _detector(network, "PANet", "FPEM_FFM", "PANHead"),
    "crnn": _recognizer,
}
