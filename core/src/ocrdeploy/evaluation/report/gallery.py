"""The pictures on which rows disagree: both answers drawn, and the characters marked that differ."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, TypeAlias

from ocrdeploy.evaluation.report import pairing, wording
from ocrdeploy.evaluation.report.markup import Markup, join, number, tag
from ocrdeploy.evaluation.report.pairing import Pairing, PlainRegion

if TYPE_CHECKING:
    from PIL.Image import Image

PictureOf: TypeAlias = "Callable[[Mapping[str, Any]], Image | None]"
"""Opens the picture of a disagreement, in the frame that the polygons are in; None where it is not there any more."""

LONGEST = 640
"""Pixels of the longer side of a picture in a page; a larger one is scaled down."""

_SMALL = 256 * 256
"""Pictures of so few pixels are embedded without loss."""

_QUALITY = 82
_LISTED = 12
_LONG = 2000
_MARGIN = 0.02


@dataclass(frozen=True, slots=True)
class Difference:
    """What one row answers to a picture, next to the reference."""

    row: str
    style: str
    disagreement: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in the page: its address and its own size; of one that is not there, the room that its boxes need."""

    address: str
    width: float
    height: float


def exhibit(differences: Sequence[Difference], reference: str, iou: float, picture: PictureOf) -> Markup:
    """Return one picture with the answers of the reference and of all rows that answer otherwise. All are of one picture."""
    first = differences[0].disagreement
    shown = _embedded(picture(first)) or _empty(differences)
    name = f"picture-{first['index']}"
    panels = list(_panels(differences, reference, iou, shown, name))
    return tag(
        "article",
        tag("h3", tag("bdi", first["picture"])),
        _truth(first.get("true") or ()),
        tag("div", *panels, class_="panels"),
        *([] if shown.address else [tag("p", "The picture could not be opened when this page was made.", class_="quiet")]),
        class_="exhibit",
    )


def legend(differences: Sequence[Difference]) -> Markup:
    """Return what the outlines are; nothing where no answer has boxes."""
    answers = [each.disagreement[side] for each in differences for side in ("reference", "row")]
    if not any(region.get("polygon") for answer in answers for region in answer.get("regions") or ()):
        return Markup("")
    return tag(
        "ul",
        tag("li", tag("span", class_="swatch reference"), "the reference's boxes, solid"),
        tag("li", tag("span", class_="swatch row"), "the other row's boxes, dashed"),
        tag("li", "thick: the answers differ here"),
        class_="legend",
    )


def _panels(differences: Sequence[Difference], reference: str, iou: float, shown: Picture, name: str) -> Iterator[Markup]:
    first = differences[0].disagreement["reference"]
    found = [pairing.pair(each.disagreement["reference"], each.disagreement["row"], iou) for each in differences]
    boxes = any(region.get("polygon") for each in found for region in _every(each))
    if not boxes:
        alone = [_drawing(shown, name, (), "the picture")] if shown.address else []
        answers = [_answer(reference, "reference", _whole(first))]
        answers += [
            _answer(each.row, each.style, _outcome(each.disagreement["row"], _compared(pair)), data_row=each.row)
            for each, pair in zip(differences, found, strict=True)
        ]
        yield tag("figure", *alone, *answers, class_="panel line")
        return
    wrong = [region for pair in found for region in (*pair.only_reference, *(ours for ours, _ in pair.unlike))]
    outlines = [
        _outline(region, "reference", strong=any(region is each for each in wrong)) for region in first.get("regions") or ()
    ]
    drawn = _drawing(shown, name, outlines, f"answer of the reference, {reference}")
    yield tag("figure", _caption(reference, "reference"), drawn, _whole(first), class_="panel")
    for each, pair in zip(differences, found, strict=True):
        # Boxes of the reference that this row misses are drawn as the reference's.
        outlines = [_outline(region, "reference", strong=True) for region in pair.only_reference]
        outlines += [_outline(theirs, "row", strong=False) for _, theirs in pair.alike]
        outlines += [_outline(region, "row", strong=True) for region in (*pair.only_row, *(theirs for _, theirs in pair.unlike))]
        drawn = _drawing(shown, "", outlines, f"answer of {each.row}", use=name)
        said = _outcome(each.disagreement["row"], _compared(pair))
        yield tag("figure", _caption(each.row, each.style), drawn, said, class_="panel", data_row=each.row)


def _every(pair: Pairing) -> Iterator[PlainRegion]:
    yield from (region for both in (*pair.alike, *pair.unlike) for region in both)
    yield from (*pair.only_reference, *pair.only_row)


def _drawing(shown: Picture, name: str, outlines: Iterable[Markup], title: str, *, use: str = "") -> Markup:
    """Return the picture with outlines over it. It is embedded once, under `name`, and used again by this name."""
    base = []
    if shown.address and use:
        base = [tag("use", href=f"#{use}")]
    elif shown.address:
        base = [tag("image", id=name, href=shown.address, width=shown.width, height=shown.height)]
    return tag(
        "svg",
        tag("title", title),
        *base,
        *outlines,
        viewBox=f"0 0 {number(shown.width)} {number(shown.height)}",
        role="img",
        aria_label=title,
        class_="picture" if shown.address else "picture missing",
        preserveAspectRatio="xMinYMid",
    )


def _outline(region: PlainRegion, who: str, *, strong: bool) -> Markup:
    if not all(math.isfinite(each) for point in region.get("polygon") or () for each in point):
        return Markup("")  # a box at no number is nowhere
    points = " ".join(f"{number(float(x))},{number(float(y))}" for x, y in region.get("polygon") or ())
    said = pairing.text(region)
    title = [tag("title", said)] if said else []
    halo = tag("polygon", points=points, class_="halo")
    return join([halo, tag("polygon", *title, points=points, class_=f"outline {who}{' strong' if strong else ''}")])


def _caption(name: str, style: str) -> Markup:
    role = " (reference)" if style == "reference" else ""
    return tag("figcaption", tag("span", class_=f"swatch {'reference' if style == 'reference' else 'row'}"), name + role)


def _answer(name: str, style: str, said: Markup, data_row: str | None = None) -> Markup:
    role = " (reference)" if style == "reference" else ""
    return tag("div", tag("figcaption", name + role), said, class_="answer", data_row=data_row)


def _truth(texts: Sequence[str]) -> Markup:
    known = [text for text in texts if text]
    if not known:
        return Markup("")
    listed = [tag("li", tag("bdi", text)) for text in known[:_LISTED]]
    return tag(
        "div", tag("span", "true:", class_="quiet"), tag("ul", *listed, *_rest(len(known)), class_="texts"), class_="truth"
    )


def _whole(answer: Mapping[str, Any]) -> Markup:
    """Return all that an answer says."""
    if answer.get("problem"):
        return tag("p", f"error: {answer['problem']}", class_="said")
    regions = answer.get("regions") or ()
    texts = [text for text in map(pairing.text, regions) if text]
    if not texts:
        count = wording.counted(len(regions), "region") if any(region.get("polygon") for region in regions) else "(nothing)"
        return tag("p", count, class_="said quiet")
    return tag("ul", *(tag("li", tag("bdi", text)) for text in texts[:_LISTED]), *_rest(len(texts)), class_="texts said")


def _rest(count: int) -> list[Markup]:
    return [tag("li", f"and {count - _LISTED} more", class_="quiet")] if count > _LISTED else []


def _outcome(answer: Mapping[str, Any], compared: Markup) -> Markup:
    return tag("p", f"error: {answer['problem']}", class_="said") if answer.get("problem") else compared


def _compared(pair: Pairing) -> Markup:
    """Return in what a row's answer differs from the reference's."""
    lines = []
    for ours, theirs in pair.unlike:
        here, there = _marked(pairing.text(theirs), pairing.text(ours)), _marked(pairing.text(ours), pairing.text(theirs))
        lines.append(tag("li", tag("bdi", here), tag("span", " instead of ", class_="quiet"), tag("bdi", there)))
    lines += [tag("li", tag("span", "only here: ", class_="quiet"), _alone(region)) for region in pair.only_row]
    lines += [tag("li", tag("span", "missing: ", class_="quiet"), _alone(region)) for region in pair.only_reference]
    more = _rest(len(lines))
    agreeing = [tag("li", f"{wording.counted(len(pair.alike), 'region')} as the reference", class_="quiet")] if pair.alike else []
    return tag("ul", *lines[:_LISTED], *more, *agreeing, class_="texts said stacked")


def _alone(region: PlainRegion) -> Markup:
    said = pairing.text(region)
    return tag("bdi", tag("mark", said)) if said else tag("span", "a box")


def _marked(text: str, other: str) -> Markup:
    """Return a text with the characters marked that the other does not have in this place."""
    if not text:
        return tag("span", "(nothing)", class_="quiet")
    text, other = text[:_LONG], other[:_LONG]
    blocks = SequenceMatcher(None, text, other, autojunk=False).get_opcodes()
    return join(
        text[start:end] if kind == "equal" else tag("mark", text[start:end]) for kind, start, end, _, _ in blocks if end > start
    )


def _embedded(image: Image | None) -> Picture | None:
    """Return the picture as an address that holds it, scaled down, with the size of the original, which boxes are in."""
    if image is None:
        return None
    width, height = image.size
    small = image.convert("RGB")
    small.thumbnail((LONGEST, LONGEST))
    out = io.BytesIO()
    if small.width * small.height <= _SMALL:
        kind = "png"
        small.save(out, "PNG", optimize=True)
    else:
        kind = "jpeg"
        small.save(out, "JPEG", quality=_QUALITY, optimize=True)
    return Picture(f"data:image/{kind};base64,{base64.b64encode(out.getvalue()).decode('ascii')}", width, height)


def _empty(differences: Sequence[Difference]) -> Picture:
    """Return room for the boxes of a picture that is not there."""
    sides = [each.disagreement[side] for each in differences for side in ("reference", "row")]
    points = [
        point
        for side in sides
        for region in side.get("regions") or ()
        for point in region.get("polygon") or ()
        if all(map(math.isfinite, point))
    ]
    wide, high = (max((float(point[axis]) for point in points), default=1.0) * (1 + _MARGIN) for axis in (0, 1))
    return Picture("", max(wide, 1.0), max(high, 1.0))
