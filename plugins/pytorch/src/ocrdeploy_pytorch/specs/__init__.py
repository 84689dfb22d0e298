"""From a config's values to a complete `ModelSpec`: how to prepare a picture, what network to build, how to read its output.

What a config says that would change the answer is taken over exactly, or it is an error that names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ocrdeploy import spec
from ocrdeploy.errors import BadInput, unknown
from ocrdeploy.vocabulary import Exact, Fit, Height, InputSpec, ModelSpec, Task
from ocrdeploy_pytorch import config as configs
from ocrdeploy_pytorch.config import digest as config_digest
from ocrdeploy_pytorch.config.error import ConfigError
from ocrdeploy_pytorch.config.tree import Tree
from ocrdeploy_pytorch.specs import charset as specs_charset
from ocrdeploy_pytorch.specs import input as specs_input
from ocrdeploy_pytorch.specs import network as specs_network
from ocrdeploy_pytorch.specs import postprocessor as specs_postprocessor
from ocrdeploy_pytorch.specs.section import Section
from ocrdeploy_pytorch.specs.six import DETECTOR_BATCHES, OUTPUT, RECOGNIZER_BATCHES, SIX

__all__ = ["SIX", "from_file", "spec_of"]

NETWORKS = ("native", "mmocr")
"""Who builds the network: this plugin, or MMOCR itself."""

COLOURS = 3

MAP_STRIDE = 4
"""A detector's map has a quarter of the tensor's size, or had on the way, so a tensor's sides must be multiples of it."""


def from_file(path: Path, *, root: Path | None = None, upsample: str = "nearest", networks: str = "native") -> ModelSpec:
    """Return the model that the config at `path` describes, named as the file is. Raises `ConfigError`; see `spec_of`."""
    return spec_of(configs.parse(path, root=root), path.stem, tree=Tree.of(path, root), upsample=upsample, networks=networks)


def spec_of(
    config: Mapping[str, Any],
    name: str,
    *,
    tree: Tree | None = None,
    upsample: str = "nearest",
    networks: str = "native",
) -> ModelSpec:
    """Return the model that a parsed config describes. Raises `ConfigError` for what is not supported.

    `tree` says where a dict_file may lie. `upsample` is how a detector's neck enlarges its maps. With `networks` "mmocr" the
    network may be any that MMOCR builds, and is passed on as it is; head, post-processor and pipeline are read as ever.
    """
    for kind, given, accepted in (("upsample", upsample, specs_network.UPSAMPLINGS), ("networks", networks, NETWORKS)):
        if given not in accepted:
            raise unknown(f"value of {kind}", given, accepted)
    place = Section(config.get("model"), "model", specs_network.FIX)
    if place.has("bbox_head"):
        made = _detector(config, name, upsample, networks)
    elif place.has("label_convertor"):
        made = _recognizer(config, name, tree, networks)
    else:
        known = ", ".join((*specs_network.DETECTORS, "CRNNNet"))
        raise place.error("type", f"is {place.take('type')!r}, and only {known} are supported")
    try:
        spec.check(made, f"config {name!r}")
    except BadInput as error:
        raise ConfigError(error.problem, "correct the config") from None
    return made


def _detector(config: Mapping[str, Any], name: str, upsample: str, networks: str) -> ModelSpec:
    head = Section(config["model"]["bbox_head"], "model.bbox_head", specs_network.FIX)
    family, options = specs_postprocessor.family_of(head)
    recipe = specs_input.input_of(config, DETECTOR_BATCHES)
    if not _holds_maps(recipe):
        raise ConfigError(
            f"data.test.pipeline of the config makes pictures whose sides are no multiples of {MAP_STRIDE}",
            "add dict(type='Pad', size_divisor=32) after Normalize",
        )
    if networks == "native":
        network = specs_network.detector(Section(config["model"], "model", specs_network.FIX), upsample)
        if recipe.channels != COLOURS:
            raise ConfigError(
                "data.test.pipeline of the config reads gray pictures, and the network takes colours", specs_input.FIX
            )
    else:
        network = _real(config, {"upsample": upsample})
    return ModelSpec(name, family, Task.DETECTION, recipe, (OUTPUT,), options, network=_signed(network, config))


def _holds_maps(recipe: InputSpec) -> bool:
    match recipe.resize:
        case Fit():
            return recipe.pad_to % MAP_STRIDE == 0
        case Exact(height=height, width=width):
            return height % MAP_STRIDE == width % MAP_STRIDE == 0
    return False


def _recognizer(config: Mapping[str, Any], name: str, tree: Tree | None, networks: str) -> ModelSpec:
    model = config["model"]
    charset = specs_charset.charset_of(Section(model["label_convertor"], "model.label_convertor", specs_charset.FIX), tree)
    recipe = specs_input.input_of(config, RECOGNIZER_BATCHES)
    if networks == "native":
        height = recipe.resize.height if isinstance(recipe.resize, Height | Exact) else 0
        section = Section(model, "model", specs_network.FIX)
        network = specs_network.recognizer(section, len(charset) + 1, recipe.channels, height)
    else:
        network = _real(config, {"num_classes": len(charset) + 1})
    options = dict(specs_postprocessor.CTC)
    return ModelSpec(name, "ctc", Task.RECOGNITION, recipe, (OUTPUT,), options, charset, _signed(network, config))


def _real(config: Mapping[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    return {"architecture": "mmocr", **more, "model": config["model"]}


def _signed(network: dict[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    return {**network, "config_sha256": config_digest.digest(dict(config))}
