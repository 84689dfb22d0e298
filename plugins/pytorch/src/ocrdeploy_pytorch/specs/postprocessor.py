"""A detector's post-processor as its family's options; the names on the left of each table are MMOCR's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ocrdeploy_pytorch.specs.section import Section

CTC: Mapping[str, Any] = {"blank": 0, "softmax": True, "merge_repeated": True, "skip_padding": True}
"""The options of MMOCR's CTC convertor, which has no choice in them."""


def family_of(head: Section) -> tuple[str, dict[str, Any]]:
    """Return the family that `model.bbox_head` belongs to, and its options."""
    family, kind, default, read = HEADS[head.kind(tuple(HEADS))]
    section = Section(
        head.take("postprocessor", {"type": kind, "text_repr_type": default}), f"{head.place}.postprocessor", head.fix
    )
    section.kind((kind,))
    representation = section.choice("text_repr_type", ("quad", "poly"), "poly")
    older = head.take("text_repr_type")
    if older:  # An argument of the head wins, as in MMOCR.
        if older not in {"quad", "poly"}:
            raise head.error("text_repr_type", f"is {older!r}, and only 'quad', 'poly' are supported")
        representation = older
    head.choice("downsample_ratio", RATIOS[family], RATIOS[family][0])
    for place in (head, section):
        place.choice("decoding_type", (None, *DECODINGS[family]))
    options = {**read(section), "representation": representation}
    section.done()
    return family, options


DECODINGS: Mapping[str, tuple[str, ...]] = {"dbnet": ("db",), "psenet": ("pse",), "panet": ("pan",)}
"""The deprecated `decoding_type`, which named the post-processor."""


RATIOS: Mapping[str, tuple[float, ...]] = {"dbnet": (1.0, 1), "psenet": (0.25,), "panet": (0.25,)}
"""The size of a map, in that of the tensor: what `downsample_ratio` must say, since the networks have no other."""


def _db(section: Section) -> dict[str, Any]:
    return {
        "mask_threshold": section.number("mask_thr", 0.3),
        "score_threshold": section.number("min_text_score", 0.3),
        "min_side": section.number("min_text_width", 5),
        "unclip_ratio": section.number("unclip_ratio", 1.5),
        "epsilon_ratio": section.number("epsilon_ratio", 0.01),
        # MMOCR stops after the one with this number, counted from 0.
        "max_candidates": section.whole("max_candidates", 3000) + 1,
    }


def _pse(section: Section) -> dict[str, Any]:
    return {
        "mask_threshold": section.number("min_kernel_confidence", 0.5),
        "score_threshold": section.number("min_text_avg_confidence", 0.85),
        "min_kernel_area": section.whole("min_kernel_area", 0),
        "min_area": section.whole("min_text_area", 16),
    }


def _pan(section: Section) -> dict[str, Any]:
    average = section.number("min_text_avg_confidence", 0.85)
    return {
        "mask_threshold": section.number("min_text_confidence", 0.5),
        "kernel_threshold": section.number("min_kernel_confidence", 0.5),
        "score_threshold": average,
        # MMOCR takes the one for the other.
        "distance_threshold": average,
        "min_area": section.whole("min_text_area", 16),
    }


HEADS: Mapping[str, tuple[str, str, str, Callable[[Section], dict[str, Any]]]] = {
    "DBHead": ("dbnet", "DBPostprocessor", "quad", _db),
    "PSEHead": ("psenet", "PSEPostprocessor", "poly", _pse),
    "PANHead": ("panet", "PANPostprocessor", "poly", _pan),
}
"""For each head: its family, its post-processor, and the representation where the config gives no post-processor."""
